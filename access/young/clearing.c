// SPDX-License-Identifier: LGPL-2.1-or-later
/* Clearing the accessed bits of a batch's pages: see clearing.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kernel-page-flags.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "access/proc/idle_bitmap.h"
#include "access/proc/pagemap.h"
#include "access/proc/words.h"
#include "access/rights/privileges.h"
#include "access/young/clearing.h"
#include "util/clock.h"
#include "util/macros.h"

/*
 * Clearing may take 1/CLEAR_SHARE of the sampling interval, but always this long.  A round in which
 * held answers end needs all of what the rounds before left, or another round would have to clear.
 */
#define CLEAR_SHARE    50
#define CLEAR_LEAST_NS 40000
#define CLEAR_ROUNDS   (1U << ESTIMATE_LEVELS)

/* Pages that are looked at for old bits around them, in a round. */
#define OLD_TRIES 4

/* A mark of the region: MADV_COLD fails there, because the memory is locked. */
#define MEMORY_STUBBORN ESTIMATE_MARK

int clearing_open(struct clearing *out, const struct process *process, int bitmap, bool wide,
		  struct access_why *why)
{
	int r;

	*out = (struct clearing){
		.process = process,
		.bitmap = bitmap,
		.wide = wide,
		.refs = { .fd = -1, .stat_fd = -1 },
		.cost_ns = 2000, /* until it is measured */
	};
	random_seed(out->clock.random, clock_ns() ^ (uintptr_t)out);
	out->kpageflags = caller_open_as_daemon(AT_FDCWD, "/proc/kpageflags", O_RDONLY);
	out->pagemap = process_open_file_as_daemon(process, "pagemap", O_RDONLY);
	if (out->kpageflags == -ENOTRECOVERABLE || out->pagemap == -ENOTRECOVERABLE)
		return -ENOTRECOVERABLE;
	if (bitmap >= 0)
		return 0;
	r = clear_refs_open(&out->refs, process);
	if (!r || r == -ESRCH)
		return 0;
	access_because(why, 0,
		       "its clear_refs may not be written (%s): memory that it shares with others "
		       "will show no access; " ACCESS_ADD_CAPABILITY("DAC_OVERRIDE"),
		       strerror(-r));
	return 0;
}

void clearing_close(struct clearing *clearing)
{
	clear_refs_close(&clearing->refs);
	if (clearing->kpageflags >= 0)
		close(clearing->kpageflags);
	if (clearing->pagemap >= 0)
		close(clearing->pagemap);
}

struct iovec clearing_range(const struct young_leaf *leaf, uint64_t address)
{
	uint64_t start = address & ~(PAGE - 1), size = PAGE;

	if (leaf->flags & YOUNG_HUGE) {
		start = address & ~(HUGE_PAGE - 1);
		size = HUGE_PAGE;
	} else if (leaf->flags & YOUNG_FOLIO) {
		start -= leaf->index * PAGE;
		size = PAGE << leaf->order;
	}
	return (struct iovec){ (void *)start, size };
}

ssize_t clearing_madvise(const struct process *process, const struct iovec *range, size_t nr)
{
	return syscall(SYS_process_madvise, process->pidfd, range, min_ul(nr, IOV_MAX), MADV_COLD,
		       0);
}

/* Whether the page at ADDRESS is a hugetlb page, whose accessed bit cannot be cleared. */
static bool is_hugetlb(const struct clearing *clearing, uint64_t address)
{
	uint64_t frame = pagemap_entry(clearing->pagemap, address) & PAGEMAP_FRAME, flags;

	return frame && words_read(clearing->kpageflags, frame, &flags, 1) == 1 &&
	       flags & (1ULL << KPF_HUGE);
}

/* Whether a page of pagemap is there, and neither a file's nor shared memory. */
static bool is_anonymous(uint64_t entry)
{
	return entry & PAGEMAP_PRESENT && !(entry & PAGEMAP_FILE);
}

