/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Texts that readers may not have read to their end: those that were made last, which the next
 * daemon goes on with.
 */
#ifndef DAMONFS_FS_KEEP_TEXTS_H
#define DAMONFS_FS_KEEP_TEXTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who reads a text reads it on at once: no more than so many do so at the same time. */
#define TEXTS	   64
#define TEXTS_ROOM 240 /* of a longer one, only the length is kept */

struct texts {
	uint64_t made; /* how many were kept, ever */
	struct kept_text {
		_Atomic uint64_t handle; /* the open file; 0: there is none */
		_Atomic uint64_t length;
		char text[TEXTS_ROOM];
	} of[TEXTS];
};

/* A copy, which nobody changes while it is used. */
struct text_copy {
	uint64_t length;
	char text[TEXTS_ROOM];
};

/* Keeps LENGTH bytes at TEXT, that the open file HANDLE is read from, in the place of the oldest. */
void texts_keep(struct texts *texts, uint64_t handle, const char *text, size_t length);

/* Return: whether there is a text of HANDLE; *OUT is the last one. */
bool texts_find(const struct texts *texts, uint64_t handle, struct text_copy *out);

#endif
