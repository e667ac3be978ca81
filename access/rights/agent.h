/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Agents: small processes that do for the daemon what a thread of its own cannot.
 *
 * An agent asks the kernel in the name of a caller of another user namespace, or of another
 * security label, which only a process with one thread can take on; and it makes system calls in
 * other processes (inject.h), which it finishes and puts right whatever becomes of the daemon
 * meanwhile.
 *
 * Agents are children of the broker, which is started while damonfs still has all its privileges,
 * and hears from nobody but the daemon.  An agent serves one request at a time, of whoever's; it
 * ends when nobody hears it any more.
 *
 * Every function may be called from any thread.
 */
#ifndef DAMONFS_ACCESS_RIGHTS_AGENT_H
#define DAMONFS_ACCESS_RIGHTS_AGENT_H

#include "access/rights/caller.h"

/* More agents than this are not made at a time. */
#define AGENTS_MAX 64

/*
 * Starts the broker.  To be called after caller_prepare(), while the process has one thread, and
 * before it drops privileges.
 * Return: 0 or a negative errno.
 */
int agents_start(void);

/* Ends the broker, and with it the agents that are idle. */
void agents_stop(void);

/*
 * Asks in the name of CALLER whether it has RIGHT over the process whose directory in /proc is
 * PROCFD; see caller_may().
 * Return: 0, -ESRCH if there is no such process any more, -EAGAIN without an answer after
 * TIMEOUT_MS milliseconds, or where there are no more agents, or -EPERM, also where the caller's
 * credentials cannot be taken on.
 */
int agent_may(const struct caller *caller, int procfd, enum caller_right right, int timeout_ms);

/*
 * Has the process whose directory in /proc is PROCFD call madvise(START, LENGTH, BEHAVIOR), which
 * is MADV_HUGEPAGE or MADV_NOHUGEPAGE, in the name of CALLER; what it answers goes to *RESULT: 0 or
 * a negative errno.
 *
 * Return: 0; or, and then nothing was done:
 *   -EPERM       somebody else traces it, who named it may not, its system calls are filtered and
 *                the filter cannot be suspended, or it is ending
 *   -EBUSY       it does not stop, or is in a place where it must not be held up: try again; or it
 *                takes long, and may be done yet
 *   -EOPNOTSUPP  it is no 64-bit process of this architecture, or handles its system calls itself
 *   -ESRCH       it is gone
 *   or another negative errno
 */
int agent_madvise(const struct caller *caller, int procfd, uint64_t start, uint64_t length,
		  int behavior, int64_t *result);

#endif
