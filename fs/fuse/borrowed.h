/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Privileges that the program file lends (setcap, a set-user-ID bit) to somebody who has not got
 * them: nobody gets more by it than better methods for their own processes.  What they ask for is
 * done with their own privileges, as far as the kernel or fusermount3 lets them.
 */
#ifndef DAMONFS_FS_FUSE_BORROWED_H
#define DAMONFS_FS_FUSE_BORROWED_H

#include <stdbool.h>

#include "fs/options.h"

/* Whether damonfs has such privileges. */
bool borrowed_privileges(void);

/*
 * First of all: leaves them unused, and forgets the environment, from which libraries and programs
 * take orders.  Return: 0 or a negative errno.
 */
int borrowed_set_aside(void);

/* Uses them again, as soon as what was asked for is mounted.  Return: 0 or a negative errno. */
int borrowed_take_up(void);

/* Return: 0, or -EPERM after saying which of the OPTIONS only somebody privileged can have. */
int borrowed_check(const struct options *options);

#endif
