// SPDX-License-Identifier: GPL-2.0-or-later
/* `damonfs lend': see lend.h. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/exec/command.h"
#include "fs/fuse/borrowed.h"
#include "fs/fuse/mountpoint.h"
#include "fs/lend.h"
#include "fs/options.h"
#include "util/cleanup.h"
#include "util/log.h"

static int lend_usage(int status)
{
	fprintf(status ? stderr : stdout,
		"Usage: damonfs lend [-o OPTIONS] MOUNTPOINT [--] COMMAND [ARGUMENT...]\n"
		"\n"
		"Mounts, and runs COMMAND with the mount as descriptor 3, for `damonfs -f "
		"/dev/fd/3'\n"
		"without privileges to mount.  Unmounts when COMMAND has ended.\n");
	return status;
}

static int lend_fail(const char *what, int r)
{
	fprintf(stderr, "damonfs lend: %s: %s\n", what, strerror(-r));
	return EXIT_OURS;
}

/* In the process of the command. */
static int hand_over_fd(void *fd)
{
	return dup2(*(int *)fd, LEND_FD) == LEND_FD ? 0 : lend_fail("dup2", -errno);
}

/* Runs ARGV on the mount behind FD, which is ours to close. */
static int run_with(int fd, const struct mountpoint *mountpoint, char **argv)
{
	_cleanup_close_ int signals = -1;
	struct command command;
	sigset_t before;
	int r;

	signals = command_open_signals(&before);
	r = signals < 0 ? signals : command_start(&command, argv, &before, hand_over_fd, &fd);
	/* Only who serves may have it: who waits for an answer must not wait for one from us. */
	close(fd);
	if (!r)
		command_wait(&command, signals);
	mountpoint_leave(mountpoint, -1);
	return r ? lend_fail("cannot run the command", r) : command_status(&command);
}

/* Mounts as OPTIONS say, and runs ARGV. */
static int lend(const struct options *options, char **argv)
{
	_cleanup_free_ char *for_mount = options_for_mount(options);
	struct mountpoint mountpoint;
	/* So that the mount's own is another one, which the command does not inherit. */
	_cleanup_close_ int reserved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, LEND_FD);
	int fd, status;

	if (!for_mount || reserved < 0)
		return lend_fail("descriptors", for_mount ? -errno : -ENOMEM);
	fd = mountpoint_mount(options->mountpoint, for_mount, true, &mountpoint);
	if (fd < 0)
		return lend_fail(options->mountpoint, fd);
	status = run_with(fd, &mountpoint, argv);
	mountpoint_clear(&mountpoint);
	return status;
}

/*
 * The words of a mount: OPTIONS of lend_main(), and the mount point.
 * Return: how many; 0 if help is wanted, or -1 if they are wrong.
 */
static int mount_words(int argc, char **argv, char **words)
{
	static const struct option longs[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	int nr = 0, option;

	words[nr++] = argv[0];
	/* Others than root may not without a line in fuse.conf. */
	if (!geteuid()) {
		words[nr++] = (char *)"-o";
		words[nr++] = (char *)"allow_other";
	}
	optind = 2; /* argv[1] is `lend' */
	while ((option = getopt_long(argc, argv, "+o:h", longs, NULL)) >= 0) {
		if (option != 'o')
			return option == 'h' ? 0 : -1;
		words[nr++] = (char *)"-o";
		words[nr++] = optarg;
	}
	if (argc - optind < 2)
		return -1;
	/* Whatever it begins with. */
	words[nr++] = (char *)"--";
	words[nr++] = argv[optind++];
	if (!strcmp(argv[optind], "--"))
		optind++;
	return argv[optind] ? nr : -1;
}

int lend_main(int argc, char **argv)
{
	__attribute__((cleanup(options_free))) struct options options = { 0 };
	_cleanup_free_ char **words = calloc(2 * (size_t)argc + 4, sizeof(*words));
	int nr, r;

	if (!words)
		return lend_fail("options", -ENOMEM);
	nr = mount_words(argc, argv, words);
	if (nr <= 0)
		return lend_usage(nr ? EXIT_OURS : EXIT_SUCCESS);
	r = options_parse(nr, words, &options);
	if (r)
		return r == OPTIONS_DONE ? EXIT_SUCCESS : EXIT_OURS;
	if (borrowed_privileges() && borrowed_check(&options))
		return EXIT_OURS;
	if (mountpoint_is_passed(options.mountpoint)) {
		fprintf(stderr, "damonfs lend: %s is a mount that was lent already\n",
			options.mountpoint);
		return EXIT_OURS;
	}
	log_setup(options.log_level, false);
	return lend(&options, argv + optind);
}
