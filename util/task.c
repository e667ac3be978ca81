// SPDX-License-Identifier: LGPL-2.1-or-later
/* Threads that others see as processes: see task.h. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

#include "util/guard.h"
#include "util/log.h"
#include "util/macros.h"
#include "util/task.h"

/* What the waiting thread keeps of the stack that it lends (bytes). */
#define LENDER_STACK (64UL << 10)

/* Of the calling task, if it is a process. */
static _Thread_local const struct task *bound;

LOCK_ROLE(processes_role);

/* Those that are processes: somebody looks for them among all processes. */
static struct processes {
	pthread_mutex_t lock;
	struct task *first GUARDED_BY(processes_role);
} processes = { .lock = PTHREAD_MUTEX_INITIALIZER };

DEFINE_LOCK(processes_role, processes, struct processes, lock);

static void enlist(struct task *task, pid_t pid)
{
	task->pid = pid;
	processes_lock(&processes);
	LL_PREPEND(processes.first, task);
	processes_unlock(&processes);
}

static void strike_off(struct task *task)
{
	processes_lock(&processes);
	LL_DELETE(processes.first, task);
	processes_unlock(&processes);
}

bool task_is_process(pid_t pid)
{
	struct task *task;

	processes_lock(&processes);
	LL_SEARCH_SCALAR(processes.first, task, pid, pid);
	processes_unlock(&processes);
	return task != NULL;
}

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
 * Blocks what can be, as a kdamond of the kernel takes no signals; what an instruction causes
 * cannot.  By a raw call: the C library keeps signals for itself, which would end us as well.
 * *WAS is the mask before.
 */
static void block_signals(uint64_t *was)
{
	static const int caused[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
	uint64_t mask = UINT64_MAX;

	for (size_t i = 0; i < ARRAY_SIZE(caused); i++)
		mask &= ~(1ULL << (caused[i] - 1));
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, was, sizeof(mask));
}

/*
 * The process PID ended in the middle, with STATUS of wait(): what it was doing is half done and
 * its locks are taken, that of the log perhaps.  So the program ends, as if it had been a thread.
 */
__attribute__((noreturn)) static void end_with_it(pid_t pid, int status)
{
	char line[160];
	int length = snprintf(line, sizeof(line),
			      "damonfs: its process %d ended by %s %d: damonfs ends, too\n", pid,
			      WIFSIGNALED(status) ? "signal" : "status",
			      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	ssize_t written = write(STDERR_FILENO, line, (size_t)length);

	(void)written;
	/* Of the same: a keeper counts what is not SIGKILL as our fault. */
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
		kill(getpid(), WTERMSIG(status));
		usleep(100000);
	}
	kill(getpid(), SIGKILL);
	/* The first process of a pid namespace cannot kill itself. */
	_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/*
 * Runs TASK as a process on the rest of this thread's stack, and waits for it.  No other thread has
 * its thread-local variables, errno among them, meanwhile: this one does nothing.
 * Return: 0, or a negative errno if there is no such process.
 */
static int run_as_process(struct task *task)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	void *stack = (void *)((here - LENDER_STACK) & ~(uintptr_t)15);
	uint64_t mask;
	int status = 0;
	pid_t pid;

	prctl(PR_SET_NAME, "lender");
	block_signals(&mask);
	pid = clone(process_main, stack, TASK_CLONE_FLAGS, task);
	if (pid < 0) {
		int r = -errno;

		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
		return r;
	}
	enlist(task, pid);
	while (syscall(SYS_wait4, pid, &status, __WALL, NULL) < 0 && errno == EINTR)
		;
	bound = NULL;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		end_with_it(pid, status);
	strike_off(task);
	return 0;
}

static void *task_main(void *argument)
{
	struct task *task = argument;
	int r = task->as_process ? run_as_process(task) : 0;

	if (r)
		log_info("a task is a thread, not a process, which the kernel refuses: %s; ps -L "
			 "shows it",
			 strerror(-r));
	if (r || !task->as_process)
		task->run(task->argument);
	return NULL;
}

int task_start(struct task *task, bool as_process, void (*run)(void *argument), void *argument)
{
	pthread_attr_t attributes;
	size_t size = 0;
	int r;

	task->run = run;
	task->argument = argument;
	task->as_process = as_process && !TASK_NO_PROCESSES;
	task->creator = getpid();
	r = pthread_attr_init(&attributes);
	if (r)
		return -r;
	if (!pthread_attr_getstacksize(&attributes, &size))
		pthread_attr_setstacksize(&attributes, size + LENDER_STACK);
	r = pthread_create(&task->thread, &attributes, task_main, task);
	pthread_attr_destroy(&attributes);
	return -r;
}

void task_join(struct task *task)
{
	pthread_join(task->thread, NULL);
}
