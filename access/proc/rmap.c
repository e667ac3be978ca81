// SPDX-License-Identifier: LGPL-2.1-or-later
/* The reverse map of frames: see rmap.h. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "access/proc/pagemap.h"
#include "access/proc/rmap.h"
#include "access/proc/scan.h"
#include "access/rights/caller.h"
#include "access/rights/privileges.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/guard.h"
#include "util/log.h"
#include "util/stop.h"
#include "util/task.h"

/* Making maps may take 1/SHARE of a processor. */
#define SHARE 25
/* The shortest time between two maps. */
#define SHORTEST_WAIT_NS 1000000000UL
/* A map in the making. */
struct builder {
	uint64_t first, last;
	struct scan scan;
	struct scan_page pages[512];
	struct rmap_run *runs;
	size_t nr, room;
	struct process **owners;
	size_t nr_owners;
};

static int rmap_add_page(struct builder *b, uint64_t frame, uint64_t page)
{
	uint32_t owner = (uint32_t)b->nr_owners;
	struct rmap_run *last = b->nr ? &b->runs[b->nr - 1] : NULL;

	if (last && last->owner == owner && last->frame + last->nr == frame &&
	    last->page + last->nr == page && last->nr < UINT32_MAX) {
		last->nr++;
		return 0;
	}
	if (array_room(b->runs, b->room, b->nr, 4096))
		return -ENOMEM;
	b->runs[b->nr++] =
		(struct rmap_run){ .frame = frame, .page = page, .nr = 1, .owner = owner };
	return 0;
}

/* Whether the process has resident memory; a kernel thread has none. */
static bool has_memory(const struct process *process)
{
	_cleanup_close_ int fd = process_open_file(process, "statm", O_RDONLY);
	unsigned long size, resident = 0;
	char text[128] = "";

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 &&
	       sscanf(text, "%lu %lu", &size, &resident) == 2 && resident;
}

/* Return: 0, also when the process cannot be looked at, or -ENOMEM. */
static int add_pages(struct builder *b, const struct process *process, int pagemap)
{
	struct scan *scan = &b->scan;
	uint64_t at = 0;
	int r = 0;

	scan_init(scan, pagemap);
	if (scan_renew(scan, process, 0))
		at = SCAN_END;
	while (!r && at < SCAN_END && !stop_asked()) {
		size_t nr = scan_next(scan, &at, SCAN_END, b->pages, ARRAY_SIZE(b->pages));

		for (size_t i = 0; !r && i < nr; i++)
			if (b->pages[i].frame >= b->first && b->pages[i].frame < b->last)
				r = rmap_add_page(b, b->pages[i].frame, b->pages[i].page);
	}
	scan_free(scan);
	return r;
}

/* Return: 0, also for a process that cannot be looked at, or -ENOMEM. */
static int add_process(struct builder *b, pid_t pid)
{
	__attribute__((cleanup(process_putp))) struct process *process = NULL;
	_cleanup_close_ int pagemap = -1;
	size_t nr_before = b->nr;
	int r;

	if (process_open(pid, NULL, &process) || !has_memory(process) ||
	    (pagemap = process_open_file(process, "pagemap", O_RDONLY)) < 0)
		return 0;
	r = add_pages(b, process, pagemap);
	if (r || b->nr == nr_before)
		return r;
	if (array_more(b->owners, b->nr_owners))
		return -ENOMEM;
	b->owners[b->nr_owners++] = steal_ptr(process);
	return 0;
}

/* Without libproc2, which leaves 256 KiB behind in each thread that uses it. */
static int add_all(struct builder *b)
{
	_cleanup_closedir_ DIR *directory = opendir("/proc");
	struct dirent *entry;
	int r = 0;

	if (!directory)
		return -errno;
	while (!r && !stop_asked() && (entry = readdir(directory))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		/* What shares our memory would count it once more. */
		if (pid > 0 && !task_is_process(pid))
			r = add_process(b, pid);
	}
	return r;
}

