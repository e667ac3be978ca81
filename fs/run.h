/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A run: a kdamond as the files of both interfaces see it, from the `on' that started it until its
 * thread has ended.
 *
 * The kdamond's call-backs post events to the answerer, which takes them into the tree and answers
 * the writes that were held for them.  A struct run is freed by its owner, once it is RUN_ENDED.
 */
#ifndef DAMONFS_FS_RUN_H
#define DAMONFS_FS_RUN_H

#include "engine/damon.h"
#include "fs/damonfs.h"
#include "fs/errand.h"
#include "fs/tree/node.h"

/* One that failed to start still has to end. */
enum run_state { RUN_STARTING, RUN_FAILED, RUN_ON, RUN_ENDED };

/* A write that is held until something has happened to a run, and what it will be told. */
struct held {
	struct deferred_reply *pending;
	int result;
};

/* All of it is under the tree's lock, but for what says otherwise. */
struct run {
	struct tree *tree;
	struct damon_kdamond *kdamond; /* NULL until its processes are open */
	enum run_state state;
	int start_result; /* the errand's, then the kdamond's, until `start' is posted */
	int result; /* the same, once the state is not RUN_STARTING */
	struct held on, off; /* answered with the events */
	bool left; /* behind: it has its thread still */
	bool disowned; /* freed by itself once it has not */
	/*
	 * The owner's: opens the processes of the description, as damon_desc_open() does, and may
	 * say otherwise what is wrong; called without the lock.
	 */
	int (*open)(struct damon_desc *desc);
	/*
	 * The owner's, or NULL: it is known how the start went, and the thread has ended or was
	 * left behind.  They may still change `on' and `off'; the tree is locked.
	 */
	void (*started)(struct run *run);
	void (*ended)(struct run *run);
	void *owner;
	bool exclusive; /* of the debugfs files: see damonfs.exclusive */
	/* What is charged to who started it, or committed to it last, for as long as it has a
	 * thread. */
	struct account_held kdamonds, regions;
	struct event start, end, late; /* the answerer's */
	struct errand errand; /* which opens the processes */
	struct damon_desc *desc; /* until it has */
	unsigned int number; /* of the kdamond, in its name */
	struct run *prev, *next; /* in damonfs.runs */
};

/*
 * Starts a kdamond on DESC, whose processes are not open yet, and of which it takes ownership also
 * when it fails.  MODEL holds the owner's fields of the new run.
 * Return: 0 and *OUT, or a negative errno.
 */
int run_start(struct tree *tree, struct damon_desc *desc, const struct run *model,
	      struct run **out);

/*
 * Bounds the regions of DESC (max_total_regions), and charges as many to its caller instead of what
 * is HELD, but no fewer than AT_LEAST. Return: 0, or -ENOMEM if the caller may not have as many as
 * DESC begins with.
 */
int run_hold_regions(struct tree *tree, struct damon_desc *desc, struct account_held *held,
		     uint64_t at_least);

/*
 * Asks RUN, which is on, to end, and if it does not within a second leaves it behind: the kernel
 * holds its thread up, in something that it asked about a process that it watches.  Then it is
 * RUN_ENDED for its owner, whose descriptions it may not use, and what is charged for it stays so
 * until its thread has ended.
 */
void run_stop(struct run *run);

/* Whether RUN, which may be NULL, has a thread, and was not left behind. */
static inline bool run_has_thread(const struct run *run)
{
	return run && run->state != RUN_ENDED;
}

/* Frees a run, which may be NULL and is RUN_ENDED; the tree is locked.  Return: NULL. */
struct run *run_free(struct run *run);

/* Asks every kdamond to end.  Return: whether there is none any more. */
bool runs_stop(struct tree *tree);

/*
 * The same, and waits for them until UNTIL, ns by CLOCK_MONOTONIC; the tree is locked, and unlocked
 * while waiting.
 */
bool runs_stop_all(struct tree *tree, uint64_t until);

#endif
