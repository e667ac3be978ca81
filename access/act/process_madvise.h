/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Acts on the memory of another process: madvise(2) on its behalf. */
#ifndef DAMONFS_ACCESS_ACT_PROCESS_MADVISE_H
#define DAMONFS_ACCESS_ACT_PROCESS_MADVISE_H

#include <stdint.h>

#include "access/proc/process.h"

enum advice {
	ADVICE_WILLNEED,
	ADVICE_COLD,
	ADVICE_PAGEOUT,
	ADVICE_HUGEPAGE,
	ADVICE_NOHUGEPAGE,
	ADVICE_COLLAPSE,
	NR_ADVICES
};

/*
 * Gives ADVICE for LENGTH bytes at START, both multiples of the page size.  Like madvise(2), it
 * goes on after a hole in the mappings, and fails then.
 *
 * Return: 0 if madvise(2) would return 0, or a negative errno: its own, or what stands in the way
 * (-EPERM, -EBUSY, -EOPNOTSUPP, -ESRCH).
 */
int process_madvise_range(const struct process *process, enum advice advice, uint64_t start,
			  uint64_t length);

#endif
