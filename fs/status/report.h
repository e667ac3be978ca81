/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The status of a mount, by its daemon.
 *
 * Nothing in the trees may differ from the kernel's, so it has no file.  Who may have it is who may
 * do all with the mount: whoever opens nr_kdamonds to read and write, which the kernel decides.
 * After the ioctl REPORT_STATUS that descriptor reads as the status, from its start.
 */
#ifndef DAMONFS_FS_STATUS_REPORT_H
#define DAMONFS_FS_STATUS_REPORT_H

#include <sys/ioctl.h>

#include "fs/tree/node.h"

/* Without an argument.  ENOTTY: the descriptor is not such a one, or the file system not ours. */
#define REPORT_STATUS _IO('D', 1)

/* Prints the status of TREE's mount: a JSON object, see damonfs(8).  Return: 0 or -ENOMEM. */
WITH_LOCK(tree_role) int report_status(struct tree *tree, struct text *out);

#endif
