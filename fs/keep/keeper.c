// SPDX-License-Identifier: GPL-2.0-or-later
/* Starting daemons: see keeper.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/keep/keeper.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/sanitizer.h"

/*
 * So many deaths within this time (ns) are too many: by what the daemon does; by SIGKILL, which
 * somebody else sends.
 */
#define DEATHS	      3
#define DEATHS_KILLED 20
#define DEATHS_NS     10000000000

/* Another daemon stands by for one that has ended, but at most so often. */
#define STANDBY_NS 5000000000

/* A new program that dies within this time is replaced by the old one. */
#define TRIAL_NS 10000000000

/* How long an upgrade may take. */
#define UPGRADE_NS 25000000000

/* What a daemon says. */
enum { PREPARED = 'p', SERVES = 's' };

/* The times of the last deaths. */
struct deaths {
	uint64_t at[DEATHS_KILLED];
	size_t next;
};

/* The daemon dies with the keeper. */
static void stay_bound(const struct keeper *keeper)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It may have died before. */
	if (getppid() != keeper->pid)
		_exit(1);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void forget(struct kept_daemon *daemon)
{
	close_fd(&daemon->ready);
	close_fd(&daemon->go);
	*daemon = KEEPER_NO_DAEMON;
}

/* In the child; for an upgrade, it does not come back.  Return: KEEPER_DAEMON. */
static int be_daemon(struct keeper *keeper)
{
	sigset_t children;
	int r;

	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_UNBLOCK, &children, NULL);
	prctl(PR_SET_NAME, "damonfs");
	close_fd(&keeper->signals);
	forget(&keeper->active);
	forget(&keeper->standby);
	stay_bound(keeper);
	r = keeper->programs->execute(keeper, keeper->argument);
	if (!r)
		return KEEPER_DAEMON;
	log_error("cannot execute damonfs anew: %s", strerror(-r));
	if (keeper->upgrading)
		_exit(EXIT_FAILURE);
	/* What we are a copy of can go on as well. */
	return KEEPER_DAEMON;
}

/* Return: 0, KEEPER_DAEMON in the child, or a negative errno. */
static int start_daemon(struct keeper *keeper, struct kept_daemon *out)
{
	_cleanup_close_ int ready = -1, says_ready = -1, go = -1, says_go = -1;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	ready = ends[0];
	says_ready = ends[1];
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	go = ends[0];
	says_go = ends[1];
	out->pid = fork();
	if (out->pid < 0) {
		out->pid = 0;
		return -errno;
	}
	if (!out->pid) {
		keeper->ready = steal_fd(says_ready);
		keeper->go = steal_fd(go);
		return be_daemon(keeper);
	}
	out->ready = steal_fd(ready);
	out->go = steal_fd(says_go);
	keeper->generation++;
	return 0;
}

static void kill_standby(struct keeper *keeper)
{
	if (keeper->standby.pid) {
		kill(keeper->standby.pid, SIGKILL);
		waitpid(keeper->standby.pid, NULL, 0);
	}
	forget(&keeper->standby);
}

/* Daemons are of the program of before. */
static void give_up_upgrade(struct keeper *keeper)
{
	log_error("the new damonfs cannot take over: see what it logged before; the old one goes "
		  "on");
	keeper->upgrading = false;
	keeper->trial_until = 0;
	keeper->programs->go_back(keeper->argument);
}

/* The daemon that stood by has ended; as the keeper had it executed, others may do better. */
static void on_standby_end(struct keeper *keeper)
{
	uint64_t now = clock_ns(), ended = keeper->standby_ended;

	forget(&keeper->standby);
	if (keeper->upgrading) {
		give_up_upgrade(keeper);
		keeper->alone = true;
		return;
	}
	keeper->alone = !ended || now - ended >= STANDBY_NS;
	log_info("the daemon that stood by has ended: %s",
		 keeper->alone ? "another one does" : "taking over will take longer");
	keeper->standby_ended = now;
}

/* Has a daemon of the program that is there now stand by, in place of the one that does. */
static void upgrade(struct keeper *keeper)
{
	int r;

	if (!keeper->begun || keeper->ending || keeper->upgrading)
		return;
	r = keeper->programs->choose(keeper->argument);
	if (r) {
		log_error("no other damonfs takes over: its program: %s; the old one goes on",
			  strerror(-r));
		return;
	}
	kill_standby(keeper);
	keeper->upgrading = true;
	keeper->upgrade_until = clock_ns() + UPGRADE_NS;
	/* It executes, or ends: so the child does not come back. */
	r = start_daemon(keeper, &keeper->standby);
	if (!r)
		return;
	log_error("cannot start another damonfs: %s", strerror(-r));
	on_standby_end(keeper);
}