/* Whether the page at ADDRESS is a file's or shared memory, not anonymous. */
static bool is_file(const struct clearing *clearing, uint64_t address)
{
	return pagemap_entry(clearing->pagemap, address) & PAGEMAP_FILE;
}

/* A page of its own process, which is young and was not cleared yet, and is to be. */
static bool clear_waits(const struct clearing *clearing, const struct young_leaf *leaf,
			const struct access_probe *probe)
{
	return !(probe->priv & ESTIMATE_PREPARED) && !young_needs_clear_refs(leaf, probe) &&
	       estimate_is_due(&clearing->clock, probe);
}

/*
 * Prepares the probes of untouched pages, which need no clear, and has all others guess, until they
 * get one.  Return: whether a page that was touched is to be cleared, and needs clear_refs for it.
 */
static bool prepare_untouched(const struct clearing *clearing, const struct young_leaf *leaf,
			      struct access_probe *probes, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		any |= leaf[i].flags & YOUNG_YOUNG &&
		       young_needs_clear_refs(&leaf[i], &probes[i]) &&
		       estimate_is_due(&clearing->clock, &probes[i]);
		young_prepare_uncleared(&leaf[i], &probes[i], clearing->refs.last_us);
	}
	return any;
}

/* Whether all touched pages that need clear_refs are of files. */
static bool files_only(const struct clearing *clearing, const struct young_leaf *leaf,
		       const struct access_probe *probes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (leaf[i].flags & YOUNG_YOUNG && young_needs_clear_refs(&leaf[i], &probes[i]) &&
		    !is_file(clearing, probes[i].next))
			return false;
	return true;
}

/*
 * Clears all pages at once, for those that have no other way: mapped files only, if that will do,
 * so that the process's own memory keeps its bits for whoever else looks at them.
 */
static int clear_all(struct clearing *clearing, const struct young_leaf *leaf,
		     struct access_probe *probes, size_t n, uint64_t now)
{
	bool files = files_only(clearing, leaf, probes, n);
	int r = clear_refs_clear(&clearing->refs,
				 files ? CLEAR_REFS_ACCESSED_FILES : CLEAR_REFS_ACCESSED, now);

	for (size_t i = 0; !r && i < n; i++)
		if (!(probes[i].priv & ESTIMATE_PREPARED) &&
		    (!files || young_needs_clear_refs(&leaf[i], &probes[i])))
			estimate_prepare_cleared(&probes[i]);
	return r;
}

/* Appends the waiting probes of [FROM, TO) whose region is KNOWN, or is not, to the NR in ROOM. */
static size_t clear_queue(const struct clearing *clearing, struct clearing_room *room,
			  const struct young_leaf *leaf, const struct access_probe *probes,
			  size_t from, size_t to, bool known, size_t nr)
{
	for (size_t i = from; i < to; i++)
		if (!(probes[i].priv & ESTIMATE_KNOWN) == !known &&
		    clear_waits(clearing, &leaf[i], &probes[i]))
			room->waiting[nr++] = (uint16_t)i;
	return nr;
}

/*
 * How many ranges may be cleared for the WAITING, with TIME (us) a round; no probe is put off for
 * ever.
 */
static size_t clear_budget(const struct clearing *clearing, struct clearing_turn *turn,
			   size_t waiting, uint64_t time)
{
	uint64_t ns = max_ul(time * 1000 / CLEAR_SHARE, CLEAR_LEAST_NS);
	uint32_t rounds = clearing->clock.round - turn->round;
	size_t least = waiting / CLEARING_CARRY_ROUNDS + 1;

	turn->round = clearing->clock.round;
	turn->left_ns =
		min_ul(turn->left_ns + min_ul(rounds, CLEAR_ROUNDS) * ns, CLEAR_ROUNDS * ns);
	return min_ul(waiting, max_ul(turn->left_ns / max_ul(clearing->cost_ns, 1), least));
}

