/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `damonfs exec -o survive': the mount outlives its daemon, and ends with us. */
#ifndef DAMONFS_FS_EXEC_SURVIVING_H
#define DAMONFS_FS_EXEC_SURVIVING_H

#include <sys/types.h>

#include "fs/options.h"

/*
 * Mounts damonfs on PLACE, and has a keeper serve it, a child of ours in a session of its own, so
 * that a terminal's signals do not reach it.  It ends with us.
 * Return: 0 and *KEEPER; -ECHILD if the keeper could not, and has said why; or another negative
 * errno.
 */
int surviving_start(struct options *options, const char *place, pid_t *keeper);

/* Ends it, with the mount. */
void surviving_end(pid_t keeper);

#endif