static int compare_runs(const void *a, const void *b)
{
	const struct rmap_run *x = a, *y = b;

	return x->frame < y->frame ? -1 : x->frame > y->frame;
}

struct rmap *rmap_put(struct rmap *map)
{
	if (!map || atomic_fetch_sub(&map->refs, 1) != 1)
		return NULL;
	for (size_t i = 0; i < map->nr_owners; i++)
		process_put(map->owners[i]);
	free(map->owners);
	free(map->runs);
	free(map);
	return NULL;
}

int rmap_build(uint64_t first, uint64_t last, struct rmap **out)
{
	struct builder b = { .first = first, .last = last };
	struct rmap *map = malloc(sizeof(*map));
	uint64_t reach = 0;
	int r = map ? add_all(&b) : -ENOMEM;

	if (!map)
		return r;
	if (!r && stop_asked())
		r = -ECANCELED;
	if (!r && b.nr)
		qsort(b.runs, b.nr, sizeof(*b.runs), compare_runs);
	for (size_t i = 0; i < b.nr; i++) {
		reach = max_ul(reach, b.runs[i].frame + b.runs[i].nr);
		b.runs[i].reach = reach;
	}
	*map = (struct rmap){
		.refs = 1, .runs = b.runs, .nr = b.nr, .owners = b.owners, .nr_owners = b.nr_owners
	};
	if (r) {
		rmap_put(map);
		return r;
	}
	*out = map;
	return 0;
}

