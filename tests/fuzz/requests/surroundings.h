/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What inputs find around them: a pid namespace with processes to watch, a script of what these do,
 * and a filter of system calls, by which nothing is done to anybody's memory.
 */
#ifndef DAMONFS_TESTS_FUZZ_SURROUNDINGS_H
#define DAMONFS_TESTS_FUZZ_SURROUNDINGS_H

#include <sys/types.h>

#define NOBODY 65534

extern struct surroundings {
	pid_t child_of_root, child_of_nobody;
	char method[64];
} surroundings;

/* To be called once, at first: what follows is done in a child. */
void surroundings_prepare(void);

#endif
