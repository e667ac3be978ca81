/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Layouts: the files and fixed sub-directories of a kind of directory, as rows, made once from its
 * table for one version of the ABI.
 */
#ifndef DAMONFS_FS_TREE_LAYOUT_H
#define DAMONFS_FS_TREE_LAYOUT_H

#include <stddef.h>

#include "fs/tree/type.h"

/* What fits into an inode number: see node.h. */
#define MAX_ROWS 256

struct row {
	char *name; /* "" for row 0, the directory itself */
	unsigned int parent; /* row */
	const struct file_type *file; /* NULL for a sub-directory */
	/* Sub-directories: the list in it, if there is one. */
	const struct file_type *list;
	const struct layout *children; /* of the list */
};

struct layout {
	const struct dir_kind *kind;
	struct row *rows;
	unsigned int nr_rows;
	struct layout *next; /* all of a tree's */
};

/*
 * Finds the layout of KIND in ALL, or adds it, and those of what can be in it.
 * Return: NULL if there is no memory; what was added stays complete.
 */
const struct layout *layout_of(struct layout **all, const struct dir_kind *kind, unsigned int abi);

void layouts_free(struct layout **all);

/* A number that stands for all names and their places: what inode numbers are made of. */
uint64_t layouts_hash(const struct layout *all);

/* Finds the row NAME, of LENGTH bytes, in sub-directory PARENT.  Return: its number or -1. */
int layout_find(const struct layout *layout, unsigned int parent, const char *name, size_t length);

/* The row of the sub-directory that holds the list that FILE counts. */
unsigned int layout_list_row(const struct layout *layout, const struct file_type *file);

#endif
