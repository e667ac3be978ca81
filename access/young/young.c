// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The method `young' reads accessed bits by a BPF program (young.bpf.c) and clears those that are
 * set by process_madvise(MADV_COLD).  Memory that nobody touches stays old and needs no clearing,
 * which makes cold memory nearly free.
 *
 * A round is two system calls: one BPF call tells which of the prepared addresses were touched and
 * what is mapped at the next ones, and one process_madvise clears what is young there.
 *
 * Clearing a page that another processor uses costs a TLB shoot-down of some 12 us on both sides,
 * so clearing is limited to 2 % of the sampling interval, at the measured cost of a clear.  The
 * probes that want a clear take turns, those of unknown regions first; one that is left out guesses
 * (estimate.h) from an answer that is at most CARRY_ROUNDS old.
 *
 * MADV_COLD does nothing on a page that is mapped more than once, fails on locked memory, and would
 * split a larger folio that is mapped here in part.  clear_refs clears such pages as often as it
 * can afford (clear_refs.h), and they are guessed at in between; in an unknown region, a page that
 * is young again since the last clear counts as in use.  Nothing can clear hugetlb pages: they
 * answer "not accessed".
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "access/methods/estimate.h"
#include "access/methods/methods.h"
#include "access/proc/clear_refs.h"
#include "access/proc/pagemap.h"
#include "access/rights/privileges.h"
#include "access/young/program.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/stop.h"

/* A region's answer is carried for at most this many rounds before it is prepared again. */
#define CARRY_ROUNDS 200

/* Clearing may take 1/CLEAR_SHARE of the sampling interval. */
#define CLEAR_SHARE 50

/* A mark of the region: MADV_COLD fails there, because the memory is locked. */
#define MEMORY_STUBBORN ESTIMATE_MARK

struct young_session {
	struct access_session base;
	struct young_slot slot;
	/* Room for a round's clears: the ranges, and which probe of the batch each is for. */
	struct iovec range[YOUNG_BATCH];
	uint16_t probe[YOUNG_BATCH];
	/* The probes that want to be cleared, those of unknown regions first. */
	uint16_t wants[YOUNG_BATCH];
};

struct young_space {
	struct access_space base;
	struct young_task task;
	int kpageflags, pagemap; /* to tell hugetlb pages by */
	struct clear_refs refs;
	uint64_t clear_cost_ns; /* of one range, a moving average */
	/* By batch of the round (modulo): the probe whose turn it is to be cleared first. */
	size_t turn[16];
};

static void young_session_close(struct access_session *base)
{
	struct young_session *s = (struct young_session *)base;

	young_slot_leave(&s->slot);
	free(s);
}

static int young_session_open(const char *argument, struct access_session **out,
			      struct access_why *why)
{
	struct young_session *s;
	int r;

	(void)argument;
	if (!capable_of(CAP_SYS_NICE))
		return access_because(why, -EPERM,
				      "accessed bits may not be cleared: process_madvise needs "
				      "CAP_SYS_NICE");
	r = young_program_get(why->text, sizeof(why->text));
	if (r)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	r = young_slot_take(&s->slot);
	if (r) {
		young_session_close(&s->base);
		return access_because(why, r, "no batch for the BPF program: %s", strerror(-r));
	}
	*out = &s->base;
	return 0;
}

static void young_space_close(struct access_space *base)
{
	struct young_space *space = (struct young_space *)base;

	clear_refs_close(&space->refs);
	young_task_close(&space->task);
	if (space->kpageflags >= 0)
		close(space->kpageflags);
	if (space->pagemap >= 0)
		close(space->pagemap);
	free(space);
}

static int young_space_open(struct access_session *session, struct process *process,
			    struct access_space **out, struct access_why *why)
{
	struct young_session *s = (struct young_session *)session;
	struct young_space *space = calloc(1, sizeof(*space));
	int r;

