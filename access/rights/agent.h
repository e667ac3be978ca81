/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Agents: small processes that do for the daemon what its own threads cannot.
 *
 * An agent asks the kernel in the name of a caller of another user namespace or security label,
 * which only a process with one thread can take on.  It also makes system calls in other processes
 * (inject.h), and finishes and cleans up after them whatever happens to the daemon meanwhile.
 *
 * Agents are children of the broker, which starts while damonfs still has all its privileges, and
 * listens to nobody but the daemon.  An agent serves one request at a time, for any caller, and
 * ends when nobody listens to it any more.
 *
 * Any thread may call every function here.
 */
#ifndef DAMONFS_ACCESS_RIGHTS_AGENT_H
#define DAMONFS_ACCESS_RIGHTS_AGENT_H

#include "access/rights/caller.h"

/* The most agents at a time. */
#define AGENTS_MAX 64

/*
 * Starts the broker.  Call it after caller_prepare(), while the process has one thread, and before
 * it drops privileges.
 * Return: 0 or a negative errno.
 */
int agents_start(void);

/* Ends the broker, and with it the agents that are idle. */
void agents_stop(void);

/*
 * Asks in the name of CALLER whether it has RIGHT over the process whose directory in /proc is
 * PROCFD; see caller_may().
 * Return: 0; -ESRCH if the process is gone; -EAGAIN if there is no answer after TIMEOUT_MS
 * milliseconds, or there are no more agents; or -EPERM, also if the agent cannot take on the
 * caller's credentials.
 */
int agent_may(const struct caller *caller, int procfd, enum caller_right right, int timeout_ms);

/*
 * Makes the process whose directory in /proc is PROCFD call madvise(START, LENGTH, BEHAVIOR), in
 * the name of CALLER.  BEHAVIOR is MADV_HUGEPAGE or MADV_NOHUGEPAGE.  *RESULT is what madvise()
 * answers: 0 or a negative errno.
 *
 * Return: 0; or, with nothing done but where it says otherwise:
 *   -EPERM       somebody else traces it, CALLER may not, its system calls are filtered and the
 *                filter cannot be suspended, or it is ending
 *   -EBUSY       it does not stop, or is in a place where it must not be held up: try again; or it
 *                takes long, and may still be done
 *   -EOPNOTSUPP  it is no 64-bit process of this architecture, or handles its system calls itself
 *   -ESRCH       it is gone
 *   or another negative errno
 */
int agent_madvise(const struct caller *caller, int procfd, uint64_t start, uint64_t length,
		  int behavior, int64_t *result);

#endif
