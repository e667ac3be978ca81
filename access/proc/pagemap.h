/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/PID/pagemap for the addresses of a round of probes; one read looks up those that are near
 * each other.
 */
#ifndef DAMONFS_ACCESS_PROC_PAGEMAP_H
#define DAMONFS_ACCESS_PROC_PAGEMAP_H

#include "access/probe.h"
#include "access/proc/process.h"
#include "access/why.h"

/* Parts of an entry; the frame number is 0 without CAP_SYS_ADMIN. */
#define PAGEMAP_PRESENT	   (1ULL << 63)
#define PAGEMAP_FILE	   (1ULL << 61) /* or shared memory: not anonymous */
#define PAGEMAP_SOFT_DIRTY (1ULL << 55)
#define PAGEMAP_FRAME	   ((1ULL << 55) - 1)

/* The entry of the page at ADDRESS, or 0 if it cannot be read. */
uint64_t pagemap_entry(int fd, uint64_t address);

#define PAGEMAP_WINDOW 512 /* pages */

struct pagemap {
	int fd;
	uint64_t entries[PAGEMAP_WINDOW], first, nr; /* what was read last, and for which pages */
};

/* Return: 0 or a negative errno. */
int pagemap_open(struct pagemap *pagemap, struct process *process);
void pagemap_close(struct pagemap *pagemap);

/* Explains error R in WHY, and what gives the right to read it.  Return: R. */
int pagemap_why(struct access_why *why, int r);

/* Forgets what was read; call it before each round. */
static inline void pagemap_forget(struct pagemap *pagemap)
{
	pagemap->nr = 0;
}

/* Which address of a probe to look up. */
enum pagemap_address { PAGEMAP_ARMED, PAGEMAP_NEXT };

/*
 * Looks up the page at an address of probe I of N ascending ones, and reads the entries of later
 * probes with it if they are near.  Pages that are not mapped, or above user space, are 0.
 * Return: 0 or a negative errno.
 */
int pagemap_read(struct pagemap *pagemap, const struct access_probe *probes, size_t i, size_t n,
		 enum pagemap_address which, uint64_t *entry);

#endif
