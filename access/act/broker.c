// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The broker and its agents, each a process with one thread: see agent.h.
 *
 * They keep the privileges that damonfs was started with, because they listen to nobody but the
 * daemon and do little for it: say whether the kernel lets a caller look at a process, and make a
 * process call madvise() for huge pages.  They have no system call filter, because a process with
 * one may not suspend another's (inject.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "access/act/inject.h"
#include "access/rights/agent.h"
#include "access/rights/agent_protocol.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"

/* ---- asking ---- */

/* The caller of REQUEST, as far as it came.  Its groups are borrowed from the request. */
static struct caller caller_of(struct agent_request *request, int user_ns_fd)
{
	return (struct caller){
		.uid = request->uid,
		.gid = request->gid,
		.groups = request->groups,
		.nr_groups = min_ul(request->nr_groups, AGENT_GROUPS),
		.capabilities = request->capabilities,
		.label = *request->label ? request->label : NULL,
		.pid_ns_fd = -1,
		.user_ns_fd = user_ns_fd,
	};
}

static int write_label(const char *file, const char *prefix, const char *label)
{
	_cleanup_close_ int fd = open(file, O_WRONLY | O_CLOEXEC);
	char text[AGENT_LABEL + 32];
	int length = snprintf(text, sizeof(text), "%s%s", prefix, label);

	return fd >= 0 && write(fd, text, (size_t)length) == length ? 0 : -EPERM;
}

/* Takes on a label: AppArmor's, or that of a security module that takes labels as they are. */
static int broker_take_label(const char *label)
{
	_cleanup_free_ char *now = NULL;
	char profile[AGENT_LABEL];

	/* "NAME (MODE)" */
	snprintf(profile, sizeof(profile), "%.*s", (int)strcspn(label, "("), label);
	while (*profile && profile[strlen(profile) - 1] == ' ')
		profile[strlen(profile) - 1] = '\0';
	if (write_label("/proc/self/attr/apparmor/current", "changeprofile ", profile) &&
	    write_label("/proc/self/attr/current", "changeprofile ", profile) &&
	    write_label("/proc/self/attr/current", "", label))
		return -EPERM;
	if (caller_read_label(AT_FDCWD, "/proc/self", &now))
		return -EPERM;
	return now && !strcmp(now, label) ? 0 : -EPERM;
}

/* Becomes CALLER for good, in any user namespace and label.  Return: 0 or a negative errno. */
static int become_for_good(const struct caller *caller)
{
	int r = caller_take_ids(caller);

	if (!r && caller->label)
		r = broker_take_label(caller->label);
	/* A process that enters a user namespace has all capabilities in it. */
	if (!r && caller->user_ns_fd >= 0 && setns(caller->user_ns_fd, CLONE_NEWUSER))
		r = -errno;
	return r ? r : caller_take_capabilities(caller);
}

