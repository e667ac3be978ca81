// SPDX-License-Identifier: LGPL-2.1-or-later
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

#include "access/rights/privileges.h"
#include "access/young/program.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
/* As bpftool wrote it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "young.skel.h"
#pragma GCC diagnostic pop

/* So many slots that nobody has are kept: each takes 70 KiB. */
#define IDLE_SLOTS 16

/*
 * The program is loaded once for all sessions, because loading takes 20-50 ms and a megabyte; so it
 * is global, under its lock.  It stays until the process ends: see program.h.
 */
static struct {
	pthread_mutex_t lock;
	struct young_slot idle[IDLE_SLOTS];
	size_t nr_idle;
	__u32 last_number; /* of a slot */
	struct young_program *skeleton; /* NULL until it is loaded */
	/* Constant once it is loaded: walk_by_pid can be used, and rounds can be made by a timer. */
	bool by_pid, ticks;
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

/* Return: 0 or a negative errno, which may be the program's own. */
static int run(const struct bpf_program *prog, void *context, __u32 size)
{
	/* A program of this type writes its context back where it came from. */
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = context, .ctx_size_in = size);
	int r = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);

	return r ? r : (int)opts.retval;
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

/* A way to load the program: with or without what only newer kernels have. */
struct way {
	bool by_pid, inline_loads, ticks;
};

static int load(const struct way *way, struct young_program **out)
{
	struct young_program *skeleton = young_program__open();
	int r;

	if (!skeleton)
		return -errno;
	skeleton->rodata->inline_loads = way->inline_loads;
	bpf_program__set_autoload(skeleton->progs.walk_by_pid, way->by_pid);
	bpf_program__set_autoload(skeleton->progs.walk_by_iterator, !way->by_pid);
	bpf_program__set_autoload(skeleton->progs.start_ticks, way->ticks);
	bpf_program__set_autoload(skeleton->progs.stop_ticks, way->ticks);
	bpf_map__set_autocreate(skeleton->maps.timers, way->ticks);
	bpf_map__set_autocreate(skeleton->maps.wakes, way->ticks);
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
	static const struct way ways[] = {
		{ .by_pid = true, .inline_loads = true, .ticks = true },
		{ .by_pid = true, .inline_loads = true },
		{ .by_pid = true },
		{ .inline_loads = true },
		{ 0 },
	};
	struct kernel_functions has = find_functions();
	int r = -ENOENT;

	for (size_t i = 0; r && i < ARRAY_SIZE(ways); i++) {
		const struct way *way = &ways[i];

		if ((way->by_pid && !has.task_from_pid) || (way->inline_loads && !has.rdonly_cast))
			continue;
		program.by_pid = way->by_pid;
		program.ticks = way->ticks;
		r = load(way, &program.skeleton);
		if (!r)
			log_debug("access method young: rounds are made by %s; tasks are found by "
				  "%s; "
				  "page tables are read by %s",
				  way->ticks ? "a timer of the kernel, and the worker" :
					       "the worker",
				  way->by_pid ? "number" : "an iterator",
				  way->inline_loads ? "loads" : "calls");
	}
	return r;
}

/* Without all of it, some kernels refuse the program as invalid. */
static bool may_use_bpf(void)
{
	return capable_of(CAP_SYS_ADMIN) || (capable_of(CAP_BPF) && capable_of(CAP_PERFMON));
}

