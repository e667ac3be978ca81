/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An allocator that fails.  The linker leads calls of the allocator here (--wrap, see meson.build),
 * but not what libraries do: that of the code under test, and Check's.  So nothing is asserted
 * while they fail.
 */
#ifndef DAMONFS_TESTS_FAILING_H
#define DAMONFS_TESTS_FAILING_H

#include <stdbool.h>
#include <sys/types.h>

/* Allocation number N from now on fails, and if EVER all after it. */
void fail_at(long n, bool ever);

/* The same of all threads but the calling one. */
void fail_others_at(long n, bool ever);

/* Return: whether any has failed. */
bool no_more_failures(void);

#endif
