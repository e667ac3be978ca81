/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the trees stand in the mount namespace of `damonfs exec': at the paths of the kernel's. */
#ifndef DAMONFS_FS_EXEC_PLACE_H
#define DAMONFS_FS_EXEC_PLACE_H

#include <stdbool.h>

/* Whether ONLY, the argument of --only, is the name of a tree. */
bool place_known(const char *only);

/*
 * Enters a new mount namespace with a mount point for each tree that is wanted, and hides the
 * other: ONLY is a known name, or NULL for both.  Whoever outlives damonfs there finds an empty
 * directory. Return: 0, or a negative errno after saying on stderr what failed.
 */
int place_enter_namespace(const char *only);

/* Where to mount damonfs: the first wanted place. */
const char *place_of_mount(const char *only);

/*
 * Binds the trees of the mount at DIR to their places; a daemon must be answering already.
 * Return: 0, or a negative errno after saying on stderr what failed.
 */
int place_bind(const char *dir, const char *only);

#endif