/* Why the kernel refuses BPF with R. */
static void bpf_why(char *why, size_t size, int r)
{
	if (may_use_bpf())
		snprintf(why, size,
			 "bpf is forbidden (%s) by a seccomp filter (for a container: --cap-add "
			 "SYS_ADMIN, with which the default profiles let it through), a kernel in "
			 "lockdown, or a user namespace",
			 strerror(-r));
	else
		snprintf(why, size,
			 "bpf is not permitted (%s); add CAP_BPF and CAP_PERFMON (for a container: "
			 "--cap-add BPF --cap-add PERFMON)",
			 strerror(-r));
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
	if (r == -ESRCH || r == -ENOENT) {
		snprintf(why, size, "the kernel has no BTF (/sys/kernel/btf/vmlinux)");
		/* Nobody is to take it for a process that is gone. */
		return -EOPNOTSUPP;
	}
	if (r == -EPERM || r == -EACCES || (r && !may_use_bpf()))
		bpf_why(why, size, r);
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

/* Enters the file FD of a map as the slot's in BY_SLOT.  Return: 0 or a negative errno. */
static int enter(const struct bpf_map *by_slot, const struct young_slot *slot, int fd)
{
	return bpf_map__update_elem(by_slot, &slot->number, sizeof(slot->number), &fd, sizeof(fd),
				    BPF_ANY);
}

static void leave(const struct bpf_map *by_slot, const struct young_slot *slot)
{
	bpf_map__delete_elem(by_slot, &slot->number, sizeof(slot->number), 0);
}

static void *map_page(int fd, int prot, off_t offset)
{
	void *page = mmap(NULL, PAGE, prot, MAP_SHARED, fd, offset);

	return page == MAP_FAILED ? NULL : page;
}

/* Makes what wakes a thread.  Return: 0 or a negative errno. */
static int make_wake(struct young_slot *slot)
{
	struct young_wake *wake = &slot->wake;

	wake->fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "wake", 0, 0, (__u32)PAGE, NULL);
	if (wake->fd < 0)
		return -errno;
	wake->consumer = map_page(wake->fd, PROT_READ | PROT_WRITE, 0);
	wake->producer = map_page(wake->fd, PROT_READ, (off_t)PAGE);
	if (!wake->consumer || !wake->producer)
		return -ENOMEM;
	return enter(program.skeleton->maps.wakes, slot, wake->fd);
}

/* Also after make_wake() failed. */
static void free_wake(struct young_slot *slot)
{
	struct young_wake *wake = &slot->wake;

	if (wake->fd < 0)
		return;
	leave(program.skeleton->maps.wakes, slot);
	if (wake->consumer)
		munmap((void *)wake->consumer, PAGE);
	if (wake->producer)
		munmap((void *)wake->producer, PAGE);
	close(wake->fd);
	*wake = (struct young_wake){ .fd = -1 };
}

/* What woke the thread is read. */
static void clear_wake(const struct young_slot *slot)
{
	if (slot->wake.consumer)
		atomic_store(slot->wake.consumer, atomic_load(slot->wake.producer));
}

bool young_keeps_folios(void)
{
	return program.skeleton->bss->keeps_folios;
}

static int make_batch(struct young_slot *slot)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);

	slot->map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "batch", sizeof(__u32),
				   sizeof(struct young_batch), 1, &opts);
	if (slot->map < 0)
		return -errno;
	slot->batch = mmap(NULL, batch_size(), PROT_READ | PROT_WRITE, MAP_SHARED, slot->map, 0);
	if (slot->batch == MAP_FAILED) {
		slot->batch = NULL;
		return -errno;
	}
	return enter(program.skeleton->maps.batches, slot, slot->map);
}

/* A slot that was kept, or one with nothing but a number. */
static struct young_slot take_idle(void)
{
	struct young_slot slot = { .map = -1, .wake.fd = -1 };

	pthread_mutex_lock(&program.lock);
	if (program.nr_idle)
		slot = program.idle[--program.nr_idle];
	else
		slot.number = ++program.last_number;
	pthread_mutex_unlock(&program.lock);
	return slot;
}

/* Return: whether SLOT is kept. */
static bool keep_idle(const struct young_slot *slot)
{
	bool kept;

	/* A timer that was not stopped may still use it. */
	if (!slot->batch || __atomic_load_n(&slot->batch->ticks.on, __ATOMIC_ACQUIRE))
		return false;
	/* As in a new one. */
	memset(&slot->batch->ticks, 0, sizeof(slot->batch->ticks));
	pthread_mutex_lock(&program.lock);
	kept = program.nr_idle < IDLE_SLOTS;
	if (kept)
		program.idle[program.nr_idle++] = *slot;
	pthread_mutex_unlock(&program.lock);
	return kept;
}

/* Makes what SLOT does not have.  Return: 0 or a negative errno. */
static int make_slot(struct young_slot *slot)
{
	int r = slot->batch ? 0 : make_batch(slot);

	if (r || !program.ticks || slot->wake.fd >= 0)
		return r;
	r = make_wake(slot);
	if (r) {
		log_debug("access method young: every round needs the worker: %s", strerror(-r));
		free_wake(slot);
	}
	return 0;
}

static void free_slot(struct young_slot *slot)
{
	free_wake(slot);
	if (slot->map >= 0) {
		leave(program.skeleton->maps.batches, slot);
		close(slot->map);
	}
	if (slot->batch)
		munmap(slot->batch, batch_size());
	*slot = (struct young_slot){ .map = -1, .wake.fd = -1 };
}

