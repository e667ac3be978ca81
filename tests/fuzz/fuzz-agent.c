// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: what the daemon hears from an agent, one packet or more of any size and with
 * any numbers, or nothing as it has ended.  The daemon takes what means something, and for anything
 * else nobody may do anything.
 */
#include <stdlib.h>

/* For the agents that it takes to be idle. */
#include "access/proc/process.h"
#include "access/rights/agent.c"
#include "tests/fuzz/require.h"
#include "util/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* There is none, so that no other agent can be made. */
_Noreturn void broker_main(int socket)
{
	(void)socket;
	abort();
}

/* An agent that is idle, and has said already what it will answer. */
ALONE static int add_agent(void)
{
	int ends[2];

	REQUIRE(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	agents.idle[agents.nr_idle++] = ends[0];
	return ends[1];
}

static void ask(const struct process *process, const struct caller *caller, bool madvise)
{
	int64_t result = 0x5a5a;
	int r;

	if (!madvise) {
		r = agent_may(caller, process->procfd, CALLER_WATCH, 0);
		REQUIRE(!r || r == -ESRCH || r == -EAGAIN || r == -EPERM || error_is_shortage(r));
		return;
	}
	r = agent_madvise(process->caller, process->procfd, 0x1000, 0x1000, 14, &result);
	REQUIRE(r <= 0 && (!r || result == 0x5a5a));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct caller caller = { .pid_ns_fd = -1, .user_ns_fd = -1 };
	struct process process = { .procfd = 0, .caller = &caller };
	int agent, after, before = dup(0);
	bool madvise;

	close(before);
	if (!size)
		return 0;
	madvise = *data & 1;
	agent = add_agent();
	/* One that was ended while it was idle. */
	if (*data & 2)
		close(add_agent());
	/* Half of the packets have the right size, whatever is in them. */
	if (*data & 4) {
		struct agent_reply reply = { 0 };

		memcpy(&reply, data + 1, min_ul(size - 1, sizeof(reply)));
		send(agent, &reply, sizeof(reply), 0);
	} else if (*data & 8 || madvise) {
		/* One that is silent is waited for, for a tenth of a second if it is to act. */
		send(agent, data + 1, size - 1, 0);
	}
	if (*data & 16)
		close(agent);
	ask(&process, &caller, madvise);
	if (!(*data & 16))
		close(agent);
	ask(&process, &caller, !madvise);
	for (int idle; (idle = take_idle()) >= 0;)
		close(idle);
	after = dup(0);
	close(after);
	REQUIRE(after == before);
	return 0;
}
