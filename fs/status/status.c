// SPDX-License-Identifier: GPL-2.0-or-later
/* `damonfs status': see status.h. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/status/ask.h"
#include "fs/status/print.h"
#include "fs/status/say.h"
#include "fs/status/status.h"
#include "util/cleanup.h"

/* The mounts that were asked, and what they said. */
struct answers {
	json_t *mounts;
	bool failed; /* one did not say */
};

/* Adds what the mount at MOUNTPOINT says.  Return: 0 or -ENOMEM. */
static int add_answer(struct answers *answers, const char *mountpoint)
{
	json_t *mount = NULL;
	int r = ask_status(mountpoint, &mount);

	if (r) {
		ask_explain("status", mountpoint, r);
		answers->failed = true;
		return 0;
	}
	if (json_object_set_new(mount, "mountpoint", say_json(mountpoint))) {
		json_decref(mount);
		return -ENOMEM;
	}
	return json_array_append_new(answers->mounts, mount) ? -ENOMEM : 0;
}

static int visit(const char *mountpoint, void *answers)
{
	/* One that is somebody else's own was not asked for. */
	return access(mountpoint, F_OK) && errno == EACCES ? 0 : add_answer(answers, mountpoint);
}

static int show(const struct answers *answers, bool json)
{
	json_t *mount;
	size_t i;

	if (json)
		return say_document(answers->mounts);
	if (!json_array_size(answers->mounts) && !answers->failed)
		puts("no damonfs is mounted here");
	json_array_foreach(answers->mounts, i, mount) print_status(mount);
	return fflush(stdout) ? -errno : 0;
}

static int usage(int status)
{
	fprintf(status ? stderr : stdout,
		"Usage: damonfs status [--json] [MOUNTPOINT...]\n"
		"\n"
		"Says how mounts of damonfs are doing: all that can be seen "
		"here, or those at MOUNTPOINT.\n");
	return status;
}

int status_main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	struct answers answers = { .mounts = json_array() };
	bool json = false;
	int option, r = answers.mounts ? 0 : -ENOMEM;

	/* argv[1] is `status'. */
	optind = 2;
	while ((option = getopt_long(argc, argv, "jh", options, NULL)) >= 0) {
		if (option != 'j') {
			json_decref(answers.mounts);
			return usage(option == 'h' ? EXIT_SUCCESS : EXIT_FAILURE);
		}
		json = true;
	}
	if (!r && optind == argc)
		r = ask_mountpoints(visit, &answers);
	for (int i = optind; !r && i < argc; i++)
		r = add_answer(&answers, argv[i]);
	if (!r)
		r = show(&answers, json);
	if (r)
		fprintf(stderr, "damonfs status: %s\n", strerror(-r));
	json_decref(answers.mounts);
	return r || answers.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
