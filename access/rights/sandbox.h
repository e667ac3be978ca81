/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A filter of our own system calls: once all is prepared, only those that monitoring makes. */
#ifndef DAMONFS_ACCESS_RIGHTS_SANDBOX_H
#define DAMONFS_ACCESS_RIGHTS_SANDBOX_H

enum sandbox_mode {
	SANDBOX_ERRNO, /* others are EPERM */
	SANDBOX_TRAP, /* others end the program, which says which: for tests */
	SANDBOX_OFF,
};

/*
 * Filters the system calls of the calling thread and of those that it makes from now on.  Needs
 * PR_SET_NO_NEW_PRIVS or CAP_SYS_ADMIN.
 * Return: 0, also where a build with sanitizers leaves it out, or a negative errno.
 */
int sandbox_enter(enum sandbox_mode mode);

#endif
