/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each FUSE request does to the tree, and its reply.
 *
 * Names and attributes are cached by the kernel for a day and taken back by notification when the
 * tree changes, before the write that changed it is answered; contents are never cached (direct
 * I/O).  Whoever uses an inode number that is stale was overtaken by such a change: ENOENT where a
 * path is being walked, ENODEV on an open file.
 */
#ifndef DAMONFS_FS_REQUESTS_H
#define DAMONFS_FS_REQUESTS_H

#include <fuse_lowlevel.h>

#include "fs/run.h"

/* What the requests work on: the user data of the FUSE session. */
struct requests {
	struct tree *tree;
	struct damonfs damonfs;
	struct handle *handles; /* open files and directories; the request thread's */
};

extern const struct fuse_lowlevel_ops requests_operations;

/* Frees what was never closed. */
void requests_clear(struct requests *requests);

#endif
