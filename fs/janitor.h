/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that outlives us and cleans up what we leave, whatever ended us: it is nobody's child,
 * has a session of its own, and waits for nothing but our end.
 */
#ifndef DAMONFS_FS_JANITOR_H
#define DAMONFS_FS_JANITOR_H

#include <stddef.h>

/* Of privileges; the janitor keeps what the most demanding of its clean-ups needs. */
enum clean_up_needs {
	NEEDS_NOTHING, /* but to be who started damonfs */
	NEEDS_MOUNTS, /* CAP_SYS_ADMIN, and to find the way */
	NEEDS_ALL,
};

struct clean_up {
	void (*run)(void *argument); /* in that process, as it was when the janitor was started */
	void *argument; /* allocated */
	int fds[2]; /* that it needs, or -1: all others are closed */
	enum clean_up_needs needs;
};

struct janitor;

/*
 * Starts one, which runs so many clean-ups, in order, when our process ends, whatever it executes
 * until then; or before, if OUT is not NULL, by janitor_end().
 * Return: 0 and *OUT, or a negative errno.
 */
int janitor_start(const struct clean_up *clean_ups, size_t nr, struct janitor **out);

/* Closes and frees what a clean-up has: the janitor has its own. */
void clean_up_forget(struct clean_up *clean_up);

/* Lets it clean up now, and waits a moment for that.  JANITOR may be NULL. */
void janitor_end(struct janitor *janitor);

#endif
