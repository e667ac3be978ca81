// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: what an agent hears from the daemon, packets of any size with any descriptors,
 * and with any numbers in them.  It does what they say in the name of root, to a child of this
 * process: it must answer each that has the size of a request and a descriptor, and keep nothing.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/socket.h>

/* For its serve_next(). */
#include "access/act/broker.c"
#include "tests/fuzz/require.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the first bytes of an input say; the rest is the request, or a part of it. */
struct head {
	uint8_t nr_fds, fds[4]; /* descriptors that come with it */
	uint8_t size; /* 0-7: that of a request */
	uint8_t sane; /* bits: which fields are made to be of use */
};

#define MAX_FDS 4

static int choices[4];

static size_t nr_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t nr = 0;

	REQUIRE(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static void send_packet(int socket, const void *data, size_t size, const struct head *head)
{
	char control[CMSG_SPACE(MAX_FDS * sizeof(int))] = { 0 };
	struct iovec part = { (void *)data, size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	size_t nr = head->nr_fds % (MAX_FDS + 1);
	struct cmsghdr *header;

	if (nr) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(nr * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(nr * sizeof(int));
	}
	for (size_t i = 0; i < nr; i++)
		memcpy(CMSG_DATA(header) + i * sizeof(int),
		       &choices[head->fds[i] % ARRAY_SIZE(choices)], sizeof(int));
	REQUIRE(sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)size);
}

/* What gets further than arbitrary numbers do. */
static void make_sane(struct agent_request *request, unsigned int what)
{
	if (what & 1)
		request->kind = what & 2 ? AGENT_ASK : AGENT_MADVISE;
	if (what & 4)
		request->behavior = what & 8 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
	if (what & 16)
		request->has_caller = what & 32 ? 1 : 0;
	if (what & 64)
		request->right = CALLER_CONTROL;
	/* A process of its own for each is slow: most are asked for by a thread. */
	if (what & 128)
		request->label[0] = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct agent_request request, received;
	size_t whole = sizeof(request), before = nr_open(), nr;
	struct agent_reply reply;
	struct head head;
	int ends[2];
	bool answered;

	if (size < sizeof(head))
		return 0;
	memcpy(&head, data, sizeof(head));
	data += sizeof(head);
	size = min_ul(size - sizeof(head), sizeof(request));
	memset(&request, 0, sizeof(request));
	memcpy(&request, data, size);
	make_sane(&request, head.sane);
	if (head.size >= 8)
		whole = size;
	REQUIRE(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	send_packet(ends[0], &request, whole, &head);
	serve_next(ends[1], &received);
	answered = recv(ends[0], &reply, sizeof(reply), MSG_DONTWAIT) == sizeof(reply);
	/* Of more than it receives nothing is heard; without a process nobody may do anything. */
	nr = head.nr_fds % (MAX_FDS + 1);
	REQUIRE(answered == (whole == sizeof(request) && nr <= AGENT_NR_DESCRIPTORS));
	REQUIRE(!answered || reply.answer < 0 || (nr && !reply.answer));
	close(ends[0]);
	close(ends[1]);
	REQUIRE(nr_open() == before);
	return 0;
}

static pid_t start_child(void)
{
	pid_t child = fork();

	REQUIRE(child >= 0);
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char path[32];

	(void)argc;
	(void)argv;
	snprintf(path, sizeof(path), "/proc/%d", start_child());
	choices[0] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	choices[1] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	choices[2] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	choices[3] = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++)
		REQUIRE(choices[i] >= 0);
	REQUIRE(!caller_prepare());
	return 0;
}
