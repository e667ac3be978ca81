// SPDX-License-Identifier: GPL-2.0-or-later
/* Loading and running young.bpf.c: see program.h. */
#include <errno.h>
#include <linux/types.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "access/young/program.h"
#include "util/cleanup.h"
#include "util/log.h"
/* As bpftool wrote it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "young.skel.h"
#pragma GCC diagnostic pop

/*
 * The program is loaded once for all sessions, because loading takes 20-50 ms and a megabyte; so it
 * is global, under its lock.  It stays until the process ends: see program.h.
 */
static struct {
	pthread_mutex_t lock;
	struct young_program *skeleton; /* NULL until it is loaded */
	bool by_pid; /* walk_by_pid can be used; constant once it is loaded */
} program = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int libbpf_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[512];

	if (level > LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug("%s", line);
	return 0;
}

/* What only newer kernels have. */
struct kernel_functions {
	bool task_from_pid, rdonly_cast;
};

/* Reads the kernel's types once: each time takes megabytes. */
static struct kernel_functions find_functions(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	struct kernel_functions found = { 0 };

	if (!btf)
		return found;
	found.task_from_pid = btf__find_by_name_kind(btf, "bpf_task_from_pid", BTF_KIND_FUNC) > 0;
	found.rdonly_cast = btf__find_by_name_kind(btf, "bpf_rdonly_cast", BTF_KIND_FUNC) > 0;
	btf__free(btf);
	return found;
}

static int run(const struct bpf_program *prog, void *context, __u32 size)
{
	/* A program of this type writes its context back where it came from. */
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = context, .ctx_size_in = size);

	return bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);
}

static int calibrate(struct young_program *skeleton)
{
	uint64_t *magic =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r;

	if (magic == MAP_FAILED)
		return -errno;
	if (getentropy(magic, 16)) {
		munmap(magic, PAGE);
		return -errno;
	}
	skeleton->bss->magic_address = (uintptr_t)magic;
	skeleton->bss->magic[0] = magic[0];
	skeleton->bss->magic[1] = magic[1];
	r = run(skeleton->progs.calibrate, NULL, 0);
	munmap(magic, PAGE);
	if (!r && (!skeleton->bss->direct_map || !skeleton->bss->struct_pages))
		r = -EOPNOTSUPP;
	return r;
}

/* Loads the program, with or without the functions that only newer kernels have. */
static int load(bool by_pid, bool inline_loads, struct young_program **out)
{
	struct young_program *skeleton = young_program__open();
	int r;

	if (!skeleton)
		return -errno;
	skeleton->rodata->inline_loads = inline_loads;
	bpf_program__set_autoload(skeleton->progs.walk_by_pid, by_pid);
	bpf_program__set_autoload(skeleton->progs.walk_by_iterator, !by_pid);
	r = young_program__load(skeleton);
	if (!r)
		r = calibrate(skeleton);
	if (r) {
		young_program__destroy(skeleton);
		return r;
	}
	*out = skeleton;
	return 0;
}

/* Loads it in the cheapest way that this kernel takes. */
static int load_best(void)
{
	/* By a task's number, and with inline loads? */
	static const bool ways[][2] = { { true, true }, { true, false }, { false, false } };
	struct kernel_functions has = find_functions();
	int r = -ENOENT;

	for (size_t i = 0; r && i < ARRAY_SIZE(ways); i++) {
		bool by_pid = ways[i][0], inline_loads = ways[i][1];

		if ((by_pid && !has.task_from_pid) || (inline_loads && !has.rdonly_cast))
			continue;
		program.by_pid = by_pid;
		r = load(by_pid, inline_loads, &program.skeleton);
	}
	return r;
}

