/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `damonfs lend': a mount for a damonfs that may not mount. */
#ifndef DAMONFS_FS_LEND_H
#define DAMONFS_FS_LEND_H

/*
 * Runs `damonfs lend [-o OPTIONS] MOUNTPOINT [--] COMMAND...': mounts, gives the command the mount
 * as descriptor LEND_FD, and unmounts when it has ended.
 * Return: the exit status: as exec_main().
 */
int lend_main(int argc, char **argv);

/* The first one behind stdin, stdout and stderr: what podman's --preserve-fds=1 passes on. */
#define LEND_FD 3

#endif
