// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's side of a FUSE connection: see kernel.h. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fs/fuse/requests.h"
#include "fs/root.h"
#include "tests/fuzz/requests/kernel.h"
#include "tests/fuzz/requests/reply.h"
#include "util/cleanup.h"

#define MAX_SENT    2048
#define MAX_NODES   256
#define MAX_HANDLES 32

/* How long kernel_settle() waits, and how long the end of all kdamonds may take, in ns. */
#define SETTLE_NS 5000000
#define END_NS	  60000000000

/* What one user may have: little, so that an input comes to the bounds, and does not take long. */
static const struct account_limits limits = { {
	[ACCOUNT_OBJECTS] = 1024,
	[ACCOUNT_KDAMONDS] = 4,
	[ACCOUNT_REGIONS] = 16384,
	[ACCOUNT_HANDLES] = 24,
	[ACCOUNT_BYTES] = 8 << 20,
} };

enum state { UNSENT, SENT, ANSWERED };

/* A request.  Its unique number is made of its place. */
struct sent {
	enum state state;
	uint32_t opcode;
	uint32_t size; /* the most that is to be read, or what is written */
	uint64_t fh; /* that it uses; 0: none */
	bool silent; /* it may stay without an answer */
	int error;
};

struct kernel {
	struct requests requests;
	struct accounts *accounts;
	struct fuse_session *session;
	/* The sending thread's: */
	size_t nr_sent, nr_nodes, nr_handles;
	size_t most_sent; /* half of all: the end takes some, too */
	uint64_t nodes[MAX_NODES], found;
	struct open {
		uint64_t fh;
		bool dir;
	} handles[MAX_HANDLES];

	pthread_mutex_t lock; /* of what follows; replies come from any thread */
	pthread_cond_t answered; /* by CLOCK_MONOTONIC */
	struct sent sent[MAX_SENT];
	size_t nr_waiting; /* without an answer that must come */
	struct told told;
};

/* ---- replies ---- */

static uint64_t unique_of(size_t index)
{
	return (index + 1) * 2;
}

static void take_reply(struct kernel *kernel, const char *data, size_t size)
{
	struct fuse_out_header header;
	struct sent *sent;

	REQUIRE(size >= sizeof(header));
	memcpy(&header, data, sizeof(header));
	REQUIRE(header.len == size);
	data += sizeof(header);
	size -= sizeof(header);
	if (!header.unique) {
		reply_check_notification(&header, data, size);
		return;
	}
	REQUIRE(!(header.unique & 1) && header.unique <= unique_of(kernel->nr_sent - 1));
	sent = &kernel->sent[header.unique / 2 - 1];
	/* Nothing is answered twice. */
	REQUIRE(sent->state == SENT);
	REQUIRE(header.error <= 0 && header.error >= -EHWPOISON);
	/* The kernel is told to ask for an interruption again; nothing else that is silent. */
	REQUIRE(!sent->silent || (sent->opcode == FUSE_INTERRUPT && header.error == -EAGAIN));
	if (header.error)
		REQUIRE(!size);
	else
		reply_check(sent->opcode, sent->size, data, size, &kernel->told);
	sent->state = ANSWERED;
	sent->error = header.error;
	kernel->nr_waiting -= !sent->silent;
	pthread_cond_signal(&kernel->answered);
}

/* Where replies go.  All parts are read, so that ASan sees whether they are there. */
static ssize_t receive(int fd, struct iovec *parts, int nr, void *userdata)
{
	struct kernel *kernel = container_of((struct requests *)userdata, struct kernel, requests);
	_cleanup_free_ char *data = NULL;
	size_t size = 0, done = 0;

	(void)fd;
	for (int i = 0; i < nr; i++)
		size += parts[i].iov_len;
	data = malloc(size);
	REQUIRE(data);
	for (int i = 0; i < nr; i++) {
		memcpy(data + done, parts[i].iov_base, parts[i].iov_len);
		done += parts[i].iov_len;
	}
	pthread_mutex_lock(&kernel->lock);
	take_reply(kernel, data, size);
	pthread_mutex_unlock(&kernel->lock);
	return (ssize_t)size;
}

/* Requests are handed over one by one instead. */
static ssize_t no_request(int fd, void *buffer, size_t size, void *userdata)
{
	(void)fd;
	(void)buffer;
	(void)size;
	(void)userdata;
	errno = EAGAIN;
	return -1;
}

/* ---- requests ---- */

static bool uses_handle(uint32_t opcode)
{
	return opcode == FUSE_READ || opcode == FUSE_WRITE || opcode == FUSE_READDIR ||
	       opcode == FUSE_RELEASE || opcode == FUSE_RELEASEDIR;
}

