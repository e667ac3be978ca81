/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The messages between the daemon, the broker and agents, over sockets of packets. */
#ifndef DAMONFS_ACCESS_RIGHTS_AGENT_PROTOCOL_H
#define DAMONFS_ACCESS_RIGHTS_AGENT_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "access/rights/caller.h"

/* Callers with more supplementary groups, or a longer label, are refused. */
#define AGENT_GROUPS 1024
#define AGENT_LABEL  256

/* The descriptors that come with a request, in this order. */
enum agent_descriptor {
	AGENT_PROCESS, /* its directory in /proc */
	AGENT_USER_NS, /* the caller's user namespace, if it is not ours */
	AGENT_NR_DESCRIPTORS
};

enum agent_kind { AGENT_ASK, AGENT_MADVISE };

/* The numbers may be any: the receiver checks whether they mean something. */
struct agent_request {
	uint32_t kind; /* enum agent_kind */
	uint32_t right; /* AGENT_ASK: enum caller_right */
	/* The caller who asks; without one, the daemon itself. */
	uint32_t has_caller;
	uid_t uid;
	gid_t gid;
	uint64_t capabilities;
	uint32_t nr_groups;
	gid_t groups[AGENT_GROUPS];
	char label[AGENT_LABEL]; /* "" if it is ours */
	/* AGENT_MADVISE: */
	uint64_t start, length;
	int behavior;
};

struct agent_reply {
	int answer; /* what the function in agent.h returns */
	uint32_t ends; /* the agent does not serve another request */
	int64_t result;
};

/*
 * Sends SIZE bytes with NR descriptors, as one packet.  Does not wait.  Return: 0 or a negative
 * errno.
 */
int packet_send(int socket, const void *data, size_t size, const int *fds, size_t nr);

/*
 * Waits for a packet of up to SIZE bytes with up to *NR descriptors; *NR and FDS are what came.
 * Return: its length; 0 if nobody sends any more; -EBADMSG if more came than it could receive, also
 * because we may not have so many descriptors; or another negative errno.
 */
ssize_t packet_receive(int socket, void *data, size_t size, int *fds, size_t *nr);

/* The broker's process.  Serves SOCKET until the daemon has closed its end; does not return. */
_Noreturn void broker_main(int socket);

#endif
