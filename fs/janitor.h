/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that outlives us and cleans up what we leave, whatever ended us: it is nobody's child,
 * has a session of its own, and waits for nothing but our end.
 */
#ifndef DAMONFS_FS_JANITOR_H
#define DAMONFS_FS_JANITOR_H

#include <stddef.h>

/* Of privileges; the guard keeps what the most demanding of its clean-ups needs. */
enum clean_up_needs {
	NEEDS_NOTHING, /* but to be who started damonfs */
	NEEDS_MOUNTS, /* CAP_SYS_ADMIN, and to find the way */
	NEEDS_ALL,
};

struct clean_up {
	void (*run)(void *argument); /* in that process, as it was when the guard was started */
	void *argument; /* allocated */
	int fds[2]; /* that it needs, or -1: all others are closed */
	enum clean_up_needs needs;
};

struct guard;

/*
 * Starts one, which runs so many clean-ups, in order, when our process ends, whatever it executes
 * until then; or before, if OUT is not NULL, by guard_end().
 * Return: 0 and *OUT, or a negative errno.
 */
int guard_start(const struct clean_up *clean_ups, size_t nr, struct guard **out);

/* Closes and frees what a clean-up has: the guard has its own. */
void clean_up_forget(struct clean_up *clean_up);

/* Lets it clean up now, and waits a moment for that.  GUARD may be NULL. */
void guard_end(struct guard *guard);

#endif
