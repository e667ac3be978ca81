/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Privileges that the program file lends (setcap, a set-user-ID bit) to a user without them: they
 * only give better methods for the user's own processes.  All else is done with the user's own
 * privileges, as far as the kernel or fusermount3 lets them.
 */
#ifndef DAMONFS_FS_FUSE_BORROWED_H
#define DAMONFS_FS_FUSE_BORROWED_H

#include <stdbool.h>

#include "fs/options.h"

/* Whether damonfs has such privileges. */
bool borrowed_privileges(void);

/*
 * Call it first: sets them aside, and clears the environment, from which libraries and programs
 * take orders.  Return: 0 or a negative errno.
 */
int borrowed_set_aside(void);

/* Uses them again, as soon as the mount is made.  Return: 0 or a negative errno. */
int borrowed_take_up(void);

/*
 * Return: 0, also without such privileges, or -EPERM after saying which of the OPTIONS needs the
 * user's own.
 */
int borrowed_check(const struct options *options);

#endif
