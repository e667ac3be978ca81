/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all unit tests share: the running of a suite by Check, with its summary line as output.
 * CK_FORK=no runs the tests in one process, for debuggers, valgrind and sanitizers.
 */
#ifndef DAMONFS_TESTS_UNIT_H
#define DAMONFS_TESTS_UNIT_H

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"

/* A test that is run once for each row of TABLE; the row's index is _i. */
#define ADD_VECTORS(tcase, test, table) tcase_add_loop_test(tcase, test, 0, (int)ARRAY_SIZE(table))

/* Runs the suite and frees it.  Return: the program's exit status. */
static inline int unit_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	log_setup(LOG_LEVEL_ERROR, false);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Writes TEXT to a new file, of which the name goes to PATH. */
static inline void write_temporary(char path[static 64], const char *text)
{
	FILE *file;
	int fd;

	snprintf(path, 64, "/tmp/damonfs-unit-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	file = fdopen(fd, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

/* A process that does nothing, and does not outlive the test. */
static inline pid_t start_child(void)
{
	pid_t child = fork();

	/* No assertion here: without CK_FORK each one writes to the file that the parent reads. */
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	ck_assert_int_ge(child, 0);
	return child;
}

static inline void end_child(pid_t child)
{
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

#endif
