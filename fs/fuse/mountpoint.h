/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The place where the mount is made, and from which it is taken away again.
 *
 * A mount is known by its number in /proc/self/mountinfo, not by its path, which somebody else may
 * have made lead elsewhere meanwhile: nothing but a mount of damonfs is ever taken away.
 */
#ifndef DAMONFS_FS_FUSE_MOUNTPOINT_H
#define DAMONFS_FS_FUSE_MOUNTPOINT_H

#include <stdbool.h>

struct janitor;

/* A mount of our mount namespace. */
struct mount_id {
	int number; /* 0: none */
	char device[24]; /* numbers of mounts are used again */
};

struct mountpoint {
	struct mount_id id; /* of what is ours to take away */
	/* Takes it away, where that takes privileges that we give up or never had; else NULL. */
	struct janitor *janitor;
};

/* Whether PATH stands for a descriptor of /dev/fuse that somebody else has mounted: /dev/fd/N. */
bool mountpoint_is_passed(const char *path);

/*
 * Mounts a file system at the absolute PATH with OPTIONS, separated by commas, or takes the
 * descriptor that PATH stands for.  What a damonfs that died left there is taken away first.
 * STAYS_PRIVILEGED: CAP_SYS_ADMIN is kept, if we have it, and so we can unmount it ourselves.
 * Return: a descriptor of /dev/fuse, which is the caller's, and *OUT; or a negative errno after
 * saying why.
 */
int mountpoint_mount(const char *path, const char *options, bool stays_privileged,
		     struct mountpoint *out);

/*
 * Takes the mount away, if it is still there: before FUSE_FD, its descriptor of /dev/fuse, is
 * closed. Nobody has to answer its requests for that.
 */
void mountpoint_leave(const struct mountpoint *mountpoint, int fuse_fd);

/* The rest of it, when the descriptor is closed: where a program unmounts it, it does so now. */
void mountpoint_clear(struct mountpoint *mountpoint);

#endif
