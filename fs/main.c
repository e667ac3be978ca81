// SPDX-License-Identifier: GPL-2.0-or-later
/* damonfs: the command line.  A mount here, `damonfs exec' in namespace.c. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "access/cleanup.h"
#include "access/privileges.h"
#include "fs/namespace.h"
#include "fs/options.h"
#include "fs/session.h"

static bool end_on_signal(int number, void *argument)
{
	(void)argument;
	log_info("%s: stopping all kdamonds and unmounting", strsignal(number));
	return true;
}

/* Signals that end it come through a descriptor; threads made later inherit the mask. */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int serve(struct options *options)
{
	_cleanup_close_ int signals = open_signals();
	struct session *session;
	int r;

	if (signals < 0)
		return -errno;
	privileges_report();
	r = session_mount(options, options->mountpoint, &session);
	if (r)
		return r;
	if (fuse_daemonize(options->foreground)) {
		session_end(session);
		return -errno;
	}
	log_setup(options->log_level, !options->foreground);
	r = privileges_drop();
	if (r)
		log_info("capabilities that are not needed could not be dropped: %s", strerror(-r));
	r = session_serve(session, signals, end_on_signal, NULL);
	session_end(session);
	return r;
}

int main(int argc, char **argv)
{
	__attribute__((cleanup(options_free))) struct options options = { 0 };
	int r;

	if (argc > 1 && !strcmp(argv[1], "exec"))
		return namespace_exec(argc, argv);
	r = options_parse(argc, argv, &options);
	if (r)
		return r == OPTIONS_DONE ? EXIT_SUCCESS : EXIT_FAILURE;
	if (!options.mountpoint) {
		fprintf(stderr, "damonfs: no mount point given; see damonfs --help\n");
		return EXIT_FAILURE;
	}
	/* -d is for a person to watch. */
	options.foreground |= options.debug;
	log_setup(options.log_level, false);
	return serve(&options) ? EXIT_FAILURE : EXIT_SUCCESS;
}
