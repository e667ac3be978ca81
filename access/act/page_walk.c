// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Walks memory, a window of pages at a time: see page_walk.h.
 *
 * First it finds the frames of the window: physical memory is frames, and those of a process are
 * scanned for (scan.h).  Then it looks up what is known of each page, and chooses.  Last it acts
 * upon the chosen pages.  On physical memory it acts through the processes that map it: it sorts
 * the pages by process and hands them over as ranges.  MADV_PAGEOUT and MADV_COLD leave alone a
 * page that several processes share, so this code does, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "access/act/migrate.h"
#include "access/act/page_walk.h"
#include "access/act/page_young.h"
#include "access/proc/folio.h"
#include "access/proc/pagemap.h"
#include "access/proc/rmap.h"
#include "access/proc/scan.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/stop.h"

#define WINDOW 512 /* pages that are handled together */
/* Pages of a process to look at however little it uses: 64 GiB, a tenth of a second. */
#define LEAST_PAGES (1UL << 24)

_Static_assert(WINDOW <= PAGE_YOUNG_MAX && WINDOW <= MIGRATE_MAX, "windows fit");

/* A page that is taken. */
struct taken {
	uint32_t owner; /* in the reverse map */
	uint64_t page; /* of that process */
	uint64_t frame;
	struct folio folio;
};

/* The pages found in a window. */
struct window {
	uint64_t frame[WINDOW],
		page[WINDOW]; /* numbers; of physical memory, both are the frame's */
	struct folio folio[WINDOW];
	struct page_info info[WINDOW];
	enum { OUT, TAKEN, DEPENDS /* on whether it is young */ } verdict[WINDOW];
	size_t nr;
	/* To look at: */
	uint64_t address[WINDOW];
	bool young[WINDOW];
	size_t nr_looks;
};

struct page_walk {
	struct access_session *session;
	struct process *process; /* a reference; NULL for physical memory */
	struct folios *folios;
	struct page_young *page_young; /* NULL until it is needed */
	bool blind; /* the access method cannot see young pages */

	/* Physical memory: */
	struct rmap_user user;
	bool joined;
	uint64_t generation;
	struct rmap *map;

	/* A process: */
	int pagemap;
	struct scan scan;
	bool scanned; /* `scan' knows what is mapped */
	struct maps maps; /* for index_of() */
	bool mapped; /* they have been read */

	struct window window;
	struct scan_page found[WINDOW];
	struct taken taken[WINDOW];
	size_t nr_taken;
	struct migrant migrants[WINDOW];
	uint64_t migrated; /* the head of the folio that was migrated last */
	struct iovec ranges[WINDOW];
};

void page_walk_close(struct page_walk *f)
{
	if (!f)
		return;
	page_young_close(f->page_young);
	rmap_put(f->map);
	if (f->joined)
		rmap_leave(&f->user);
	if (f->pagemap >= 0)
		close(f->pagemap);
	scan_free(&f->scan);
	maps_free(&f->maps);
	folios_close(f->folios);
	process_put(f->process);
	free(f);
}

int page_walk_open(struct access_session *session, struct process *process, struct page_walk **out)
{
	struct page_walk *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->session = session;
	f->pagemap = -1;
	r = folios_open(&f->folios);
	if (!r && process) {
		f->process = process_get(process);
		f->pagemap = process_open_file_as_daemon(process, "pagemap", O_RDONLY);
		scan_init(&f->scan, f->pagemap);
		r = f->pagemap < 0 ? f->pagemap : 0;
	} else if (!r) {
		r = rmap_join(&f->user);
		f->joined = !r;
	}
	if (r)
		page_walk_close(f);
	else
		*out = f;
	return r;
}

/* ---- finding ---- */

static void walk_add_page(struct window *window, uint64_t frame, uint64_t page)
{
	window->frame[window->nr] = frame;
	window->page[window->nr++] = page;
}

/* Adds all frames that exist by number; their flags tell which of them are memory. */
static void walk_find_frames(struct page_walk *f, uint64_t *at, uint64_t last)
{
	uint64_t end = folios_exist(f->folios, *at) ? min_ul(last, *at + WINDOW) : *at;

	for (uint64_t frame = *at; frame < end; frame++)
		walk_add_page(&f->window, frame, frame);
	*at = end > *at ? end : last;
}

