/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is done to physical memory: through the mappings of the processes that use it, which the
 * reverse map (rmap.h) knows.  What nobody has mapped is out of reach.
 */
#ifndef DAMONFS_ACCESS_FRAMES_H
#define DAMONFS_ACCESS_FRAMES_H

#include "access/access.h"

enum frames_action {
	FRAMES_PAGEOUT,
	FRAMES_PRIO, /* as if it had been used often */
	FRAMES_DEPRIO, /* to the inactive list */
	FRAMES_MIGRATE, /* to another node of memory */
	NR_FRAMES_ACTIONS
};

/* What is known of a page that is on one of the lists of the kernel's reclaim. */
struct frame_info {
	bool anon;
	bool young; /* used since it was looked at last; false if `wants_young' was */
	uint64_t memcg_id; /* inode number of its cgroup; 0: none, not known here, or not wanted */
};

/* Which pages are meant, and where they are to go. */
struct frames_choice {
	int node; /* for FRAMES_MIGRATE */
	bool wants_memcg;
	bool wants_young; /* look; what was young is young no more afterwards */
	bool (*takes)(const struct frame_info *info, void *argument);
	void *argument;
};

/* A kdamond's; of its thread. */
struct frames;

/*
 * Makes what is needed to act on frames.  Whether pages are young is seen by the method of SESSION.
 * Return: 0 and *OUT, or a negative errno.
 */
int frames_open(struct access_session *session, struct frames **out);
void frames_close(struct frames *frames);

/*
 * Does ACTION to the pages from START to END (bytes) that CHOICE takes.  A first map has to be made
 * before anything is done.
 * Return: the bytes it was done to; of FRAMES_PAGEOUT, those that are no longer mapped, of
 * FRAMES_MIGRATE, those that were not on that node before and are now.
 */
uint64_t frames_apply(struct frames *frames, enum frames_action action, uint64_t start,
		      uint64_t end, const struct frames_choice *choice);

#endif