/*
 * The largest block of pages around ADDRESS, of up to 2 MiB, that lies between LOW and HIGH.  It is
 * a power of two in its natural place, as folios are: its ends cut none.
 */
static struct iovec block_around(uint64_t address, uint64_t low, uint64_t high)
{
	uint64_t size = HUGE_PAGE, start = address & ~(size - 1);

	while (size > PAGE && (start < low || start + size > high)) {
		size /= 2;
		start = address & ~(size - 1);
	}
	return (struct iovec){ (void *)start, size };
}

/*
 * The pages around ADDRESS that can be cleared with it: all anonymous ones in BLOCK, without a hole
 * between them.  Empty if there are none, or nothing is known of them.
 */
static struct iovec wide_range(const struct clearing *clearing, uint64_t address,
			       struct iovec block)
{
	uint64_t base = (uintptr_t)block.iov_base, entries[HUGE_PAGE / PAGE];
	size_t nr = block.iov_len / PAGE, at = (address - base) / PAGE, from = at, to = at;

	if (words_read(clearing->pagemap, base / PAGE, entries, nr) != (ssize_t)nr)
		return (struct iovec){ 0 };
	while (to < nr && is_anonymous(entries[to]))
		to++;
	while (to > at && from && is_anonymous(entries[from - 1]))
		from--;
	return (struct iovec){ (void *)(base + from * PAGE), (to - from) * PAGE };
}

/* The same for probe AT of N, whose neighbours' pages stay as they are. */
static struct iovec wide_range_of(const struct clearing *clearing,
				  const struct access_probe *probes, size_t at, size_t n)
{
	uint64_t low = at ? (probes[at - 1].next & ~(PAGE - 1)) + PAGE : 0;
	uint64_t high = at + 1 < n ? probes[at + 1].next & ~(PAGE - 1) : UINT64_MAX;

	return wide_range(clearing, probes[at].next, block_around(probes[at].next, low, high));
}

/* Whether the page of LEAF is a single one of a cold region. */
static bool is_old(const struct young_leaf *leaf, const struct access_probe *probe)
{
	return !(leaf->flags & (YOUNG_HUGE | YOUNG_FOLIO)) && estimate_is_cold(probe);
}

/* Marks the anonymous pages of RANGE, at most 2 MiB, idle.  Return: 0 or a negative errno. */
static int mark_range(const struct clearing *clearing, const struct iovec *range)
{
	struct idle_marks marks = { .bitmap = clearing->bitmap };
	uint64_t entries[HUGE_PAGE / PAGE];
	ssize_t nr = words_read(clearing->pagemap, (uintptr_t)range->iov_base / PAGE, entries,
				range->iov_len / PAGE);
	int r = 0;

	for (ssize_t i = 0; !r && i < nr; i++)
		if (is_anonymous(entries[i]) && entries[i] & PAGEMAP_FRAME)
			r = idle_mark(&marks, entries[i] & PAGEMAP_FRAME);
	return r ? r : idle_marks_write(&marks);
}

/* Clears RANGE; what could not be done is done, and told, for its pages by themselves. */
static int clear_range(const struct clearing *clearing, const struct iovec *range)
{
	if (clearing->bitmap >= 0)
		return mark_range(clearing, range);
	return clearing_madvise(clearing->process, range, 1) < 0 && errno == ESRCH ? -ESRCH : 0;
}

/*
 * Clears much more than was asked for in one of the first NR waiting probes, of N: in a cold region,
 * the bits that are set are old, and each of them would cost a clear when its page is looked at.
 */
static int clear_old(struct clearing *clearing, const struct clearing_room *room,
		     const struct young_leaf *leaf, const struct access_probe *probes, size_t n,
		     size_t nr)
{
	struct iovec range = { 0 };
	uint64_t start;
	size_t tries = 0;
	int r = 0;

	if (!clearing->wide || clock_ns() < clearing->next_old)
		return 0;
	start = clock_run_ns();
	for (size_t i = 0; i < nr && tries < OLD_TRIES && range.iov_len <= PAGE; i++) {
		size_t at = room->waiting[i];

		if (!is_old(&leaf[at], &probes[at]))
			continue;
		range = wide_range_of(clearing, probes, at, n);
		tries++;
	}
	if (!tries)
		return 0;
	if (range.iov_len > PAGE)
		r = clear_range(clearing, &range);
	clearing->next_old = clock_ns() + (clock_run_ns() - start) * CLEAR_SHARE;
	return r;
}

