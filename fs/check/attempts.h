/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What can be tried without leaving anything behind: a mount, a namespace, a process to look at. */
#ifndef DAMONFS_FS_CHECK_ATTEMPTS_H
#define DAMONFS_FS_CHECK_ATTEMPTS_H

#include <sys/types.h>

#include "access/why.h"

/*
 * Try to mount damonfs, and to enter namespaces as `damonfs exec' does.  Call them while there is
 * one thread.
 * Return: 0, or a negative errno and WHY.
 */
int attempt_mount(struct access_why *why);
int attempt_exec(struct access_why *why);

/*
 * Starts a process with memory of its own that does nothing until it is ended, or we are.
 * Return: its pid or a negative errno.
 */
pid_t attempt_start_sample(void);
void attempt_end_sample(pid_t pid);

#endif
