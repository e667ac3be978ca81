// SPDX-License-Identifier: LGPL-2.1-or-later
/* Moving memory: see migrate.h. */
#include <linux/mempolicy.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "access/act/migrate.h"

/*
 * move_pages() takes a pid, which may be another's once a process has been reaped: check before and
 * after that the process exists, and ignore an answer about another one.
 * Return: as move_pages().
 */
static long move_pages(const struct process *process, size_t nr, void **pages, const int *nodes,
		       int *status)
{
	long r;

	if (!process_exists(process))
		return -1;
	r = syscall(SYS_move_pages, process->pid, nr, pages, nodes, status, MPOL_MF_MOVE);
	return process_exists(process) ? r : -1;
}

/* Moves those of WHICH that go to NODE.  If nothing can go there, the call fails for all. */
static uint64_t move_to(const struct process *process, const struct migrant *migrants,
			const size_t *which, size_t nr, int node)
{
	void *pages[MIGRATE_MAX];
	int nodes[MIGRATE_MAX], status[MIGRATE_MAX];
	size_t of[MIGRATE_MAX], those = 0;
	uint64_t moved = 0;

	for (size_t i = 0; i < nr; i++) {
		if (migrants[which[i]].node != node)
			continue;
		of[those] = which[i];
		pages[those] = (void *)migrants[which[i]].address;
		nodes[those++] = node;
	}
	if (move_pages(process, those, pages, nodes, status) < 0)
		return 0;
	for (size_t i = 0; i < those; i++)
		if (status[i] == node)
			moved += migrants[of[i]].nr;
	return moved;
}

uint64_t migrate(const struct process *process, const struct migrant *migrants, size_t nr)
{
	void *pages[MIGRATE_MAX];
	int status[MIGRATE_MAX];
	size_t which[MIGRATE_MAX], others = 0;
	uint64_t moved = 0;

	for (size_t i = 0; i < nr; i++)
		pages[i] = (void *)migrants[i].address;
	if (!nr || move_pages(process, nr, pages, NULL, status) < 0)
		return 0;
	for (size_t i = 0; i < nr; i++)
		if (status[i] >= 0 && status[i] != migrants[i].node)
			which[others++] = i;
	for (size_t i = 0; i < others; i++) {
		int node = migrants[which[i]].node;
		bool done = false;

		for (size_t k = 0; k < i; k++)
			done |= migrants[which[k]].node == node;
		if (!done)
			moved += move_to(process, migrants, which, others, node);
	}
	return moved;
}
