/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which pages of a batch the method young clears, and how.
 *
 * Clearing a page that another processor uses costs a TLB shoot-down of some 12 us on both sides,
 * so a region whose pages answer the same again and again clears only at some instants, which all
 * regions share, and holds its answer between them (estimate.h).  And clearing is limited to 2 % of
 * the time, at the measured cost of a clear; what some rounds do not use up, one of the next may.
 * The probes that want a clear take turns,
 * those of unknown regions first; one that is left out guesses from an answer that is at most
 * CLEARING_CARRY_ROUNDS old.  One call clears all that are to be cleared, and probes that fall into
 * one page, or one folio, share its clear.
 *
 * MADV_COLD does nothing on a page that is mapped more than once, fails on locked memory, and would
 * split a larger folio that is mapped here in part.  clear_refs clears such pages as often as it
 * can afford (clear_refs.h), and they are guessed at in between; in an unknown region, a page that
 * is young again since the last clear counts as in use.  Nothing can clear hugetlb pages: they
 * answer "not accessed".
 *
 * Or else pages are cleared by the idle bitmap, which clears all that are on a list, whoever maps
 * them; the others are guessed at.
 */
#ifndef DAMONFS_ACCESS_YOUNG_CLEARING_H
#define DAMONFS_ACCESS_YOUNG_CLEARING_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "access/access.h"
#include "access/methods/estimate.h"
#include "access/proc/clear_refs.h"
#include "access/young/batch.h"

/* A region's answer is carried for at most this many rounds before it is prepared again. */
#define CLEARING_CARRY_ROUNDS 200

/* A batch's turns, and its part of the budget. */
struct clearing_turn {
	size_t next; /* the probe of a known region whose turn is next */
	uint32_t round; /* of the clock: up to which round its part is counted */
	uint64_t left_ns; /* of it */
};

/* The clears of one address space. */
struct clearing {
	const struct process *process;
	int kpageflags, pagemap; /* to tell hugetlb pages and files by */
	int bitmap; /* the idle bitmap, borrowed, or -1 */
	struct clear_refs refs; /* without a bitmap */
	bool wide; /* old bits are cleared with what is around them: large folios stay whole */
	uint64_t cost_ns; /* of one range, a moving average */
	uint64_t next_old; /* ns of the clock: when old bits may be cleared again */
	struct estimate_clock clock; /* in which rounds answers are held */
	struct clearing_turn turns[16]; /* by batch of the round (modulo) */
};

/* A thread's room for the clears of a batch. */
struct clearing_room {
	/* The probes that wait for a clear, in the order in which they get it, */
	uint16_t waiting[YOUNG_BATCH];
	/* which of all get it now, */
	bool chosen[YOUNG_BATCH];
	/* the ranges that clear their pages, */
	struct iovec range[YOUNG_BATCH];
	/* and at which of the waiting probes the next range begins. */
	uint16_t past[YOUNG_BATCH];
	struct access_probe probes[YOUNG_TICK_REGIONS]; /* a copy of those of ticks.c */
};

/*
 * PROCESS, and BITMAP unless it is -1, must outlive *OUT; WIDE: see struct clearing.  WHY says so
 * if clear_refs may not be written. Return: 0, or -ENOTRECOVERABLE if nothing can be asked in the
 * daemon's name any more.  Close it in any case.
 */
int clearing_open(struct clearing *out, const struct process *process, int bitmap, bool wide,
		  struct access_why *why);
void clearing_close(struct clearing *clearing);

/* The range that clears the page of LEAF at ADDRESS, and no part of a larger folio. */
struct iovec clearing_range(const struct young_leaf *leaf, uint64_t address);

/* MADV_COLD on NR ranges.  Return: bytes done, which end at a range that fails, or -1 and errno. */
ssize_t clearing_madvise(const struct process *process, const struct iovec *range, size_t nr);

/* Begins a round, which clearing_prepare() needs. */
static inline void clearing_next_round(struct clearing *clearing)
{
	estimate_next_round(&clearing->clock);
}

/*
 * Prepares the N probes of batch number BATCH of a round, whose next pages were just found to be
 * LEAF: clears what can be cleared in the batch's share TIME (us) of the sampling interval, and
 * has the others guess.  NOW is the worker's time (us).
 * Return: 0, -ESRCH when the process is gone, or another negative errno.
 */
int clearing_prepare(struct clearing *clearing, struct clearing_room *room,
		     const struct young_leaf *leaf, struct access_probe *probes, size_t n,
		     size_t batch, uint64_t now, uint64_t time);

#endif
