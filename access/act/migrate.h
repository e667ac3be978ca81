/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moving a process's memory to other nodes. */
#ifndef DAMONFS_ACCESS_ACT_MIGRATE_H
#define DAMONFS_ACCESS_ACT_MIGRATE_H

#include <stddef.h>
#include <stdint.h>

#include "access/proc/process.h"

#define MIGRATE_MAX 512

struct migrant {
	uint64_t address; /* in a page of the folio */
	uint64_t nr; /* pages of the folio */
	int node; /* where it is to go */
};

/*
 * Moves NR (up to MIGRATE_MAX) folios of PROCESS, as it could itself: not to nodes that it may not
 * use (cpusets), nor to a node that has no memory.  Shared pages stay.
 * Return: the pages that were not on their node before and are now.
 */
uint64_t migrate(const struct process *process, const struct migrant *migrants, size_t nr);

#endif