static bool is_silent(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

/* A file is not closed while it is written to. */
static bool is_used(struct kernel *kernel, uint64_t fh)
{
	bool used = false;

	pthread_mutex_lock(&kernel->lock);
	for (size_t i = 0; i < kernel->nr_sent && !used; i++)
		used = kernel->sent[i].state == SENT && kernel->sent[i].fh == fh;
	pthread_mutex_unlock(&kernel->lock);
	return used;
}

/*
 * The handle that a request is about: one that is open, and a directory where that is what the
 * request is for, as the kernel has it.  Handles are addresses: a kernel that makes them up could
 * do as it likes with damonfs, as with everything else.
 */
static bool choose_handle(struct kernel *kernel, uint32_t opcode, size_t index, uint64_t *out)
{
	bool closes = opcode == FUSE_RELEASE || opcode == FUSE_RELEASEDIR;
	bool dir = opcode == FUSE_READDIR || opcode == FUSE_RELEASEDIR;

	for (size_t i = 0; i < kernel->nr_handles; i++) {
		struct open *open = &kernel->handles[(index + i) % kernel->nr_handles];

		if (open->dir != dir || (closes && is_used(kernel, open->fh)))
			continue;
		*out = open->fh;
		if (closes)
			*open = kernel->handles[--kernel->nr_handles];
		return true;
	}
	return false;
}

static void learn(struct kernel *kernel, const struct sent *sent)
{
	if (sent->opcode == FUSE_LOOKUP) {
		kernel->found = kernel->told.node;
		kernel->nodes[kernel->nr_nodes++ % MAX_NODES] = kernel->told.node;
	} else if (sent->opcode == FUSE_OPEN || sent->opcode == FUSE_OPENDIR) {
		REQUIRE(kernel->nr_handles < MAX_HANDLES);
		kernel->handles[kernel->nr_handles++] =
			(struct open){ kernel->told.fh, sent->opcode == FUSE_OPENDIR };
	}
}

static uint32_t asked_size(uint32_t opcode, const void *body, size_t size)
{
	if (opcode == FUSE_WRITE) {
		REQUIRE(((const struct fuse_write_in *)body)->size ==
			size - sizeof(struct fuse_write_in));
		return ((const struct fuse_write_in *)body)->size;
	}
	return opcode == FUSE_READ || opcode == FUSE_READDIR ?
		       ((const struct fuse_read_in *)body)->size :
		       0;
}

/* Nothing of a request is there behind its end. */
static void process(struct kernel *kernel, const struct fuse_in_header *header, const void *body,
		    size_t size)
{
	struct fuse_buf buffer = { .size = sizeof(*header) + size };

	buffer.mem = malloc(buffer.size);
	REQUIRE(buffer.mem);
	memcpy(buffer.mem, header, sizeof(*header));
	if (size)
		memcpy((char *)buffer.mem + sizeof(*header), body, size);
	fuse_session_process_buf(kernel->session, &buffer);
	free(buffer.mem);
}

int kernel_send(struct kernel *kernel, uint32_t opcode, uint64_t node, struct sender sender,
		const void *body, size_t size, size_t handle)
{
	_cleanup_free_ char *copy = malloc(size + 1);
	struct fuse_in_header header = {
		.len = (uint32_t)(sizeof(header) + size),
		.opcode = opcode,
		.unique = unique_of(kernel->nr_sent),
		.nodeid = node,
		.uid = sender.uid,
		.gid = sender.gid,
		.pid = (uint32_t)sender.pid,
	};
	struct sent *sent = &kernel->sent[kernel->nr_sent], done;
	uint64_t fh = 0;

	REQUIRE(copy);
	if (kernel->nr_sent == kernel->most_sent ||
	    (uses_handle(opcode) && !choose_handle(kernel, opcode, handle, &fh)))
		return 1;
	if (size)
		memcpy(copy, body, size);
	if (fh)
		memcpy(copy, &fh, sizeof(fh));
	pthread_mutex_lock(&kernel->lock);
	*sent = (struct sent){ .state = SENT, .opcode = opcode, .fh = fh };
	sent->size = asked_size(opcode, body, size);
	sent->silent = is_silent(opcode);
	kernel->nr_waiting += !sent->silent;
	kernel->nr_sent++;
	pthread_mutex_unlock(&kernel->lock);
	process(kernel, &header, copy, size);
	pthread_mutex_lock(&kernel->lock);
	done = *sent;
	pthread_mutex_unlock(&kernel->lock);
	/* Only writes may wait. */
	REQUIRE(done.state == ANSWERED || done.silent || opcode == FUSE_WRITE);
	if (done.state != ANSWERED)
		return 1;
	if (!done.error)
		learn(kernel, &done);
	return done.error;
}

void kernel_interrupt(struct kernel *kernel, struct sender sender, size_t index)
{
	struct fuse_interrupt_in in = { .unique = unique_of(index % kernel->nr_sent) };

	kernel_send(kernel, FUSE_INTERRUPT, 0, sender, &in, sizeof(in), 0);
}

static struct timespec after(uint64_t ns)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	ns += (uint64_t)time.tv_nsec;
	return (struct timespec){ time.tv_sec + (time_t)(ns / 1000000000),
				  (long)(ns % 1000000000) };
}

void kernel_settle(struct kernel *kernel)
{
	struct timespec end = after(SETTLE_NS);
	int r = 0;

	pthread_mutex_lock(&kernel->lock);
	while (kernel->nr_waiting && !r)
		r = pthread_cond_timedwait(&kernel->answered, &kernel->lock, &end);
	pthread_mutex_unlock(&kernel->lock);
}

