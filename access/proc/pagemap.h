/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /proc/PID/pagemap for the addresses of a round of probes: those that are near each other are
 * looked up by one read.
 */
#ifndef DAMONFS_ACCESS_PROC_PAGEMAP_H
#define DAMONFS_ACCESS_PROC_PAGEMAP_H

#include "access/probe.h"
#include "access/proc/process.h"
#include "access/why.h"

/* Of an entry; the frame's number is 0 without CAP_SYS_ADMIN. */
#define PAGEMAP_PRESENT	   (1ULL << 63)
#define PAGEMAP_FILE	   (1ULL << 61) /* or shared memory: not anonymous */
#define PAGEMAP_SOFT_DIRTY (1ULL << 55)
#define PAGEMAP_FRAME	   ((1ULL << 55) - 1)

#define PAGEMAP_WINDOW 512 /* pages */

struct pagemap {
	int fd;
	uint64_t entries[PAGEMAP_WINDOW], first, nr; /* what was read last: of which pages */
};

/* Return: 0 or a negative errno. */
int pagemap_open(struct pagemap *pagemap, struct process *process);
void pagemap_close(struct pagemap *pagemap);

/* Says in WHY what adds the right to read it, after an error R.  Return: R. */
int pagemap_why(struct access_why *why, int r);

/* Forgets what was read: before each round. */
static inline void pagemap_forget(struct pagemap *pagemap)
{
	pagemap->nr = 0;
}

/* The address of a probe that is meant. */
enum pagemap_address { PAGEMAP_ARMED, PAGEMAP_NEXT };

/*
 * The entry of the page at an address of probe I of N, which ascend; those behind it that are near
 * are read with it.  What is not mapped, or above user space, is 0.
 * Return: 0 or a negative errno.
 */
int pagemap_read(struct pagemap *pagemap, const struct access_probe *probes, size_t i, size_t n,
		 enum pagemap_address which, uint64_t *entry);

#endif
