// SPDX-License-Identifier: LGPL-2.1-or-later
/* Operations on a space of any method: see access.h. */
#include <errno.h>

#include "access/access.h"
#include "util/cleanup.h"

/* Budgets are worked out for intervals of at most this length. */
#define LONGEST_SAMPLE_US 1000000000UL

void access_space_close(struct access_space *space)
{
	struct process *process;

	if (!space)
		return;
	process = space->process;
	space->session->method->space_close(space);
	process_put(process);
}

int access_space_maps(struct access_space *space, struct maps *out)
{
	const struct access_method *method = space->session->method;

	return method->maps ? method->maps(space, out) : maps_read(space->process, out);
}

int access_space_peek(struct access_space *space, struct access_probe *probes, size_t n)
{
	const struct access_method *method = space->session->method;

	return method->peek ? method->peek(space, probes, n) : -EOPNOTSUPP;
}

int access_space_round(struct access_space *space, struct access_probe *probes, size_t n,
		       unsigned int what, uint64_t now, uint64_t sample)
{
	return space->session->method->round(space, probes, n, what, now,
					     min_ul(sample, LONGEST_SAMPLE_US));
}