/* Tells the probe that its range could not be cleared. */
static void clear_failed(const struct clearing *clearing, struct access_probe *probe, int error)
{
	/* Unmapped since the walk: nothing young is left there. */
	if (error == ENOMEM)
		estimate_prepare(probe, 0);
	else if (is_hugetlb(clearing, probe->next))
		probe->priv &= ~(uint32_t)ESTIMATE_ANSWER;
	else
		probe->priv |= MEMORY_STUBBORN;
}

static uintptr_t end_of(const struct iovec *range)
{
	return (uintptr_t)range->iov_base + range->iov_len;
}

/* How many of the WAITING, in their order, are in the first *RANGES ranges; and how many there are.
 */
static size_t choose(const struct clearing_room *room, const struct young_leaf *leaf,
		     const struct access_probe *probes, size_t waiting, size_t *ranges)
{
	struct iovec range = { 0 };
	size_t nr = 0, budget = *ranges;

	*ranges = 0;
	for (; nr < waiting; nr++) {
		size_t at = room->waiting[nr];

		if (probes[at].next - (uintptr_t)range.iov_base < range.iov_len)
			continue;
		if (*ranges == budget)
			break;
		++*ranges;
		range = clearing_range(&leaf[at], probes[at].next);
	}
	return nr;
}

/* Puts the first NR waiting probes, of N, into their order among all. */
static void sort_chosen(struct clearing_room *room, size_t n, size_t nr)
{
	size_t done = 0;

	memset(room->chosen, 0, n * sizeof(*room->chosen));
	for (size_t i = 0; i < nr; i++)
		room->chosen[room->waiting[i]] = true;
	for (size_t i = 0; done < nr; i++)
		if (room->chosen[i])
			room->waiting[done++] = (uint16_t)i;
}

/*
 * The ranges of the first NR waiting probes, in ascending order; those that touch are joined.
 * Return: how many.
 */
static size_t join_ranges(struct clearing_room *room, const struct young_leaf *leaf,
			  const struct access_probe *probes, size_t nr)
{
	struct iovec *last = room->range;
	size_t joined = 0;

	for (size_t i = 0; i < nr; i++) {
		size_t at = room->waiting[i];
		struct iovec range = clearing_range(&leaf[at], probes[at].next);

		if (!joined || range.iov_base < last->iov_base ||
		    (uintptr_t)range.iov_base > end_of(last)) {
			last = &room->range[joined++];
			*last = range;
		} else if (end_of(&range) > end_of(last)) {
			last->iov_len = end_of(&range) - (uintptr_t)last->iov_base;
		}
		room->past[joined - 1] = (uint16_t)(i + 1);
	}
	return joined;
}

/* Clears each page of the waiting probes [FROM, TO) by itself, and tells those that cannot be. */
static int clear_singly(const struct clearing *clearing, const struct clearing_room *room,
			const struct young_leaf *leaf, struct access_probe *probes, size_t from,
			size_t to)
{
	for (size_t i = from; i < to; i++) {
		struct access_probe *probe = &probes[room->waiting[i]];
		struct iovec range = clearing_range(&leaf[room->waiting[i]], probe->next);

		if (clearing_madvise(clearing->process, &range, 1) > 0)
			estimate_prepare_cleared(probe);
		else if (errno == ENOMEM || errno == EINVAL)
			clear_failed(clearing, probe, errno);
		else
			return -errno;
	}
	return 0;
}

