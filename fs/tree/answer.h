/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deferred answers: the request thread never waits, so a write that has to wait for a kdamond, or
 * for the kernel to forget names, is held and answered by another thread, the answerer.
 *
 * Events are handled in the order in which they were posted: an event changes the tree, then the
 * kernel is told of changed attributes, which waits for nobody.  Once the kernel has forgotten what
 * was removed, after a few ticks of its clock at most, the event is finished: its answer is given,
 * in the same order.
 */
#ifndef DAMONFS_FS_TREE_ANSWER_H
#define DAMONFS_FS_TREE_ANSWER_H

#include <stdint.h>

#include "fs/tree/node.h"

struct answerer;

struct event {
	/* What it does to the tree, under the tree's lock; or NULL. */
	void (*run)(struct event *event);
	/* Last of all: gives its answer and frees the event; or NULL. */
	void (*finish)(struct event *event);
	/* The answerer's: */
	struct event *next;
	uint64_t due; /* by tree_now(): not finished before; a late one not handled before */
};

/*
 * Starts the thread.  INVALIDATE tells the kernel that attributes of an inode changed; it gets
 * ARGUMENT.  Return: 0 and *OUT, or a negative errno.
 */
int answerer_start(struct tree *tree, void (*invalidate)(uint64_t ino, void *argument),
		   void *argument, struct answerer **out);

/* Handles what was posted and ends the thread. */
void answerer_stop(struct answerer *answerer);

/* May be called from any thread, with or without the tree's lock.  Does not fail. */
void answerer_post(struct answerer *answerer, struct event *event);

/* How long a late event waits. */
#define ANSWERER_LATE_NS 1000000000

/* The same, ANSWERER_LATE_NS from now; posting a waiting event again only restarts its wait. */
void answerer_post_late(struct answerer *answerer, struct event *event);

/*
 * Takes back a late event, if it is still waiting.  Call it from the answerer's own thread only: so
 * it is not being handled either.
 */
void answerer_take_back(struct answerer *answerer, struct event *event);

/*
 * A write that is being handled.  Whoever cannot answer it at once holds it.
 */
struct deferred_reply;

struct write {
	struct process_caller writer;
	/* For command files: who opened it, or a negative errno if that is unknown. */
	struct caller *opener;
	int opener_error;
	struct account *account; /* who is charged for what it makes; borrowed, or NULL */
	size_t size; /* of the text, in which there may be NULs */
	struct deferred_reply *pending; /* where to hold it; taken by write_hold() */
};

/*
 * The caller in whose name the write counts: who opened the file or who writes, whichever may do
 * less.
 * Return: 0 and a reference in *OUT, -ESRCH if one of them is not visible in our pid namespace,
 * -EPERM if it is unknown what they may do, or another negative errno; logged.
 */
int write_caller(const struct write *write, struct caller **out);

/* Takes the write over: the store returns STORE_HELD, and deferred_reply_send() is called once. */
struct deferred_reply *write_hold(struct write *write);

/* Answers a held write: 0 or a negative errno.  Frees it.  NULL is allowed. */
void deferred_reply_send(struct deferred_reply *pending, int result);

#endif
