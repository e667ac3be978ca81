// SPDX-License-Identifier: GPL-2.0-or-later
/* What the daemon and agents say to each other, where it is not as it should be. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "access/rights/agent.h"
#include "access/rights/agent_protocol.h"
#include "tests/unit/unit.h"

/* The number that the next descriptor would have. */
static int next_fd(void)
{
	int fd = dup(0);

	ck_assert_int_ge(fd, 0);
	close(fd);
	return fd;
}

static void make_pair(int ends[static 2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

/* Whoever has no room for all descriptors must not take the packet for one with fewer. */
START_TEST(packet_comes_whole_or_not_at_all)
{
	int ends[2], fds[2] = { 0, 0 }, received[2], before;
	struct rlimit was, limit;
	size_t nr = 2;
	char byte;

	make_pair(ends);
	before = next_fd();
	ck_assert_int_eq(packet_send(ends[0], "x", 1, fds, 2), 0);
	ck_assert_int_eq(packet_send(ends[0], "xy", 2, fds, 1), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	limit = (struct rlimit){ (rlim_t)before + 1, was.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(packet_receive(ends[1], &byte, 1, received, &nr), -EBADMSG);
	ck_assert_uint_eq(nr, 0);
	ck_assert_int_eq(next_fd(), before);
	/* Too long. */
	nr = 2;
	ck_assert_int_eq(packet_receive(ends[1], &byte, 1, received, &nr), -EBADMSG);
	ck_assert_uint_eq(nr, 0);
	ck_assert_int_eq(next_fd(), before);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* What an agent is asked for about this process, and whether the process comes with it. */
static const struct {
	struct agent_request request;
	bool process;
	int answer;
} request_vectors[] = {
	{ { .kind = AGENT_ASK, .right = CALLER_WATCH }, true, 0 },
	{ { .kind = AGENT_ASK, .right = CALLER_WATCH }, false, -EPERM },
	{ { .kind = AGENT_ASK, .right = 77 }, true, -EPERM },
	{ { .kind = AGENT_MADVISE, .behavior = MADV_DONTNEED }, true, -EPERM },
	{ { .kind = AGENT_MADVISE, .behavior = MADV_HUGEPAGE }, false, -EPERM },
	{ { .kind = 77, .behavior = MADV_HUGEPAGE }, true, -EPERM },
};

START_TEST(agent_says_no_to_what_it_does_not_know)
{
	int broker[2], agent[2], process = open("/proc/self", O_PATH | O_CLOEXEC);
	struct agent_reply reply = { 0 };
	pid_t child;

	make_pair(broker);
	make_pair(agent);
	ck_assert_int_ge(process, 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child)
		broker_main(broker[1]);
	close(broker[1]);
	ck_assert_int_eq(packet_send(broker[0], "", 1, &agent[1], 1), 0);
	close(agent[1]);
	ck_assert_int_eq(packet_send(agent[0], &request_vectors[_i].request,
				     sizeof(request_vectors[_i].request), &process,
				     request_vectors[_i].process),
			 0);
	ck_assert_int_eq(packet_receive(agent[0], &reply, sizeof(reply), NULL, NULL),
			 sizeof(reply));
	ck_assert_int_eq(reply.answer, request_vectors[_i].answer);
	close(broker[0]);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	close(agent[0]);
	close(process);
}
END_TEST

static pid_t first_child(void)
{
	char path[64];
	FILE *file;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%d", &pid), 1);
	fclose(file);
	return pid;
}

/* A target is dropped for good when the kernel says no; where nobody asked it, it has not. */
START_TEST(no_agent_is_no_answer)
{
	int process = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	pid_t broker;

	ck_assert_int_ge(process, 0);
	ck_assert_int_eq(caller_prepare(), 0);
	ck_assert_int_eq(agents_start(), 0);
	broker = first_child();
	ck_assert_int_eq(kill(broker, SIGKILL), 0);
	ck_assert_int_eq(waitpid(broker, NULL, 0), broker);
	ck_assert_int_eq(agent_may(NULL, process, CALLER_WATCH, 1000), -EAGAIN);
	agents_stop();
	close(process);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("agent");
	TCase *tcase = tcase_create("agent");

	tcase_add_test(tcase, packet_comes_whole_or_not_at_all);
	ADD_VECTORS(tcase, agent_says_no_to_what_it_does_not_know, request_vectors);
	tcase_add_test(tcase, no_agent_is_no_answer);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