	if (!space)
		return -ENOMEM;
	/* Until it is measured. */
	space->clear_cost_ns = 2000;
	space->kpageflags = caller_open_as_daemon(AT_FDCWD, "/proc/kpageflags", O_RDONLY);
	space->pagemap = process_open_file_as_daemon(process, "pagemap", O_RDONLY);
	if (space->kpageflags == -ENOTRECOVERABLE || space->pagemap == -ENOTRECOVERABLE) {
		space->refs = (struct clear_refs){ .fd = -1, .stat_fd = -1 };
		space->task.iterator = -1;
		young_space_close(&space->base);
		return -ENOTRECOVERABLE;
	}
	r = clear_refs_open(&space->refs, process);
	if (r && r != -ESRCH)
		access_because(why, 0,
			       "its clear_refs may not be written (%s): memory that it shares with "
			       "others will show no access; add CAP_DAC_OVERRIDE",
			       strerror(-r));
	r = young_task_open(&s->slot, process->tid, &space->task);
	if (r) {
		young_space_close(&space->base);
		return access_because(why, r, "its page tables cannot be found by BPF: %s",
				      strerror(-r));
	}
	*out = &space->base;
	return 0;
}

/* The range that clears the page at ADDRESS, and no part of a larger folio. */
static struct iovec range_of(const struct young_leaf *leaf, uint64_t address)
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

/* Why process_madvise does not take a page. */
static int madvise_why(struct access_why *why, int r)
{
	if (r == -EPERM && !capable_of(CAP_SYS_NICE))
		return access_because(why, r, "process_madvise needs CAP_SYS_NICE");
	if (r == -EACCES)
		return access_because(why, r,
				      "process_madvise: the kernel does not let damonfs trace it; "
				      "add CAP_SYS_PTRACE (for a container: --cap-add SYS_PTRACE)");
	return access_because(why, r,
			      "a seccomp filter forbids process_madvise (%s); for a container add "
			      "--cap-add SYS_PTRACE, with which the default profiles let it "
			      "through, or a profile of your own (--security-opt seccomp=...)",
			      strerror(-r));
}

/* Whether MADV_COLD does nothing to this page but what is wanted, and shows it. */
static bool is_harmless(const struct young_leaf *leaf)
{
	return leaf->flags & YOUNG_YOUNG &&
	       !(leaf->flags & (YOUNG_SHARED | YOUNG_HUGE | YOUNG_FOLIO));
}

/*
 * Looks at the pages and clears one that is young, small and the process's alone.  Without one it
 * makes the call for no page, which the kernel checks as well.
 */
static int young_attempt(struct access_space *base, const uint64_t *addresses, size_t nr,
			 struct access_why *why)
{
	struct young_space *space = (struct young_space *)base;
	struct young_session *s = (struct young_session *)base->session;
	struct young_batch *b = s->slot.batch;
	size_t found = 0;
	int r;

	b->nr_prepared = 0;
	b->nr_next = (__u32)min_ul(nr, YOUNG_BATCH);
	for (size_t i = 0; i < b->nr_next; i++)
		b->next[i] = addresses[i];
	r = young_walk(&s->slot, &space->task);
	/* It executes another program just now: then it is opened anew. */
	if (r)
		return r == -ESTALE ? 0 :
				      access_because(why, r, "its page tables cannot be read: %s",
						     strerror(-r));
	while (found < b->nr_next && !is_harmless(&b->leaf[found]))
		found++;
	if (found < b->nr_next)
		s->range[0] = range_of(&b->leaf[found], b->next[found]);
	if (syscall(SYS_process_madvise, base->process->pidfd, s->range, found < b->nr_next,
		    MADV_COLD, 0) >= 0)
		return 0;
	/* Locked, or gone meanwhile: that tells nothing. */
	if (errno == EINVAL || errno == ENOMEM)
		return 0;
	return errno == ESRCH ? -ESRCH : madvise_why(why, -errno);
}

/* The pagemap's entry of the page at ADDRESS, or 0. */
static uint64_t entry_of(const struct young_space *space, uint64_t address)
{
	uint64_t entry;

	return pread(space->pagemap, &entry, 8, (off_t)(address / PAGE * 8)) == 8 ? entry : 0;
}

/* Whether the page at ADDRESS is a hugetlb page, whose accessed bit cannot be cleared. */
static bool is_hugetlb(const struct young_space *space, uint64_t address)
{
	uint64_t frame = entry_of(space, address) & PAGEMAP_FRAME, flags;

	return frame && pread(space->kpageflags, &flags, 8, (off_t)(frame * 8)) == 8 &&
	       flags & (1ULL << KPF_HUGE);
}

/* Whether the page at ADDRESS is a file's or shared memory, not anonymous. */
static bool is_file(const struct young_space *space, uint64_t address)
{
	return entry_of(space, address) & PAGEMAP_FILE;
}

