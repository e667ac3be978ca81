// SPDX-License-Identifier: GPL-2.0-or-later
/* Mounts that outlive their daemon: see kept.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "fs/fuse/borrowed.h"
#include "fs/fuse/mountpoint.h"
#include "fs/fuse/session.h"
#include "fs/janitor.h"
#include "fs/keep/keeper.h"
#include "fs/kept.h"
#include "fs/keep/shared.h"
#include "fs/keep/successor.h"
#include "fs/serve.h"
#include "util/cleanup.h"
#include "util/log.h"

/* A daemon of the keeper's. */
struct kept {
	struct keeper *keeper;
	struct daemon *daemon;
	int signals;
};

static int tell_keeper(void *argument)
{
	struct kept *kept = argument;
	int r = daemon_let_go(kept->daemon);

	return r ? r : keeper_serves(kept->keeper, kept->signals);
}

static int serve_for(struct keeper *keeper, struct daemon *daemon, struct options *options, int fd,
		     struct shared *shared)
{
	static const int more[] = { SIGUSR2 };
	_cleanup_close_ int signals = serve_open_signals(more, ARRAY_SIZE(more));
	struct kept kept = { keeper, daemon, signals };
	struct session *session;
	int r = signals < 0 ? signals : 0;

	if (!r)
		r = session_take_over(options, fd, shared, keeper->generation, &session);
	if (!r)
		r = serve_session(options, tell_keeper, &kept, session, signals);
	if (r == SESSION_HANDED_OVER)
		_exit(KEEPER_HANDED_OVER);
	return r;
}

/* For the keeper: what it says goes where the daemons' lines go. */
struct starter {
	const struct options *options;
	struct daemon *daemon;
	struct successor successor;
};

static void starter_clear(struct starter *starter)
{
	successor_clear(&starter->successor);
}

static int keeper_begun(void *argument)
{
	const struct starter *starter = argument;

	log_setup(starter->options->log_level, !starter->options->foreground);
	return daemon_is_ready(starter->daemon);
}

/* The three of struct keeper_programs. */
static int choose_program(void *argument)
{
	struct starter *starter = argument;

	/* A daemon would get them from its file again, and everything else from us. */
	return borrowed_privileges() ? -EPERM : successor_choose(&starter->successor);
}

static void go_back_to_program(void *argument)
{
	struct starter *starter = argument;

	successor_go_back(&starter->successor);
}

static int execute_program(const struct keeper *keeper, void *argument)
{
	struct starter *starter = argument;

	return successor_execute(&starter->successor, keeper);
}

static const struct keeper_programs programs = { choose_program, go_back_to_program,
						 execute_program };

/* Keeps a mount, by its descriptor FD: starts daemons that serve it. */
static int keep_mount(struct options *options, struct daemon *daemon, int fd)
{
	static const int more[] = { SIGCHLD, SIGUSR2 };
	__attribute__((cleanup(starter_clear))) struct starter starter = { .options = options,
									   .daemon = daemon };
	_cleanup_close_ int memory_fd = -1;
	struct keeper keeper = { .signals = serve_open_signals(more, ARRAY_SIZE(more)),
				 .active = KEEPER_NO_DAEMON,
				 .standby = KEEPER_NO_DAEMON,
				 .programs = &programs };
	struct shared *shared = shared_new(&memory_fd);
	int status = EXIT_FAILURE, r = shared ? 0 : -errno;

	if (keeper.signals < 0)
		return keeper.signals;
	if (!r)
		r = successor_init(&starter.successor, options, fd, memory_fd);
	if (r) {
		log_error("cannot keep %s: %s", options->mountpoint, strerror(-r));
		return r;
	}
	r = keeper_run(&keeper, keeper_begun, &starter, &status);
	if (r == KEEPER_DAEMON)
		return serve_for(&keeper, daemon, options, fd, shared);
	shared_free(shared);
	close(keeper.signals);
	if (r == KEEPER_ENDED)
		return status ? -EIO : 0;
	return r;
}

int kept_serve(struct options *options, struct daemon *daemon)
{
	_cleanup_free_ char *for_mount = options_for_mount(options);
	struct mountpoint mountpoint;
	pid_t self = getpid();
	int r, fd;

	if (!for_mount)
		return -ENOMEM;
	fd = mountpoint_mount(options->mountpoint, for_mount, false, &mountpoint);
	if (fd < 0) {
		log_error("cannot mount damonfs on %s: %s", options->mountpoint, strerror(-fd));
		return fd;
	}
	r = keep_mount(options, daemon, fd);
	/* In a daemon: the rest is the keeper's. */
	if (getpid() != self) {
		close(fd);
		janitor_forget(mountpoint.janitor);
		return r;
	}
	mountpoint_leave(&mountpoint, fd);
	close(fd);
	mountpoint_clear(&mountpoint);
	return r;
}

/* Serves what a keeper has handed to us.  Return: 0 or a negative errno, after saying why. */
static int succeed(struct succession *succession, struct options *options)
{
	struct daemon daemon = { .waits = -1 };
	struct shared *shared = shared_open(succession->memory_fd);
	int r = shared ? 0 : -errno;

	if (r) {
		log_error("cannot take over from another version of damonfs: %s; unmount and mount "
			  "again",
			  strerror(-r));
		return r;
	}
	return serve_for(&succession->keeper, &daemon, options, succession->fuse_fd, shared);
}

int kept_main(int argc, char **argv)
{
	__attribute__((cleanup(options_free))) struct options options = { 0 };
	struct succession succession;
	int r = borrowed_privileges() ? -EPERM : successor_take(argc, argv, &succession);

	/* It was executed by a descriptor. */
	prctl(PR_SET_NAME, "damonfs");
	if (r) {
		fprintf(stderr, "damonfs %s: only a keeper starts it, at an upgrade: %s\n", argv[1],
			strerror(-r));
		return EXIT_FAILURE;
	}
	if (options_parse(succession.argc, succession.argv, &options))
		return EXIT_FAILURE;
	options.mountpoint = strdup(succession.mountpoint);
	if (!options.mountpoint)
		return EXIT_FAILURE;
	options.foreground |= options.debug;
	log_setup(options.log_level, !options.foreground);
	return succeed(&succession, &options) ? EXIT_FAILURE : EXIT_SUCCESS;
}
