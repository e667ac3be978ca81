/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a round of an access method asks and answers: see access.h. */
#ifndef DAMONFS_ACCESS_PROBE_H
#define DAMONFS_ACCESS_PROBE_H

#include <stdbool.h>
#include <stdint.h>

struct access_probe {
	uint64_t prepared; /* address to check: `next' of the last round that prepared */
	uint64_t next; /* address to prepare */
	/* The method's, of the region: 0 if new, copied by a split, by a merge the larger one's. */
	uint32_t priv;
	bool accessed; /* answer of a round that checks: touched since it was prepared */
};

/* A region that a method looks at in rounds without the worker: see access_unattended. */
struct access_run {
	struct access_probe probe; /* `next' was prepared last, and `priv' is the region's */
	uint64_t start, end; /* where its next addresses are from */
	uint32_t hits; /* in how many of the rounds it was accessed */
};

enum access_round {
	ACCESS_CHECK = 1, /* answer for the addresses prepared last time */
	ACCESS_PREPARE = 2, /* prepare the next ones */
};

#endif
