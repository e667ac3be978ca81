// SPDX-License-Identifier: LGPL-2.1-or-later
/* The state of the system's memory: see meminfo.h. */
#include <errno.h>
#include <inttypes.h>
#include <libproc2/meminfo.h>
#include <stdio.h>

#include "access/proc/meminfo.h"
#include "util/cleanup.h"
#include "util/macros.h"

/* Reads two items, in kB.  Return: 0 or -EIO. */
static int read_two(enum meminfo_item first, enum meminfo_item second, uint64_t out[2])
{
	enum meminfo_item items[] = { first, second };
	struct meminfo_info *info = NULL;
	struct meminfo_stack *stack;

	if (procps_meminfo_new(&info) < 0)
		return -EIO;
	stack = procps_meminfo_select(info, items, 2);
	for (size_t i = 0; stack && i < 2; i++)
		out[i] = stack->head[i].result.ul_int;
	procps_meminfo_unref(&info);
	return stack ? 0 : -EIO;
}

int meminfo_free_rate(uint64_t *out)
{
	uint64_t kb[2]; /* free, all */
	int r = read_two(MEMINFO_MEM_FREE, MEMINFO_MEM_TOTAL, kb);

	if (r || !kb[1])
		return -EIO;
	*out = kb[0] * 1000 / kb[1];
	return 0;
}

int meminfo_active_bp(uint64_t *out)
{
	uint64_t kb[2]; /* active, inactive */
	int r = read_two(MEMINFO_MEM_ACTIVE, MEMINFO_MEM_INACTIVE, kb);

	if (r || !(kb[0] + kb[1]))
		return -EIO;
	*out = kb[0] * 10000 / (kb[0] + kb[1]);
	return 0;
}

int meminfo_node(int nid, uint64_t *total, uint64_t *free)
{
	char path[64];
	_cleanup_fclose_ FILE *file = NULL;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", nid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	/* libproc2 does not report memory by node. */
	if (fscanf(file, " Node %*d MemTotal: %" SCNu64 " kB Node %*d MemFree: %" SCNu64, total,
		   free) != 2)
		return -EIO;
	return 0;
}

/* libproc2 does not report zones. */
int meminfo_node_ranges(int nid, struct iomem_range ranges[MEMINFO_MAX_RANGES])
{
	_cleanup_fclose_ FILE *file = fopen("/proc/zoneinfo", "re");
	uint64_t spanned = 0, start;
	char line[256];
	int node = -1, nr = 0;

	if (!file)
		return -errno;
	while (nr < MEMINFO_MAX_RANGES && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %d, zone", &node) == 1)
			spanned = 0;
		else if (node == nid && sscanf(line, " spanned %" SCNu64, &spanned) == 1)
			continue;
		else if (node == nid && sscanf(line, " start_pfn: %" SCNu64, &start) == 1 &&
			 spanned)
			ranges[nr++] =
				(struct iomem_range){ start * PAGE, (start + spanned) * PAGE };
	}
	return nr;
}

int meminfo_some_stall_us(uint64_t *out)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/pressure/memory", "re");

	if (!file)
		return -errno;
	if (fscanf(file, "some avg10=%*f avg60=%*f avg300=%*f total=%" SCNu64, out) != 1)
		return -EIO;
	return 0;
}
