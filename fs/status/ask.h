/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking mounts of damonfs how they do. */
#ifndef DAMONFS_FS_STATUS_ASK_H
#define DAMONFS_FS_STATUS_ASK_H

#include <jansson.h>

/*
 * Asks the mount at MOUNTPOINT, or of which that is the directory admin or admin/kdamonds.
 * Return: 0 and *OUT, the object of report_status(), which is the caller's; -ENOTTY or -ENOENT if
 * it is no damonfs; or another negative errno and *OUT is NULL.
 */
int ask_status(const char *mountpoint, json_t **out);

/* Says on stderr, for `damonfs COMMAND', why that failed with R and what to do. */
void ask_explain(const char *command, const char *mountpoint, int r);

/*
 * Calls VISIT for one mount point of each damonfs that can be seen here.
 * Return: 0, the first other result of VISIT, or a negative errno.
 */
int ask_mountpoints(int (*visit)(const char *mountpoint, void *argument), void *argument);

#endif
