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
#include "fs/keep/store.h"
#include "fs/keep/successor.h"
#include "fs/serve.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/notify.h"

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
	notify_manager("READY=1", NULL, 0);
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

/* A mount, and what its daemons share. */
struct place {
	struct mountpoint mountpoint;
	int fuse_fd, memory_fd;
	struct shared *shared;
	bool again; /* another keeper had it before us */
	bool final; /* a daemon of ours has served it, or we were told to end */
};

/* Lets go of it; its mount goes on as it is. */
static void place_close(struct place *place)
{
	shared_free(place->shared);
	if (place->memory_fd >= 0)
		close(place->memory_fd);
	if (place->fuse_fd >= 0)
		close(place->fuse_fd);
	*place = (struct place){ .fuse_fd = -1, .memory_fd = -1 };
}

/* Takes the mount away. */
static void place_leave(const struct options *options, struct place *place)
{
	struct mountpoint mountpoint = place->mountpoint;

	/* While the manager has copies of the descriptors, the old mount would wait for answers. */
	if (options->fdstore || place->again)
		store_drop();
	mountpoint_leave(&mountpoint, place->fuse_fd);
	place_close(place);
	mountpoint_clear(&mountpoint);
}

/* Takes what the keeper before us left in the service manager's store.  Return: whether it did. */
static bool place_take(const struct options *options, struct place *out)
{
	int r;

	if (!store_take(&out->fuse_fd, &out->memory_fd))
		return false;
	r = mountpoint_find(options->mountpoint, out->fuse_fd, &out->mountpoint);
	out->shared = shared_open(out->memory_fd);
	if (!r && !out->shared)
		r = -errno;
	if (!r && !options->fdstore)
		r = -EOPNOTSUPP;
	out->again = true;
	if (!r)
		return true;
	log_info("%s begins anew: what was left of it cannot be used: %s", options->mountpoint,
		 strerror(-r));
	place_leave(options, out);
	return false;
}

/* Mounts.  Return: 0 or a negative errno, after saying why. */
static int place_mount(struct options *options, struct place *out)
{
	_cleanup_free_ char *for_mount = options_for_mount(options);
	int r;

	if (!for_mount)
		return -ENOMEM;
	out->fuse_fd = mountpoint_mount(options->mountpoint, for_mount, options->fdstore,
					&out->mountpoint);
	if (out->fuse_fd < 0) {
		log_error("cannot mount damonfs on %s: %s", options->mountpoint,
			  strerror(-out->fuse_fd));
		return out->fuse_fd;
	}
	out->shared = shared_new(&out->memory_fd);
	r = out->shared ? 0 : -errno;
	if (r)
		log_error("cannot keep %s: %s", options->mountpoint, strerror(-r));
	if (r || !options->fdstore)
		return r;
	if (!out->mountpoint.janitor)
		return store_put(out->fuse_fd, out->memory_fd);
	log_error("-o fdstore needs CAP_SYS_ADMIN");
	return -EPERM;
}

/* Whether the mount outlives us: we were told to end, and the service manager has it. */
static bool stays(const struct options *options, const struct place *place, int status)
{
	return options->fdstore && !status && !mountpoint_is_gone(place->fuse_fd);
}

/*
 * Keeps a mount: starts daemons that serve it.
 * Return: KEEPER_ENDED and its *STATUS; in a daemon, or if it failed, 0 or a negative errno.
 */
static int keep_mount(struct options *options, struct daemon *daemon, struct place *place,
		      int *status)
{
	static const int more[] = { SIGCHLD, SIGUSR2 };
	__attribute__((cleanup(starter_clear))) struct starter starter = { .options = options,
									   .daemon = daemon };
	struct keeper keeper = { .signals = serve_open_signals(more, ARRAY_SIZE(more)),
				 .active = KEEPER_NO_DAEMON,
				 .standby = KEEPER_NO_DAEMON,
				 .leaves = options->fdstore,
				 .programs = &programs };
	int r;

	if (keeper.signals < 0)
		return keeper.signals;
	/* No number of a daemon before comes again. */
	if (place->again)
		keeper.generation = place->shared->generation + 1;
	r = successor_init(&starter.successor, options, place->fuse_fd, place->memory_fd);
	if (!r)
		r = keeper_run(&keeper, keeper_begun, &starter, status);
	else
		log_error("cannot keep %s: %s", options->mountpoint, strerror(-r));
	if (r == KEEPER_DAEMON)
		return serve_for(&keeper, daemon, options, place->fuse_fd, place->shared);
	place->final = keeper.begun || keeper.ending;
	close(keeper.signals);
	return r;
}

/*
 * The same, but what the keeper before us left may be of no use to our daemons: then the mount
 * begins anew.
 */
static int keep(struct options *options, struct daemon *daemon, struct place *place, int *status)
{
	pid_t self = getpid();
	int r = keep_mount(options, daemon, place, status);

	if (getpid() != self || r != KEEPER_ENDED || !*status || !place->again || place->final)
		return r;
	log_info("%s begins anew: see the line above", options->mountpoint);
	place_leave(options, place);
	r = place_mount(options, place);
	return r ? r : keep_mount(options, daemon, place, status);
}

/* Whether OPTIONS can be had here.  Return: 0 or -EINVAL, after saying why. */
static int check_store(const struct options *options)
{
	if (!options->fdstore || options->foreground)
		return 0;
	log_error("-o fdstore needs -f: the service manager knows us by our pid");
	return -EINVAL;
}

void kept_forget(const struct options *options)
{
	struct place place = { .fuse_fd = -1, .memory_fd = -1 };

	/* What stands for a mount may be among what the manager gave us. */
	if (!mountpoint_is_passed(options->mountpoint))
		place_take(options, &place);
}

int kept_serve(struct options *options, struct daemon *daemon)
{
	struct place place = { .fuse_fd = -1, .memory_fd = -1 };
	int status = EXIT_FAILURE, r = check_store(options);
	pid_t self = getpid();

	if (r)
		return r;
	if (!options->fdstore || !place_take(options, &place))
		r = place_mount(options, &place);
	if (!r)
		r = keep(options, daemon, &place, &status);
	/* In a daemon: the rest is the keeper's; threads that do not end may still use the memory. */
	if (getpid() != self) {
		janitor_forget(place.mountpoint.janitor);
		return r;
	}
	if (r == KEEPER_ENDED && stays(options, &place, status))
		place_close(&place);
	else
		place_leave(options, &place);
	if (r == KEEPER_ENDED)
		return status ? -EIO : 0;
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
