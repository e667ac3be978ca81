// SPDX-License-Identifier: GPL-2.0-or-later
/* Looking for young pages: see page_young.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access/act/page_young.h"
#include "access/proc/clear_refs.h"

/* For methods that forget: they are asked to look at once. */
#define SAMPLE_US 1000000

struct lookout {
	struct access_space *space; /* of its own: what is armed in there is the lookout's */
	struct access_probe probes[LOOKOUT_MAX];
};

void lookout_close(struct lookout *lookout)
{
	if (lookout)
		access_space_close(lookout->space);
	free(lookout);
}

int lookout_open(struct access_session *session, struct process *process, struct lookout **out)
{
	struct lookout *lookout = calloc(1, sizeof(*lookout));
	int r = lookout ? access_session_space(session, process, &lookout->space) : -ENOMEM;

	if (r)
		free(lookout);
	else
		*out = lookout;
	return r;
}

int lookout_see(struct lookout *lookout, const uint64_t *addresses, size_t nr, bool *young)
{
	struct access_probe *probes = lookout->probes;
	size_t found = 0;
	int r;

	memset(young, 0, nr * sizeof(*young));
	for (size_t i = 0; i < nr; i++)
		probes[i] = (struct access_probe){ .armed = addresses[i], .next = addresses[i] };
	r = access_space_look(lookout->space, probes, nr);
	if (r)
		return r;
	for (size_t i = 0; i < nr; i++) {
		young[i] = probes[i].accessed;
		if (young[i])
			probes[found++] = probes[i];
	}
	/* Arming makes old. */
	if (found)
		access_space_round(lookout->space, probes, found, ACCESS_ARM,
				   cost_clock_ns() / 1000, SAMPLE_US);
	return 0;
}