/* Hands on a signal that ends damonfs. */
static void keeper_on_signal(struct keeper *keeper)
{
	struct signalfd_siginfo info;

	if (read(keeper->signals, &info, sizeof(info)) != sizeof(info) || info.ssi_signo == SIGCHLD)
		return;
	if (info.ssi_signo == SIGUSR2) {
		upgrade(keeper);
		return;
	}
	/* If the daemon dies of something else first, no other is started. */
	keeper->ending = true;
	kill(keeper->active.pid, keeper->leaves ? SIGUSR2 : (int)info.ssi_signo);
}

/*
 * Waits for children that have ended: as the first process of a container, for any.
 * Return: whether the active daemon is among them, and *STATUS.
 */
static bool has_ended(struct keeper *keeper, int *status)
{
	int other;
	pid_t pid;

	do {
		pid = waitpid(-1, &other, WNOHANG);
		if (pid == keeper->active.pid) {
			*status = other;
			return true;
		}
		if (pid > 0 && pid == keeper->standby.pid)
			on_standby_end(keeper);
	} while (pid > 0);
	/* Somebody else saw to it. */
	if (pid < 0 && errno == ECHILD)
		*status = 0;
	return pid < 0 && errno == ECHILD;
}

/* The daemon that stands by is prepared, or will end: then an upgrade goes on. */
static void on_prepared(struct keeper *keeper)
{
	char said;

	if (read(keeper->standby.ready, &said, 1) != 1)
		return;
	keeper->standby.prepared = true;
	if (keeper->upgrading)
		kill(keeper->active.pid, SIGUSR2);
}

/* Return: for poll(), how long the daemon that stands by may take. */
static int upgrade_time_left(const struct keeper *keeper)
{
	uint64_t now = clock_ns();

	if (!keeper->upgrading)
		return -1;
	return now < keeper->upgrade_until ? (int)((keeper->upgrade_until - now) / 1000000) + 1 : 0;
}

/* Has another daemon stand by.  Return: 0, or KEEPER_DAEMON in the child. */
static int start_standby(struct keeper *keeper)
{
	int r;

	keeper->alone = false;
	r = keeper->standby.pid ? 0 : start_daemon(keeper, &keeper->standby);

	if (r < 0)
		log_info("no daemon stands by: %s; taking over will take longer", strerror(-r));
	return r < 0 ? 0 : r;
}

/* The active daemon serves, or will say why not.  Return: as start_standby(), or BEGUN's error. */
static int on_ready(struct keeper *keeper, int (*begun)(void *argument), void *argument)
{
	char said = 0;
	bool ready = read(keeper->active.ready, &said, 1) == 1;
	int r = 0;

	if (ready && said == PREPARED)
		return 0;
	close_fd(&keeper->active.ready);
	if (!ready || keeper->ending)
		return 0;
	if (!keeper->begun)
		r = begun(argument);
	keeper->begun = true;
	if (r) {
		kill(keeper->active.pid, SIGTERM);
		return r;
	}
	return start_standby(keeper);
}

/*
 * Waits for the active daemon's end.
 * Return: 0 and *STATUS of wait(), KEEPER_DAEMON in a new one, or the negative errno of BEGUN.
 */
static int wait_for_end(struct keeper *keeper, int (*begun)(void *argument), void *argument,
			int *status)
{
	int r = 0;

	while (!has_ended(keeper, status)) {
		struct pollfd fds[] = { { .fd = keeper->signals, .events = POLLIN },
					{ .fd = keeper->active.ready, .events = POLLIN },
					{ .fd = keeper->standby.ready, .events = POLLIN } };

		if (keeper->alone && !keeper->ending) {
			if (start_standby(keeper) == KEEPER_DAEMON)
				return KEEPER_DAEMON;
			continue;
		}
		if (poll(fds, ARRAY_SIZE(fds), upgrade_time_left(keeper)) < 0 && errno != EINTR)
			usleep(10000);
		if (!upgrade_time_left(keeper)) {
			kill_standby(keeper);
			on_standby_end(keeper);
			continue;
		}
		if (fds[2].revents)
			on_prepared(keeper);
		if (fds[0].revents & POLLIN)
			keeper_on_signal(keeper);
		if (!fds[1].revents)
			continue;
		r = on_ready(keeper, begun, argument);
		if (r == KEEPER_DAEMON)
			return r;
	}
	return r;
}

/* Notes a death NOW.  Return: whether it is number LIMIT within DEATHS_NS. */
static bool is_one_too_many(struct deaths *deaths, size_t limit, uint64_t now)
{
	size_t first = (deaths->next + 1) % limit;
	uint64_t since = deaths->at[first];

	deaths->at[deaths->next] = now;
	deaths->next = first;
	return since && now - since < DEATHS_NS;
}

