/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pages of a process that are there, and the frames that they are in, at a cost that goes by
 * what is there and not by what is reserved: a process may reserve the whole address space.
 *
 * Since Linux 6.7 the kernel is asked for what is present (PAGEMAP_SCAN).  Before, the pagemap is
 * read entry by entry, some 6 ns a page, so the largest mappings of a process that has reserved
 * more than 64 times what it has resident are not looked into.
 */
#ifndef DAMONFS_ACCESS_PROC_SCAN_H
#define DAMONFS_ACCESS_PROC_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/proc/maps.h"
#include "access/proc/process.h"

#define SCAN_ENTRIES 4096 /* that are read together where the kernel cannot be asked */
#define SCAN_RUNS    64 /* of pages, that it tells together where it can */

/* Behind the last page of user space, whatever the machine. */
#define SCAN_END (1UL << 52)

/* Numbers. */
struct scan_page {
	uint64_t page, frame;
};

struct scan {
	int pagemap; /* of the process; borrowed */
	bool by_entry; /* the kernel cannot be asked */
	uint64_t span; /* pages to ask for in a call */
	struct maps maps; /* by entry: what is looked into */
	uint64_t entries[SCAN_ENTRIES], first, nr; /* what was read last: of which pages */
};

void scan_init(struct scan *scan, int pagemap);
void scan_free(struct scan *scan);

/*
 * Takes note of what PROCESS, of which the pagemap is, has mapped now: before each walk.  So many
 * pages as LEAST are looked at in any case.
 * Return: 0 or a negative errno.
 */
int scan_renew(struct scan *scan, const struct process *process, uint64_t least);

/*
 * What is present from page *AT on, up to behind LAST: up to ROOM pages, ascending, to OUT.  *AT
 * goes behind what was looked at, in one call of the kernel or a few, and is LAST at the end.
 * Return: how many; there may be none before the end.
 */
size_t scan_next(struct scan *scan, uint64_t *at, uint64_t last, struct scan_page *out,
		 size_t room);

#endif