/* Finds the next window of present pages from *AT up to LAST; it may be empty. */
static void walk_find_pages(struct page_walk *f, uint64_t *at, uint64_t last)
{
	size_t nr;

	f->window.nr = 0;
	if (!f->process) {
		walk_find_frames(f, at, last);
		return;
	}
	nr = scan_next(&f->scan, at, last, f->found, WINDOW);
	for (size_t i = 0; i < nr; i++)
		walk_add_page(&f->window, f->found[i].frame, f->found[i].page);
}

/* ---- choosing ---- */

/* Sees which of the undecided pages are young.  Return: as page_young_see(). */
static int see(struct page_walk *f)
{
	int r = 0;

	if (!f->session)
		return -EOPNOTSUPP;
	if (!f->page_young)
		r = page_young_open(f->session, f->process, &f->page_young);
	return r ? r :
		   page_young_see(f->page_young, f->window.address, f->window.nr_looks,
				  f->window.young);
}

/*
 * Sees which of the undecided pages are young, and makes those old.
 * Return: whether that is known, for now; if the method can never tell, none is young.
 */
static bool look(struct page_walk *f)
{
	int r = f->blind ? 0 : see(f);

	if (r == -EOPNOTSUPP) {
		f->blind = true;
		log_info("the access method cannot tell whether pages are young: filters treat "
			 "all pages as old");
	}
	if (f->blind)
		memset(f->window.young, 0, sizeof(f->window.young));
	return f->blind || !r;
}

/* Finds where to act on a page that is taken.  Return: whether that is possible. */
static bool locate(const struct page_walk *f, size_t i, struct taken *out)
{
	struct rmap_mapping mappings[2];

	*out = (struct taken){ .page = f->window.page[i] };
	if (f->process)
		return true;
	if (!f->map || rmap_find(f->map, f->window.frame[i], mappings, 2) != 1)
		return false;
	out->owner = mappings[0].owner;
	out->page = mappings[0].page;
	return true;
}

/* What is known of FRAME, in *FOLIO as well.  Return: whether it is on a list. */
static bool describe_page(struct page_walk *f, uint64_t frame, bool wants_memcg,
			  struct folio *folio, struct page_info *info)
{
	folios_find(f->folios, frame, folio);
	if (!folio_has(folio, KPF_LRU))
		return false;
	*info = (struct page_info){
		.anon = folio_has(folio, KPF_ANON),
		.active = folio_has(folio, KPF_ACTIVE),
		.mapped = f->process || folio_has(folio, KPF_MMAP),
		.folio_sz = folio->nr * PAGE,
		.memcg_id = wants_memcg ? folios_memcg(f->folios, folio) : 0,
	};
	return true;
}

bool page_walk_look(struct page_walk *f, uint64_t address, bool wants_memcg, struct page_info *info)
{
	struct folio folio;

	/* Pages that are looked at one by one are not neighbours, and change. */
	folios_forget(f->folios);
	return folios_exist(f->folios, address / PAGE) &&
	       describe_page(f, address / PAGE, wants_memcg, &folio, info);
}

/* Judges page I without looking whether it is young; a page on no list is not taken. */
static void judge(struct page_walk *f, size_t i, const struct page_filter *choice)
{
	struct window *w = &f->window;
	struct page_info *info = &w->info[i];
	bool old, young;

	w->verdict[i] = OUT;
	if (!describe_page(f, w->frame[i], choice->wants_memcg, &w->folio[i], info))
		return;
	old = choice->match(info, choice->argument);
	info->young = true;
	young = choice->wants_young ? choice->match(info, choice->argument) : old;
	info->young = false;
	if (old == young)
		w->verdict[i] = old ? TAKEN : OUT;
	else
		w->verdict[i] = DEPENDS;
}

/*
 * Looks at undecided pages only: a look makes pages old, and others are to be left alone.  If the
 * look fails, they are out, whatever the filter asks for.
 */
