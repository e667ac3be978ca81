/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errands: what may have to wait for somebody else.
 *
 * Whether a caller may watch a process is a question to the kernel, which answers when the process
 * is not executing a program, or to an agent, which somebody may have stopped.  Neither the thread
 * that reads requests nor the tree's lock waits for that: a thread is made for each such question,
 * and the write that raised it is held.  There is one at a time for each kdamond, and for each
 * write to target_ids.
 */
#ifndef DAMONFS_FS_ERRAND_H
#define DAMONFS_FS_ERRAND_H

#include <pthread.h>

#include "fs/tree/answer.h"

struct errand {
	/* What may wait; a thread of its own does it, without the tree's lock. */
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
int errand_start(struct tree *tree, struct errand *errand);

#endif