int young_program_get(char *why, size_t size)
{
	int r = 0;

	pthread_mutex_lock(&program.lock);
	if (!program.skeleton) {
		libbpf_set_print(libbpf_quiet);
		r = load_best();
	}
	pthread_mutex_unlock(&program.lock);
	if (r == -EPERM || r == -EACCES)
		snprintf(why, size,
			 "BPF is not permitted (%s): it needs CAP_BPF and CAP_PERFMON or "
			 "CAP_SYS_ADMIN, and no kernel lockdown",
			 strerror(-r));
	else if (r == -ESRCH || r == -ENOENT)
		snprintf(why, size, "the kernel has no BTF (/sys/kernel/btf/vmlinux)");
	else if (r == -EOPNOTSUPP)
		snprintf(why, size, "the kernel's page tables could not be located");
	else if (r)
		snprintf(why, size, "the BPF program does not load: %s", strerror(-r));
	return r;
}

static size_t batch_size(void)
{
	return (sizeof(struct young_batch) + PAGE - 1) / PAGE * PAGE;
}

int young_slot_take(struct young_slot *slot)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	__u64 enrolment = 0;
	int r;

	*slot = (struct young_slot){ .map = -1 };
	r = run(program.skeleton->progs.enrol, &enrolment, sizeof(enrolment));
	if (r)
		return r;
	slot->tid = (__u32)enrolment;
	slot->map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "batch", sizeof(__u32),
				   sizeof(struct young_batch), 1, &opts);
	if (slot->map < 0)
		return -errno;
	slot->batch = mmap(NULL, batch_size(), PROT_READ | PROT_WRITE, MAP_SHARED, slot->map, 0);
	if (slot->batch == MAP_FAILED) {
		slot->batch = NULL;
		return -errno;
	}
	return bpf_map__update_elem(program.skeleton->maps.batches, &slot->tid, sizeof(slot->tid),
				    &slot->map, sizeof(slot->map), BPF_ANY);
}

void young_slot_leave(struct young_slot *slot)
{
	if (slot->map >= 0) {
		bpf_map__delete_elem(program.skeleton->maps.batches, &slot->tid, sizeof(slot->tid),
				     0);
		close(slot->map);
	}
	if (slot->batch)
		munmap(slot->batch, batch_size());
	*slot = (struct young_slot){ .map = -1 };
}

/* Reads an iterator to its end, which runs its program once for the task. */
static int run_iterator(int link)
{
	_cleanup_close_ int fd = bpf_iter_create(link);
	char nothing[16];

	if (fd < 0)
		return -errno;
	return read(fd, nothing, sizeof(nothing)) < 0 ? -errno : 0;
}

static int open_iterator(const struct bpf_program *prog, pid_t tid)
{
	union bpf_iter_link_info info = { .task.tid = (__u32)tid };
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info, .iter_info_len = sizeof(info));
	int fd = bpf_link_create(bpf_program__fd(prog), 0, BPF_TRACE_ITER, &opts);

	return fd < 0 ? -errno : fd;
}

int young_task_open(struct young_slot *slot, pid_t tid, struct young_task *out)
{
	_cleanup_close_ int link = open_iterator(program.skeleton->progs.identify, tid);
	int r;

	*out = (struct young_task){ .iterator = -1 };
	if (link < 0)
		return link;
	slot->batch->result = 0;
	r = run_iterator(link);
	if (r)
		return r;
	if (slot->batch->result != YOUNG_DONE)
		return -ESRCH;
	out->pid = slot->batch->pid;
	out->start_time = slot->batch->start_time;
	out->exec_id = slot->batch->exec_id;
	if (program.by_pid)
		return 0;
	out->iterator = open_iterator(program.skeleton->progs.walk_by_iterator, tid);
	return out->iterator < 0 ? out->iterator : 0;
}

void young_task_close(struct young_task *task)
{
	if (task->iterator >= 0)
		close(task->iterator);
	task->iterator = -1;
}

int young_walk(struct young_slot *slot, const struct young_task *task)
{
	int r;

	slot->batch->pid = task->pid;
	slot->batch->start_time = task->start_time;
	slot->batch->exec_id = task->exec_id;
	slot->batch->result = YOUNG_NO_TASK;
	if (program.by_pid)
		r = run(program.skeleton->progs.walk_by_pid, NULL, 0);
	else
		r = run_iterator(task->iterator);
	if (r)
		return r;
	if (slot->batch->result == YOUNG_OTHER_PROGRAM)
		return -ESTALE;
	return slot->batch->result == YOUNG_DONE ? 0 : -ESRCH;
}
