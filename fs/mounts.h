/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is mounted in our mount namespace. */
#ifndef DAMONFS_FS_MOUNTS_H
#define DAMONFS_FS_MOUNTS_H

#include <limits.h>
#include <stdbool.h>

/* The type of a mount of damonfs. */
#define MOUNTS_TYPE "fuse.damonfs"

/* A mount of our mount namespace. */
struct mount_id {
	int number; /* 0: none */
	char device[24]; /* mount numbers are reused */
};

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
