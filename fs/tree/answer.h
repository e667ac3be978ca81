/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers that come later: the thread that reads requests never waits, so a write that has to wait
 * for a kdamond, or for the kernel to forget names, is held and answered by another thread, the
 * answerer.
 *
 * Events are handled in the order in which they were posted: what an event does to the tree, then
 * the kernel is told of changed attributes, which waits for nobody.  When the kernel believes
 * nothing any more of what was removed, after some ticks of its clock at most, it is finished: its
 * answer comes, in the same order.
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
	uint64_t due; /* not finished before, or if it is late not handled before, by tree_now() */
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

/* How long an event waits that is posted late. */
#define ANSWERER_LATE_NS 1000000000

/* The same, ANSWERER_LATE_NS from now; one that still waits then is posted once. */
void answerer_post_late(struct answerer *answerer, struct event *event);

/*
 * Takes back what was posted late and has not been handled yet, if it was.  Of the answerer's own
 * thread only: so it is not being handled either.
 */
void answerer_take_back(struct answerer *answerer, struct event *event);

/*
 * A write that is being handled.  Whoever cannot answer it at once holds it.
 */
struct deferred_reply;

struct write {
	struct process_caller writer;
	/* Files that command: who opened it, or why that cannot be told, a negative errno. */
	struct caller *opener;
	int opener_error;
	struct account *account; /* who is charged for what it makes; borrowed, or NULL */
	size_t size; /* of the text, in which there may be NULs */
	struct deferred_reply *pending; /* where to hold it; taken by write_hold() */
};

/*
 * In whose name the write counts: of who opened the file and who writes, the one who may do less.
 * Return: 0 and a reference in *OUT, -ESRCH where one of them is not visible in our pid namespace,
 * -EPERM where it cannot be told what they may do, or another negative errno; told in the log.
 */
int write_caller(const struct write *write, struct caller **out);

/* Takes the write over: the store returns STORE_HELD, and deferred_reply_send() is called once. */
struct deferred_reply *write_hold(struct write *write);

/* Answers a held write: 0 or a negative errno.  Frees it.  NULL is allowed. */
void deferred_reply_send(struct deferred_reply *pending, int result);

#endif
