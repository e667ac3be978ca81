/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's page_idle bitmap: a bit of each frame.
 *
 * Writing a bit marks its frame idle, which clears the accessed bits of the frame in every mapping;
 * it flushes no TLB and moves the page on no list.  Reading the bit tells whether the frame still
 * is idle.  A larger folio is marked by its head; frames on no list, and tails, cannot be.
 */
#ifndef DAMONFS_ACCESS_PROC_IDLE_BITMAP_H
#define DAMONFS_ACCESS_PROC_IDLE_BITMAP_H

#include <stddef.h>
#include <stdint.h>

#include "access/why.h"

/* Frames that share a word, in which the file is read and written. */
#define IDLE_WORD_FRAMES 64

/* Return: a descriptor to read and write it, or a negative errno and WHY. */
int idle_bitmap_open(struct access_why *why);

/* Marks that are written together: those in words that follow one another. */
struct idle_marks {
	int bitmap; /* the file, borrowed */
	uint64_t first; /* number of the first word */
	size_t nr; /* words */
	uint64_t word[16];
};

/*
 * Marks FRAME idle, at the latest when idle_marks_write() is called.  Frames may come in any order;
 * those that follow one another cost least.
 * Return: 0 or a negative errno.
 */
int idle_mark(struct idle_marks *marks, uint64_t frame);

/* Return: 0 or a negative errno. */
int idle_marks_write(struct idle_marks *marks);

#endif
