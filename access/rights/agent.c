// SPDX-License-Identifier: LGPL-2.1-or-later
/* The daemon's side of agents: see agent.h. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access/rights/agent.h"
#include "access/rights/agent_protocol.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/guard.h"
#include "util/log.h"

/* How long an injection may take; with nothing in its way, it takes 0.1 ms. */
#define INJECTION_MS 100

#define MAX_IDLE 8

LOCK_ROLE(idle_agents);

/* Global because a process has one broker. */
static struct agents {
	pthread_mutex_t lock;
	int broker; /* a socket; constant while there are threads */
	int idle[MAX_IDLE] GUARDED_BY(idle_agents); /* sockets */
	size_t nr_idle GUARDED_BY(idle_agents);
} agents = { .lock = PTHREAD_MUTEX_INITIALIZER, .broker = -1 };

DEFINE_LOCK(idle_agents, idle_agents, struct agents, lock);

/* ---- packets ---- */

int packet_send(int socket, const void *data, size_t size, const int *fds, size_t nr)
{
	char control[CMSG_SPACE(AGENT_NR_DESCRIPTORS * sizeof(int))] = { 0 };
	struct iovec part = { (void *)data, size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *header;

	if (nr > AGENT_NR_DESCRIPTORS)
		return -EINVAL;
	if (nr) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(nr * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(nr * sizeof(int));
		memcpy(CMSG_DATA(header), fds, nr * sizeof(int));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

ssize_t packet_receive(int socket, void *data, size_t size, int *fds, size_t *nr)
{
	char control[CMSG_SPACE(AGENT_NR_DESCRIPTORS * sizeof(int))];
	struct iovec part = { data, size };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header;
	size_t room = nr ? *nr : 0;
	ssize_t length;
	bool whole;

	if (nr)
		*nr = 0;
	do {
		length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
		return -errno;
	whole = !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return whole ? length : -EBADMSG;
	for (size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd), sizeof(fd));
		if (whole && i < room)
			fds[(*nr)++] = fd;
		else
			close(fd);
	}
	return whole ? length : -EBADMSG;
}

/* ---- agents ---- */

static void tell_ended(void)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&told))
		log_error("the process `damonfs:broker' was killed: restart damonfs; until then, "
			  "hugepage and nohugepage cannot set their advice, and callers from other "
			  "user namespaces or with another security label are refused");
}

/* A new agent.  Return: its socket or a negative errno. */
static int agent_make_agent(void)
{
	_cleanup_close_ int ours = -1, its = -1;
	int ends[2], r;

	if (agents.broker < 0)
		return -EPERM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	ours = ends[0];
	its = ends[1];
	r = packet_send(agents.broker, "", 1, &its, 1);
	if (r == -EPIPE || r == -ECONNRESET)
		tell_ended();
	return r ? r : steal_fd(ours);
}

/* Return: the socket of an idle agent, or -1. */
static int take_idle(void)
{
	int agent = -1;

	idle_agents_lock(&agents);
	if (agents.nr_idle)
		agent = agents.idle[--agents.nr_idle];
	idle_agents_unlock(&agents);
	return agent;
}

static void give_back(int agent)
{
	bool kept = false;

	idle_agents_lock(&agents);
	if (agents.nr_idle < MAX_IDLE) {
		agents.idle[agents.nr_idle++] = agent;
		kept = true;
	}
	idle_agents_unlock(&agents);
	if (!kept)
		close(agent);
}

/*
 * Return: 0 and *REPLY, -EAGAIN if there is none after TIMEOUT_MS, or -EPIPE if the agent ended.
 */
