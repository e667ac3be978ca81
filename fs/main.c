// SPDX-License-Identifier: GPL-2.0-or-later
/* damonfs: the command line.  A mount here, `damonfs exec' in exec.c. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "access/access.h"
#include "access/rights/agent.h"
#include "access/rights/caller.h"
#include "access/rights/privileges.h"
#include "fs/exec/exec.h"
#include "fs/fuse/borrowed.h"
#include "fs/fuse/daemon.h"
#include "fs/fuse/mountpoint.h"
#include "fs/fuse/session.h"
#include "fs/janitor.h"
#include "fs/keep/keeper.h"
#include "fs/keep/shared.h"
#include "fs/options.h"
#include "fs/status/status.h"
#include "util/cleanup.h"
#include "util/title.h"

static bool end_on_signal(int number, void *argument)
{
	(void)argument;
	log_info("%s: stopping all kdamonds and unmounting", strsignal(number));
	return true;
}

/*
 * Signals that end it, and the ends of CHILDREN, come through a descriptor; threads made later
 * inherit the mask.
 * Return: the descriptor, or a negative errno after saying why.
 */
static int main_open_signals(bool children)
{
	sigset_t set;
	int fd, r;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	if (children) {
		sigaddset(&set, SIGCHLD);
		/* Who started us may have it ignored: then nobody hears of a child's end. */
		signal(SIGCHLD, SIG_DFL);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd >= 0)
		return fd;
	r = -errno;
	log_error("cannot start: %s", strerror(-r));
	return r;
}

/* Gets ready to serve others, and to do without what was needed until now. */
static int main_prepare(const struct options *options)
{
	unsigned int uses = access_method_uses(options->method);
	int r = borrowed_take_up();

	if (r)
		return r;
	privileges_report(uses);
	r = caller_prepare();
	if (borrowed_privileges())
		caller_limit_to_self();
	if (!r)
		r = agents_start();
	access_prepare(options->method);
	return r;
}

/* Serves SESSION until its end; SERVES says so, with ARGUMENT. */
static int serve_mount(struct options *options, int (*serves)(void *argument), void *argument,
		       struct session *session, int signals)
{
	int r = session_begin(session, signals);

	if (!r)
		r = main_prepare(options);
	if (r)
		return r;
	log_setup(options->log_level, !options->foreground);
	/* -EPIPE: whoever started it does not wait for it any more. */
	r = serves(argument);
	if (!r)
		r = privileges_settle(access_method_uses(options->method), options->sandbox);
	if (r)
		return r;
	return session_serve(session, signals, end_on_signal, NULL);
}

/* Serves SESSION, which is ended afterwards. */
static int serve_session(struct options *options, int (*serves)(void *argument), void *argument,
			 struct session *session, int signals)
{
	int r = serve_mount(options, serves, argument, session, signals);

	if (r)
		log_error("cannot serve %s: %s", options->mountpoint, strerror(-r));
	session_end(session);
	agents_stop();
	return r;
}

static int say_ready(void *daemon)
{
	return daemon_is_ready(daemon);
}

/* One daemon, and no other after it. */
static int serve_once(struct options *options, struct daemon *daemon)
{
	_cleanup_close_ int signals = main_open_signals(false);
	struct session *session;
	int r = signals < 0 ? signals : 0;

	if (!r)
		r = session_mount(options, options->mountpoint, &session);
	return r ? r : serve_session(options, say_ready, daemon, session, signals);
}

/* ---- with a keeper ---- */

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
	_cleanup_close_ int signals = main_open_signals(false);
	struct kept kept = { keeper, daemon, signals };
	struct session *session;
	int r = signals < 0 ? signals : 0;

	if (!r)
		r = session_take_over(options, fd, shared, keeper->generation, &session);
	return r ? r : serve_session(options, tell_keeper, &kept, session, signals);
}

/* For the keeper: what it says goes where the daemons' lines go. */
struct starter {
	const struct options *options;
	struct daemon *daemon;
};

static int keeper_begun(void *argument)
{
	const struct starter *starter = argument;

	log_setup(starter->options->log_level, !starter->options->foreground);
	return daemon_is_ready(starter->daemon);
}

/* Keeps a mount, by its descriptor FD: starts daemons that serve it. */
static int keep_mount(struct options *options, struct daemon *daemon, int fd)
{
	struct keeper keeper = { .signals = main_open_signals(true),
				 .active = { 0, -1, -1 },
				 .standby = { 0, -1, -1 } };
	struct starter starter = { options, daemon };
	struct shared *shared = shared_new();
	int status = EXIT_FAILURE, r;

	if (keeper.signals < 0)
		return keeper.signals;
	if (!shared) {
		r = -errno;
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

static int serve_kept(struct options *options, struct daemon *daemon)
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

/* Return: 0 or a negative errno, after saying why. */
static int main_serve(struct options *options)
{
	struct daemon daemon = { -1 };
	int r = options->foreground ? 0 : daemon_begin(&daemon);

	if (r) {
		log_error("cannot start: %s", strerror(-r));
		return r;
	}
	return options->survive ? serve_kept(options, &daemon) : serve_once(options, &daemon);
}

/* Return: as options_parse(). */
static int take_options(int argc, char **argv, struct options *options)
{
	int r = options_parse(argc, argv, options);

	if (r)
		return r;
	if (!options->mountpoint) {
		fprintf(stderr, "damonfs: no mount point given; see damonfs --help\n");
		return -EINVAL;
	}
	return borrowed_privileges() ? borrowed_check(options) : 0;
}

int main(int argc, char **argv)
{
	__attribute__((cleanup(options_free))) struct options options = { 0 };
	int r = borrowed_set_aside();

	if (r) {
		fprintf(stderr,
			"damonfs: cannot set aside the program file's privileges (setcap, setuid): "
			"%s\n",
			strerror(-r));
		return EXIT_FAILURE;
	}
	argv = title_take(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "exec"))
		return exec_main(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "status"))
		return status_main(argc, argv);
	r = take_options(argc, argv, &options);
	if (r)
		return r == OPTIONS_DONE ? EXIT_SUCCESS : EXIT_FAILURE;
	/* -d is for a person to watch. */
	options.foreground |= options.debug;
	log_setup(options.log_level, false);
	return main_serve(&options) ? EXIT_FAILURE : EXIT_SUCCESS;
}
