/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists of directories that a kdamond fills, with what their files show: tried regions.
 *
 * Nobody can write them, so the texts of files do not make them again.  Here they are 64-bit words:
 * of the list's own directory the files' values; how many directories follow; and of each its
 * number, its serial number, and its files' values and lists, by the rows of its layout.
 */
#ifndef DAMONFS_FS_KEEP_MEASURED_H
#define DAMONFS_FS_KEEP_MEASURED_H

#include "fs/tree/node.h"

/* Whether row ROW of DIR is such a list. */
bool measured_is(const struct dir *dir, unsigned int row);

/* Whether the list in row ROW of DIR is empty, and the files beside it show 0. */
bool measured_is_empty(struct dir *dir, unsigned int row);

/* Adds the words of the list in row ROW of DIR to OUT.  Return: 0 or -ENOMEM. */
int measured_put(struct text *out, struct dir *dir, unsigned int row);

/*
 * Makes the list in row ROW of DIR as the LENGTH bytes at WORDS say, with the same serial numbers,
 * charged as DIR is; no bytes empty it.  They may be anything.  At most *ROOM directories, which it
 * counts down.
 * Return: 0; or -EINVAL or -ENOMEM, and the list is empty.
 */
WITH_LOCK(tree_role)
int measured_restore(struct dir *dir, unsigned int row, const char *words, size_t length,
		     size_t *room);

#endif
