/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text that grows; its room is charged to an account. */
#ifndef DAMONFS_FS_TREE_TEXT_H
#define DAMONFS_FS_TREE_TEXT_H

#include <stddef.h>

struct account;

/* What a read returns: allocated text. */
struct text {
	char *data;
	size_t length, room;
	struct account *account; /* who is charged for the room; borrowed, or NULL */
};

/* Makes room for MORE bytes behind the text.  Return: 0 or -ENOMEM. */
int text_reserve(struct text *text, size_t more);

/* Frees the room. */
void text_clear(struct text *text);

/* Appends like printf().  Return: 0 or -ENOMEM. */
int text_add(struct text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3), nonnull(2)));

#endif
