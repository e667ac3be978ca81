// SPDX-License-Identifier: GPL-2.0-or-later
/* `damonfs upgrade': see upgrade.h. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/status/ask.h"
#include "fs/status/upgrade.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* How long the new daemon may take, which loads BPF programs and waits for held writes. */
#define PATIENCE_NS 30000000000

/* Which daemon serves. */
struct serving {
	pid_t pid, keeper;
	char version[32];
};

/* Return: 0 or a negative errno. */
static int find_serving(const char *mountpoint, struct serving *out)
{
	const char *version;
	json_t *status;
	int pid, keeper, r = ask_status(mountpoint, &status);

	if (r)
		return r;
	r = json_unpack(status, "{si si ss}", "pid", &pid, "keeper", &keeper, "version", &version) ?
		    -EPROTO :
		    0;
	if (!r) {
		*out = (struct serving){ .pid = pid, .keeper = keeper };
		snprintf(out->version, sizeof(out->version), "%s", version);
	}
	json_decref(status);
	return r;
}

/* Waits until another daemon serves than WAS.  Return: 0 or a negative errno. */
static int wait_for_other(const char *mountpoint, const struct serving *was, struct serving *now)
{
	uint64_t until = clock_ns() + PATIENCE_NS;
	int r;

	do {
		usleep(20000);
		r = find_serving(mountpoint, now);
	} while (!r && now->pid == was->pid && clock_ns() < until);
	return r ? r : now->pid == was->pid ? -ETIMEDOUT : 0;
}

/* Return: 0, or EXIT_FAILURE after saying why. */
static int upgrade(const char *mountpoint, void *failed)
{
	struct serving was, now;
	int r = find_serving(mountpoint, &was);

	if (!r && !was.keeper) {
		fprintf(stderr,
			"damonfs upgrade: %s: its daemon has no keeper; mount with -o survive, or "
			"unmount and mount again\n",
			mountpoint);
		*(bool *)failed = true;
		return 0;
	}
	if (!r && kill(was.keeper, SIGUSR2))
		r = -errno;
	if (!r)
		r = wait_for_other(mountpoint, &was, &now);
	if (r) {
		ask_explain("upgrade", mountpoint, r);
		*(bool *)failed = true;
		return 0;
	}
	printf("%s: damonfs %s, process %d, took over from %s, process %d\n", mountpoint,
	       now.version, now.pid, was.version, was.pid);
	return 0;
}

int upgrade_main(int argc, char **argv)
{
	bool failed = false;
	int r = 0;

	/* argv[1] is `upgrade'. */
	if (argc > 2 && argv[2][0] == '-') {
		fprintf(stderr, "Usage: damonfs upgrade [MOUNTPOINT...]\n"
				"\n"
				"Has mounts with -o survive go on by the damonfs that is installed "
				"now: all that can\n"
				"be seen here, or those at MOUNTPOINT.\n");
		return EXIT_FAILURE;
	}
	if (argc == 2)
		r = ask_mountpoints(upgrade, &failed);
	for (int i = 2; !r && i < argc; i++)
		r = upgrade(argv[i], &failed);
	if (r)
		fprintf(stderr, "damonfs upgrade: %s\n", strerror(-r));
	return r || failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
