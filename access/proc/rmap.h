/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which processes map a frame, and where: the reverse map, which the kernel does not show, made
 * from the pagemaps of all processes.
 *
 * A thread remakes it all the time while it has users, for the frames that they asked for, and does
 * nothing otherwise.  It takes so small a share of a processor that a map is some seconds old on a
 * large machine.  Memory that nobody has mapped (page cache, the kernel's own) is in no map.
 */
#ifndef DAMONFS_ACCESS_PROC_RMAP_H
#define DAMONFS_ACCESS_PROC_RMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/proc/process.h"

/* Consecutive frames, mapped at consecutive pages. */
struct rmap_run {
	uint64_t frame, page; /* numbers of the first ones */
	uint32_t nr;
	uint32_t owner;
	uint64_t reach; /* one past the last frame of this run and all before it */
};

/* Never changes once it is made. */
struct rmap {
	atomic_uint refs;
	struct rmap_run *runs; /* ascending by frame; they overlap where memory is shared */
	size_t nr;
	struct process **owners;
	size_t nr_owners;
};

/*
 * Makes a map of the frames [FIRST, LAST).  Whoever sees no numbers of frames gets an empty one.
 * Return: 0 and a reference in *OUT, or a negative errno.
 */
int rmap_build(uint64_t first, uint64_t last, struct rmap **out);

struct rmap *rmap_put(struct rmap *map);

struct rmap_mapping {
	uint32_t owner;
	uint64_t page;
};

/* Finds up to ROOM of the places where FRAME is mapped.  Return: how many. */
size_t rmap_find(const struct rmap *map, uint64_t frame, struct rmap_mapping *out, size_t room);

/* A user of maps; rmap_want() may change first and last. */
struct rmap_user {
	uint64_t first, last; /* frames; under the keeper's lock */
	struct rmap_user *prev, *next;
};

/*
 * Starts the thread, if it is not there yet: in the thread group of the caller, which may be no
 * task that is a process (util/task.h).  Return: 0 or a negative errno.
 */
int rmap_prepare(void);

/* Return: 0 or a negative errno, as of rmap_prepare(), or -EPERM. */
int rmap_join(struct rmap_user *user);
void rmap_leave(struct rmap_user *user);
/* USER needs these frames too from now on; a map of them comes in a while. */
void rmap_want(struct rmap_user *user, uint64_t first, uint64_t last);

/* The number of maps made so far, without a lock: when it has changed, there is a newer one. */
uint64_t rmap_generation(void);
/* A reference to the newest map, or NULL if there is none yet. */
struct rmap *rmap_newest(void);

#endif
