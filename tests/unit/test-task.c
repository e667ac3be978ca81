// SPDX-License-Identifier: GPL-2.0-or-later
/* Tasks: threads, some of which are processes to others. */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/unit.h"
#include "util/macros.h"
#include "util/task.h"

static bool refuses;

int __real_clone(int (*run)(void *), void *stack, int flags, void *argument, ...);
int __wrap_clone(int (*run)(void *), void *stack, int flags, void *argument, ...);
int __wrap_clone(int (*run)(void *), void *stack, int flags, void *argument, ...)
{
	if (!refuses)
		return __real_clone(run, stack, flags, argument);
	errno = EPERM;
	return -1;
}

struct seen {
	struct task task;
	pid_t pid, parent, tid;
	int error;
	char name[16];
	atomic_int *sum;
};

static void look(void *argument)
{
	struct seen *seen = argument;
	char *blocks[64];

	seen->pid = getpid();
	seen->parent = getppid();
	seen->tid = gettid();
	prctl(PR_SET_NAME, "a task");
	prctl(PR_GET_NAME, seen->name);
	close(-1);
	seen->error = errno;
	/* The C library is in order, whoever else uses it. */
	for (int round = 0; round < 100; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
			blocks[i] = malloc(16 + 100 * i);
			memset(blocks[i], round, 16 + 100 * i);
		}
		for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
			free(blocks[i]);
	}
	if (seen->sum)
		atomic_fetch_add(seen->sum, 1);
}

/* Whether there are none, and says so. */
static bool has_no_processes(void)
{
	if (TASK_NO_PROCESSES)
		printf("SKIPPED: MISSING tasks that are processes: ThreadSanitizer knows none\n");
	return TASK_NO_PROCESSES;
}

START_TEST(a_process_is_one_to_others)
{
	struct seen seen = { 0 };

	if (has_no_processes())
		return;
	ck_assert_int_eq(task_start(&seen.task, true, look, &seen), 0);
	task_join(&seen.task);
	ck_assert_int_ne(seen.pid, getpid());
	ck_assert_int_eq(seen.parent, getpid());
	ck_assert_int_eq(seen.tid, seen.pid);
	ck_assert_int_eq(seen.error, EBADF);
	ck_assert_str_eq(seen.name, "a task");
	/* Nothing of it is left, and nobody is told of its end. */
	ck_assert_int_eq(kill(seen.pid, 0), -1);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(a_thread_is_none)
{
	struct seen seen = { 0 };

	ck_assert_int_eq(task_start(&seen.task, false, look, &seen), 0);
	task_join(&seen.task);
	ck_assert_int_eq(seen.pid, getpid());
	ck_assert_int_ne(seen.tid, seen.pid);
}
END_TEST

START_TEST(where_processes_are_refused_it_is_a_thread)
{
	struct seen seen = { 0 };

	refuses = true;
	ck_assert_int_eq(task_start(&seen.task, true, look, &seen), 0);
	task_join(&seen.task);
	refuses = false;
	ck_assert_int_eq(seen.pid, getpid());
}
END_TEST

START_TEST(many_at_once)
{
	static struct seen seen[32];
	atomic_int sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
		seen[i].sum = &sum;
		ck_assert_int_eq(task_start(&seen[i].task, i % 4, look, &seen[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
		task_join(&seen[i].task);
	ck_assert_int_eq(sum, ARRAY_SIZE(seen));
}
END_TEST

static void wait_for_ever(void *argument)
{
	atomic_int *pid = argument;

	atomic_store(pid, getpid());
	for (;;)
		pause();
}

START_TEST(it_ends_with_its_creator)
{
	static atomic_int *pid;
	struct task task;
	pid_t child;
	int there;

	if (has_no_processes())
		return;
	pid = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(pid, MAP_FAILED);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (task_start(&task, true, wait_for_ever, pid))
			_exit(1);
		for (;;)
			pause();
	}
	ck_assert_int_ge(child, 0);
	for (int i = 0; i < 5000 && !atomic_load(pid); i++)
		usleep(1000);
	ck_assert_int_ne(atomic_load(pid), 0);
	end_child(child);
	for (there = 5000; there && !kill(atomic_load(pid), 0); there--)
		usleep(1000);
	ck_assert_int_gt(there, 0);
	munmap(pid, 4096);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("task");
	TCase *tcase = tcase_create("task");

	tcase_add_test(tcase, a_process_is_one_to_others);
	tcase_add_test(tcase, a_thread_is_none);
	tcase_add_test(tcase, where_processes_are_refused_it_is_a_thread);
	tcase_add_test(tcase, many_at_once);
	tcase_add_test(tcase, it_ends_with_its_creator);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