static void walk_settle(struct page_walk *f, const struct page_filter *choice)
{
	struct window *w = &f->window;
	bool told;

	w->nr_looks = 0;
	for (size_t i = 0; i < w->nr; i++)
		if (w->verdict[i] == DEPENDS)
			w->address[w->nr_looks++] = w->page[i] * PAGE;
	if (!w->nr_looks)
		return;
	told = look(f);
	for (size_t i = 0, k = 0; i < w->nr; i++) {
		if (w->verdict[i] != DEPENDS)
			continue;
		w->info[i].young = w->young[k++];
		w->verdict[i] = told && choice->match(&w->info[i], choice->argument) ? TAKEN : OUT;
	}
}

/* Return: the bytes that pass. */
static uint64_t choose(struct page_walk *f, const struct page_filter *choice)
{
	uint64_t passed = 0;

	for (size_t i = 0; i < f->window.nr; i++)
		judge(f, i, choice);
	walk_settle(f, choice);
	f->nr_taken = 0;
	for (size_t i = 0; i < f->window.nr; i++) {
		struct taken taken;

		if (f->window.verdict[i] != TAKEN)
			continue;
		passed += PAGE;
		if (!locate(f, i, &taken))
			continue;
		taken.frame = f->window.frame[i];
		taken.folio = f->window.folio[i];
		f->taken[f->nr_taken++] = taken;
	}
	return passed;
}

/* ---- acting ---- */

/* How many of the NR pages of one process are mapped. */
static size_t count_mapped(struct process *process, const struct taken *taken, size_t nr)
{
	_cleanup_close_ int fd = process_open_file(process, "pagemap", O_RDONLY);
	size_t mapped = 0;

	for (size_t i = 0; fd >= 0 && i < nr; i++)
		mapped += !!(pagemap_entry(fd, taken[i].page * PAGE) & PAGEMAP_PRESENT);
	return mapped;
}

