/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which privileges damonfs has, needs, and does without.
 *
 * It keeps the capabilities that what it was started for has a use for, and uses none of them but
 * where a thread works for somebody (caller.h): a thread has its own as effective, which is what
 * the kernel goes by.
 */
#ifndef DAMONFS_ACCESS_RIGHTS_PRIVILEGES_H
#define DAMONFS_ACCESS_RIGHTS_PRIVILEGES_H

#include <stdbool.h>
#include <sys/capability.h>

#include "access/rights/sandbox.h"

/* What capabilities are for. */
enum privileges_use {
	PRIVILEGES_OTHERS = 1, /* processes of other users */
	PRIVILEGES_FRAMES = 2, /* page frames: physical memory, filters for pages */
	PRIVILEGES_ADVICE = 4, /* advice for processes, and clearing accessed bits by it */
	PRIVILEGES_BPF = 8, /* the method young */
	PRIVILEGES_CALLERS = 16, /* working in the name of other users */
};

/* Whether the capability is in effect; one that this kernel does not know is not. */
bool capable_of(cap_value_t capability);

/* Whether it could be: the daemon has it. */
bool privileges_has(cap_value_t capability);

/* Tells the log which privileges are missing for USES and what each costs.  Once, at start. */
void privileges_report(unsigned int uses);

/*
 * Gives up for good what USES has no use for: capabilities, those of the bounding set, new
 * privileges, being dumped, system calls that are not made.  For the calling thread and those that
 * it makes afterwards; to be called when everything is mounted, and agents are started. Return: 0
 * or a negative errno.
 */
int privileges_settle(unsigned int uses, enum sandbox_mode mode);

#endif
