// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Acting on frames: see frames.h.
 *
 * The frames of a range are looked up in the reverse map, a window at a time: who has them mapped,
 * their kpageflags and, if that matters, their cgroup and whether they are young.  Those that are
 * taken are sorted by process and handed over as ranges.  A page that several processes share is
 * left alone by MADV_PAGEOUT and MADV_COLD, so it is here, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "access/cleanup.h"
#include "access/frames.h"
#include "access/pagemap.h"
#include "access/rmap.h"

#define PAGE   4096UL
#define WINDOW 512 /* frames that are handled together */

/* A page that is taken. */
struct taken {
	uint32_t owner;
	uint64_t page;
};

struct frames {
	int kpageflags, kpagecgroup;
	struct access_session *session;
	struct access_space *eyes; /* physical memory; NULL where its method cannot look */
	struct rmap_user user;
	uint64_t generation;
	struct rmap *map;
	int node; /* to migrate to */
	uint64_t flags[WINDOW], cgroups[WINDOW];
	struct access_probe probes[WINDOW];
	struct taken taken[WINDOW];
	struct iovec ranges[WINDOW];
	size_t nr;
};

void frames_close(struct frames *f)
{
	if (!f)
		return;
	access_space_close(f->eyes);
	rmap_put(f->map);
	rmap_leave(&f->user);
	if (f->kpageflags >= 0)
		close(f->kpageflags);
	if (f->kpagecgroup >= 0)
		close(f->kpagecgroup);
	free(f);
}

int frames_open(struct access_session *session, struct frames **out)
{
	struct frames *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	r = rmap_join(&f->user);
	if (r) {
		free(f);
		return r;
	}
	f->session = session;
	f->kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	/* Only kernels with memory cgroups have it. */
	f->kpagecgroup = open("/proc/kpagecgroup", O_RDONLY | O_CLOEXEC);
	r = f->kpageflags < 0 ? -errno : 0;
	if (r)
		frames_close(f);
	else
		*out = f;
	return r;
}

/* ---- choosing ---- */

/* Reads NR words of a file that has one for each frame; what there is none of is 0. */
static void read_words(int fd, uint64_t first, uint64_t *words, size_t nr)
{
	ssize_t bytes = fd < 0 ? 0 : pread(fd, words, nr * 8, (off_t)(first * 8));
	size_t have = bytes > 0 ? (size_t)bytes / 8 : 0;

	memset(&words[have], 0, (nr - have) * 8);
}

static bool has_flag(uint64_t flags, int bit)
{
	return flags >> bit & 1;
}

/* The flags of frame I of the window: of a huge page, those of its head. */
static uint64_t folio_flags(const struct frames *f, uint64_t first, size_t i)
{
	uint64_t flags = f->flags[i], frame = first + i, head;

	for (int order = 1; order <= 9 && has_flag(flags, KPF_COMPOUND_TAIL); order++) {
		head = frame & ~((1ULL << order) - 1);
		if (head >= first)
			flags = f->flags[head - first];
		else
			read_words(f->kpageflags, head, &flags, 1);
	}
	return flags;
}

/* Which of the window's frames are young, and makes those old. */
static void look(struct frames *f, uint64_t first, size_t nr, uint64_t now)
{
	size_t young = 0;

	for (size_t i = 0; i < nr; i++)
		f->probes[i] = (struct access_probe){ .armed = (first + i) * PAGE,
						      .next = (first + i) * PAGE };
	if (!f->eyes && access_space_open(f->session, NULL, &f->eyes))
		f->eyes = NULL;
	if (!f->eyes || access_space_look(f->eyes, f->probes, nr)) {
		for (size_t i = 0; i < nr; i++)
			f->probes[i].accessed = false;
		return;
	}
	/* Arming makes old; it needs an array of its own. */
	struct access_probe old[WINDOW];

	for (size_t i = 0; i < nr; i++)
		if (f->probes[i].accessed)
			old[young++] = f->probes[i];
	if (young)
		access_space_round(f->eyes, old, young, ACCESS_ARM, now, 1000000);
}

