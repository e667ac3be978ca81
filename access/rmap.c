// SPDX-License-Identifier: GPL-2.0-or-later
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

#include "access/cleanup.h"
#include "access/log.h"
#include "access/maps.h"
#include "access/pagemap.h"
#include "access/privileges.h"
#include "access/refs.h"
#include "access/rmap.h"

#define PAGE 4096UL

/* The share of a processor that making maps may take: one of so many parts. */
#define SHARE 25
/* No map is made sooner than so long after the last one. */
#define SHORTEST_WAIT_NS 1000000000UL
/* Of memory that is reserved and hardly used, no more is looked at than so many times what is used.
 */
#define SPARSE 64

/* A map in the making. */
struct builder {
	uint64_t first, last;
	struct rmap_run *runs;
	size_t nr, room;
	struct process **owners;
	size_t nr_owners;
};

static int add_page(struct builder *b, uint64_t frame, uint64_t page)
{
	uint32_t owner = (uint32_t)b->nr_owners;
	struct rmap_run *last = b->nr ? &b->runs[b->nr - 1] : NULL;

	if (last && last->owner == owner && last->frame + last->nr == frame &&
	    last->page + last->nr == page && last->nr < UINT32_MAX) {
		last->nr++;
		return 0;
	}
	if (b->nr == b->room) {
		size_t room = b->room ? b->room * 2 : 4096;
		void *more = reallocarray(b->runs, room, sizeof(*b->runs));

		if (!more)
			return -ENOMEM;
		b->runs = more;
		b->room = room;
	}
	b->runs[b->nr++] =
		(struct rmap_run){ .frame = frame, .page = page, .nr = 1, .owner = owner };
	return 0;
}

static int add_mapping(struct builder *b, int pagemap, const struct mapping *mapping)
{
	uint64_t entries[4096], page = mapping->start / PAGE, end = mapping->end / PAGE;
	int r = 0;

	while (!r && page < end) {
		ssize_t bytes = pread(pagemap, entries, min_ul(end - page, ARRAY_SIZE(entries)) * 8,
				      (off_t)(page * 8));

		/* The process is ending, or what is mapped there is not for us. */
		if (bytes <= 0)
			return 0;
		for (size_t i = 0; !r && i < (size_t)bytes / 8; i++) {
			uint64_t frame = entries[i] & PAGEMAP_FRAME;

			if (entries[i] & PAGEMAP_PRESENT && frame >= b->first && frame < b->last)
				r = add_page(b, frame, page + i);
		}
		page += (uint64_t)bytes / 8;
	}
	return r;
}

