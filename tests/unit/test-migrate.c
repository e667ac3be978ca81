// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Moving memory: which pages are asked for where, and that a process that has gone, or goes
 * meanwhile, is not taken for one that has got its number.  The kernel's part is played here: the
 * linker leads the calls to it (--wrap, see meson.build), so that there are as many nodes as it
 * takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "access/act/migrate.h"
#include "tests/unit/unit.h"

#define NR 6

static int where[NR]; /* the node of the page at address i * 4096 */
static pid_t asked; /* the process that was meant last */
static size_t nr_calls;
static size_t ends_at; /* the call in which the process is reaped; 0: none */
static pid_t child;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

static long play(pid_t pid, size_t nr, void **pages, const int *nodes, int *status)
{
	asked = pid;
	if (++nr_calls == ends_at)
		end_child(child);
	for (size_t i = 0; i < nr; i++) {
		int *node = &where[(uintptr_t)pages[i] / 4096];

		if (nodes)
			*node = nodes[i];
		status[i] = *node;
	}
	return 0;
}

long __wrap_syscall(long number, ...)
{
	va_list args;
	long a[6];

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_move_pages)
		return play((pid_t)a[0], (size_t)a[1], (void **)a[2], (const int *)a[3],
			    (int *)a[4]);
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* From nodes 0, 1, 2, 0, 1, 2 to nodes 1, 1, 1, 0, 2, 0: four have to go, to three nodes. */
static const int from[NR] = { 0, 1, 2, 0, 1, 2 }, to[NR] = { 1, 1, 1, 0, 2, 0 };

static uint64_t migrate_all(const struct process *process)
{
	struct migrant migrants[NR];

	for (size_t i = 0; i < NR; i++) {
		where[i] = from[i];
		migrants[i] = (struct migrant){ .address = i * 4096, .nr = i + 1, .node = to[i] };
	}
	nr_calls = 0;
	asked = 0;
	return migrate(process, migrants, NR);
}

static struct process *process_of(pid_t pid)
{
	struct process *process;

	ck_assert_int_eq(process_open(pid, NULL, &process), 0);
	return process;
}

START_TEST(what_is_elsewhere_is_moved)
{
	struct process *process;

	child = start_child();
	process = process_of(child);
	ck_assert_uint_eq(migrate_all(process), 1 + 3 + 5 + 6);
	for (size_t i = 0; i < NR; i++)
		ck_assert_int_eq(where[i], to[i]);
	ck_assert_uint_eq(nr_calls, 4);
	ck_assert_int_eq(asked, child);
	process_put(process);
	end_child(child);
}
END_TEST

START_TEST(who_has_gone_is_nobody_else)
{
	struct process *process;

	child = start_child();
	process = process_of(child);
	end_child(child);
	ck_assert_uint_eq(migrate_all(process), 0);
	ck_assert_uint_eq(nr_calls, 0);
	process_put(process);
}
END_TEST

/* In the first call, which asks, and in each of those that move. */
START_TEST(who_goes_meanwhile_has_moved_nothing_since)
{
	static const uint64_t before[] = { 0, 0, 1 + 3, 1 + 3 + 5 };
	struct process *process;

	child = start_child();
	process = process_of(child);
	ends_at = (size_t)_i + 1;
	ck_assert_uint_eq(migrate_all(process), before[_i]);
	ck_assert_uint_eq(nr_calls, ends_at);
	process_put(process);
}
END_TEST

/* A process that has got the number is not touched: by a real one, where the kernel lets us. */
START_TEST(another_of_the_same_number_is_not_meant)
{
	struct process *process;
	FILE *last;
	pid_t other;

	child = start_child();
	process = process_of(child);
	end_child(child);
	last = fopen("/proc/sys/kernel/ns_last_pid", "w");
	if (!last || fprintf(last, "%d", child - 1) < 0 || fclose(last)) {
		printf("SKIPPED: MISSING the right to choose a pid\n");
		process_put(process);
		return;
	}
	other = start_child();
	if (other == child) {
		ck_assert_uint_eq(migrate_all(process), 0);
		ck_assert_uint_eq(nr_calls, 0);
		ck_assert_int_lt(process_open_file(process, "mem", O_RDONLY), 0);
	} else {
		printf("SKIPPED: MISSING the pid, somebody else has it\n");
	}
	process_put(process);
	end_child(other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("migrate");
	TCase *tcase = tcase_create("migrate");

	tcase_add_test(tcase, what_is_elsewhere_is_moved);
	tcase_add_test(tcase, who_has_gone_is_nobody_else);
	tcase_add_loop_test(tcase, who_goes_meanwhile_has_moved_nothing_since, 0, 4);
	tcase_add_test(tcase, another_of_the_same_number_is_not_meant);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
