/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What outlives a daemon: memory that the keeper shares with each daemon that it starts.
 *
 * Only the daemon that serves writes it (but `created', once), and the next one reads it: the keeper
 * never looks at it.  The layout is fixed and sealed; pages that nobody touched take no memory.
 */
#ifndef DAMONFS_FS_KEEP_SHARED_H
#define DAMONFS_FS_KEEP_SHARED_H

#include <time.h>

#include "fs/keep/outstanding.h"
#include "fs/keep/journal.h"

struct shared {
	struct timespec created; /* of the tree; tv_sec 0: not yet */
	uint64_t mounted_since; /* ns of clock_ns(); 0: not yet */
	uint32_t served; /* how many daemons have served */
	struct outstanding outstanding;
	struct journal journal;
};

/* Return: the memory, all zeros, to be unmapped at the end; NULL and errno. */
struct shared *shared_new(void);
void shared_free(struct shared *shared);

#endif
