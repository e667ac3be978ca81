// SPDX-License-Identifier: LGPL-2.1-or-later
/* Looking for young pages: see page_young.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access/act/page_young.h"
#include "util/clock.h"

/* For methods that forget: they are asked to look at once. */
#define SAMPLE_US 1000000

struct page_young {
	struct access_space *space; /* its own: nothing else prepares pages in it */
	struct access_probe probes[PAGE_YOUNG_MAX];
};

void page_young_close(struct page_young *page_young)
{
	if (page_young)
		access_space_close(page_young->space);
	free(page_young);
}

int page_young_open(struct access_session *session, struct process *process,
		    struct page_young **out)
{
	struct page_young *page_young = calloc(1, sizeof(*page_young));
	int r = page_young ? access_session_space(session, process, &page_young->space) : -ENOMEM;

	if (r)
		free(page_young);
	else
		*out = page_young;
	return r;
}

int page_young_see(struct page_young *page_young, const uint64_t *addresses, size_t nr, bool *young)
{
	struct access_probe *probes = page_young->probes;
	size_t found = 0;
	int r;

	memset(young, 0, nr * sizeof(*young));
	for (size_t i = 0; i < nr; i++)
		probes[i] = (struct access_probe){ .prepared = addresses[i], .next = addresses[i] };
	r = access_space_peek(page_young->space, probes, nr);
	if (r)
		return r;
	for (size_t i = 0; i < nr; i++) {
		young[i] = probes[i].accessed;
		if (young[i])
			probes[found++] = probes[i];
	}
	/* Preparing a page makes it old. */
	if (found)
		access_space_round(page_young->space, probes, found, ACCESS_PREPARE, clock_us(),
				   SAMPLE_US);
	return 0;
}
