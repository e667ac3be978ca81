// SPDX-License-Identifier: LGPL-2.1-or-later
/* Finding what is present: see scan.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "access/proc/pagemap.h"
#include "access/proc/scan.h"
#include "access/proc/words.h"
#include "util/cleanup.h"
#include "util/clock.h"

#ifndef PAGEMAP_SCAN
/* Linux 6.7. */
struct page_region {
	__u64 start, end, categories;
};

struct pm_scan_arg {
	__u64 size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted,
		category_mask, category_anyof_mask, return_mask;
};

#define PAGE_IS_PRESENT (1 << 3)
#define PAGEMAP_SCAN	_IOWR('f', 16, struct pm_scan_arg)
#endif

/* How long a call should take, so that a thread that is told to end can: fits the span. */
#define SHORT_NS      200000
#define LONG_NS	      4000000
#define FIRST_SPAN    (1UL << 20)
#define SMALLEST_SPAN (1UL << 14)
#define LARGEST_SPAN  (1UL << 36)

/* Of sparsely used memory, look at no more than this many times what is used. */
#define SPARSE 64

/*
 * One past the last page of user space with four and with five levels of page tables.  The kernel
 * takes no range across the first unless there are five.
 */
#define FOUR_LEVELS ((1UL << 35) - 1)
#define FIVE_LEVELS ((1UL << 44) - 1)

void scan_init(struct scan *scan, int pagemap)
{
	*scan = (struct scan){ .pagemap = pagemap, .span = FIRST_SPAN };
}

void scan_free(struct scan *scan)
{
	maps_free(&scan->maps);
}

/* ---- by entry ---- */

/* How many pages of a process may be looked at. */
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

static uint64_t size_of(const struct mapping *mapping)
{
	return (mapping->end - mapping->start) / PAGE;
}

static int compare_sizes(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;

	return size_of(x) < size_of(y) ? -1 : size_of(x) > size_of(y);
}

