/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which privileges damonfs has, needs, and does without.
 *
 * It keeps only the capabilities that its task needs, and uses them only where a thread works for
 * somebody (caller.h): each thread has its own effective ones, and the kernel goes by those.
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

/* Whether it could be in effect: the daemon has it. */
bool privileges_has(cap_value_t capability);

/* Logs which privileges are missing for USES and what each costs.  Call it once, at start. */
void privileges_report(unsigned int uses);

/*
 * Calls VISIT for each capability that is missing for USES: its NAME, as in "CAP_BPF", and what
 * does not work WITHOUT it.  Return: 0 or the first other result of VISIT.
 */
int privileges_missing(unsigned int uses,
		       int (*visit)(const char *name, const char *without, void *argument),
		       void *argument);

/*
 * Gives up for good what USES does not need: capabilities, those of the bounding set, new
 * privileges, being dumped, other system calls.  Applies to the calling thread and those that it
 * creates afterwards.  Call it when everything is mounted and the agents are started.
 * Return: 0 or a negative errno.
 */
int privileges_settle(unsigned int uses, enum sandbox_mode mode);

#endif
