// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: the requests of the kernel, in any order, for any inode, with any offset, size
 * and text, from anybody (kernel.h plays the kernel's part and checks the replies).
 *
 * The first byte of an input is how the connection is made; a list of records of a fixed size
 * follows, each a request or a small session with one file.  File handles are those that are open,
 * see kernel.c.
 *
 * Each input has a tree of its own, so that what it finds happens again when it is run alone.  That
 * takes 1.1 ms with the threads and the end of them; half of the inputs begin with a kdamond that
 * runs, which takes 5 ms and more, so that keeping the tree would save little.
 *
 * What is watched are this process and children of it, in a pid namespace of their own, by the
 * simulated method; a system call filter keeps schemes from acting on anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/fuse/requests.h"
#include "fs/root.h"
#include "fs/tree/file.h"
#include "tests/fuzz/kernel.h"
#include "util/cleanup.h"
#include "util/log.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* A record of the input.  What its numbers mean, modulo what there is, depends on the request. */
struct record {
	uint8_t what, who, node, name, text, handle;
	uint16_t path;
	uint32_t size, raw;
	uint64_t offset;
	char bytes[24];
};

#define MAX_WRITE (1U << 20) /* what libfuse and the kernel agree upon */
#define NOBODY	  65534

/* ---- the words of an input ---- */

#define K "admin/kdamonds/0/"
#define C K "contexts/0/"
#define T C "targets/0/"
#define S C "schemes/0/"

#define SCHEME_6_1 "0 9999999 0 4294967295 0 4294967295 6 0 0 0 0 0 0 0 0 0 0 0 0"
#define SCHEME	   "4096 65536 0 20 0 100 5 10 4096 1000 3 7 3 1 5000 999 500 1"

/* Files with what is likely to be taken; those that make one of each first. */
static const struct {
	const char *path, *text;
} commands[] = {
	{ "admin/kdamonds/nr_kdamonds", "1" },
	{ K "contexts/nr_contexts", "1" },
	{ C "targets/nr_targets", "1" },
	{ T "pid_target", "2" },
	{ C "schemes/nr_schemes", "1" },
	{ T "regions/nr_regions", "1" },
	{ S "filters/nr_filters", "1" },
	{ S "core_filters/nr_filters", "1" },
	{ S "ops_filters/nr_filters", "1" },
	{ S "quotas/goals/nr_goals", "1" },
	{ S "dests/nr_dests", "1" },
	{ "damon/mk_contexts", "ctx" },
#define NR_MAKING 12
	/* What both trees can be turned on with, and that. */
	{ S "access_pattern/sz/max", "18446744073709551615" },
	{ S "access_pattern/nr_accesses/max", "4294967295" },
	{ S "access_pattern/age/max", "4294967295" },
	{ C "monitoring_attrs/intervals/sample_us", "100" },
	{ C "monitoring_attrs/intervals/aggr_us", "1000" },
	{ C "operations", "vaddr" },
	{ T "regions/0/start", "268435456" },
	{ T "regions/0/end", "285212672" },
	{ S "core_filters/0/type", "addr" },
	{ S "core_filters/0/addr_end", "18446744073709551615" },
	{ S "ops_filters/0/type", "unmapped" },
	{ K "state", "on" },
#define NR_SYSFS_ON 24
	{ "damon/rm_contexts", "ctx" },
	{ "damon/attrs", "100 1000 1000 10 100" },
	{ "damon/target_ids", "2 3" },
	{ "damon/schemes", SCHEME },
	{ "damon/schemes", SCHEME_6_1 },
	{ "damon/monitor_on", "on" },
#define NR_DEBUGFS_ON 30
	{ K "state", "off" },
	{ K "state", "commit" },
	{ K "state", "update_schemes_stats" },
	{ K "state", "update_schemes_tried_regions" },
	{ K "state", "update_schemes_tried_bytes" },
	{ K "state", "clear_schemes_tried_regions" },
	{ K "state", "commit_schemes_quota_goals" },
	{ K "state", "update_schemes_effective_quotas" },
	{ K "state", "update_tuned_intervals" },
	{ C "operations", "paddr" },
	{ C "operations", "fvaddr" },
	{ C "monitoring_attrs/nr_regions/max", "100" },
	{ K "refresh_ms", "1" },
	{ S "action", "pageout" },
	{ S "filters/0/type", "anon" },
	{ "damon/target_ids", "paddr" },
	{ "damon/init_regions", "0 268435456 285212672\n" },
	{ "damon/monitor_on", "off" },
	{ "damon/record", "4096 /damon.data\n" },
};

static const char *const words[] = {
	"on",
	"off",
	"commit",
	"Y",
	"N",
	"0",
	"1",
	"2",
	"3",
	"10",
	"100",
	"1000",
	"4096",
	"268435456",
	"4294967295",
	"18446744073709551615",
	"18446744073709551616",
	"-1",
	"paddr",
	"vaddr",
	"willneed",
	"cold",
	"pageout",
	"hugepage",
	"nohugepage",
	"lru_prio",
	"lru_deprio",
	"migrate_hot",
	"stat",
	"memcg",
	"addr",
	"target",
	"young",
	"unmapped",
	"hugepage_size",
	"free_mem_rate",
	"user_input",
	"some_mem_psi_us",
	"node_mem_used_bp",
	"/",
	"a/b",
	"2 3 2",
	"1 2 3 4 5",
	"0 0 4096\n1 4096 8192\n",
	"0 268435456 268439552\n0 268439552 285212672",
	SCHEME "\n" SCHEME,
	SCHEME_6_1 "\n" SCHEME_6_1,
};

/* All paths of both trees, one of each kind: made at the start. */
#define MAX_PATHS 512

static char *paths[MAX_PATHS];
static size_t nr_paths;

static const struct {
	uint32_t opcode;
	uint8_t arguments; /* bytes before the names */
	uint8_t names;
} opcodes[] = {
	{ FUSE_LOOKUP, 0, 1 },
	{ FUSE_FORGET, 8, 0 },
	{ FUSE_GETATTR, sizeof(struct fuse_getattr_in), 0 },
	{ FUSE_SETATTR, sizeof(struct fuse_setattr_in), 0 },
	{ FUSE_OPEN, sizeof(struct fuse_open_in), 0 },
	{ FUSE_OPENDIR, sizeof(struct fuse_open_in), 0 },
	{ FUSE_READ, sizeof(struct fuse_read_in), 0 },
	{ FUSE_READDIR, sizeof(struct fuse_read_in), 0 },
	{ FUSE_WRITE, sizeof(struct fuse_write_in), 0 },
	{ FUSE_RELEASE, sizeof(struct fuse_release_in), 0 },
	{ FUSE_RELEASEDIR, sizeof(struct fuse_release_in), 0 },
#define NR_USUAL 11
	{ FUSE_READLINK, 0, 0 },
	{ FUSE_SYMLINK, 0, 2 },
	{ FUSE_MKNOD, sizeof(struct fuse_mknod_in), 1 },
	{ FUSE_MKDIR, sizeof(struct fuse_mkdir_in), 1 },
	{ FUSE_UNLINK, 0, 1 },
	{ FUSE_RMDIR, 0, 1 },
	{ FUSE_RENAME, sizeof(struct fuse_rename_in), 2 },
	{ FUSE_RENAME2, sizeof(struct fuse_rename2_in), 2 },
	{ FUSE_LINK, sizeof(struct fuse_link_in), 1 },
	{ FUSE_CREATE, sizeof(struct fuse_create_in), 1 },
	{ FUSE_TMPFILE, sizeof(struct fuse_create_in), 1 },
	{ FUSE_SETXATTR, sizeof(struct fuse_setxattr_in), 2 },
	{ FUSE_GETXATTR, sizeof(struct fuse_getxattr_in), 1 },
	{ FUSE_LISTXATTR, sizeof(struct fuse_getxattr_in), 0 },
	{ FUSE_REMOVEXATTR, 0, 1 },
	{ FUSE_STATFS, 0, 0 },
	{ FUSE_FLUSH, sizeof(struct fuse_flush_in), 0 },
	{ FUSE_FSYNC, sizeof(struct fuse_fsync_in), 0 },
	{ FUSE_FSYNCDIR, sizeof(struct fuse_fsync_in), 0 },
	{ FUSE_ACCESS, sizeof(struct fuse_access_in), 0 },
	{ FUSE_SETLKW, sizeof(struct fuse_lk_in), 0 },
	{ FUSE_BMAP, sizeof(struct fuse_bmap_in), 0 },
	{ FUSE_IOCTL, sizeof(struct fuse_ioctl_in), 0 },
	{ FUSE_POLL, sizeof(struct fuse_poll_in), 0 },
	{ FUSE_BATCH_FORGET, sizeof(struct fuse_batch_forget_in), 0 },
	{ FUSE_FALLOCATE, sizeof(struct fuse_fallocate_in), 0 },
	{ FUSE_READDIRPLUS, sizeof(struct fuse_read_in), 0 },
	{ FUSE_LSEEK, sizeof(struct fuse_lseek_in), 0 },
	{ FUSE_COPY_FILE_RANGE, sizeof(struct fuse_copy_file_range_in), 0 },
	{ FUSE_SYNCFS, sizeof(struct fuse_syncfs_in), 0 },
	{ FUSE_INIT, sizeof(struct fuse_init_in), 0 },
	{ FUSE_DESTROY, 0, 0 },
};

/* Any number is an opcode, too; so much is what libfuse reads of it. */
#define ANY_ARGUMENTS 128

/* ---- from a record to a request ---- */

static pid_t child_of_root, child_of_nobody;
static char method[64];

static struct sender sender_of(const struct record *record)
{
	const struct sender senders[] = {
		{ getpid(), 0, 0 },
		{ child_of_root, 0, 0 },
		{ child_of_nobody, NOBODY, NOBODY },
		{ 0, 0, 0 },
		{ getpid(), NOBODY, NOBODY },
		{ 0, NOBODY, NOBODY },
		{ (pid_t)record->raw, record->raw % 65535, record->size % 65535 },
	};

	/* Half of them are root's. */
	return senders[record->who < 128 ? 0 : record->who % ARRAY_SIZE(senders)];
}

/* Looks PATH up, name by name.  Return: what was found last. */
static uint64_t walk(struct kernel *kernel, const char *path, struct sender sender)
{
	uint64_t node = FUSE_ROOT_ID;
	char name[256];

	while (*path) {
		size_t length = strcspn(path, "/");

		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		if (kernel_send(kernel, FUSE_LOOKUP, node, sender, name, strlen(name) + 1, 0))
			break;
		node = kernel_found(kernel);
		path += length + (path[length] == '/');
	}
	return node;
}

static uint64_t node_of(struct kernel *kernel, const struct record *record, struct sender sender)
{
	if (record->node < 96)
		return kernel_node(kernel, record->node);
	if (record->node < 160)
		return kernel_found(kernel);
	if (record->node < 224)
		return walk(kernel, paths[record->path % nr_paths], sender);
	/* Any number; or a name of a file of which writes were held. */
	return record->node < 240 ? record->offset :
				    kernel_node(kernel, record->path) ^ record->offset << 48;
}

/* Adds a name with its end to *END.  The kernel sends none with a slash, of none or 256 bytes. */
static void add_name(const struct record *record, uint8_t choice, char **end)
{
	const char *path = paths[record->path % nr_paths], *name = strrchr(path, '/');
	size_t length = 0;

	if (choice < 128) {
		name = name ? name + 1 : path;
		*end = stpcpy(*end, name) + 1;
		return;
	}
	while (length < max_ul(choice, 1) && length < 255) {
		char byte = record->bytes[length % sizeof(record->bytes)];

		(*end)[length++] = byte && byte != '/' ? byte : 'x';
	}
	*end += length;
	*(*end)++ = '\0';
}

/* What is written.  Return: its length, up to ROOM. */
static size_t make_text(const struct record *record, char *out, size_t room)
{
	const char *word = words[record->path % ARRAY_SIZE(words)];
	size_t length, size;

	if (record->text < 96)
		return (size_t)snprintf(out, room, "%s%s", word, record->text & 1 ? "\n" : "");
	if (record->text < 128)
		return (size_t)snprintf(out, room, "%llu", (unsigned long long)record->offset);
	if (record->text < 160)
		return (size_t)snprintf(out, room, "%s %.*s", word, (int)sizeof(record->bytes),
					record->bytes);
	/* A word or any bytes, over and over. */
	length = record->text < 192 ? strlen(word) : sizeof(record->bytes);
	if (record->text >= 192)
		word = record->bytes;
	size = record->text & 1 ? record->size % sizeof(record->bytes) :
				  min_ul(record->size % (MAX_WRITE + 1), room);
	for (size_t i = 0; i < size; i++)
		out[i] = word[i % length];
	return size;
}

static int send_read(struct kernel *kernel, uint32_t opcode, uint64_t node, struct sender sender,
		     uint64_t offset, uint32_t size, size_t handle)
{
	struct fuse_read_in in = { .offset = offset, .size = size };

	return kernel_send(kernel, opcode, node, sender, &in, sizeof(in), handle);
}

static void send_write(struct kernel *kernel, uint64_t node, const struct record *record,
		       struct sender sender, uint64_t offset, size_t handle, const char *text,
		       size_t size)
{
	struct fuse_write_in in = { .offset = offset,
				    .size = (uint32_t)size,
				    .flags = record->raw };
	_cleanup_free_ char *body = malloc(sizeof(in) + size);

	REQUIRE(body);
	memcpy(body, &in, sizeof(in));
	memcpy(body + sizeof(in), text, size);
	kernel_send(kernel, FUSE_WRITE, node, sender, body, sizeof(in) + size, handle);
}

static void write_text(struct kernel *kernel, uint64_t node, const struct record *record,
		       struct sender sender, uint64_t offset, size_t handle)
{
	static char text[MAX_WRITE + 1];

	send_write(kernel, node, record, sender, offset, handle, text,
		   make_text(record, text, MAX_WRITE));
}

static int open_node(struct kernel *kernel, uint32_t opcode, uint64_t node, struct sender sender,
		     uint32_t flags)
{
	struct fuse_open_in in = { .flags = flags };

	return kernel_send(kernel, opcode, node, sender, &in, sizeof(in), 0);
}

static void release(struct kernel *kernel, uint32_t opcode, uint64_t node, struct sender sender,
		    size_t handle)
{
	struct fuse_release_in in = { 0 };

	kernel_send(kernel, opcode, node, sender, &in, sizeof(in), handle);
}

/* One request, of whatever kind. */
static void send_any(struct kernel *kernel, const struct record *record, struct sender sender)
{
	size_t which = record->handle % (record->handle < 192 ? NR_USUAL : ARRAY_SIZE(opcodes) + 1);
	size_t arguments = ANY_ARGUMENTS;
	uint64_t node = node_of(kernel, record, sender);
	uint32_t opcode = record->raw, names = 0;
	char body[ANY_ARGUMENTS + 2 * 256], *end;

	if (which < ARRAY_SIZE(opcodes)) {
		opcode = opcodes[which].opcode;
		arguments = opcodes[which].arguments;
		names = opcodes[which].names;
	}
	if (opcode == FUSE_READ || opcode == FUSE_READDIR) {
		send_read(kernel, opcode, node, sender, record->offset, record->size, record->path);
		return;
	}
	if (opcode == FUSE_WRITE) {
		write_text(kernel, node, record, sender, record->offset, record->path);
		return;
	}
	/* The same opcode by its number has no names. */
	for (size_t i = 0; which == ARRAY_SIZE(opcodes) && i < ARRAY_SIZE(opcodes); i++)
		if (opcodes[i].opcode == opcode)
			return;
	/* Interruptions are of what was sent; replies are to questions that damonfs never asks. */
	if (opcode == FUSE_INTERRUPT || opcode == FUSE_NOTIFY_REPLY)
		return;
	for (size_t i = 0; i < arguments; i++)
		body[i] = record->bytes[i % sizeof(record->bytes)];
	end = body + arguments;
	for (uint32_t i = 0; i < names; i++)
		add_name(record, i ? (uint8_t)record->size : record->name, &end);
	kernel_send(kernel, opcode, node, sender, body, (size_t)(end - body), record->path);
}

/* Opens a file, writes TEXT, or what the record says if that is NULL, and closes it. */
static void store(struct kernel *kernel, const char *path, const char *text,
		  const struct record *record, struct sender sender)
{
	uint64_t node = walk(kernel, path, sender);
	size_t handle;

	if (open_node(kernel, FUSE_OPEN, node, sender,
		      (record->raw & 7) == 7 ? record->raw : O_WRONLY))
		return;
	handle = kernel_last_handle(kernel);
	if (text)
		send_write(kernel, node, record, sender, 0, handle, text, strlen(text));
	else
		write_text(kernel, node, record, sender, 0, handle);
	release(kernel, FUSE_RELEASE, node, sender, handle);
}

/* Reads a file or a directory, from its start to its end if nothing else is said, and closes it. */
static void show(struct kernel *kernel, const struct record *record, uint64_t node,
		 struct sender sender)
{
	int r = open_node(kernel, FUSE_OPEN, node, sender, O_RDONLY);
	bool dir = r == -EISDIR;
	size_t handle;

	if (dir)
		r = open_node(kernel, FUSE_OPENDIR, node, sender, O_RDONLY);
	if (r)
		return;
	handle = kernel_last_handle(kernel);
	send_read(kernel, dir ? FUSE_READDIR : FUSE_READ, node, sender, 0, record->size & 0x1fff,
		  handle);
	send_read(kernel, dir ? FUSE_READDIR : FUSE_READ, node, sender,
		  record->handle & 2 ? record->offset : record->offset & 31, record->size, handle);
	release(kernel, dir ? FUSE_RELEASEDIR : FUSE_RELEASE, node, sender, handle);
}

static void play(struct kernel *kernel, const struct record *record)
{
	struct sender sender = sender_of(record);
	size_t command = record->path % ARRAY_SIZE(commands);

	switch (record->what % 16) {
	case 0:
	case 1:
	case 2:
	case 3:
		store(kernel, commands[command].path, commands[command].text, record, sender);
		if (record->handle & 3)
			kernel_settle(kernel);
		break;
	case 4:
	case 5:
		store(kernel, commands[command].path, NULL, record, sender);
		break;
	case 6:
	case 7:
		store(kernel, paths[record->path % nr_paths], NULL, record, sender);
		break;
	case 8:
	case 9:
		show(kernel, record, node_of(kernel, record, sender), sender);
		break;
	case 10:
		show(kernel, record, walk(kernel, paths[record->path % nr_paths], sender), sender);
		break;
	case 11:
		kernel_settle(kernel);
		/* Kdamonds go on meanwhile. */
		usleep(record->size % 2000);
		break;
	case 12:
		kernel_interrupt(kernel, sender, record->size);
		break;
	default:
		send_any(kernel, record, sender);
	}
}

/* What there is before the input's own requests. */
static void begin(struct kernel *kernel, unsigned int how)
{
	static const struct {
		size_t from, to; /* of the commands */
	} parts[] = { { 0, 0 },
		      { 0, NR_MAKING },
		      { 0, NR_SYSFS_ON },
		      { 0, NR_SYSFS_ON },
		      { NR_SYSFS_ON, NR_DEBUGFS_ON } };
	size_t part = how % ARRAY_SIZE(parts);
	struct record record = { 0 };

	for (size_t i = parts[part].from; i < parts[part].to; i++) {
		store(kernel, commands[i].path, commands[i].text, &record,
		      (struct sender){ getpid(), 0, 0 });
		kernel_settle(kernel);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kernel_setup setup = { .method = method };
	struct record record = { 0 };
	struct kernel *kernel;

	if (!size)
		return 0;
	setup.abi = *data & 1 ? DAMON_ABI(6, 1) : DAMON_ABI(6, 18);
	setup.passed = (*data & 0x30) == 0x30;
	setup.ticks = !(*data & 0xf0);
	kernel = kernel_open(&setup);
	begin(kernel, *data >> 1 & 7);
	for (data++, size--; size >= sizeof(record);
	     data += sizeof(record), size -= sizeof(record)) {
		memcpy(&record, data, sizeof(record));
		play(kernel, &record);
	}
	kernel_close(kernel);
	return 0;
}

/* ---- mutation: by records, so that what follows keeps its meaning ---- */

static size_t mutate_list(uint8_t *records, size_t nr, size_t room, unsigned int seed)
{
	const size_t size = sizeof(struct record);
	size_t from = nr ? (seed >> 8) % nr : 0, to = nr ? (seed >> 16) % nr : 0;
	uint8_t copy[sizeof(struct record)];

	switch (seed % 8) {
	case 0: /* one less */
		if (nr > 1)
			memmove(records + from * size, records + (from + 1) * size,
				(--nr - from) * size);
		return nr;
	case 1: /* two change places */
		memcpy(copy, records + from * size, size);
		memcpy(records + from * size, records + to * size, size);
		memcpy(records + to * size, copy, size);
		return nr;
	case 2: /* the same once more, at another place */
		if (nr == room)
			return nr;
		memcpy(copy, records + from * size, size);
		memmove(records + (to + 1) * size, records + to * size, (nr - to) * size);
		memcpy(records + to * size, copy, size);
		return nr + 1;
	default:
		LLVMFuzzerMutate(records + from * size, size, size);
		return nr;
	}
}

/* Any, or one that is likely to change something. */
static void add_record(uint8_t *out, unsigned int seed)
{
	struct record record;
	uint8_t bytes[sizeof(record)];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
	memcpy(&record, bytes, sizeof(record));
	if (seed >> 16 & 1) {
		record.what = 0;
		record.who = 0;
		record.raw = 0;
	}
	memcpy(out, &record, sizeof(record));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size_t room = max_size ? (max_size - 1) / sizeof(struct record) : 0;
	size_t nr = size ? min_ul((size - 1) / sizeof(struct record), room) : 0;

	if (!room)
		return LLVMFuzzerMutate(data, size, max_size);
	if (!size)
		data[0] = (uint8_t)(seed >> 24);
	/* A new one at the end. */
	if (!nr || (seed % 4 == 3 && nr < room)) {
		add_record(data + 1 + nr * sizeof(struct record), seed / 64);
		return 1 + (nr + 1) * sizeof(struct record);
	}
	if (seed % 64 < 2)
		LLVMFuzzerMutate(data, 1, 1);
	else
		nr = mutate_list(data + 1, nr, room, seed / 64);
	return 1 + nr * sizeof(struct record);
}

/* ---- the surroundings ---- */

/* The rest of the program runs as the first process of a pid namespace of its own. */
static void enter_namespace(void)
{
	int status;
	pid_t child;

	if (unshare(CLONE_NEWPID | CLONE_NEWNS)) {
		fprintf(stderr, "SKIPPED what needs a pid namespace: MISSING root\n");
		return;
	}
	child = fork();
	REQUIRE(child >= 0);
	if (child) {
		REQUIRE(waitpid(child, &status, 0) == child);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	REQUIRE(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	REQUIRE(!mount("proc", "/proc", "proc", 0, NULL));
}

static pid_t start_child(uid_t id)
{
	pid_t child = fork();

	REQUIRE(child >= 0);
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (id && (setgid(id) || setuid(id)))
		_exit(1);
	for (;;)
		pause();
}

/* Nothing is done to memory: advice succeeds and does nothing, and no page moves. */
static void forbid_actions(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	REQUIRE(filter);
	REQUIRE(!seccomp_rule_add(filter, SCMP_ACT_ERRNO(0), SCMP_SYS(process_madvise), 0));
	REQUIRE(!seccomp_rule_add(filter, SCMP_ACT_ERRNO(1), SCMP_SYS(move_pages), 0));
	REQUIRE(!seccomp_load(filter));
	seccomp_release(filter);
}

static void make_script(void)
{
	static const char script[] = "map 0x10000000 16M\naccess 0x10000000 4M 100%\n"
				     "at 2ms map 0x20000000 1M\nat 4ms unmap 0x10000000 16M\n"
				     "at 8ms repeat\n";
	int fd = memfd_create("script", MFD_CLOEXEC);

	REQUIRE(fd >= 0 && write(fd, script, strlen(script)) == (ssize_t)strlen(script));
	snprintf(method, sizeof(method), "simulated:/proc/self/fd/%d", fd);
}

/* Where collect() is. */
struct place {
	struct tree *tree;
	const char *path;
};

static bool collect(const char *name, uint64_t ino, void *argument)
{
	const struct place *above = argument;
	struct place place = { above->tree, NULL };
	struct node node;
	char path[512];

	if (*name == '.' || nr_paths == MAX_PATHS)
		return true;
	REQUIRE(tree_find(above->tree, ino, &node));
	snprintf(path, sizeof(path), "%s%s%s", above->path, *above->path ? "/" : "", name);
	paths[nr_paths++] = strdup(path);
	place.path = path;
	return !node_is_dir(node) || node_list(node, collect, &place);
}

/* Writes TEXT to the file PATH, if there is one in this tree. */
static void make(struct tree *tree, const char *path, const char *text)
{
	struct write write = { .size = strlen(text) };
	struct node node = { tree->root, 0 };
	char name[256];

	while (*path) {
		size_t length = strcspn(path, "/");

		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		if (!node_is_dir(node) || !node_lookup(node, name, &node))
			return;
		path += length + (path[length] == '/');
	}
	file_store(node_row(node)->file, node.dir, &write, text);
}

static void collect_paths(unsigned int abi)
{
	static struct damonfs damonfs = { .method = "none" };
	struct place place = { tree_new(&root_kind, abi, 0, 0, &damonfs), "" };

	REQUIRE(place.tree);
	for (size_t i = 0; i < NR_MAKING; i++)
		make(place.tree, commands[i].path, commands[i].text);
	node_list((struct node){ place.tree->root, 0 }, collect, &place);
	tree_free(place.tree);
}

static void log_nothing(enum fuse_log_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	enter_namespace();
	child_of_root = start_child(0);
	child_of_nobody = start_child(NOBODY);
	REQUIRE(!caller_prepare());
	forbid_actions();
	log_setup(LOG_LEVEL_ERROR, false);
	fuse_set_log_func(log_nothing);
	make_script();
	collect_paths(DAMON_ABI(6, 18));
	collect_paths(DAMON_ABI(6, 1));
	return 0;
}
