/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that outlives us and cleans up after us, however we end: it is nobody's child, has a
 * session of its own, and waits only for our end.
 */
#ifndef DAMONFS_FS_JANITOR_H
#define DAMONFS_FS_JANITOR_H

#include <stddef.h>

/* Privileges: the janitor keeps those that its most demanding clean-up needs. */
enum clean_up_needs {
	NEEDS_NOTHING, /* beyond being who started damonfs */
	NEEDS_MOUNTS, /* CAP_SYS_ADMIN, and to reach the path */
	NEEDS_ALL,
};

struct clean_up {
	void (*run)(void *argument); /* in the janitor, with our memory as of its start */
	void *argument; /* allocated */
	int fds[2]; /* descriptors it needs, or -1: all others are closed */
	enum clean_up_needs needs;
};

struct janitor;

/*
 * Starts a janitor, which runs NR clean-ups in order when our process ends, even if it executes
 * another program; or earlier, by janitor_end(), if OUT is not NULL.
 * Return: 0 and *OUT, or a negative errno.
 */
int janitor_start(const struct clean_up *clean_ups, size_t nr, struct janitor **out);

/* Closes and frees what a clean-up has: the janitor has its own. */
void clean_up_forget(struct clean_up *clean_up);

/* In a child of ours, whose end it does not wait for: forgets about it.  JANITOR may be NULL. */
void janitor_forget(struct janitor *janitor);

/* Lets it clean up now, and waits a moment for that.  JANITOR may be NULL. */
void janitor_end(struct janitor *janitor);

#endif
