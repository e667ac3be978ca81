/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Printing and parsing a file by its row: see type.h. */
#ifndef DAMONFS_FS_TREE_FILE_H
#define DAMONFS_FS_TREE_FILE_H

#include "fs/tree/type.h"

/* The word of VALUE, or NULL. */
const char *keyword_name(const struct keyword *words, int value);

/* The most that one write to a stream may hold. */
#define STREAM_MAX ((4UL << 20) - 1)

/*
 * Prints what the file FILE of DIR holds, for READER.  The tree is locked.
 * Return: 0, or a negative errno.
 */
int file_show(const struct file_type *file, struct dir *dir, const struct process_caller *reader,
	      struct text *out);

/*
 * Takes TEXT, one complete command, for the file FILE of DIR.  The tree is locked.
 * Return: 0, STORE_HELD, or a negative errno and nothing changed.
 */
int file_store(const struct file_type *file, struct dir *dir, struct write *write,
	       const char *text);

/* Frees the TEXT of a file of that format, which is charged to DIR's account; or NULL. */
void file_free_text(struct dir *dir, char *text);

#endif
