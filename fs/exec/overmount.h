/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making a mount point where a file system has none, and putting files where it has others. */
#ifndef DAMONFS_FS_EXEC_OVERMOUNT_H
#define DAMONFS_FS_EXEC_OVERMOUNT_H

#include <stddef.h>

/*
 * Makes sure that there is a directory NAME in PARENT to mount on, in our own mount namespace.
 * Where PARENT has none and nobody can make one (sysfs), PARENT is covered by a tmpfs in which
 * every entry of it is bound to what it was, and NAME is new.
 *
 * Return: 0 or a negative errno.
 */
int overmount_directory(const char *parent, const char *name);

/*
 * A new file that holds LENGTH bytes of TEXT stands at PATH, which must exist, in our own mount
 * namespace.  Return: 0 or a negative errno.
 */
int overmount_file(const char *path, const char *text, size_t length);

/* The other way round: makes sure that there is no NAME in PARENT.  Return: 0 or a negative errno. */
int overmount_hide(const char *parent, const char *name);

#endif