static void choose(struct frames *f, uint64_t first, size_t nr, const struct frames_choice *choice)
{
	struct rmap_mapping mappings[2];

	read_words(f->kpageflags, first, f->flags, nr);
	if (choice->wants_memcg)
		read_words(f->kpagecgroup, first, f->cgroups, nr);
	if (choice->wants_young) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		look(f, first, nr, (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	}
	f->nr = 0;
	for (size_t i = 0; i < nr; i++) {
		uint64_t flags = folio_flags(f, first, i);
		struct frame_info info = {
			.anon = has_flag(flags, KPF_ANON),
			.young = choice->wants_young && f->probes[i].accessed,
			.memcg_id = choice->wants_memcg ? f->cgroups[i] : 0,
		};

		if (!has_flag(flags, KPF_LRU) || rmap_find(f->map, first + i, mappings, 2) != 1 ||
		    !choice->takes(&info, choice->argument))
			continue;
		f->taken[f->nr++] = (struct taken){ mappings[0].owner, mappings[0].page };
	}
}

/* ---- acting ---- */

/* How many of the NR pages, which are one process's, are mapped. */
static size_t count_mapped(struct process *process, const struct taken *taken, size_t nr)
{
	_cleanup_close_ int fd = process_open_file(process, "pagemap", O_RDONLY);
	size_t mapped = 0;
	uint64_t entry;

	for (size_t i = 0; fd >= 0 && i < nr; i++)
		mapped += pread(fd, &entry, 8, (off_t)(taken[i].page * 8)) == 8 &&
			  entry & PAGEMAP_PRESENT;
	return mapped;
}

/* The pages as ranges.  Return: how many. */
static size_t make_ranges(struct frames *f, const struct taken *taken, size_t nr)
{
	size_t made = 0;

	for (size_t i = 0; i < nr; i++) {
		char *start = (char *)(taken[i].page * PAGE);

		if (made &&
		    (char *)f->ranges[made - 1].iov_base + f->ranges[made - 1].iov_len == start)
			f->ranges[made - 1].iov_len += PAGE;
		else
			f->ranges[made++] = (struct iovec){ start, PAGE };
	}
	return made;
}

/* Return: the pages that it was done to. */
static size_t advise(struct frames *f, struct process *process, const struct taken *taken,
		     size_t nr, int behavior)
{
	size_t made = make_ranges(f, taken, nr), pages = 0;

	for (size_t done = 0; done < made;) {
		ssize_t bytes = syscall(SYS_process_madvise, process->pidfd, &f->ranges[done],
					made - done, behavior, 0U);

		/* It stops at what has gone since the map was made: on behind that. */
		if (bytes <= 0) {
			done++;
			continue;
		}
		pages += (size_t)bytes / PAGE;
		for (; bytes > 0 && done < made; done++)
			bytes -= (ssize_t)f->ranges[done].iov_len;
	}
	return pages;
}

static size_t page_out(struct frames *f, struct process *process, const struct taken *taken,
		       size_t nr)
{
	size_t before = count_mapped(process, taken, nr), after;

	advise(f, process, taken, nr, MADV_PAGEOUT);
	after = count_mapped(process, taken, nr);
	return before - min_ul(before, after);
}

/* A page that is read by others is marked as referenced, and the second time made active. */
static size_t prioritize(struct frames *f, struct process *process, const struct taken *taken,
			 size_t nr)
{
	size_t pages = 0;
	char byte[WINDOW];

	(void)f;
	for (size_t i = 0; i < nr; i++) {
		struct iovec local = { byte, 1 }, remote = { (void *)(taken[i].page * PAGE), 1 };
		ssize_t first = process_vm_readv(process->pid, &local, 1, &remote, 1, 0);

		pages += first == 1 &&
			 process_vm_readv(process->pid, &local, 1, &remote, 1, 0) == 1;
	}
	return pages;
}

static size_t deprioritize(struct frames *f, struct process *process, const struct taken *taken,
			   size_t nr)
{
	return advise(f, process, taken, nr, MADV_COLD);
}

/* How many of the NR pages are on f->node; the others of them come to be at PAGES' beginning. */
static size_t count_there(struct frames *f, struct process *process, void **pages, size_t *nr)
{
	int status[WINDOW];
	size_t others = 0, there = 0;

	if (syscall(SYS_move_pages, process->pid, *nr, pages, NULL, status, 0) < 0)
		*nr = 0;
	for (size_t i = 0; i < *nr; i++) {
		if (status[i] == f->node)
			there++;
		else if (status[i] >= 0)
			pages[others++] = pages[i];
	}
	*nr = others;
	return there;
}

/*
 * Moves pages as the process itself might: not to where it may not be (cpusets), nor to a node
 * without memory.  The statuses of a move are no count: of a huge page all but the first are busy.
 */
static size_t migrate(struct frames *f, struct process *process, const struct taken *taken,
		      size_t nr)
{
	void *pages[WINDOW];
	int nodes[WINDOW], status[WINDOW];

	for (size_t i = 0; i < nr; i++) {
		pages[i] = (void *)(taken[i].page * PAGE);
		nodes[i] = f->node;
	}
	count_there(f, process, pages, &nr);
	if (!nr ||
	    syscall(SYS_move_pages, process->pid, nr, pages, nodes, status, MPOL_MF_MOVE) < 0)
		return 0;
	return count_there(f, process, pages, &nr);
}

static size_t (*const actions[NR_FRAMES_ACTIONS])(struct frames *f, struct process *process,
						  const struct taken *taken, size_t nr) = {
	[FRAMES_PAGEOUT] = page_out,
	[FRAMES_PRIO] = prioritize,
	[FRAMES_DEPRIO] = deprioritize,
	[FRAMES_MIGRATE] = migrate,
};

static int compare_taken(const void *a, const void *b)
{
	const struct taken *x = a, *y = b;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return x->page < y->page ? -1 : x->page > y->page;
}

static uint64_t act(struct frames *f, enum frames_action action)
{
	size_t pages = 0;

	if (f->nr)
		qsort(f->taken, f->nr, sizeof(*f->taken), compare_taken);
	for (size_t at = 0, nr; at < f->nr; at += nr) {
		const struct taken *taken = &f->taken[at];
		struct process *process = f->map->owners[taken->owner];

		for (nr = 1; at + nr < f->nr && taken[nr].owner == taken->owner;)
			nr++;
		if (process_exists(process))
			pages += actions[action](f, process, taken, nr);
	}
	return pages * PAGE;
}

/* The newest map; asks for one that has the frames too if this one has not. */
static void renew_map(struct frames *f, uint64_t first, uint64_t last)
{
	uint64_t generation = rmap_generation();

	rmap_want(&f->user, first, last);
	if (generation == f->generation)
		return;
	rmap_put(f->map);
	f->map = rmap_newest();
	f->generation = generation;
}

uint64_t frames_apply(struct frames *f, enum frames_action action, uint64_t start, uint64_t end,
		      const struct frames_choice *choice)
{
	uint64_t first = start / PAGE, last = (end + PAGE - 1) / PAGE, applied = 0;

	renew_map(f, first, last);
	f->node = choice->node;
	while (f->map && first < last) {
		size_t nr = min_ul(last - first, WINDOW);

		choose(f, first, nr, choice);
		applied += act(f, action);
		first += nr;
	}
	return applied;
}
