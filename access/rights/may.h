/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one question: may this caller trace this process?  The kernel answers. */
#ifndef DAMONFS_ACCESS_RIGHTS_MAY_H
#define DAMONFS_ACCESS_RIGHTS_MAY_H

#include "access/rights/caller.h"

/*
 * Asks the kernel, in CALLER's name, whether it has RIGHT over process PID now, whose directory in
 * /proc is PROCFD.  A NULL CALLER is the daemon itself, who needs no right.  Waits at most
 * TIMEOUT_MS milliseconds for an agent if it needs one; otherwise as long as the kernel takes,
 * which is long while the process executes a program.
 *
 * Return: 0, -ESRCH if the process is gone, -EAGAIN if there was no answer in time, or -EPERM, also
 * if the answer is unknown.
 */
int caller_may(const struct caller *caller, int procfd, pid_t pid, enum caller_right right,
	       int timeout_ms);

#endif
