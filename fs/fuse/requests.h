/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each FUSE request does to the tree, and its reply.
 *
 * The kernel may keep names and attributes: a day where they cannot go, else for a tick of its
 * clock (node_keep() in node.h), which the answer to a write that removes them waits for.  It is
 * told of changed attributes.  Contents are never cached (direct I/O).
 *
 * A stale inode number is that of something that was removed while it was held as a working
 * directory or a descriptor.  As in sysfs, nothing is found in it, ENOENT, but it has attributes,
 * and its parent is found; an open file is ENODEV.
 */
#ifndef DAMONFS_FS_FUSE_REQUESTS_H
#define DAMONFS_FS_FUSE_REQUESTS_H

#include <fuse_lowlevel.h>

#include "fs/run.h"

/* What the requests work on: the user data of the FUSE session. */
struct requests {
	struct tree *tree;
	struct damonfs damonfs;
	/* The mount was made by somebody else: pids may be of another namespace than ours. */
	bool passed;
	bool serves; /* the kernel has said what it wants, and was answered */
	unsigned int max_read; /* of the mount; 0: no limit */
	struct handle *handles; /* open files and directories; the request thread's */
};

extern const struct fuse_lowlevel_ops requests_operations;

/* Frees what was never closed. */
void requests_clear(struct requests *requests);

#endif