static int wait_for_reply(int agent, int timeout_ms, struct agent_reply *reply)
{
	struct pollfd fd = { .fd = agent, .events = POLLIN };
	int r;

	do {
		r = poll(&fd, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r ? -errno : -EAGAIN;
	if (packet_receive(agent, reply, sizeof(*reply), NULL, NULL) != sizeof(*reply))
		return -EPIPE;
	return reply->answer <= 0 ? 0 : -EPIPE;
}

/* Has any agent handle REQUEST.  Return: 0 and *REPLY, or a negative errno. */
static int exchange(const struct agent_request *request, const int *fds, size_t nr, int timeout_ms,
		    struct agent_reply *reply)
{
	int agent, r;

	do {
		agent = take_idle();
		if (agent < 0)
			break;
		r = packet_send(agent, request, sizeof(*request), fds, nr);
		/* Somebody ended it while it was idle. */
		if (r)
			close(agent);
	} while (r);
	if (agent < 0) {
		agent = agent_make_agent();
		if (agent < 0)
			return agent;
		r = packet_send(agent, request, sizeof(*request), fds, nr);
		if (r) {
			close(agent);
			return r;
		}
	}
	r = wait_for_reply(agent, timeout_ms, reply);
	/* A late agent finishes what it does, and ends because nobody listens to it. */
	if (r || reply->ends)
		close(agent);
	else
		give_back(agent);
	return r;
}

static int describe_caller(const struct caller *caller, struct agent_request *request)
{
	request->has_caller = caller != NULL;
	if (!caller)
		return 0;
	if (caller->nr_groups > AGENT_GROUPS ||
	    (caller->label && strlen(caller->label) >= AGENT_LABEL))
		return -EPERM;
	request->uid = caller->uid;
	request->gid = caller->gid;
	request->capabilities = caller->capabilities;
	request->nr_groups = (uint32_t)caller->nr_groups;
	if (caller->nr_groups)
		memcpy(request->groups, caller->groups,
		       caller->nr_groups * sizeof(*caller->groups));
	if (caller->label)
		strcpy(request->label, caller->label);
	return 0;
}

static int send_request(const struct caller *caller, int procfd, struct agent_request *request,
			int timeout_ms, struct agent_reply *reply)
{
	int fds[AGENT_NR_DESCRIPTORS] = {
		[AGENT_PROCESS] = procfd, [AGENT_USER_NS] = caller ? caller->user_ns_fd : -1
	};
	int r = describe_caller(caller, request);

	if (r)
		return r;
	r = exchange(request, fds, fds[AGENT_USER_NS] < 0 ? 1 : 2, timeout_ms, reply);
	return r ? r : reply->answer;
}

int agent_may(const struct caller *caller, int procfd, enum caller_right right, int timeout_ms)
{
	struct agent_request request = { .kind = AGENT_ASK, .right = right };
	struct agent_reply reply = { .answer = -EPERM };
	int r = send_request(caller, procfd, &request, timeout_ms, &reply);

	/* There is none, or it ended: nobody has answered. */
	if (r == -EPIPE || r == -ECONNRESET)
		r = -EAGAIN;
	return !r || r == -ESRCH || r == -EAGAIN || error_is_shortage(r) ? r : -EPERM;
}

int agent_madvise(const struct caller *caller, int procfd, uint64_t start, uint64_t length,
		  int behavior, int64_t *result)
{
	struct agent_request request = {
		.kind = AGENT_MADVISE, .start = start, .length = length, .behavior = behavior
	};
	struct agent_reply reply = { .answer = -EPERM };
	int r = send_request(caller, procfd, &request, INJECTION_MS, &reply);

	if (!r)
		*result = reply.result;
	/* An agent that is late, or that somebody ended. */
	return r == -EAGAIN || r == -EPIPE ? -EBUSY : r;
}

int agents_start(void)
{
	int ends[2];
	pid_t pid;

	if (agents.broker >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	pid = fork();
	if (!pid)
		broker_main(ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -EAGAIN;
	}
	agents.broker = ends[0];
	return 0;
}

void agents_stop(void)
{
	int agent;

	if (agents.broker < 0)
		return;
	while ((agent = take_idle()) >= 0)
		close(agent);
	close(agents.broker);
	agents.broker = -1;
}
