/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which privileges damonfs has, needs, and does without. */
#ifndef DAMONFS_ACCESS_PRIVILEGES_H
#define DAMONFS_ACCESS_PRIVILEGES_H

#include <stdbool.h>
#include <sys/capability.h>

/* Whether the capability is in effect; one that this kernel does not know is not. */
bool capable_of(cap_value_t capability);

/* Tells the log which privileges are missing and what each costs.  Once, at start. */
void privileges_report(void);

/*
 * Gives up all capabilities that monitoring has no use for, for the calling thread and those that
 * it makes afterwards.  Return: 0 or a negative errno.
 */
int privileges_drop(void);

#endif
