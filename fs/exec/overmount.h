/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making a mount point where a file system has none, and covering files. */
#ifndef DAMONFS_FS_EXEC_OVERMOUNT_H
#define DAMONFS_FS_EXEC_OVERMOUNT_H

#include <stddef.h>

/*
 * Makes sure that there is a directory NAME in PARENT to mount on, in our own mount namespace.
 * Where PARENT has none and nobody can make one (sysfs), covers PARENT with a tmpfs that binds
 * every entry of it and has a new NAME.
 *
 * Return: 0 or a negative errno.
 */
int overmount_directory(const char *parent, const char *name);

/* The same for NR directories NAMES, at once. */
int overmount_directories(const char *parent, const char *const *names, size_t nr);

/*
 * Covers PATH, which must exist, with a new file of LENGTH bytes of TEXT, in our own mount
 * namespace.  Return: 0 or a negative errno.
 */
int overmount_file(const char *path, const char *text, size_t length);

/* The other way round: makes sure that there is no NAME in PARENT.  Return: 0 or a negative errno. */
int overmount_hide(const char *parent, const char *name);

#endif
