// SPDX-License-Identifier: GPL-2.0-or-later
/* damonfs: the command line.  A mount here, `damonfs exec' in exec.c. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "access/access.h"
#include "access/rights/agent.h"
#include "access/rights/caller.h"
#include "access/rights/privileges.h"
#include "fs/exec/exec.h"
#include "fs/fuse/borrowed.h"
#include "fs/fuse/daemon.h"
#include "fs/fuse/session.h"
#include "fs/options.h"
#include "util/cleanup.h"
#include "util/title.h"

static bool end_on_signal(int number, void *argument)
{
	(void)argument;
	log_info("%s: stopping all kdamonds and unmounting", strsignal(number));
	return true;
}

/* Signals that end it come through a descriptor; threads made later inherit the mask. */
static int main_open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
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

static int serve_mount(struct options *options, struct daemon *daemon, struct session *session,
		       int signals)
{
	int r = session_begin(session, signals);

	if (!r)
		r = main_prepare(options);
	if (r)
		return r;
	log_setup(options->log_level, !options->foreground);
	/* -EPIPE: whoever started it does not wait for it any more. */
	r = daemon_is_ready(daemon);
	if (!r)
		r = privileges_settle(access_method_uses(options->method), options->sandbox);
	if (r)
		return r;
	return session_serve(session, signals, end_on_signal, NULL);
}

/* Return: 0 or a negative errno, after saying why. */
static int main_serve(struct options *options)
{
	struct daemon daemon = { -1 };
	_cleanup_close_ int signals = -1;
	struct session *session;
	int r = options->foreground ? 0 : daemon_begin(&daemon);

	if (!r && (signals = main_open_signals()) < 0)
		r = -errno;
	if (r) {
		log_error("cannot start: %s", strerror(-r));
		return r;
	}
	r = session_mount(options, options->mountpoint, &session);
	if (r)
		return r;
	r = serve_mount(options, &daemon, session, signals);
	if (r)
		log_error("cannot serve %s: %s", options->mountpoint, strerror(-r));
	session_end(session);
	agents_stop();
	return r;
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
	r = take_options(argc, argv, &options);
	if (r)
		return r == OPTIONS_DONE ? EXIT_SUCCESS : EXIT_FAILURE;
	/* -d is for a person to watch. */
	options.foreground |= options.debug;
	log_setup(options.log_level, false);
	return main_serve(&options) ? EXIT_FAILURE : EXIT_SUCCESS;
}