static int open_in_the_name_of(const struct caller *caller, int dir, const char *name)
{
	_cleanup_close_ int fd = -1;
	int r = become_for_good(caller);

	if (r)
		return r;
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

/* The process asked about may make the kernel wait; later, nobody waits for the answer. */
#define ASK_NS 1000000000LL

/*
 * Waits for CHILD and kills it if it takes too long.  Ends this process if it cannot: a security
 * module may protect what CHILD has become.  Return: as waitpid().
 */
static pid_t broker_wait_for(pid_t child, int *status)
{
	int64_t until = (int64_t)clock_ns() + ASK_NS, left;
	sigset_t ended;
	pid_t r;

	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	/* The signal, which is blocked, may be an earlier child's. */
	while (!(r = waitpid(child, status, WNOHANG)) && (left = until - (int64_t)clock_ns()) > 0)
		sigtimedwait(&ended, NULL,
			     &(struct timespec){ left / 1000000000, left % 1000000000 });
	if (r)
		return r;
	if (kill(child, SIGKILL))
		_exit(1);
	return waitpid(child, status, 0);
}

/* Asks in a child process: there is no way back from another user namespace. */
static int ask_elsewhere(const struct caller *caller, int dir, const char *name)
{
	int status, r;
	pid_t child = fork();

	if (child < 0)
		return -ENOMEM;
	if (!child) {
		r = open_in_the_name_of(caller, dir, name);
		_exit(r < -127 ? EPERM : -r);
	}
	if (broker_wait_for(child, &status) != child || !WIFEXITED(status))
		return -EPERM;
	return -WEXITSTATUS(status);
}

/*
 * Return: 0 if CALLER, or the daemon if that is NULL, may open NAME in DIR, -ESRCH if the task is
 * gone, or another negative errno.
 */
static int broker_ask(const struct caller *caller, int dir, const char *name)
{
	int r = caller_is_near(caller) ? caller_try_open(caller, dir, name) :
					 ask_elsewhere(caller, dir, name);

	if (r == -ENOENT)
		r = -ESRCH;
	return !r || r == -ESRCH || error_is_shortage(r) ? r : -EPERM;
}

/* ---- an agent ---- */

struct asked {
	const struct caller *caller;
	int dir;
};

/* Whether the caller may make thread TID do something. */
static int may_control(pid_t tid, void *argument)
{
	const struct asked *asked = argument;
	char name[64];

	snprintf(name, sizeof(name), "task/%d/%s", tid, caller_right_file(CALLER_CONTROL));
	return broker_ask(asked->caller, asked->dir, name);
}

static bool is_known(const struct agent_request *request)
{
	if (request->kind == AGENT_ASK)
		return request->right == CALLER_WATCH || request->right == CALLER_CONTROL;
	return request->kind == AGENT_MADVISE &&
	       (request->behavior == MADV_HUGEPAGE || request->behavior == MADV_NOHUGEPAGE);
}

/* REPLY is a refusal on entry, and stays one if there is nothing else to say. */
static void broker_serve(struct agent_request *request, const int *fds, size_t nr_fds,
			 struct agent_reply *reply)
{
	struct caller caller = caller_of(request, nr_fds > AGENT_USER_NS ? fds[AGENT_USER_NS] : -1);
	struct asked asked = { request->has_caller ? &caller : NULL, fds[AGENT_PROCESS] };

	request->label[AGENT_LABEL - 1] = '\0';
	if (!is_known(request))
		return;
	if (request->kind == AGENT_ASK) {
		reply->answer =
			broker_ask(asked.caller, asked.dir, caller_right_file(request->right));
		return;
	}
	reply->answer = inject_madvise(&(struct inject){ .procfd = asked.dir,
							 .start = request->start,
							 .length = request->length,
							 .behavior = request->behavior,
							 .may = may_control,
							 .argument = &asked },
				       &reply->result);
	/* A tracer can let go of a thread that does not stop only by ending itself. */
	reply->ends = reply->answer == -ETIME;
	if (reply->ends)
		reply->answer = -EBUSY;
}

/* Receives a request and answers it.  Return: whether another one may come. */
static bool serve_next(int socket, struct agent_request *request)
{
	struct agent_reply reply = { .answer = -EPERM };
	int fds[AGENT_NR_DESCRIPTORS];
	size_t nr = ARRAY_SIZE(fds);
	ssize_t length = packet_receive(socket, request, sizeof(*request), fds, &nr);

	if (length == sizeof(*request) && nr)
		broker_serve(request, fds, nr, &reply);
	for (size_t i = 0; i < nr; i++)
		close(fds[i]);
	return length == sizeof(*request) && !packet_send(socket, &reply, sizeof(reply), NULL, 0) &&
	       !reply.ends;
}

static _Noreturn void agent_main(int socket)
{
	static struct agent_request request;

	prctl(PR_SET_NAME, "damonfs:agent");
	signal(SIGCHLD, SIG_DFL);
	while (serve_next(socket, &request))
		;
	_exit(0);
}

/* ---- the broker ---- */

/* Blocks all signals, so that it ends when the daemon does, and closes the daemon's files. */
static void broker_settle(int socket)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t all;

	prctl(PR_SET_NAME, "damonfs:broker");
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
	setsid();
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		if (fd != socket)
			dup2(null, fd);
	close_range(3, (unsigned int)socket - 1, 0);
	close_range((unsigned int)socket + 1, ~0U, 0);
	if (chdir("/"))
		_exit(1);
}

/*
 * Asks for precedence, if we may: a process that we have stopped stands still while we wait for a
 * processor, so others should wait, and be killed first when memory is out.
 */
static void ask_for_precedence(void)
{
	_cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	setpriority(PRIO_PROCESS, 0, -20);
	if (fd >= 0 && write(fd, "-1000", 5) < 0)
		return;
}

static void broker_make_agent(int socket, int agent, size_t *nr)
{
	pid_t child = *nr < AGENTS_MAX ? fork() : -1;

	if (!child) {
		close(socket);
		agent_main(agent);
	}
	*nr += child > 0;
	close(agent);
}

_Noreturn void broker_main(int socket)
{
	struct pollfd fds[2] = { { .fd = socket, .events = POLLIN }, { .events = POLLIN } };
	sigset_t child;
	size_t nr = 0;

	broker_settle(socket);
	ask_for_precedence();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	fds[1].fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	for (;;) {
		struct signalfd_siginfo info;
		int agent = -1;
		size_t nr_fds = 1;
		char byte;

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents && read(fds[1].fd, &info, sizeof(info)) > 0)
			while (waitpid(-1, NULL, WNOHANG) > 0)
				nr--;
		if (!fds[0].revents)
			continue;
		if (packet_receive(socket, &byte, 1, &agent, &nr_fds) <= 0)
			_exit(0);
		if (nr_fds)
			broker_make_agent(socket, agent, &nr);
	}
}