/* The pages as ranges.  Return: how many. */
static size_t make_ranges(struct page_walk *f, const struct taken *taken, size_t nr)
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
static size_t walk_advise(struct page_walk *f, struct process *process, const struct taken *taken,
			  size_t nr, int behavior)
{
	size_t made = make_ranges(f, taken, nr), pages = 0;

	for (size_t done = 0; done < made;) {
		ssize_t bytes = syscall(SYS_process_madvise, process->pidfd, &f->ranges[done],
					made - done, behavior, 0U);

		/* It stops at a range that has gone since the map was made: go on after that. */
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

static size_t page_out(struct page_walk *f, struct process *process, const struct taken *taken,
		       size_t nr, const struct page_filter *choice)
{
	size_t before = count_mapped(process, taken, nr), after;

	(void)choice;
	walk_advise(f, process, taken, nr, MADV_PAGEOUT);
	after = count_mapped(process, taken, nr);
	return before - min_ul(before, after);
}

/*
 * When others read a page, the kernel marks it referenced, and active the second time.  The open
 * /proc directory cannot become that of another process.
 */
static size_t prioritize(struct page_walk *f, struct process *process, const struct taken *taken,
			 size_t nr, const struct page_filter *choice)
{
	_cleanup_close_ int memory = process_open_file(process, "mem", O_RDONLY);
	size_t pages = 0;
	char byte;

	(void)f;
	(void)choice;
	for (size_t i = 0; memory >= 0 && i < nr; i++) {
		off_t at = (off_t)(taken[i].page * PAGE);

		pages += pread(memory, &byte, 1, at) == 1 && pread(memory, &byte, 1, at) == 1;
	}
	return pages;
}

static size_t deprioritize(struct page_walk *f, struct process *process, const struct taken *taken,
			   size_t nr, const struct page_filter *choice)
{
	(void)choice;
	return walk_advise(f, process, taken, nr, MADV_COLD);
}

/* Counts folios from the start of the file, or of the address space. */
static uint64_t index_of(const struct page_walk *f, const struct taken *taken)
{
	unsigned int order = 63U - (unsigned int)__builtin_clzll(taken->folio.nr);
	uint64_t page = taken->page - (taken->frame - taken->folio.head);
	const struct mapping *mapping = maps_find(&f->maps, taken->page * PAGE);

	if (!mapping)
		return page >> order;
	page = max_ul(page, mapping->start / PAGE);
	return (mapping->pgoff >> order) + ((page - mapping->start / PAGE) >> order);
}

/* Moves each folio once, by the first of its pages. */
static size_t migrate_pages(struct page_walk *f, struct process *process, const struct taken *taken,
			    size_t nr, const struct page_filter *choice)
{
	size_t made = 0;

	for (size_t i = 0; i < nr; i++) {
		int node;

		if (taken[i].folio.head == f->migrated)
			continue;
		f->migrated = taken[i].folio.head;
		node = choice->node(f->process ? index_of(f, &taken[i]) : 0, choice->argument);
		if (node >= 0)
			f->migrants[made++] = (struct migrant){ .address = taken[i].page * PAGE,
								.nr = taken[i].folio.nr,
								.node = node };
	}
	return migrate(process, f->migrants, made);
}

static size_t (*const actions[NR_PAGE_ACTIONS])(struct page_walk *f, struct process *process,
						const struct taken *taken, size_t nr,
						const struct page_filter *choice) = {
	[PAGE_PAGEOUT] = page_out,
	[PAGE_PRIO] = prioritize,
	[PAGE_DEPRIO] = deprioritize,
	[PAGE_MIGRATE] = migrate_pages,
};

static int compare_taken(const void *a, const void *b)
{
	const struct taken *x = a, *y = b;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return x->page < y->page ? -1 : x->page > y->page;
}

/* Return: bytes. */
static uint64_t walk_act(struct page_walk *f, enum page_action action,
			 const struct page_filter *choice)
{
	size_t pages = 0;

	if (f->process)
		return actions[action](f, f->process, f->taken, f->nr_taken, choice) * PAGE;
	if (f->nr_taken)
		qsort(f->taken, f->nr_taken, sizeof(*f->taken), compare_taken);
	for (size_t at = 0, nr; at < f->nr_taken; at += nr) {
		const struct taken *taken = &f->taken[at];
		struct process *process = f->map->owners[taken->owner];

		for (nr = 1; at + nr < f->nr_taken && taken[nr].owner == taken->owner;)
			nr++;
		if (process_exists(process))
			pages += actions[action](f, process, taken, nr, choice);
	}
	return pages * PAGE;
}

/* ---- walking ---- */

/* Gets the newest map; asks for one that has these frames if it lacks them. */
static void walk_renew_map(struct page_walk *f, uint64_t first, uint64_t last)
{
	uint64_t generation = rmap_generation();

	rmap_want(&f->user, first, last);
	if (generation == f->generation)
		return;
	rmap_put(f->map);
	f->map = rmap_newest();
	f->generation = generation;
}

/* Reads what ACTION has to know of a process. */
static void renew_process(struct page_walk *f, enum page_action action)
{
	if (!f->scanned && scan_renew(&f->scan, f->process, LEAST_PAGES))
		scan_free(&f->scan);
	f->scanned = true;
	if (action != PAGE_MIGRATE || f->mapped)
		return;
	if (maps_read(f->process, &f->maps))
		f->maps = (struct maps){ 0 };
	f->mapped = true;
}

void frames_renew(struct page_walk *f)
{
	maps_free(&f->maps);
	f->scanned = f->mapped = false;
}

struct page_walk_result page_walk_apply(struct page_walk *f, enum page_action action,
					uint64_t start, uint64_t end,
					const struct page_filter *choice)
{
	uint64_t first = start / PAGE, last = end / PAGE + !!(end % PAGE);
	struct page_walk_result result = { 0 };

	folios_forget(f->folios);
	f->migrated = UINT64_MAX;
	if (f->process)
		renew_process(f, action);
	else if (action != PAGE_COUNT)
		walk_renew_map(f, first, last);
	while (first < last && !stop_asked()) {
		walk_find_pages(f, &first, last);
		if (!f->window.nr)
			continue;
		result.passed += choose(f, choice);
		if (action != PAGE_COUNT)
			result.applied += walk_act(f, action, choice);
	}
	return result;
}
