/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All paths of both trees, one of each kind. */
#ifndef DAMONFS_TESTS_FUZZ_PATHS_H
#define DAMONFS_TESTS_FUZZ_PATHS_H

#include <stddef.h>

/* Adds those of ABI, to be called before inputs come. */
void paths_collect(unsigned int abi);

/* Number INDEX, modulo all. */
const char *path_of(size_t index);

#endif