/* Tells the probe that its range could not be cleared. */
static void clear_failed(const struct young_space *space, struct access_probe *probe, int error)
{
	if (error == ENOMEM)
		estimate_prepare(probe,
				 0); /* unmapped since the walk, so nothing young is left there */
	else if (error == EINVAL && is_hugetlb(space, probe->next))
		probe->priv &= (uint16_t)~ESTIMATE_ANSWER;
	else if (error == EINVAL)
		probe->priv |= MEMORY_STUBBORN;
}

/*
 * Clears NR of the session's ranges.  process_madvise stops at a range that it cannot do: a second
 * call tells why, and another goes on after it.
 */
static int clear(struct young_session *s, struct young_space *space, struct access_probe *probes,
		 size_t nr)
{
	int pidfd = space->base.process->pidfd;
	uint64_t start = clock_ns();
	size_t done = 0;

	while (done < nr) {
		ssize_t bytes = syscall(SYS_process_madvise, pidfd, &s->range[done],
					min_ul(nr - done, IOV_MAX), MADV_COLD, 0);

		if (bytes <= 0 && errno != ENOMEM && errno != EINVAL)
			return -errno;
		if (bytes <= 0)
			clear_failed(space, &probes[s->probe[done++]], errno);
		for (; bytes > 0 && done < nr; done++) {
			bytes -= (ssize_t)s->range[done].iov_len;
			if (bytes >= 0)
				estimate_prepare_cleared(&probes[s->probe[done]]);
		}
	}
	space->clear_cost_ns = (space->clear_cost_ns * 7 + (clock_ns() - start) / nr) / 8;
	return 0;
}

/*
 * How many of the WANTED ranges may be cleared in a share of TIME (us); no probe is put off for
 * ever.
 */
static size_t budget(const struct young_space *space, size_t wanted, uint64_t time)
{
	uint64_t ns = max_ul(time * 1000 / CLEAR_SHARE, 40000);

	return min_ul(wanted,
		      max_ul(ns / max_ul(space->clear_cost_ns, 1), wanted / CARRY_ROUNDS + 1));
}

/*
 * Clears as many of the NR probes in s->wants as the budget allows: the first NR_UNKNOWN by
 * preference, the others in turn.
 */
static int clear_some(struct young_session *s, struct young_space *space,
		      struct access_probe *probes, size_t nr_unknown, size_t nr, uint64_t time,
		      size_t *turn)
{
	size_t nr_clear = budget(space, nr, time), nr_known = nr - nr_unknown, first = 0;

	while (first < nr_known && s->wants[nr_unknown + first] < *turn)
		first++;
	for (size_t k = 0; k < nr_clear; k++) {
		uint16_t i =
			s->wants[k < nr_unknown ? k :
						  nr_unknown + (first + k - nr_unknown) % nr_known];

		if (k >= nr_unknown)
			*turn = (size_t)i + 1;
		s->probe[k] = i;
		s->range[k] = range_of(&s->slot.batch->leaf[i], probes[i].next);
	}
	return clear(s, space, probes, nr_clear);
}

static bool is_shared(const struct young_session *s, const struct access_probe *probes, size_t i)
{
	return s->slot.batch->leaf[i].flags & YOUNG_SHARED || probes[i].priv & MEMORY_STUBBORN;
}

/*
 * Clears all pages at once, for those that have no other way: mapped files only, if that will do,
 * so that the process's own memory keeps its bits for whoever else looks at them.
 * Return: 1 if private pages are still to be cleared, 0, or a negative errno.
 */
static int clear_shared(struct young_session *s, struct young_space *space,
			struct access_probe *probes, size_t n, uint64_t now)
{
	bool files = true;
	int r;

	for (size_t i = 0; files && i < n; i++)
		if (s->slot.batch->leaf[i].flags & YOUNG_YOUNG && is_shared(s, probes, i))
			files = is_file(space, probes[i].next);
	r = clear_refs_clear(&space->refs, files ? CLEAR_REFS_ACCESSED_FILES : CLEAR_REFS_ACCESSED,
			     now);
	for (size_t i = 0; !r && i < n; i++)
		if (!(probes[i].priv & ESTIMATE_PREPARED) && (!files || is_shared(s, probes, i)))
			estimate_prepare_cleared(&probes[i]);
	return r ? r : files;
}

