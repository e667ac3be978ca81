/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A system call in another process's name, by ptrace: for what no system call does to others.
 *
 * One of its threads is stopped for a moment (about 0.1 ms), makes the call and goes on as if
 * nothing had happened: registers and signal mask are what they were, no signal is lost or
 * invented, a system call that it was in is restarted by the kernel's own rule.  Where that cannot
 * be promised the process is left alone.  A filter of its system calls (seccomp) holds at every
 * instant for every call but this one.
 *
 * It is for agents (agent.h) alone: a process that is killed in the middle of it takes the other
 * one down.
 */
#ifndef DAMONFS_ACCESS_ACT_INJECT_H
#define DAMONFS_ACCESS_ACT_INJECT_H

#include <stdint.h>
#include <sys/types.h>

struct inject {
	int procfd; /* the process's directory in /proc */
	uint64_t start, length;
	int behavior;
	/*
	 * Whether it may be done to thread TID, which is asked twice: while nothing was done to it,
	 * and when it is stopped and cannot change its credentials any more.
	 * Return: 0 or a negative errno.
	 */
	int (*may)(pid_t tid, void *argument);
	void *argument;
};

/*
 * Has the process call madvise(); its answer, 0 or a negative errno, goes to *RESULT.
 * Return: as agent_madvise(), or -ETIME: the thread does not stop, and the calling process has to
 * end for it to go on.
 */
int inject_madvise(const struct inject *what, int64_t *result);

#endif
