/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A mount namespace of our own. */
#ifndef DAMONFS_FS_EXEC_NAMESPACE_H
#define DAMONFS_FS_EXEC_NAMESPACE_H

/*
 * Makes the user, who may not make mount namespaces, root of a new user namespace, where they may.
 * Does nothing for who may.  Call it while there is one thread.
 * Return: 0 or a negative errno; -ENOSYS if the kernel has no user namespaces.
 */
int namespace_become_root(void);

/*
 * Enters a new mount namespace: what is mounted outside appears in it, but not the other way round.
 * Return: 0 or a negative errno.
 */
int namespace_enter(void);

/* What to do if one of them returned R: the end of a message, which may be empty. */
const char *namespace_hint(int r);

#endif
