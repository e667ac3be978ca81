/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mappings of a process, as /proc/PID/maps lists them. */
#ifndef DAMONFS_ACCESS_PROC_MAPS_H
#define DAMONFS_ACCESS_PROC_MAPS_H

#include <stddef.h>
#include <stdint.h>

#include "access/proc/process.h"

struct mapping {
	uint64_t start, end; /* bytes, [start, end) */
	uint64_t pgoff; /* first page within the file; without a file, page of the address */
};

struct maps {
	struct mapping *mapping; /* ascending, not overlapping */
	size_t nr;
};

/*
 * Reads the mappings of PROCESS.  [vsyscall] is left out: the kernel's list has no such mapping.
 * A process without memory (a kernel thread, a zombie) has none.
 *
 * Return: 0 and *OUT, to be freed by maps_free(), or a negative errno.
 */
int maps_read(const struct process *process, struct maps *out);

/* The same from an open file of that format; takes over the descriptor. */
int maps_parse(int fd, struct maps *out);

void maps_free(struct maps *maps);

/* The first mapping that ends above ADDRESS, or NULL. */
const struct mapping *maps_from(const struct maps *maps, uint64_t address);

/* The mapping that ADDRESS lies in, or NULL. */
const struct mapping *maps_find(const struct maps *maps, uint64_t address);

#endif
