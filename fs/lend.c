// SPDX-License-Identifier: GPL-2.0-or-later
/* `damonfs lend': see lend.h. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/exec/command.h"
#include "fs/fuse/borrowed.h"
#include "fs/fuse/mountpoint.h"
#include "fs/lend.h"
#include "fs/options.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/number.h"

static int lend_usage(int status)
{
	fprintf(status ? stderr : stdout,
		"Usage: damonfs lend [--pid PID] [-o OPTIONS] MOUNTPOINT [--] COMMAND "
		"[ARGUMENT...]\n"
		"\n"
		"Mounts, and runs COMMAND with the mount as descriptor 3, for `damonfs -f "
		"/dev/fd/3'\n"
		"without privileges to mount.  Unmounts when COMMAND has ended.  Pids in the mount "
		"are\n"
		"those of this pid namespace, or of that of process PID.\n");
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

/* Runs ARGV with the signals of BEFORE on the mount behind FD, which is ours to close. */
static int run_with(int fd, const struct mountpoint *mountpoint, char **argv, int signals,
		    const sigset_t *before)
{
	struct command command;
	int r = command_start(&command, argv, before, hand_over_fd, &fd);

	/* Only who serves may have it: who waits for an answer must not wait for one from us. */
	close(fd);
	if (!r)
		command_wait(&command, signals);
	mountpoint_leave(mountpoint, -1);
	return r ? lend_fail("cannot run the command", r) : command_status(&command);
}

/* What is lent. */
struct loan {
	struct mountpoint mountpoint;
	int fd; /* of /dev/fuse, or a negative errno */
};

static void loan_mount(struct loan *loan, const struct options *options)
{
	_cleanup_free_ char *for_mount = options_for_mount(options);

	loan->fd = -ENOMEM;
	if (for_mount)
		loan->fd =
			mountpoint_mount(options->mountpoint, for_mount, true, &loan->mountpoint);
}

/* The same by a child, whose files are ours.  Return: 0 or a negative errno. */
static int loan_mount_by_child(struct loan *out, const struct options *options)
{
	struct loan *loan = mmap(NULL, sizeof(*loan), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r = 0;
	pid_t child;

	if (loan == MAP_FAILED)
		return -errno;
	loan->fd = -ECHILD;
	child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (!child) {
		loan_mount(loan, options);
		_exit(0);
	}
	if (child < 0 || waitpid(child, NULL, 0) != child)
		r = -errno;
	*out = *loan;
	munmap(loan, sizeof(*loan));
	return r;
}

static int open_pid_namespace(const char *pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/ns/pid", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}

/*
 * Mounts in the pid namespace of process PID: pids in the mount are those of who mounts.  A process
 * changes that for its children only.
 * Return: 0 or a negative errno.
 */
static int loan_mount_in(const char *pid, struct loan *loan, const struct options *options)
{
	_cleanup_close_ int ours = open_pid_namespace("self");
	_cleanup_close_ int theirs = open_pid_namespace(pid);
	int r;

	if (ours < 0 || theirs < 0)
		return ours < 0 ? ours : theirs;
	if (setns(theirs, CLONE_NEWPID))
		return -errno;
	r = loan_mount_by_child(loan, options);
	return setns(ours, CLONE_NEWPID) && !r ? -errno : r;
}

/* Mounts, for pids as process PID has them unless that is NULL, and runs ARGV. */
static int lend(const char *pid, const struct options *options, char **argv)
{
	/* Before there is a mount, which is to be taken away at the end. */
	sigset_t before;
	_cleanup_close_ int signals = command_open_signals(&before);
	/* So that the mount's own is another one, which the command does not inherit. */
	_cleanup_close_ int reserved = fcntl(signals, F_DUPFD_CLOEXEC, LEND_FD);
	struct loan loan = { 0 };
	int r = signals < 0 ? signals : reserved < 0 ? -errno : 0, status;

	if (r)
		return lend_fail("descriptors", r);
	if (pid)
		r = loan_mount_in(pid, &loan, options);
	else
		loan_mount(&loan, options);
	if (r)
		return lend_fail("cannot mount in the pid namespace", r);
	if (loan.fd < 0)
		return lend_fail(options->mountpoint, loan.fd);
	status = run_with(loan.fd, &loan.mountpoint, argv, signals, &before);
	mountpoint_clear(&loan.mountpoint);
	return status;
}

/*
 * The words of a mount: OPTIONS of lend_main(), and the mount point; and *PID, if --pid was given.
 * Return: how many; 0 if help is wanted, or -1 if they are wrong.
 */
static int mount_words(int argc, char **argv, char **words, const char **pid)
{
	static const struct option longs[] = { { "pid", required_argument, NULL, 'p' },
					       { "help", no_argument, NULL, 'h' },
					       { 0 } };
	unsigned int number;
	int nr = 0, option;

	words[nr++] = argv[0];
	/* Others than root may not without a line in fuse.conf. */
	if (!geteuid()) {
		words[nr++] = (char *)"-o";
		words[nr++] = (char *)"allow_other";
	}
	optind = 2; /* argv[1] is `lend' */
	while ((option = getopt_long(argc, argv, "+o:h", longs, NULL)) >= 0) {
		if (option == 'p' && !number_scan(optarg, INT_MAX, &number)) {
			*pid = optarg;
			continue;
		}
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
	const char *pid = NULL;
	int nr, r;

	if (!words)
		return lend_fail("options", -ENOMEM);
	nr = mount_words(argc, argv, words, &pid);
	if (nr <= 0)
		return lend_usage(nr ? EXIT_OURS : EXIT_SUCCESS);
	r = options_parse(nr, words, &options);
	if (r)
		return r == OPTIONS_DONE ? EXIT_SUCCESS : EXIT_OURS;
	if (command_refuses("lend", &options))
		return EXIT_OURS;
	if (borrowed_check(&options))
		return EXIT_OURS;
	if (mountpoint_is_passed(options.mountpoint)) {
		fprintf(stderr, "damonfs lend: %s is a mount that was lent already\n",
			options.mountpoint);
		return EXIT_OURS;
	}
	log_setup(options.log_level, false);
	return lend(pid, &options, argv + optind);
}
