/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one question: may this caller trace this process?  The kernel answers. */
#ifndef DAMONFS_ACCESS_RIGHTS_MAY_H
#define DAMONFS_ACCESS_RIGHTS_MAY_H

#include "access/rights/caller.h"

/*
 * Asks the kernel, in the caller's name, whether it has RIGHT over process PID now, whose directory
 * in /proc is PROCFD.  A CALLER of NULL is the daemon itself, which is not asked about.  Waits for
 * TIMEOUT_MS milliseconds where it has to wait for an agent; otherwise for as long as the kernel
 * takes, which is long while the process executes a program.
 *
 * Return: 0, -ESRCH if there is no such process any more, -EAGAIN if there was no answer in time,
 * or -EPERM, also where it cannot be told.
 */
int caller_may(const struct caller *caller, int procfd, pid_t pid, enum caller_right right,
	       int timeout_ms);

#endif