static int compare_addresses(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Leaves out the largest mappings, often reserved only, if there are more than LEFT pages. */
static void leave_out_largest(struct maps *maps, uint64_t left)
{
	size_t kept = 0;

	if (!maps->nr)
		return;
	qsort(maps->mapping, maps->nr, sizeof(*maps->mapping), compare_sizes);
	while (kept < maps->nr && size_of(&maps->mapping[kept]) <= left)
		left -= size_of(&maps->mapping[kept++]);
	maps->nr = kept;
	qsort(maps->mapping, maps->nr, sizeof(*maps->mapping), compare_addresses);
}

/* Reads entries from page AT on, unless the last read has it.  Return: whether there are any. */
static bool read_entries(struct scan *scan, uint64_t at, uint64_t nr)
{
	ssize_t found;

	if (at - scan->first < scan->nr)
		return true;
	found = words_read(scan->pagemap, at, scan->entries, nr);
	scan->first = at;
	scan->nr = found > 0 ? (uint64_t)found : 0;
	return scan->nr;
}

static bool take_entry(uint64_t entry, uint64_t page, struct scan_page *out)
{
	if (!(entry & PAGEMAP_PRESENT) || !(entry & PAGEMAP_FRAME))
		return false;
	*out = (struct scan_page){ .page = page, .frame = entry & PAGEMAP_FRAME };
	return true;
}

static size_t next_by_entry(struct scan *scan, uint64_t *at, uint64_t last, struct scan_page *out,
			    size_t room)
{
	const struct mapping *mapping = maps_from(&scan->maps, *at * PAGE);
	size_t found = 0;
	uint64_t end;

	if (!mapping || mapping->start / PAGE >= last) {
		*at = last;
		return 0;
	}
	*at = max_ul(*at, mapping->start / PAGE);
	end = min_ul(last, mapping->end / PAGE);
	if (!read_entries(scan, *at, min_ul(end - *at, SCAN_ENTRIES))) {
		/* The process is ending. */
		*at = last;
		return 0;
	}
	end = min_ul(end, scan->first + scan->nr);
	for (; *at < end && found < room; ++*at)
		found += take_entry(scan->entries[*at - scan->first], *at, &out[found]);
	return found;
}

/* ---- by asking ---- */

/* The end of what can be asked for in one call. */
static uint64_t end_of_call(const struct scan *scan, uint64_t at, uint64_t last)
{
	uint64_t end = min_ul(last, at + scan->span);

	if (at < FOUR_LEVELS)
		return min_ul(end, FOUR_LEVELS);
	return at < FIVE_LEVELS ? min_ul(end, FIVE_LEVELS) : at;
}

/* Fits the span to a complete call that took NS. */
static void fit_span(struct scan *scan, uint64_t ns)
{
	if (ns < SHORT_NS)
		scan->span = min_ul(scan->span * 4, LARGEST_SPAN);
	else if (ns > LONG_NS)
		scan->span = max_ul(scan->span / 4, SMALLEST_SPAN);
}

/* Reads the pages of the NR runs, ascending; runs that are near each other share a read. */
static size_t read_runs(struct scan *scan, const struct page_region *runs, size_t nr,
			struct scan_page *out, size_t room)
{
	size_t found = 0;

	for (size_t i = 0, next; i < nr; i = next) {
		uint64_t first = runs[i].start / PAGE;
		ssize_t read;

		for (next = i + 1; next < nr && runs[next].end / PAGE - first <= SCAN_ENTRIES / 8;)
			next++;
		read = words_read(scan->pagemap, first, scan->entries,
				  min_ul(runs[next - 1].end / PAGE - first, SCAN_ENTRIES));
		/* Pages that have come since then wait for the next walk. */
		for (size_t k = 0; read > 0 && k < (size_t)read && found < room; k++)
			found += take_entry(scan->entries[k], first + k, &out[found]);
	}
	return found;
}

/* Return: how many, or a negative errno. */
static ssize_t scan_ask(struct scan *scan, uint64_t *at, uint64_t last, struct scan_page *out,
			size_t room)
{
	struct page_region runs[SCAN_RUNS] = { 0 };
	uint64_t end = end_of_call(scan, *at, last), start = clock_ns();
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = *at * PAGE,
		.end = end * PAGE,
		.vec = (uintptr_t)runs,
		.vec_len = ARRAY_SIZE(runs),
		.max_pages = min_ul(room, SCAN_ENTRIES),
		.category_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT,
	};
	int nr = *at < end ? ioctl(scan->pagemap, PAGEMAP_SCAN, &arg) : 0;

	if (nr < 0)
		return -errno;
	if (*at >= end)
		*at = last;
	else
		*at = arg.walk_end / PAGE;
	if (*at >= end)
		fit_span(scan, clock_ns() - start);
	return (ssize_t)read_runs(scan, runs, (size_t)nr, out, room);
}

/* ---- both ---- */

/* Whether the kernel has PAGEMAP_SCAN, tried on a range of nothing. */
static bool can_ask(const struct scan *scan)
{
	struct page_region run;
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = PAGE,
		.end = 2 * PAGE,
		.vec = (uintptr_t)&run,
		.vec_len = 1,
		.category_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT,
	};

	return ioctl(scan->pagemap, PAGEMAP_SCAN, &arg) >= 0 ||
	       (errno != ENOTTY && errno != EINVAL);
}

int scan_renew(struct scan *scan, const struct process *process, uint64_t least)
{
	int r;

	maps_free(&scan->maps);
	scan->nr = 0;
	scan->by_entry = !can_ask(scan);
	if (!scan->by_entry)
		return 0;
	r = maps_read(process, &scan->maps);
	if (!r)
		leave_out_largest(&scan->maps, max_ul(pages_to_look_at(process), least));
	return r;
}

size_t scan_next(struct scan *scan, uint64_t *at, uint64_t last, struct scan_page *out, size_t room)
{
	ssize_t nr;

	if (scan->by_entry)
		return next_by_entry(scan, at, last, out, room);
	nr = scan_ask(scan, at, last, out, room);
	/* The process is ending, or there is nothing so far up. */
	if (nr < 0)
		*at = last;
	return nr < 0 ? 0 : (size_t)nr;
}
