/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which physical addresses are memory. */
#ifndef DAMONFS_ACCESS_PROC_IOMEM_H
#define DAMONFS_ACCESS_PROC_IOMEM_H

#include <stdint.h>

/* Physical memory, in bytes; END is not part of it. */
struct iomem_range {
	uint64_t start, end;
};

/*
 * Reads it now, as threads that may not see the addresses cannot; call it while there is one
 * thread. What is plugged in later is not noticed.
 */
void iomem_prepare(void);

/*
 * The largest block of System RAM, the last of those of one size; and all of it, from the first
 * block to the last. Return: 0, -ENOENT if there is none, or its addresses are hidden, or another
 * negative errno.
 */
int iomem_system_ram(struct iomem_range *largest, struct iomem_range *all);

#endif
