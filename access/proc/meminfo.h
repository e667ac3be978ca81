/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much memory the system has and how it is doing, for watermarks and quota goals. */
#ifndef DAMONFS_ACCESS_PROC_MEMINFO_H
#define DAMONFS_ACCESS_PROC_MEMINFO_H

#include <stdint.h>

#include "access/proc/iomem.h"

/* Free memory in thousandths of all.  Return: 0 and *OUT, or a negative errno. */
int meminfo_free_rate(uint64_t *out);

/*
 * All and free memory of a node, in kB.
 * Return: 0 and *TOTAL and *FREE, or a negative errno: there is no such node.
 */
int meminfo_node(int nid, uint64_t *total, uint64_t *free);

#define MEMINFO_MAX_RANGES 8

/*
 * Where the memory of a node lies: that of each of its zones.
 * Return: how many RANGES there are, 0 if there is no such node, or a negative errno.
 */
int meminfo_node_ranges(int nid, struct iomem_range ranges[MEMINFO_MAX_RANGES]);

/* Active memory in 1/10000 of all that is active or inactive.  Return: 0 and *OUT, or an errno. */
int meminfo_active_bp(uint64_t *out);

/* Microseconds since boot in which some task waited for memory (PSI). */
int meminfo_some_stall_us(uint64_t *out);

#endif
