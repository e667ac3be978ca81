/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loads the BPF program of the method young and has it look at batches of addresses.
 *
 * It is loaded once for all threads.  Each thread takes a slot, a batch in memory that it shares
 * with the program.  Only the thread that took a slot uses it.  A slot that is left is kept for the
 * next thread: making one takes two waits for all processors, 20 ms, and seconds on a machine that
 * is busy.
 */
#ifndef DAMONFS_ACCESS_YOUNG_PROGRAM_H
#define DAMONFS_ACCESS_YOUNG_PROGRAM_H

#include <linux/types.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "access/young/batch.h"

/* What wakes a thread from the program: a ring buffer, which is readable then. */
struct young_wake {
	int fd; /* -1 where no kernel makes rounds */
	/* Its pages: how far it was read, and how far it was written. */
	_Atomic unsigned long *consumer;
	const _Atomic unsigned long *producer;
};

struct young_slot {
	struct young_batch *batch; /* what to look at, and the answers */
	int map;
	__u32 number; /* by which the program finds the batch */
	__u32 tid; /* the thread's global id, by which it finds the number; 0 if it does not */
	struct young_wake wake;
	bool ticks; /* the kernel can make rounds for the thread */
	uint32_t promised; /* of a processor, to the timer: see ticks.c */
};

/* A task, found by number once and known by its global id and start time afterwards. */
struct young_task {
	__u32 pid;
	__u64 start_time;
	__u32 exec_id; /* which of the programs that it has executed */
	bool by_bitmap; /* its pages are cleared by the idle bitmap: see idle_bitmap.h */
	int iterator; /* a BPF link, on kernels where a task cannot be looked up; else -1 */
};

/*
 * Loads the program unless it is loaded.  It stays until the process ends, because some versions of
 * perf cannot read recordings that see a program go.
 * Return: 0, or a negative errno, with WHY, of SIZE bytes, saying what is missing and what to do
 * about it.
 */
int young_program_get(char *why, size_t size);

/* Whether process_madvise leaves large folios whole that it clears with what is around them. */
bool young_keeps_folios(void);

/* Call it after young_program_get(); call young_slot_leave() even if it fails. */
int young_slot_take(struct young_slot *slot);
void young_slot_leave(struct young_slot *slot);

/* TID is of our own pid namespace.  Return: 0, -ESRCH, or another negative errno. */
int young_task_open(struct young_slot *slot, pid_t tid, struct young_task *out);
void young_task_close(struct young_task *task);

/*
 * Looks at the nr_prepared and nr_next addresses of the slot's batch: one system call, three where
 * there is an iterator.  Return: 0, -ESRCH if the task is gone or has no memory, -ESTALE if it has
 * executed another program since it was opened, -EOPNOTSUPP if it is looked at for the idle bitmap
 * and others use its memory by page tables of their own, or another negative errno.
 */
int young_walk(struct young_slot *slot, const struct young_task *task);

/*
 * Has the kernel make rounds over TASK with batch->ticks, from FIRST (ns) on.  Until they are
 * stopped, nothing else may be done with the slot.  Return: 0 or a negative errno.
 */
int young_ticks_start(struct young_slot *slot, const struct young_task *task, uint64_t first);

/* Ends that, or finds that it ended.  Return: as young_walk(). */
int young_ticks_stop(struct young_slot *slot);

#endif
