/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes a system call in another process by ptrace, where no system call acts on others.
 *
 * One of its threads stops for a moment (about 0.1 ms), makes the call and goes on as if nothing
 * had happened: registers and signal mask are restored, no signal is lost or invented, and the
 * kernel restarts an interrupted system call by its own rule.  Where that cannot be promised, the
 * process is left alone.  Its system call filter (seccomp) holds at every instant for every call
 * but this one.
 *
 * Only agents (agent.h) may use it: if the calling process is killed in the middle, the other one
 * dies with it.
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
	 * Whether the call may be made in thread TID.  Asked twice: before anything is done to it,
	 * and when it is stopped and cannot change its credentials any more.
	 * Return: 0 or a negative errno.
	 */
	int (*may)(pid_t tid, void *argument);
	void *argument;
};

/*
 * Makes the process call madvise() and sets *RESULT to its answer, 0 or a negative errno.
 * Return: as agent_madvise(), or -ETIME: the thread does not stop, and goes on only when the
 * calling process ends.
 */
int inject_madvise(const struct inject *what, int64_t *result);

#endif
