// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which physical addresses are memory: see iomem.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "access/proc/iomem.h"
#include "util/cleanup.h"

/*
 * What was read while the process could: its threads cannot later.  Constant since then, and global
 * like the memory.
 */
static struct {
	bool known;
	struct iomem_range largest, all;
} memory;

static int read_system_ram(struct iomem_range *largest, struct iomem_range *all)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/iomem", "re");
	char line[256];

	*largest = *all = (struct iomem_range){ 0 };
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		uint64_t start, last;

		/* What is within a block is indented. */
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &last) != 2 || *line == ' ' ||
		    !strstr(line, " : System RAM") || last <= start)
			continue;
		if (last + 1 - start >= largest->end - largest->start)
			*largest = (struct iomem_range){ start, last + 1 };
		if (!all->end)
			all->start = start;
		all->end = last + 1;
	}
	return largest->end ? 0 : -ENOENT;
}

void iomem_prepare(void)
{
	memory.known = !read_system_ram(&memory.largest, &memory.all);
}

int iomem_system_ram(struct iomem_range *largest, struct iomem_range *all)
{
	if (!memory.known)
		return read_system_ram(largest, all);
	*largest = memory.largest;
	*all = memory.all;
	return 0;
}