uint64_t kernel_node(const struct kernel *kernel, size_t index)
{
	return kernel->nodes[index % min_ul(kernel->nr_nodes, MAX_NODES)];
}

uint64_t kernel_found(const struct kernel *kernel)
{
	return kernel->found;
}

size_t kernel_last_handle(const struct kernel *kernel)
{
	return kernel->nr_handles ? kernel->nr_handles - 1 : 0;
}

/* ---- the connection ---- */

static void invalidate(uint64_t ino, void *argument)
{
	struct kernel *kernel = argument;

	fuse_lowlevel_notify_inval_inode(kernel->session, ino, -1, 0);
}

static void start_session(struct kernel *kernel)
{
	static const struct fuse_custom_io io = { .writev = receive, .read = no_request };
	char *words[] = { (char *)"damonfs", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, words);

	kernel->session = fuse_session_new(&args, &requests_operations, sizeof(requests_operations),
					   &kernel->requests);
	REQUIRE(kernel->session);
	/* libfuse closes it. */
	REQUIRE(!fuse_session_custom_io(kernel->session, &io, open("/dev/null", O_RDWR)));
	fuse_opt_free_args(&args);
}

static void init_lock(struct kernel *kernel)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&kernel->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&kernel->answered, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

/* Until the connection is there, the kernel lets nobody in. */
static void initialize(struct kernel *kernel)
{
	struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 131072,
		.flags = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_POSIX_ACL |
			 FUSE_PARALLEL_DIROPS | FUSE_ATOMIC_O_TRUNC,
	};

	REQUIRE(!kernel_send(kernel, FUSE_INIT, 0, (struct sender){ 0 }, &in, sizeof(in), 0));
	REQUIRE(kernel->requests.serves);
}

struct kernel *kernel_open(const struct kernel_setup *setup)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));
	struct requests *requests = &kernel->requests;

	REQUIRE(kernel);
	init_lock(kernel);
	kernel->most_sent = MAX_SENT / 2;
	kernel->nodes[kernel->nr_nodes++] = kernel->found = FUSE_ROOT_ID;
	kernel->accounts = accounts_new(&limits, 0);
	requests->passed = setup->passed;
	requests->damonfs.method = setup->method;
	pthread_cond_init(&requests->damonfs.ended, NULL);
	requests->tree = tree_new(&root_kind, setup->abi, 0, 0, &requests->damonfs);
	REQUIRE(kernel->accounts && requests->tree);
	requests->tree->accounts = kernel->accounts;
	if (!setup->ticks)
		requests->tree->tick = 0;
	start_session(kernel);
	REQUIRE(!answerer_start(requests->tree, invalidate, kernel, &requests->damonfs.answerer));
	initialize(kernel);
	return kernel;
}

static size_t nr_interrupts(const struct kernel *kernel)
{
	size_t nr = 0;

	for (size_t i = 0; i < kernel->nr_sent; i++)
		nr += kernel->sent[i].opcode == FUSE_INTERRUPT && kernel->sent[i].state == SENT;
	return nr;
}

/* libfuse keeps what it was not asked for yet, and gives it back when other requests come. */
static void fetch_interrupts(struct kernel *kernel)
{
	struct fuse_getattr_in in = { 0 };

	for (size_t nr = nr_interrupts(kernel); nr; nr--)
		kernel_send(kernel, FUSE_GETATTR, FUSE_ROOT_ID, (struct sender){ 0 }, &in,
			    sizeof(in), 0);
}

static void check_refunds(struct kernel *kernel)
{
	static const uid_t uids[] = { 0, 65534 };

	for (size_t i = 0; i < ARRAY_SIZE(uids); i++) {
		struct account *account;

		REQUIRE(!account_get(kernel->accounts, uids[i], &account));
		for (enum account_resource r = 0; r < NR_ACCOUNT_RESOURCES; r++)
			REQUIRE(account_left(account, r) == limits.of[r]);
		account_put(account);
	}
}

/* As session_end() of fs/fuse/session.c. */
void kernel_close(struct kernel *kernel)
{
	struct requests *requests = &kernel->requests;
	struct timespec end = after(END_NS);
	bool stopped;

	kernel->most_sent = MAX_SENT;
	fetch_interrupts(kernel);
	tree_lock(requests->tree);
	stopped = runs_stop_all(requests->tree,
				(uint64_t)end.tv_sec * 1000000000 + (uint64_t)end.tv_nsec);
	tree_unlock(requests->tree);
	REQUIRE(stopped);
	answerer_stop(requests->damonfs.answerer);
	REQUIRE(!kernel->nr_waiting);
	fuse_session_destroy(kernel->session);
	requests_clear(requests);
	tree_free(requests->tree);
	check_refunds(kernel);
	accounts_free(kernel->accounts);
	pthread_cond_destroy(&requests->damonfs.ended);
	pthread_cond_destroy(&kernel->answered);
	pthread_mutex_destroy(&kernel->lock);
	free(kernel);
}
