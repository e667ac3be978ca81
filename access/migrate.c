// SPDX-License-Identifier: GPL-2.0-or-later
/* Moving memory: see migrate.h. */
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "access/migrate.h"

static long move_pages(const struct process *process, size_t nr, void **pages, const int *nodes,
		       int *status)
{
	return syscall(SYS_move_pages, process->pid, nr, pages, nodes, status, MPOL_MF_MOVE);
}

uint64_t migrate(const struct process *process, const struct migrant *migrants, size_t nr)
{
	void *pages[MIGRATE_MAX];
	int nodes[MIGRATE_MAX], status[MIGRATE_MAX];
	size_t which[MIGRATE_MAX], others = 0;
	uint64_t moved = 0;

	for (size_t i = 0; i < nr; i++)
		pages[i] = (void *)migrants[i].address;
	if (!nr || move_pages(process, nr, pages, NULL, status) < 0)
		return 0;
	for (size_t i = 0; i < nr; i++) {
		if (status[i] < 0 || status[i] == migrants[i].node)
			continue;
		which[others] = i;
		pages[others] = (void *)migrants[i].address;
		nodes[others++] = migrants[i].node;
	}
	/* Where one cannot go is an error for all: those that it would have come to stay. */
	if (!others || move_pages(process, others, pages, nodes, status) < 0)
		return 0;
	for (size_t i = 0; i < others; i++)
		if (status[i] == nodes[i])
			moved += migrants[which[i]].nr;
	return moved;
}
