// SPDX-License-Identifier: LGPL-2.1-or-later
/* Looking up pages: see pagemap.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "access/proc/pagemap.h"
#include "access/proc/words.h"
#include "util/cleanup.h"

uint64_t pagemap_entry(int fd, uint64_t address)
{
	uint64_t entry;

	return words_read(fd, address / PAGE, &entry, 1) == 1 ? entry : 0;
}

int pagemap_open(struct pagemap *pagemap, struct process *process)
{
	pagemap->fd = process_open_file(process, "pagemap", O_RDONLY);
	pagemap->nr = 0;
	return pagemap->fd < 0 ? pagemap->fd : 0;
}

int pagemap_why(struct access_why *why, int r)
{
	return access_because(why, r,
			      "cannot read its pagemap: %s; " ACCESS_ADD_CAPABILITY("SYS_PTRACE"),
			      strerror(-r));
}

void pagemap_close(struct pagemap *pagemap)
{
	if (pagemap->fd >= 0)
		close(pagemap->fd);
}

static uint64_t page_of(const struct access_probe *probe, enum pagemap_address which)
{
	return (which == PAGEMAP_NEXT ? probe->next : probe->prepared) / PAGE;
}

int pagemap_read(struct pagemap *pagemap, const struct access_probe *probes, size_t i, size_t n,
		 enum pagemap_address which, uint64_t *entry)
{
	uint64_t page = page_of(&probes[i], which), last = page;

	*entry = 0;
	if (page - pagemap->first >= pagemap->nr) {
		ssize_t nr;

		/* Up to the last probe that fits. */
		for (size_t k = i; k < n && page_of(&probes[k], which) - page < PAGEMAP_WINDOW; k++)
			last = max_ul(last, page_of(&probes[k], which));
		nr = words_read(pagemap->fd, page, pagemap->entries, last - page + 1);
		if (nr < 0)
			return (int)nr;
		pagemap->first = page;
		pagemap->nr = (uint64_t)nr;
		if (!pagemap->nr)
			return 0;
	}
	*entry = pagemap->entries[page - pagemap->first];
	return 0;
}
