/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A task: a thread, or a thread that others see as a process.
 *
 * A kdamond of the kernel is a process to ps, pgrep and pidof.  So can a task of ours be: it shares
 * memory, files and everything else with its creator, but has a process id of its own and is not in
 * the thread group.  To the C library it is a thread: one of pthread_create() lends it its stack
 * and its thread-local variables and waits until it has ended.
 *
 * It dies with its creator: task_stay_bound().  If it dies before it is done, so does its creator.
 * It may make no threads: they would be in its thread group, which has ended only when they have.
 */
#ifndef DAMONFS_UTIL_TASK_H
#define DAMONFS_UTIL_TASK_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

#include "util/sanitizer.h"

/* ThreadSanitizer takes clone() for fork(). */
#define TASK_NO_PROCESSES HAS_THREAD_SANITIZER

/* All is shared; no signal tells its end, so that nobody else waits for it by mistake. */
#define TASK_CLONE_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_SYSVSEM)

struct task {
	pthread_t thread;
	void (*run)(void *argument);
	void *argument;
	bool as_process;
	pid_t creator; /* the process */
	/* Of one that is a process; util/task.c's lock. */
	pid_t pid;
	struct task *next;
};

/*
 * Starts TASK, which is the caller's and stays where it is until task_join(), to call RUN with
 * ARGUMENT.  If AS_PROCESS, others see it as a process; where the kernel refuses that, as a thread.
 * Return: 0, or a negative errno.
 */
int task_start(struct task *task, bool as_process, void (*run)(void *argument), void *argument);

/* Waits for its end. */
void task_join(struct task *task);

/* Whether PID is a task of ours that is a process, so that its memory is ours. */
bool task_is_process(pid_t pid);

/*
 * For a task that is a process, and nothing otherwise: it ends when its creator does, now if that
 * is gone.  The kernel forgets this when the task changes its credentials: call it again then.
 */
void task_stay_bound(void);

#endif
