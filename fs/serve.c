// SPDX-License-Identifier: GPL-2.0-or-later
/* Serving a mount from the first request to the last: see serve.h. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "access/access.h"
#include "access/rights/agent.h"
#include "access/rights/caller.h"
#include "access/rights/privileges.h"
#include "fs/fuse/borrowed.h"
#include "fs/serve.h"
#include "util/log.h"
#include "util/slice.h"

static enum session_next on_signal(int number, void *argument)
{
	(void)argument;
	if (number == SIGUSR2)
		return SESSION_HAND_OVER;
	log_info("%s: stopping all kdamonds and unmounting", strsignal(number));
	return SESSION_END;
}

int serve_open_signals(const int *more, size_t nr_more)
{
	sigset_t set;
	int fd, r;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	for (size_t i = 0; i < nr_more; i++) {
		sigaddset(&set, more[i]);
		/* Who started us may have it ignored: then nobody hears of a child's end. */
		signal(more[i], SIG_DFL);
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

int serve_prepare(const struct options *options, bool limited)
{
	int r = caller_prepare();

	if (limited)
		caller_limit_to_self();
	if (!r)
		r = agents_start();
	access_prepare(options->method);
	/* Others wait for each answer. */
	slice_shorten();
	return r;
}

/* The same, without ending it. */
static int serve_mount(struct options *options, int (*serves)(void *argument), void *argument,
		       struct session *session, int signals)
{
	unsigned int uses = access_method_uses(options->method);
	int r = session_begin(session, signals);

	if (!r)
		r = borrowed_take_up();
	if (r)
		return r;
	privileges_report(uses);
	r = serve_prepare(options, borrowed_privileges());
	if (r)
		return r;
	log_setup(options->log_level, !options->foreground);
	/* -EPIPE: whoever started it does not wait for it any more. */
	r = serves(argument);
	if (!r)
		r = privileges_settle(uses, options->sandbox);
	if (r)
		return r;
	return session_serve(session, signals, on_signal, NULL);
}

int serve_session(struct options *options, int (*serves)(void *argument), void *argument,
		  struct session *session, int signals)
{
	int r = serve_mount(options, serves, argument, session, signals);

	if (r == SESSION_HANDED_OVER)
		return r;
	if (r)
		log_error("cannot serve %s: %s", options->mountpoint, strerror(-r));
	session_end(session);
	agents_stop();
	return r;
}
