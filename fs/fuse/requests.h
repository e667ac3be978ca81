/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each FUSE request does to the tree, and its reply.
 *
 * The kernel may cache names and attributes: for a day if they can never go, else for a tick of its
 * clock (node_keep() in node.h).  A write that removes them is answered after that tick.  The
 * kernel is told of changed attributes.  Contents are never cached (direct I/O).
 *
 * An inode number is stale if its object was removed while in use as a working directory or a
 * descriptor.  As in sysfs, lookups in it are ENOENT, but it has attributes, and its parent is
 * found; an open file is ENODEV.
 */
#ifndef DAMONFS_FS_FUSE_REQUESTS_H
#define DAMONFS_FS_FUSE_REQUESTS_H

#include <fuse_lowlevel.h>

#include "fs/fuse/handle.h"
#include "fs/keep/outstanding.h"
#include "fs/keep/texts.h"
#include "fs/run.h"

/* What the requests work on: the user data of the FUSE session. */
struct requests {
	struct tree *tree;
	struct damonfs damonfs;
	/* Somebody else made the mount: pids may be of another namespace than ours. */
	bool passed;
	bool serves; /* the kernel and we agree about the mount */
	unsigned int max_read; /* of the mount; 0: no limit */
	struct handles handles; /* open files and directories; the request thread's */
	/* For the next daemon; NULL: there will be none. */
	struct outstanding *outstanding;
	struct texts *texts;
};

extern const struct fuse_lowlevel_ops requests_operations;

/* Frees the handles that were never closed. */
void requests_clear(struct requests *requests);

#endif
