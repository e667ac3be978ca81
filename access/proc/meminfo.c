// SPDX-License-Identifier: GPL-2.0-or-later
/* The state of the system's memory: see meminfo.h. */
#include <errno.h>
#include <inttypes.h>
#include <libproc2/meminfo.h>
#include <stdio.h>

#include "access/proc/meminfo.h"
#include "util/cleanup.h"

int meminfo_free_rate(uint64_t *out)
{
	enum meminfo_item items[] = { MEMINFO_MEM_FREE, MEMINFO_MEM_TOTAL };
	struct meminfo_info *info = NULL;
	struct meminfo_stack *stack;
	uint64_t total = 0;

	if (procps_meminfo_new(&info) < 0)
		return -EIO;
	stack = procps_meminfo_select(info, items, 2);
	if (stack) {
		total = stack->head[1].result.ul_int;
		*out = total ? stack->head[0].result.ul_int * 1000 / total : 0;
	}
	procps_meminfo_unref(&info);
	return total ? 0 : -EIO;
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

int meminfo_some_stall_us(uint64_t *out)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/pressure/memory", "re");

	if (!file)
		return -errno;
	if (fscanf(file, "some avg10=%*f avg60=%*f avg300=%*f total=%" SCNu64, out) != 1)
		return -EIO;
	return 0;
}