/*
 * Prepares the N probes of the batch that was just walked; *TURN is the probe whose turn it is,
 * TIME the batch's share of the sampling interval.
 */
static int prepare_batch(struct young_session *s, struct young_space *space,
			 struct access_probe *probes, size_t n, uint64_t now, uint64_t time,
			 size_t *turn)
{
	size_t nr = 0, nr_unknown;
	bool any_shared = false;

	for (size_t i = 0; i < n; i++) {
		const struct young_leaf *leaf = &s->slot.batch->leaf[i];
		struct access_probe *probe = &probes[i];
		bool shared = is_shared(s, probes, i);

		if (!(leaf->flags & YOUNG_YOUNG)) {
			estimate_prepare_untouched(probe);
			continue;
		}
		estimate_instead(probe, shared && space->refs.last_us);
		any_shared |= shared;
		if (!shared && !(probe->priv & ESTIMATE_KNOWN))
			s->wants[nr++] = (uint16_t)i;
	}
	if (any_shared && space->refs.fd >= 0 && clear_refs_due(&space->refs, now, time)) {
		int r = clear_shared(s, space, probes, n, now);

		if (r <= 0)
			return r;
	}
	nr_unknown = nr;
	for (size_t i = 0; i < n; i++) {
		uint16_t memory = probes[i].priv;

		if (memory & ESTIMATE_KNOWN && !(memory & (ESTIMATE_PREPARED | MEMORY_STUBBORN)) &&
		    !(s->slot.batch->leaf[i].flags & YOUNG_SHARED))
			s->wants[nr++] = (uint16_t)i;
	}
	return nr ? clear_some(s, space, probes, nr_unknown, nr, time, turn) : 0;
}

static int young_round(struct access_space *base, struct access_probe *probes, size_t n,
		       unsigned int what, uint64_t now, uint64_t sample)
{
	struct young_space *space = (struct young_space *)base;
	struct young_session *s = (struct young_session *)base->session;
	struct young_batch *b = s->slot.batch;

	for (size_t done = 0; done < n;) {
		size_t nr = min_ul(n - done, YOUNG_BATCH);
		struct access_probe *part = &probes[done];
		int r;

		if (stop_asked())
			return -ECANCELED;
		b->nr_prepared = what & ACCESS_CHECK ? (__u32)nr : 0;
		b->nr_next = what & ACCESS_PREPARE ? (__u32)nr : 0;
		for (size_t i = 0; i < nr; i++) {
			b->prepared[i] = part[i].prepared;
			b->next[i] = part[i].next;
		}
		r = young_walk(&s->slot, &space->task);
		for (size_t i = 0; !r && what & ACCESS_CHECK && i < nr; i++)
			estimate_check(&part[i], b->prepared_flags[i] & YOUNG_YOUNG);
		if (!r && what & ACCESS_PREPARE)
			r = prepare_batch(
				s, space, part, nr, now, sample * nr / n,
				&space->turn[done / YOUNG_BATCH % ARRAY_SIZE(space->turn)]);
		if (r)
			return r;
		done += nr;
	}
	return 0;
}

static int young_peek(struct access_space *base, struct access_probe *probes, size_t n)
{
	struct young_space *space = (struct young_space *)base;
	struct young_session *s = (struct young_session *)base->session;
	struct young_batch *b = s->slot.batch;

	for (size_t done = 0; done < n;) {
		size_t nr = min_ul(n - done, YOUNG_BATCH);
		int r;

		b->nr_prepared = (__u32)nr;
		b->nr_next = 0;
		for (size_t i = 0; i < nr; i++)
			b->prepared[i] = probes[done + i].next;
		r = young_walk(&s->slot, &space->task);
		if (r)
			return r;
		for (size_t i = 0; i < nr; i++)
			probes[done + i].accessed = b->prepared_flags[i] & YOUNG_YOUNG;
		done += nr;
	}
	return 0;
}

const struct access_method access_young = {
	.name = "young",
	.sees = "reads and writes, page by page; memory shared with other processes with a delay",
	.notices_exit = true,
	.session_open = young_session_open,
	.session_close = young_session_close,
	.space_open = young_space_open,
	.space_close = young_space_close,
	.attempt = young_attempt,
	.round = young_round,
	.peek = young_peek,
};
