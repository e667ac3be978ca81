// SPDX-License-Identifier: GPL-2.0-or-later
/* `damonfs status': see status.h. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/fuse/mounts.h"
#include "fs/status/print.h"
#include "fs/status/report.h"
#include "fs/status/status.h"
#include "util/cleanup.h"

/* How often to ask again when another daemon took over as it answered. */
#define TRIES 10

/* Where the file may be: in a whole mount, or in its directory `admin'. */
static const char *const files[] = { "admin/kdamonds/nr_kdamonds", "kdamonds/nr_kdamonds",
				     "nr_kdamonds" };

/* The mounts that were asked, and what they said. */
struct answers {
	json_t *mounts;
	bool failed; /* one did not say */
};

/* Return: a descriptor, or a negative errno. */
static int open_file(const char *mountpoint)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *path = NULL;
		int fd;

		if (asprintf(&path, "%s/%s", mountpoint, files[i]) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 || errno != ENOENT)
			return fd < 0 ? -errno : fd;
	}
	return -ENOENT;
}

/* Return: 0 and *OUT, -EAGAIN if it is to be asked again, or another negative errno. */
static int ask_once(const char *mountpoint, json_t **out)
{
	_cleanup_close_ int fd = open_file(mountpoint);

	if (fd < 0)
		return fd;
	if (ioctl(fd, REPORT_STATUS))
		return -errno;
	*out = json_loadfd(fd, JSON_DISABLE_EOF_CHECK, NULL);
	/* A daemon that took over meanwhile knows nothing of our ioctl: it told the number. */
	return json_is_object(*out) ? 0 : -EAGAIN;
}

static int ask(const char *mountpoint, json_t **out)
{
	int r = -EAGAIN;

	for (int i = 0; i < TRIES && (r == -EAGAIN || r == -ENOTTY); i++) {
		json_decref(*out);
		*out = NULL;
		r = ask_once(mountpoint, out);
	}
	return r;
}

static const char *advice(int error)
{
	switch (error) {
	case -ENOTCONN:
		return "; its daemon is dead: umount it, or mount damonfs there again";
	case -EACCES:
	case -EPERM:
		return "; ask as root, or as its owner (-o uid=)";
	case -ENOENT:
	case -ENOTTY:
		return "; it is no mount of damonfs, or of an older one";
	default:
		return "";
	}
}

/* Adds what the mount at MOUNTPOINT says.  Return: 0 or -ENOMEM. */
static int add_answer(struct answers *answers, const char *mountpoint)
{
	json_t *mount = NULL;
	int r = ask(mountpoint, &mount);

	if (r) {
		json_decref(mount);
		fprintf(stderr, "damonfs status: %s: %s%s\n", mountpoint, strerror(-r), advice(r));
		answers->failed = true;
		return 0;
	}
	/* Of any bytes. */
	json_object_set_new(mount, "mountpoint",
			    json_stringn_nocheck(mountpoint, strlen(mountpoint)));
	return json_array_append_new(answers->mounts, mount) ? -ENOMEM : 0;
}

/* Paths of mounts, one of each. */
struct found {
	struct mount_line *line;
	size_t nr;
	int error;
};

static bool note_mount(const struct mount_line *line, void *argument)
{
	struct found *found = argument;
	struct mount_line *more;

	if (!line->whole || strcmp(line->type, MOUNTS_TYPE))
		return true;
	for (size_t i = 0; i < found->nr; i++)
		if (!strcmp(found->line[i].id.device, line->id.device))
			return true;
	more = reallocarray(found->line, found->nr + 1, sizeof(*more));
	if (!more) {
		found->error = -ENOMEM;
		return false;
	}
	found->line = more;
	found->line[found->nr++] = *line;
	return true;
}

/* Asks all mounts of damonfs that we can see.  Return: 0 or a negative errno. */
static int ask_all(struct answers *answers)
{
	struct found found = { 0 };
	int r = mounts_list(note_mount, &found);

	if (!r)
		r = found.error;
	for (size_t i = 0; !r && i < found.nr; i++)
		r = add_answer(answers, found.line[i].point);
	free(found.line);
	return r;
}

static int show(const struct answers *answers, bool json)
{
	json_t *mount;
	size_t i;

	if (json)
		return json_dumpf(answers->mounts, stdout,
				  JSON_INDENT(2) | JSON_REAL_PRECISION(9)) ||
				       puts("") < 0 ?
			       -EIO :
			       0;
	if (!json_array_size(answers->mounts) && !answers->failed)
		puts("no damonfs is mounted here");
	json_array_foreach(answers->mounts, i, mount) print_status(mount);
	return fflush(stdout) ? -errno : 0;
}

static int usage(int status)
{
	fprintf(status ? stderr : stdout, "Usage: damonfs status [--json] [MOUNTPOINT...]\n"
					  "\n"
					  "Says how mounts of damonfs do: all that can be seen "
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
		r = ask_all(&answers);
	for (int i = optind; !r && i < argc; i++)
		r = add_answer(&answers, argv[i]);
	if (!r)
		r = show(&answers, json);
	if (r)
		fprintf(stderr, "damonfs status: %s\n", strerror(-r));
	json_decref(answers.mounts);
	return r || answers.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