/* Has a daemon serve: the one that stands by, or a new one.  Return: as start_daemon(). */
static int activate(struct keeper *keeper)
{
	int r = 0;

	forget(&keeper->active);
	if (keeper->standby.pid) {
		keeper->active = keeper->standby;
		keeper->standby = KEEPER_NO_DAEMON;
	} else {
		r = start_daemon(keeper, &keeper->active);
	}
	if (r)
		return r;
	/* If it has died: that is seen next. */
	if (write(keeper->active.go, "", 1) != 1)
		log_debug("the daemon that stood by is gone: %s", strerror(errno));
	close_fd(&keeper->active.go);
	return 0;
}

static void end_standby(struct keeper *keeper)
{
	kill_standby(keeper);
	forget(&keeper->active);
}

/* Sanitizers end with the same status, which nobody may miss. */
#define FAILURES_PASS (!HAS_ADDRESS_SANITIZER && !HAS_THREAD_SANITIZER)

/*
 * Whether the active daemon, of which STATUS of wait() came, has done what it was to do.  One that
 * takes over may fail for want of memory, which another may have.
 */
static bool has_finished(const struct keeper *keeper, int status)
{
	if (keeper->ending)
		return true;
	return WIFEXITED(status) &&
	       (!FAILURES_PASS || !keeper->begun || WEXITSTATUS(status) != EXIT_FAILURE);
}

/* Whether it was asked to make room for the next one, perhaps not by us, and has. */
static bool has_handed_over(const struct keeper *keeper, int status)
{
	return !keeper->ending && WIFEXITED(status) && WEXITSTATUS(status) == KEEPER_HANDED_OVER;
}

/* The active daemon has ended: one that is not prepared may never be, and does not take over. */
static void end_upgrade(struct keeper *keeper)
{
	if (!keeper->upgrading)
		return;
	if (keeper->standby.prepared) {
		keeper->upgrading = false;
		keeper->trial_until = clock_ns() + TRIAL_NS;
		return;
	}
	kill_standby(keeper);
	give_up_upgrade(keeper);
}

/* Whether a daemon whose STATUS of wait() this is died of what somebody else did. */
static bool is_by_others(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* The active daemon has died, with STATUS of wait().  Return: 0, or -ELOOP. */
static int on_death(const struct keeper *keeper, int status, struct deaths *own,
		    struct deaths *killed)
{
	bool too_many = is_by_others(status) ? is_one_too_many(killed, DEATHS_KILLED, clock_ns()) :
					       is_one_too_many(own, DEATHS, clock_ns());

	log_error("damonfs %d %s%s%s", keeper->active.pid,
		  WIFSIGNALED(status) ? "was killed: " : "failed",
		  WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "",
		  too_many ? ", again: it stays down; see what it logged before" :
			     "; another one takes over");
	return too_many ? -ELOOP : 0;
}

int keeper_run(struct keeper *keeper, int (*begun)(void *argument), void *argument, int *status)
{
	struct deaths own = { 0 }, killed = { 0 };
	int r;

	prctl(PR_SET_NAME, KEEPER_NAME);
	signal(SIGPIPE, SIG_IGN);
	keeper->pid = getpid();
	keeper->argument = argument;
	do {
		r = activate(keeper);
		if (!r)
			r = wait_for_end(keeper, begun, argument, status);
		if (r == KEEPER_DAEMON)
			return r;
		if (!r && has_handed_over(keeper, *status)) {
			end_upgrade(keeper);
			log_info("damonfs %d hands over", keeper->active.pid);
			continue;
		}
		if (!r && has_finished(keeper, *status)) {
			*status = WIFEXITED(*status) ? WEXITSTATUS(*status) : 0;
			/* It was told to end as well. */
			if (*status == KEEPER_HANDED_OVER)
				*status = 0;
			r = KEEPER_ENDED;
		}
		if (!r)
			r = on_death(keeper, *status, &own, &killed);
		if (!r)
			end_upgrade(keeper);
		if (!r && is_by_others(*status))
			continue;
		if (!r && clock_ns() < keeper->trial_until) {
			kill_standby(keeper);
			give_up_upgrade(keeper);
		}
	} while (!r);
	end_standby(keeper);
	return r;
}

int keeper_serves(struct keeper *keeper, int signals)
{
	_cleanup_close_ int ready = steal_fd(keeper->ready), go = steal_fd(keeper->go);
	struct pollfd fds[] = { { .fd = go, .events = POLLIN },
				{ .fd = signals, .events = POLLIN } };
	const char prepared = PREPARED, serves = SERVES;
	char turn;

	/* Changes of users undo it. */
	stay_bound(keeper);
	if (write(ready, &prepared, 1) != 1)
		return -errno;
	while (!fds[0].revents) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		/* If it is its turn as well, it serves, and ends as it should. */
		if (fds[1].revents && !fds[0].revents)
			return -EINTR;
	}
	if (read(go, &turn, 1) != 1)
		return -EPIPE;
	return write(ready, &serves, 1) == 1 ? 0 : -errno;
}
