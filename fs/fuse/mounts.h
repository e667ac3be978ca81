/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is mounted in our mount namespace. */
#ifndef DAMONFS_FS_FUSE_MOUNTS_H
#define DAMONFS_FS_FUSE_MOUNTS_H

#include <limits.h>
#include <stdbool.h>

#include "fs/fuse/mountpoint.h"

/* The type of a mount of damonfs. */
#define MOUNTS_TYPE "fuse.damonfs"

/* A line of /proc/self/mountinfo. */
struct mount_line {
	struct mount_id id;
	bool whole; /* it begins at the root of its file system */
	char point[PATH_MAX];
	char type[64];
};

/*
 * Calls VISIT for each mount until it returns false.
 * Return: 0, or a negative errno if not all could be read.
 */
int mounts_list(bool (*visit)(const struct mount_line *line, void *argument), void *argument);

#endif
