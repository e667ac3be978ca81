/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One mount. */
#ifndef DAMONFS_FS_DAMONFS_H
#define DAMONFS_FS_DAMONFS_H

#include <pthread.h>
#include <stdbool.h>

#include "fs/tree/node.h"

struct answerer;
struct run;
struct saver;

/* State that the files' functions share, one per mount: struct tree.owner. */
struct damonfs {
	const char *method; /* for kdamond_start() */
	bool processes; /* kdamonds are processes to others */
	uint64_t mounted_since, serves_since; /* ns of clock_ns() */
	unsigned int restarts; /* daemons that served the mount before */
	struct answerer *answerer;
	struct saver *saver; /* keeps the tree for the next daemon; NULL: nobody does */
	pthread_cond_t ended; /* a run or an errand did; with the tree's lock */
	struct run *runs GUARDED_BY(tree_role); /* with a thread */
	unsigned int nr_running GUARDED_BY(tree_role); /* not counting those left behind */
	unsigned int nr_errands GUARDED_BY(tree_role); /* under way */
	/* The debugfs files started them: no others may start. */
	bool exclusive GUARDED_BY(tree_role);
	bool stopping GUARDED_BY(tree_role); /* for good: none may start */
};

/* What the files of TREE's mount share. */
static inline struct damonfs *damonfs_of_tree(const struct tree *tree)
{
	return tree->owner;
}

/* The same, of DIR's mount. */
static inline struct damonfs *damonfs_of(const struct dir *dir)
{
	return damonfs_of_tree(dir->tree);
}

#endif
