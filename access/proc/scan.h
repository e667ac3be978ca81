/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds the present pages of a process and their frames.  The cost depends on what is present, not
 * on what is reserved: a process may reserve the whole address space.
 *
 * Since Linux 6.7 it asks the kernel for present pages (PAGEMAP_SCAN).  Before, it reads the
 * pagemap entry by entry, some 6 ns a page, and leaves out the largest mappings of a process that
 * has reserved more than 64 times what it has resident.
 */
#ifndef DAMONFS_ACCESS_PROC_SCAN_H
#define DAMONFS_ACCESS_PROC_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/proc/maps.h"
#include "access/proc/process.h"

#define SCAN_ENTRIES 4096 /* pagemap entries to read at once */
#define SCAN_RUNS    64 /* runs of pages that one PAGEMAP_SCAN returns */

/* One past the last page of user space, on any machine. */
#define SCAN_END (1UL << 52)

/* A page and its frame, by number. */
struct scan_page {
	uint64_t page, frame;
};

struct scan {
	int pagemap; /* of the process; borrowed */
	bool by_entry; /* the kernel has no PAGEMAP_SCAN */
	uint64_t span; /* pages to ask for in a call */
	struct maps maps; /* by entry: the mappings to look into */
	uint64_t entries[SCAN_ENTRIES], first, nr; /* what was read last, and of which pages */
};

void scan_init(struct scan *scan, int pagemap);
void scan_free(struct scan *scan);

/*
 * Notes what PROCESS, the owner of the pagemap, has mapped now; call it before each walk.  At least
 * LEAST pages are looked at in any case.
 * Return: 0 or a negative errno.
 */
int scan_renew(struct scan *scan, const struct process *process, uint64_t least);

/*
 * Writes up to ROOM present pages of [*AT, LAST) to OUT, ascending.  Moves *AT past what it looked
 * at, in one system call or a few; *AT is LAST at the end.
 * Return: how many; there may be none before the end.
 */
size_t scan_next(struct scan *scan, uint64_t *at, uint64_t last, struct scan_page *out,
		 size_t room);

#endif
