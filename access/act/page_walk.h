/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walks memory page by page, for what filters and actions need to know about pages: a range of
 * physical memory, through the mappings of the processes that use it (rmap.h), or a range of a
 * process.  Pages that nobody has mapped can be looked at, but not acted upon.
 */
#ifndef DAMONFS_ACCESS_ACT_PAGE_WALK_H
#define DAMONFS_ACCESS_ACT_PAGE_WALK_H

#include "access/access.h"

enum page_action {
	PAGE_COUNT, /* what would be done */
	PAGE_PAGEOUT,
	PAGE_PRIO, /* as if it had been used often */
	PAGE_DEPRIO, /* to the inactive list */
	PAGE_MIGRATE, /* to another node of memory */
	NR_PAGE_ACTIONS
};

/* What is known of a page on one of the lists of the kernel's reclaim. */
struct page_info {
	bool anon;
	bool active; /* on the active list */
	bool mapped;
	bool young; /* used since the last look; false if `wants_young' was */
	uint64_t folio_sz; /* bytes of the folio that it is part of */
	uint64_t memcg_id; /* inode number of its cgroup; 0: none, not known here, or not wanted */
};

/* Which pages to take. */
struct page_filter {
	bool wants_memcg;
	bool wants_young; /* look whether pages are young, which makes them old */
	bool (*match)(const struct page_info *info, void *argument);
	/*
	 * PAGE_MIGRATE: the node for a folio; negative if it stays.  INDEX counts folios of its
	 * size from the start of the mapped file, or of the address space.
	 */
	int (*node)(uint64_t index, void *argument);
	void *argument;
};

struct page_walk_result {
	uint64_t passed; /* bytes of the pages that were taken */
	/*
	 * Bytes that the action changed: for PAGE_PAGEOUT those that are no longer mapped, for
	 * PAGE_MIGRATE those that were not on their node before and are now.
	 */
	uint64_t applied;
};

/* Belongs to the thread of a kdamond. */
struct page_walk;

/*
 * Prepares to walk physical memory if PROCESS is NULL; else that process's, for PAGE_COUNT and
 * PAGE_MIGRATE only.  The method of SESSION, which is borrowed, sees whether pages are young; with
 * a NULL SESSION, nothing does.
 * Return: 0 and *OUT, or a negative errno.
 */
int page_walk_open(struct access_session *session, struct process *process, struct page_walk **out);
void page_walk_close(struct page_walk *frames);

/* Forgets what was known of a process's mappings; call it before each round of walks. */
void frames_renew(struct page_walk *frames);

/*
 * Does ACTION to the pages from START to END (bytes) that CHOICE takes.  On physical memory, it
 * does nothing before the first reverse map is made.  Gives up when the thread is told to end.
 */
struct page_walk_result page_walk_apply(struct page_walk *frames, enum page_action action,
					uint64_t start, uint64_t end,
					const struct page_filter *choice);

/*
 * Looks at the page of physical memory at ADDRESS (bytes), though not whether it is young.
 * Return: whether it is on a list of reclaim; else *INFO is not set.
 */
bool page_walk_look(struct page_walk *frames, uint64_t address, bool wants_memcg,
		    struct page_info *info);

#endif