/* How many pages of a process may be looked at: it may have reserved the whole address space. */
static uint64_t pages_to_look_at(const struct process *process)
{
	_cleanup_close_ int fd = process_open_file(process, "statm", O_RDONLY);
	unsigned long size, resident = 0;
	char text[128] = "";

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 &&
	    sscanf(text, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	return resident ? (resident + 4096) * SPARSE : 0;
}

static int compare_sizes(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;
	uint64_t x_size = x->end - x->start, y_size = y->end - y->start;

	return x_size < y_size ? -1 : x_size > y_size;
}

/* Return: 0, also for a process that cannot be looked at, or -ENOMEM. */
static int add_process(struct builder *b, pid_t pid)
{
	__attribute__((cleanup(process_putp))) struct process *process = NULL;
	__attribute__((cleanup(maps_free))) struct maps maps = { 0 };
	_cleanup_close_ int pagemap = -1;
	size_t nr_before = b->nr;
	uint64_t left;
	void *more;
	int r = 0;

	if (process_open(pid, NULL, &process) || !(left = pages_to_look_at(process)) ||
	    maps_read(process, &maps) ||
	    (pagemap = process_open_file(process, "pagemap", O_RDONLY)) < 0)
		return 0;
	/* The largest may be reserved only: they come last. */
	if (maps.nr)
		qsort(maps.mapping, maps.nr, sizeof(*maps.mapping), compare_sizes);
	for (size_t i = 0; !r && i < maps.nr; i++) {
		uint64_t pages = (maps.mapping[i].end - maps.mapping[i].start) / PAGE;

		if (pages > left)
			break;
		left -= pages;
		r = add_mapping(b, pagemap, &maps.mapping[i]);
	}
	if (r || b->nr == nr_before)
		return r;
	/* Room is doubled when the number is a power of two. */
	if (!(b->nr_owners & (b->nr_owners - 1))) {
		more = reallocarray(b->owners, b->nr_owners ? b->nr_owners * 2 : 1,
				    sizeof(struct process *));
		if (!more)
			return -ENOMEM;
		b->owners = more;
	}
	b->owners[b->nr_owners++] = steal_ptr(process);
	return 0;
}

/* Not by libproc2, which leaves 256 KiB behind for each thread that it was used in. */
static int add_all(struct builder *b)
{
	_cleanup_closedir_ DIR *directory = opendir("/proc");
	struct dirent *entry;
	int r = 0;

	if (!directory)
		return -errno;
	while (!r && (entry = readdir(directory))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0)
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

	if (!map) {
		free(b.runs);
		return r;
	}
	if (b.nr)
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

	/* The first run that begins behind the frame. */
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

/* There is one physical memory, so there is one keeper. */
static struct {
	pthread_mutex_t lock; /* of all but the generation */
	pthread_cond_t changed;
	pthread_t thread;
	struct rmap_user *users;
	bool stopping;
	struct rmap *newest;
	atomic_ulong generation;
} keeper = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* The frames that any user wants.  The keeper is locked. */
static void wanted_frames(uint64_t *first, uint64_t *last)
{
	struct rmap_user *user;

	*first = UINT64_MAX;
	*last = 0;
	DL_FOREACH(keeper.users, user) {
		*first = min_ul(*first, user->first);
		*last = max_ul(*last, user->last);
	}
}

/* Waits for a time, or until what is wanted changes.  The keeper is locked. */
static void rest(uint64_t ns)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	ns += (uint64_t)until.tv_nsec;
	until.tv_sec += (time_t)(ns / 1000000000);
	until.tv_nsec = (long)(ns % 1000000000);
	if (!keeper.stopping)
		pthread_cond_timedwait(&keeper.changed, &keeper.lock, &until);
}

static void *keeper_main(void *argument)
{
	(void)argument;
	pthread_setname_np(pthread_self(), "rmap");
	pthread_mutex_lock(&keeper.lock);
	while (!keeper.stopping) {
		uint64_t first, last, began = cost_clock_ns();
		struct rmap *map = NULL;
		int r = 0;

		wanted_frames(&first, &last);
		pthread_mutex_unlock(&keeper.lock);
		if (first < last)
			r = rmap_build(first, last, &map);
		if (r)
			log_error("the reverse map of physical memory: %s", strerror(-r));
		pthread_mutex_lock(&keeper.lock);
		if (map) {
			struct rmap *old = keeper.newest;

			keeper.newest = map;
			rmap_put(old);
			atomic_fetch_add(&keeper.generation, 1);
		}
		rest(max_ul((cost_clock_ns() - began) * SHARE, SHORTEST_WAIT_NS));
	}
	keeper.newest = rmap_put(keeper.newest);
	pthread_mutex_unlock(&keeper.lock);
	return NULL;
}

int rmap_join(struct rmap_user *user)
{
	int r = 0;

	/* Without it, all frames are number 0. */
	if (!capable_of(CAP_SYS_ADMIN))
		return -EPERM;
	pthread_mutex_lock(&keeper.lock);
	while (keeper.stopping)
		pthread_cond_wait(&keeper.changed, &keeper.lock);
	if (!keeper.users)
		r = -pthread_create(&keeper.thread, NULL, keeper_main, NULL);
	if (!r)
		DL_APPEND(keeper.users, user);
	pthread_mutex_unlock(&keeper.lock);
	return r;
}

void rmap_leave(struct rmap_user *user)
{
	pthread_mutex_lock(&keeper.lock);
	DL_DELETE(keeper.users, user);
	if (!keeper.users) {
		keeper.stopping = true;
		pthread_cond_broadcast(&keeper.changed);
		pthread_mutex_unlock(&keeper.lock);
		pthread_join(keeper.thread, NULL);
		pthread_mutex_lock(&keeper.lock);
		keeper.stopping = false;
		pthread_cond_broadcast(&keeper.changed);
	}
	pthread_mutex_unlock(&keeper.lock);
}

void rmap_want(struct rmap_user *user, uint64_t first, uint64_t last)
{
	/* Only the user's own thread changes them. */
	if (first >= user->first && last <= user->last)
		return;
	pthread_mutex_lock(&keeper.lock);
	user->first = user->first < user->last ? min_ul(first, user->first) : first;
	user->last = max_ul(last, user->last);
	pthread_cond_broadcast(&keeper.changed);
	pthread_mutex_unlock(&keeper.lock);
}

uint64_t rmap_generation(void)
{
	return atomic_load(&keeper.generation);
}

struct rmap *rmap_newest(void)
{
	struct rmap *map;

	pthread_mutex_lock(&keeper.lock);
	map = keeper.newest;
	if (map)
		atomic_fetch_add(&map->refs, 1);
	pthread_mutex_unlock(&keeper.lock);
	return map;
}