size_t rmap_find(const struct rmap *map, uint64_t frame, struct rmap_mapping *out, size_t room)
{
	size_t low = 0, high = map->nr, found = 0;

	/* Find the first run that begins after the frame. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->runs[middle].frame <= frame)
			low = middle + 1;
		else
			high = middle;
	}
	while (low-- && found < room && map->runs[low].reach > frame) {
		const struct rmap_run *run = &map->runs[low];

		if (frame - run->frame < run->nr)
			out[found++] = (struct rmap_mapping){ run->owner,
							      run->page + (frame - run->frame) };
	}
	return found;
}

/* ---- the keeper ---- */

LOCK_ROLE(keeper_role);

/* There is one physical memory, so there is one keeper. */
static struct keeper {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct rmap_user *users GUARDED_BY(keeper_role);
	/* How often a user came, or wanted more: a map that was begun before is soon followed. */
	unsigned long asked GUARDED_BY(keeper_role);
	/* All users left while a map was made: it is given up.  Written with the lock. */
	atomic_bool abandoned;
	struct rmap *newest GUARDED_BY(keeper_role);
	atomic_bool running; /* there is a thread; set with the lock */
	atomic_ulong generation;
} keeper = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

DEFINE_LOCK(keeper_role, keeper, struct keeper, lock);

/* The frames that any user wants.  The keeper is locked. */
WITH_LOCK(keeper_role) static void wanted_frames(uint64_t *first, uint64_t *last)
{
	struct rmap_user *user;

	*first = UINT64_MAX;
	*last = 0;
	DL_FOREACH(keeper.users, user) {
		*first = min_ul(*first, user->first);
		*last = max_ul(*last, user->last);
	}
}

/* Waits for a time, or until something changes.  The keeper is locked. */
static void rmap_wait_for(uint64_t ns)
{
	uint64_t end = clock_ns() + ns;
	struct timespec until = { (time_t)(end / 1000000000), (long)(end % 1000000000) };

	pthread_cond_clockwait(&keeper.changed, &keeper.lock, CLOCK_MONOTONIC, &until);
}

/* Makes a map of [FIRST, LAST), if that is not empty.  Return: it, or NULL. */
static struct rmap *keeper_build(uint64_t first, uint64_t last)
{
	struct rmap *map = NULL;
	/* Whose thread made this one may work for somebody. */
	int r = caller_become(NULL);

	if (!r && first < last)
		r = rmap_build(first, last, &map);
	if (r && r != -ECANCELED)
		log_error("cannot build the reverse map of physical memory: %s; trying again",
			  strerror(-r));
	return map;
}

static void *keeper_main(void *argument)
{
	(void)argument;
	pthread_setname_np(pthread_self(), "rmap");
	stop_listen(&keeper.abandoned);
	keeper_lock(&keeper);
	for (;;) {
		uint64_t first, last, began, rest;
		struct rmap *map;
		unsigned long asked;

		while (!keeper.users)
			pthread_cond_wait(&keeper.changed, &keeper.lock);
		keeper.abandoned = false;
		asked = keeper.asked;
		wanted_frames(&first, &last);
		keeper_unlock(&keeper);
		began = clock_run_ns();
		map = keeper_build(first, last);
		keeper_lock(&keeper);
		if (map && !keeper.abandoned) {
			struct rmap *old = keeper.newest;

			keeper.newest = map;
			map = old;
			atomic_fetch_add(&keeper.generation, 1);
		}
		rest = max_ul((clock_run_ns() - began) * SHARE, SHORTEST_WAIT_NS);
		keeper_unlock(&keeper);
		/* Freeing a large one takes long. */
		rmap_put(map);
		keeper_lock(&keeper);
		if (keeper.users)
			rmap_wait_for(asked == keeper.asked ? rest : SHORTEST_WAIT_NS);
	}
	return NULL;
}

int rmap_prepare(void)
{
	pthread_t thread;
	int r = 0;

	if (keeper.running)
		return 0;
	keeper_lock(&keeper);
	if (!keeper.running) {
		r = pthread_create(&thread, NULL, keeper_main, NULL);
		if (!r)
			pthread_detach(thread);
		keeper.running = !r;
	}
	keeper_unlock(&keeper);
	return -r;
}

/* Return: 0, or -EPERM if all frames are number 0: root of a user namespace is nobody to pagemap. */
static int check_frames(void)
{
	_cleanup_close_ int fd = open("/proc/thread-self/pagemap", O_RDONLY | O_CLOEXEC);
	volatile char here = 1;

	if (fd < 0)
		return -errno;
	return pagemap_entry(fd, (uintptr_t)&here) & PAGEMAP_FRAME ? 0 : -EPERM;
}

int rmap_join(struct rmap_user *user)
{
	int r = capable_of(CAP_SYS_ADMIN) ? check_frames() : -EPERM;

	if (!r)
		r = rmap_prepare();
	if (r)
		return r;
	keeper_lock(&keeper);
	DL_APPEND(keeper.users, user);
	keeper.asked++;
	pthread_cond_broadcast(&keeper.changed);
	keeper_unlock(&keeper);
	return 0;
}

void rmap_leave(struct rmap_user *user)
{
	struct rmap *map = NULL;

	keeper_lock(&keeper);
	DL_DELETE(keeper.users, user);
	if (!keeper.users) {
		map = keeper.newest;
		keeper.newest = NULL;
		keeper.abandoned = true;
		pthread_cond_broadcast(&keeper.changed);
	}
	keeper_unlock(&keeper);
	rmap_put(map);
}

void rmap_want(struct rmap_user *user, uint64_t first, uint64_t last)
{
	/* Only the user's own thread changes them. */
	if (first >= user->first && last <= user->last)
		return;
	keeper_lock(&keeper);
	user->first = user->first < user->last ? min_ul(first, user->first) : first;
	user->last = max_ul(last, user->last);
	keeper.asked++;
	pthread_cond_broadcast(&keeper.changed);
	keeper_unlock(&keeper);
}

uint64_t rmap_generation(void)
{
	return atomic_load(&keeper.generation);
}

struct rmap *rmap_newest(void)
{
	struct rmap *map;

	keeper_lock(&keeper);
	map = keeper.newest;
	if (map)
		atomic_fetch_add(&map->refs, 1);
	keeper_unlock(&keeper);
	return map;
}
