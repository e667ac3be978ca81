/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal's records of what is in a tree, put into a text.  ROOM is a text to work in. */
#ifndef DAMONFS_FS_KEEP_RECORDS_H
#define DAMONFS_FS_KEEP_RECORDS_H

#include "fs/keep/journal.h"
#include "fs/tree/node.h"

/* Whether FILE has a record. */
bool records_cover(const struct file_type *file);

/* All of these return 0, -ENOMEM, or another negative errno of what shows a file. */

/* Puts a record and DATA, of record->length bytes. */
int records_put(struct text *out, const struct record *record, const void *data);

/* Puts SIZE bytes, and fills up to a multiple of 8. */
int records_put_bytes(struct text *out, const void *bytes, size_t size);

/* What the file NODE holds; nothing if it never held anything. */
int records_put_file(struct text *out, struct node node, struct text *room);

/* The mode and owner of NODE, if they were changed. */
int records_put_mode(struct text *out, struct node node);

/* What a kdamond found, in row ROW of DIR. */
int records_put_measured(struct text *out, struct dir *dir, unsigned int row, struct text *room);

/* The files that made DIR and those above it. */
int records_put_parents(struct text *out, struct dir *dir, struct text *room);

/* How much: of one kdamond, to turn it on again; all that was written; and what was found, too. */
enum records_extent { RECORDS_OF_ONE, RECORDS_WRITTEN, RECORDS_ALL };

/* What is below TOP of DIR, and in the directories that its files made, to that EXTENT. */
int records_put_dir(struct text *out, struct dir *dir, unsigned int top, enum records_extent extent,
		    struct text *room);

/* The list of directories that FILE of DIR counts, or NULL. */
const struct dir_list *records_counted(struct dir *dir, const struct file_type *file);

#endif
