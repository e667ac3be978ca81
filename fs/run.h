/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A run: a kdamond as the files of both interfaces see it, from the `on' that started it until its
 * thread has ended.
 *
 * The kdamond's call-backs post events to the answerer, which puts them into the tree and answers
 * the writes held for them.  The owner frees a struct run once it is RUN_ENDED.
 */
#ifndef DAMONFS_FS_RUN_H
#define DAMONFS_FS_RUN_H

#include "engine/kdamond.h"
#include "fs/damonfs.h"
#include "fs/errand.h"
#include "fs/tree/node.h"

/* A run that failed to start still has to end. */
enum run_state { RUN_STARTING, RUN_FAILED, RUN_ON, RUN_ENDED };

/* A write that is held until something happens to a run, and its result. */
struct held {
	struct deferred_reply *pending;
	int result;
};

/* All of it is under the tree's lock, unless noted otherwise. */
struct run {
	struct tree *tree;
	struct kdamond *kdamond; /* NULL until its processes are open */
	enum run_state state;
	int start_result; /* the errand's, then the kdamond's, until `start' is posted */
	int result; /* the same, once the state is not RUN_STARTING */
	struct held on, off; /* answered with the events */
	bool left; /* left behind: it still has its thread */
	bool disowned; /* frees itself once it has none */
	/*
	 * The owner's: opens the processes of the description like damon_desc_open(), but may
	 * return other errors; called without the lock.
	 */
	int (*open)(struct damon_desc *desc);
	/*
	 * The owner's, or NULL: the result of the start is known; the thread has ended or was left
	 * behind.  They may still change `on' and `off'; the tree is locked.
	 */
	void (*started)(struct run *run);
	void (*ended)(struct run *run);
	void *owner;
	/*
	 * The owner's: by what another daemon turns it on again (fs/keep/save.h), a RECORD_ON and
	 * perhaps a RECORD_FOUND; or empty.
	 */
	struct text kept;
	bool resumed; /* it was on in a daemon before us */
	bool exclusive; /* of the debugfs files: see damonfs.exclusive */
	/* Charged to who started it, or last committed to it, while it has a thread. */
	struct account_held kdamonds, regions;
	struct event start, end, late; /* the answerer's */
	struct errand errand; /* which opens the processes */
	struct damon_desc *desc; /* until it has */
	unsigned int number; /* of the kdamond, in its name */
	char place[64]; /* the owner's: the directory of the mount that it belongs to */
	uint64_t since; /* ns of clock_ns(): when it was started */
	struct run *prev, *next; /* in damonfs.runs */
};

/*
 * Starts a kdamond on DESC, whose processes are not open yet; takes ownership of DESC, even on
 * failure.  MODEL holds the owner's fields of the new run.
 * Return: 0 and *OUT, or a negative errno.
 */
WITH_LOCK(tree_role)
int run_start(struct tree *tree, struct damon_desc *desc, const struct run *model,
	      struct run **out);

/*
 * Bounds the regions of DESC (max_total_regions), and charges that many, but at least AT_LEAST, to
 * its caller instead of what is HELD.
 * Return: 0, or -ENOMEM if the caller may not have as many as DESC begins with.
 */
int run_hold_regions(struct tree *tree, struct damon_desc *desc, struct account_held *held,
		     uint64_t at_least);

/*
 * Asks RUN, which is on, to end.  If it has not within a second, leaves it behind: the kernel holds
 * its thread up, in a question about a process that it watches.  It is then RUN_ENDED for its
 * owner, whose descriptions it may not use; its charges stay until its thread has ended.
 */
void run_stop(struct run *run);

/* Whether RUN, which may be NULL, has a thread, and was not left behind. */
static inline bool run_has_thread(const struct run *run)
{
	return run && run->state != RUN_ENDED;
}

/* Frees a RUN_ENDED run, or NULL; the tree is locked.  Return: NULL. */
struct run *run_free(struct run *run);

/* Whether any is still being started. */
WITH_LOCK(tree_role) bool runs_are_starting(const struct tree *tree);

/* Asks every kdamond to end.  Return: whether all have. */
WITH_LOCK(tree_role) bool runs_stop(struct tree *tree);

/*
 * The same, and waits for them until UNTIL, ns by CLOCK_MONOTONIC; the tree is locked, and unlocked
 * while waiting.
 */
WITH_LOCK(tree_role) bool runs_stop_all(struct tree *tree, uint64_t until);

#endif
