/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interface of young.c and young.bpf.c: a batch of addresses of one process, and what the page
 * table entry of each says.  Included by a BPF program: no headers but of types.
 */
#ifndef DAMONFS_ACCESS_YOUNG_BATCH_H
#define DAMONFS_ACCESS_YOUNG_BATCH_H

#include <linux/types.h>

#include "access/methods/estimate.h"
#include "access/probe.h"

/* Addresses of one call; a larger round takes several. */
#define YOUNG_BATCH 2048

/* The largest folio, as a power of two of pages, that is handled as one. */
#define YOUNG_MAX_ORDER 9

/* No more regions are looked at in a tick, nor more than take this long: others have to wait. */
#define YOUNG_TICK_REGIONS 256
#define YOUNG_TICK_NS	   50000

enum young_flag {
	YOUNG_PRESENT = 1, /* a page that can be watched is mapped there */
	YOUNG_YOUNG = 2, /* and was accessed since the bit was cleared */
	YOUNG_HUGE = 4, /* by an entry that maps 2 MiB */
	YOUNG_FOLIO = 8, /* by one of the 1 << order entries of a larger folio, all of them here */
	/*
	 * Mapped elsewhere too, or only in part, or, in a small process, on no list yet: MADV_COLD
	 * leaves it alone.  By the idle bitmap: on no list.
	 */
	YOUNG_SHARED = 16,
};

struct young_leaf {
	__u64 flags : 8; /* of enum young_flag */
	__u64 order : 4; /* YOUNG_FOLIO: its size */
	__u64 index : 12; /* YOUNG_FOLIO: which of its pages the address is in */
	__u64 frame : 40; /* with by_bitmap: the one that stands for the page, if it is young */
};

/* Only clear_refs clears the page of LEAF, which is the probe's next one. */
static inline bool young_needs_clear_refs(const struct young_leaf *leaf,
					  const struct access_probe *probe)
{
	return leaf->flags & YOUNG_SHARED || probe->priv & ESTIMATE_MARK;
}

/*
 * Prepares the probe, whose next page is that of LEAF and is not cleared: as it is if nobody
 * touched it, else by guessing.  CLEAR_REFS_USED: it was written once at least.
 */
static inline void young_prepare_uncleared(const struct young_leaf *leaf,
					   struct access_probe *probe, bool clear_refs_used)
{
	if (leaf->flags & YOUNG_YOUNG)
		estimate_instead(probe, young_needs_clear_refs(leaf, probe) && clear_refs_used);
	else
		estimate_prepare_untouched(probe);
}

/* What a thread is told of itself: its global task id, what batches go by, and the timers' time. */
struct young_enrolment {
	__u64 pid_tgid, now; /* ns */
};

enum young_result {
	YOUNG_DONE = 1,
	YOUNG_NO_TASK, /* no such task, or another one of the same number */
	YOUNG_NO_MEMORY, /* a zombie or a kernel thread */
	YOUNG_OTHER_PROGRAM, /* it has executed another one */
	YOUNG_OTHER_TABLES, /* with by_bitmap: a guest or a device has page tables of its own */
};

/*
 * The regions of a process that a timer of the kernel looks at, so that the worker sleeps: see
 * ticks.bpf.h.
 */
struct young_ticks {
	/* It is the timer's turn: nobody else may touch this, or the batch around it. */
	uint32_t on;
	uint32_t nr; /* regions */
	uint32_t left, done; /* rounds */
	/*
	 * Out: it stopped before the next pages were prepared, because some are to be cleared; they
	 * are in the batch's leaf[].
	 */
	uint32_t waits;
	uint32_t clear_refs_used; /* once at least */
	uint64_t clear_refs_at; /* ns: when pages that only clear_refs clears may be cleared again */
	uint64_t interval, deadline, last; /* ns: of a round, when the last one was due and was */
	uint64_t cost; /* ns of a region in a tick, a moving average */
	uint64_t limit; /* ns: a tick that takes longer is the worker's */
	uint64_t random[4];
	struct estimate_clock clock;
	struct access_run run[YOUNG_TICK_REGIONS];
};

/* The value of a batch map: written by user space before a call and by the program in it. */
struct young_batch {
	__u32 pid; /* in: global task id; out of `identify': the same */
	__u32 result; /* out: enum young_result */
	__u64 start_time; /* in: of the task, out of `identify': the same */
	__u32 exec_id; /* likewise: which of its programs is looked at */
	__u32 by_bitmap; /* in: pages are cleared by the idle bitmap */
	__u32 nr_prepared; /* in: how many of prepared[] to look at */
	__u32 nr_next; /* in: how many of next[] */
	__u64 prepared[YOUNG_BATCH];
	__u64 next[YOUNG_BATCH];
	__u8 prepared_flags[YOUNG_BATCH]; /* out: YOUNG_PRESENT, YOUNG_YOUNG, YOUNG_HUGE */
	struct young_leaf leaf[YOUNG_BATCH]; /* out: of next[] */
	struct young_ticks ticks;
};

#endif
