/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What outlives a daemon: memory that the keeper shares with each daemon that it starts.
 *
 * Only the daemon that serves writes it (but `created', once), and the next one reads it.  The
 * keeper reads `generation', if another one was before it, and nothing else.  The layout is fixed
 * and sealed; pages that nobody touched take no memory.
 */
#ifndef DAMONFS_FS_KEEP_SHARED_H
#define DAMONFS_FS_KEEP_SHARED_H

#include <time.h>

#include "fs/keep/journal.h"
#include "fs/keep/outstanding.h"
#include "fs/keep/texts.h"

struct shared {
	uint64_t layout; /* of this struct, and of what is in it */
	uint64_t files; /* layouts_hash() of the tree; 0: not yet */
	struct timespec created; /* of the tree; tv_sec 0: not yet */
	uint64_t mounted_since; /* ns of clock_ns(); 0: not yet */
	uint32_t served; /* how many daemons have served */
	uint32_t generation; /* of the last one */
	struct texts texts;
	struct outstanding outstanding;
	struct journal journal;
};

/*
 * Return: the memory, all zeros but for its layout, to be unmapped at the end, and its descriptor
 * *FD; NULL and errno.
 */
struct shared *shared_new(int *fd);

/* The memory behind FD.  Return: NULL and errno: EPROTO if it is of another layout. */
struct shared *shared_open(int fd);
void shared_free(struct shared *shared);

#endif
