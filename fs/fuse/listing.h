/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snapshot of a directory, which an open directory is read from.  A position in it is the number
 * of entries before it, so any position is harmless.
 */
#ifndef DAMONFS_FS_FUSE_LISTING_H
#define DAMONFS_FS_FUSE_LISTING_H

#include <fuse_lowlevel.h>

#include "fs/tree/node.h"

struct listing {
	struct text names; /* each ends in NUL; its account is charged for the whole listing */
	struct listing_entry {
		uint64_t ino;
		size_t name; /* where it begins */
	} * entries;
	size_t nr, room;
};

/*
 * Lists the directory NODE, instead of what was listed; the tree is locked.
 * Return: 0, or -ENOMEM and then the listing is empty.
 */
int listing_fill(struct listing *listing, struct node node);

void listing_clear(struct listing *listing);

/* What the kernel is told of NODE when it looks it up; the tree is locked. */
void listing_entry(struct node node, struct fuse_entry_param *out);

/*
 * Puts the entries from position FROM into BUFFER for the kernel, as many as fit into SIZE bytes.
 * With a TREE, each of them is as if it was looked up in it; it is locked.
 * Return: how many bytes they take.
 */
WITH_LOCK(tree_role)
size_t listing_put(const struct listing *listing, fuse_req_t req, off_t from, char *buffer,
		   size_t size, struct tree *tree);

#endif
