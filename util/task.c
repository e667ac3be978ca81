// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads that others see as processes: see task.h. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/log.h"
#include "util/task.h"

/* What the waiting thread keeps of the stack that it lends (bytes). */
#define LENDER_STACK (64 << 10)

/* Of the calling task, if it is a process. */
static _Thread_local const struct task *bound;

void task_stay_bound(void)
{
	if (!bound)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It may have ended before. */
	if (getppid() != bound->creator)
		_exit(1);
}

static int process_main(void *argument)
{
	const struct task *task = argument;

	bound = task;
	task_stay_bound();
	task->run(task->argument);
	return 0;
}

/*
 * Runs TASK as a process on the rest of this thread's stack, and waits for it.  No other thread has
 * its thread-local variables, errno among them, meanwhile: this one does nothing.
 * Return: 0, or a negative errno if there is no such process.
 */
static int run_as_process(struct task *task)
{
	/* No signal tells its end, so that nobody else waits for it by mistake. */
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_SYSVSEM;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	void *stack = (void *)((here - LENDER_STACK) & ~(uintptr_t)15);
	pid_t pid = clone(process_main, stack, flags, task);
	int status = 0;

	if (pid < 0)
		return -errno;
	while (syscall(SYS_wait4, pid, &status, __WALL, NULL) < 0 && errno == EINTR)
		;
	bound = NULL;
	if (!WIFSIGNALED(status))
		return 0;
	/* As if it had been a thread: what it was about to do is half done, its locks are taken. */
	log_error(
		"process %d of damonfs was killed by signal %d: damonfs ends; `off' ends a kdamond",
		pid, WTERMSIG(status));
	kill(getpid(), SIGKILL);
	return 0;
}

static void *task_main(void *argument)
{
	struct task *task = argument;

	if (!task->as_process || run_as_process(task))
		task->run(task->argument);
	return NULL;
}

int task_start(struct task *task, bool as_process, void (*run)(void *argument), void *argument)
{
	task->run = run;
	task->argument = argument;
	task->as_process = as_process && !TASK_NO_PROCESSES;
	task->creator = getpid();
	return -pthread_create(&task->thread, NULL, task_main, task);
}

void task_join(struct task *task)
{
	pthread_join(task->thread, NULL);
}
