/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The service manager's store of descriptors (systemd: FileDescriptorStoreMax=), in which a mount
 * outlives its keeper: the next one, of the same unit, gets them back.
 */
#ifndef DAMONFS_FS_KEEP_STORE_H
#define DAMONFS_FS_KEEP_STORE_H

#include <stdbool.h>

/*
 * Takes the descriptors that the manager gave us, of /dev/fuse and of the memory, and closes what
 * else it gave us.  One without the other is dropped.
 * Return: whether both were there; they are the caller's, and else -1.
 */
bool store_take(int *fuse_fd, int *memory_fd);

/* Puts copies of both into the store.  Return: 0, or a negative errno after saying why. */
int store_put(int fuse_fd, int memory_fd);

/* The mount is gone: they are not needed any more. */
void store_drop(void);

#endif