/* Marks the pages of the first NR waiting probes idle. */
static int mark_pages(const struct clearing *clearing, const struct clearing_room *room,
		      const struct young_leaf *leaf, struct access_probe *probes, size_t nr)
{
	struct idle_marks marks = { .bitmap = clearing->bitmap };
	int r = 0;

	for (size_t i = 0; !r && i < nr; i++) {
		r = idle_mark(&marks, leaf[room->waiting[i]].frame);
		estimate_prepare_cleared(&probes[room->waiting[i]]);
	}
	return r ? r : idle_marks_write(&marks);
}

/*
 * Clears the pages of the first NR waiting probes.  process_madvise stops at a range that it cannot
 * do: a second call fails there, its pages are tried one by one, and another call goes on after it.
 */
static int advise_pages(const struct clearing *clearing, struct clearing_room *room,
			const struct young_leaf *leaf, struct access_probe *probes, size_t nr)
{
	size_t ranges = join_ranges(room, leaf, probes, nr), done = 0, probe = 0;

	while (done < ranges) {
		ssize_t bytes =
			clearing_madvise(clearing->process, &room->range[done], ranges - done);
		int r = 0;

		if (bytes <= 0 && errno != ENOMEM && errno != EINVAL)
			return -errno;
		if (bytes <= 0)
			r = clear_singly(clearing, room, leaf, probes, probe, room->past[done]);
		if (r)
			return r;
		if (bytes <= 0)
			probe = room->past[done++];
		for (; bytes > 0 && done < ranges; done++) {
			bytes -= (ssize_t)room->range[done].iov_len;
			for (; probe < room->past[done]; probe++)
				if (bytes >= 0)
					estimate_prepare_cleared(&probes[room->waiting[probe]]);
		}
	}
	return 0;
}

/* Clears the pages of the first NR waiting probes, of N, in RANGES ranges. */
static int clear_pages(struct clearing *clearing, struct clearing_room *room,
		       const struct young_leaf *leaf, struct access_probe *probes, size_t n,
		       size_t nr, size_t ranges)
{
	uint64_t start = clock_ns();
	int r;

	sort_chosen(room, n, nr);
	if (clearing->bitmap >= 0)
		r = mark_pages(clearing, room, leaf, probes, nr);
	else
		r = advise_pages(clearing, room, leaf, probes, nr);
	clearing->cost_ns = (clearing->cost_ns * 7 + (clock_ns() - start) / ranges) / 8;
	return r;
}

int clearing_prepare(struct clearing *clearing, struct clearing_room *room,
		     const struct young_leaf *leaf, struct access_probe *probes, size_t n,
		     size_t batch, uint64_t now, uint64_t time)
{
	struct clearing_turn *turn = &clearing->turns[batch % ARRAY_SIZE(clearing->turns)];
	size_t from = min_ul(turn->next, n), nr_unknown, waiting, nr, ranges;
	int r = 0;

	if (prepare_untouched(clearing, leaf, probes, n) && clearing->refs.fd >= 0 &&
	    clear_refs_due(&clearing->refs, now, time))
		r = clear_all(clearing, leaf, probes, n, now);
	if (r)
		return r;
	nr_unknown = clear_queue(clearing, room, leaf, probes, 0, n, false, 0);
	nr = clear_queue(clearing, room, leaf, probes, from, n, true, nr_unknown);
	waiting = clear_queue(clearing, room, leaf, probes, 0, from, true, nr);
	if (!waiting)
		return 0;
	ranges = clear_budget(clearing, turn, waiting, time);
	nr = choose(room, leaf, probes, waiting, &ranges);
	turn->left_ns -= min_ul(turn->left_ns, ranges * clearing->cost_ns);
	for (size_t i = nr; i < waiting; i++)
		estimate_stay_due(&probes[room->waiting[i]]);
	if (nr > nr_unknown)
		turn->next = room->waiting[nr - 1] + 1U;
	r = clear_old(clearing, room, leaf, probes, n, nr);
	return r ? r : clear_pages(clearing, room, leaf, probes, n, nr, ranges);
}
