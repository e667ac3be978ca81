/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mount(8) says to a helper, and what lines of fstab(5) say to others than the file system. */
#ifndef DAMONFS_FS_FSTAB_H
#define DAMONFS_FS_FSTAB_H

#include <stdbool.h>

/* Whether OPTION means nothing to a file system that a daemon serves. */
bool fstab_ignores(const char *option);

/* Whether mount(8) started PROGRAM as its helper: mount.damonfs, mount.fuse.damonfs. */
bool fstab_is_helper(const char *program);

/*
 * Makes the words of a mount of a helper's: *OUT is to be freed, its words are ARGV's.  *FAKE is
 * whether nothing is to be mounted.
 * Return: how many there are; -EINVAL after saying on stderr what is wrong, or -ENOMEM.
 */
int fstab_helper_words(int argc, char **argv, char ***out, bool *fake);

#endif
