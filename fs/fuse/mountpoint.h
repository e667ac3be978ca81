/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The place where the mount is made, and from which it is taken away again.
 *
 * A mount is known by its number in /proc/self/mountinfo, not by its path, which somebody may have
 * redirected meanwhile: nothing but a mount of damonfs is ever taken away.
 */
#ifndef DAMONFS_FS_FUSE_MOUNTPOINT_H
#define DAMONFS_FS_FUSE_MOUNTPOINT_H

#include <stdbool.h>

#include "access/why.h"
#include "fs/mounts.h"

struct janitor;

struct mountpoint {
	struct mount_id id; /* of what is ours to take away */
	/* Unmounts it, if we give up or never had the privileges to; else NULL. */
	struct janitor *janitor;
};

/* Whether PATH stands for a descriptor of /dev/fuse that somebody else has mounted: /dev/fd/N. */
bool mountpoint_is_passed(const char *path);

/*
 * Mounts a file system at the absolute PATH with comma-separated OPTIONS, or takes the descriptor
 * that PATH stands for.  First takes away what a dead damonfs left there.
 * STAYS_PRIVILEGED: we keep CAP_SYS_ADMIN, if we have it, and so can unmount it ourselves.
 * Return: a descriptor of /dev/fuse, which is the caller's, and *OUT; or a negative errno after
 * saying why.
 */
int mountpoint_mount(const char *path, const char *options, bool stays_privileged,
		     struct mountpoint *out);

/*
 * What stands in the way of a mount: of opening its device; or of mounting at all.
 * Return: 0, or a negative errno and WHY.
 */
int mountpoint_try_device(struct access_why *why);
int mountpoint_missing(struct access_why *why);

/*
 * The mount at the absolute PATH, which FUSE_FD, a descriptor of /dev/fuse that is left from
 * before, serves.  Return: 0 and *OUT, or a negative errno: it is not there any more.
 */
int mountpoint_find(const char *path, int fuse_fd, struct mountpoint *out);

/* Whether the kernel has given up the file system that descriptor FUSE_FD of /dev/fuse serves. */
bool mountpoint_is_gone(int fuse_fd);

/*
 * Takes the mount away, if it is still there.  Call it before FUSE_FD, its descriptor of /dev/fuse,
 * is closed; nobody has to answer its requests for that.
 */
void mountpoint_leave(const struct mountpoint *mountpoint, int fuse_fd);

/* The rest, once the descriptor is closed: a janitor that is to unmount it does so now. */
void mountpoint_clear(struct mountpoint *mountpoint);

#endif