/* Gives the thread a timer, if there is one that keeps its time.  Without, the worker does all. */
static void take_timer(struct young_slot *slot, bool same_clock)
{
	const char none[sizeof(struct bpf_timer)] = { 0 };

	slot->ticks = slot->wake.fd >= 0 && same_clock &&
		      !bpf_map__update_elem(program.skeleton->maps.timers, &slot->tid,
					    sizeof(slot->tid), none, sizeof(none), BPF_ANY);
}

static void leave_timer(struct young_slot *slot)
{
	if (slot->ticks)
		bpf_map__delete_elem(program.skeleton->maps.timers, &slot->tid, sizeof(slot->tid),
				     0);
	slot->ticks = false;
}

int young_slot_take(struct young_slot *slot)
{
	struct young_enrolment enrolment = { 0 };
	uint64_t before = clock_ns();
	bool same_clock;
	int r;

	*slot = (struct young_slot){ .map = -1, .wake.fd = -1 };
	r = run(program.skeleton->progs.enrol, &enrolment, sizeof(enrolment));
	if (r)
		return r;
	/* In a time namespace of its own, a thread's clock is not that of timers. */
	same_clock = before <= enrolment.now && enrolment.now <= clock_ns();
	*slot = take_idle();
	r = make_slot(slot);
	if (r) {
		free_slot(slot);
		return r;
	}
	clear_wake(slot);
	slot->tid = (__u32)enrolment.pid_tgid;
	r = bpf_map__update_elem(program.skeleton->maps.slots, &slot->tid, sizeof(slot->tid),
				 &slot->number, sizeof(slot->number), BPF_ANY);
	if (!r)
		take_timer(slot, same_clock);
	return r;
}

void young_slot_leave(struct young_slot *slot)
{
	/* The timer goes first. */
	leave_timer(slot);
	if (slot->tid)
		bpf_map__delete_elem(program.skeleton->maps.slots, &slot->tid, sizeof(slot->tid),
				     0);
	slot->tid = 0;
	if (!keep_idle(slot))
		free_slot(slot);
	*slot = (struct young_slot){ .map = -1, .wake.fd = -1 };
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

/* What became of a walk, by its batch. */
static int walk_result(const struct young_slot *slot)
{
	if (slot->batch->result == YOUNG_OTHER_PROGRAM)
		return -ESTALE;
	if (slot->batch->result == YOUNG_OTHER_TABLES)
		return -EOPNOTSUPP;
	return slot->batch->result == YOUNG_DONE ? 0 : -ESRCH;
}

static void choose_task(struct young_slot *slot, const struct young_task *task)
{
	slot->batch->pid = task->pid;
	slot->batch->start_time = task->start_time;
	slot->batch->exec_id = task->exec_id;
	slot->batch->by_bitmap = task->by_bitmap;
}

int young_walk(struct young_slot *slot, const struct young_task *task)
{
	int r;

	choose_task(slot, task);
	slot->batch->result = YOUNG_NO_TASK;
	if (program.by_pid)
		r = run(program.skeleton->progs.walk_by_pid, NULL, 0);
	else
		r = run_iterator(task->iterator);
	return r ? r : walk_result(slot);
}

int young_ticks_start(struct young_slot *slot, const struct young_task *task, uint64_t first)
{
	int r;

	choose_task(slot, task);
	/* Until there was a tick, nothing is known against it. */
	slot->batch->result = YOUNG_DONE;
	__atomic_store_n(&slot->batch->ticks.on, 1, __ATOMIC_RELEASE);
	r = run(program.skeleton->progs.start_ticks, &first, sizeof(first));
	if (r)
		__atomic_store_n(&slot->batch->ticks.on, 0, __ATOMIC_RELAXED);
	return r;
}

int young_ticks_stop(struct young_slot *slot)
{
	if (__atomic_load_n(&slot->batch->ticks.on, __ATOMIC_ACQUIRE)) {
		int r = run(program.skeleton->progs.stop_ticks, NULL, 0);

		/* A timer goes with its entry in the map. */
		if (r)
			leave_timer(slot);
		__atomic_store_n(&slot->batch->ticks.on, 0, __ATOMIC_RELEASE);
	}
	clear_wake(slot);
	return walk_result(slot);
}
