/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errands: work that may have to wait for somebody else.
 *
 * The kernel or an agent says whether a caller may watch a process.  The kernel does not answer
 * while the process executes a program, and somebody may have stopped the agent.  Neither the
 * request thread nor the tree's lock waits for that: each such question gets a thread of its own,
 * and the write that raised it is held.  There is one errand at a time for each kdamond, and for
 * each write to target_ids.
 */
#ifndef DAMONFS_FS_ERRAND_H
#define DAMONFS_FS_ERRAND_H

#include <pthread.h>

#include "fs/tree/answer.h"

struct errand {
	/* The part that may wait, in a thread of its own, without the tree's lock. */
	void (*go)(struct errand *errand);
	/* Afterwards, under the tree's lock. */
	void (*done)(struct errand *errand);
	/* Last of all: gives the answer and frees the errand. */
	void (*finish)(struct errand *errand);
	/* errand.c's: */
	struct tree *tree;
	pthread_t thread;
	struct event event; /* the answerer's */
};

/*
 * Starts the errand; the tree is locked.
 * Return: 0, or a negative errno and then none of its functions is called.
 */
WITH_LOCK(tree_role) int errand_start(struct tree *tree, struct errand *errand);

#endif
