// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reading /proc/PID/maps: see maps.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "access/proc/maps.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/lines.h"
#include "util/stop.h"

static int maps_append(struct maps *maps, struct mapping mapping)
{
	int r = array_more(maps->mapping, maps->nr);

	if (!r)
		maps->mapping[maps->nr++] = mapping;
	return r;
}

int maps_parse(int fd, struct maps *out)
{
	_cleanup_lines_ struct lines lines = { 0 };
	__attribute__((cleanup(maps_free))) struct maps maps = { 0 };
	int r = 0;

	lines_open(&lines, fd);
	while (!r && lines_next(&lines)) {
		struct mapping mapping;
		uint64_t offset = 0, inode = 0;

		if (stop_asked())
			return -ECANCELED;
		if (sscanf(lines.line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %" SCNu64,
			   &mapping.start, &mapping.end, &offset, &inode) < 2)
			continue;
		mapping.pgoff = (inode ? offset : mapping.start) / 4096;
		if (!strstr(lines.line, " [vsyscall]\n"))
			r = maps_append(&maps, mapping);
	}
	/* A partial list would be another address space. */
	r = r ? r : lines.error;
	if (r)
		return r;
	*out = maps;
	maps = (struct maps){ 0 };
	return 0;
}

int maps_read(const struct process *process, struct maps *out)
{
	int fd = process_open_file(process, "maps", O_RDONLY);

	return fd < 0 ? fd : maps_parse(fd, out);
}

void maps_free(struct maps *maps)
{
	free(maps->mapping);
	*maps = (struct maps){ 0 };
}

const struct mapping *maps_from(const struct maps *maps, uint64_t address)
{
	size_t low = 0, high = maps->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (address >= maps->mapping[middle].end)
			low = middle + 1;
		else
			high = middle;
	}
	return low < maps->nr ? &maps->mapping[low] : NULL;
}

const struct mapping *maps_find(const struct maps *maps, uint64_t address)
{
	const struct mapping *mapping = maps_from(maps, address);

	return mapping && address >= mapping->start ? mapping : NULL;
}
