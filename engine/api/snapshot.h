/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a kdamond shows at the end of each aggregation, on its way to the program: by its own call,
 * or left for whoever waits for a descriptor.
 */
#ifndef DAMONFS_ENGINE_API_SNAPSHOT_H
#define DAMONFS_ENGINE_API_SNAPSHOT_H

#include <pthread.h>

#include "engine/damon.h"
#include "util/guard.h"

LOCK_ROLE(snapshots_role);

struct damon_snapshot {
	struct damon_found_region *regions;
	size_t nr, room;
};

struct snapshots {
	/* Set while no kdamond runs: */
	void (*fn)(const struct damon_snapshot *snapshot, void *data);
	void *data;
	int event; /* an eventfd: there is something to take; or -1 */

	struct damon_snapshot taken; /* by damon_dispatch() */
	pthread_mutex_t lock;
	struct damon_snapshot left GUARDED_BY(snapshots_role); /* by the kdamond */
	bool fresh GUARDED_BY(snapshots_role);
};

void snapshots_init(struct snapshots *snapshots);
void snapshots_clear(struct snapshots *snapshots);

/* For the kdamond: it has found NR REGIONS; there is something to look at. */
void snapshots_show(struct snapshots *snapshots, const struct damon_found_region *regions,
		    size_t nr);
void snapshots_wake(struct snapshots *snapshots);

/* Takes what was left.  Return: whether there is something; then it is in `taken'. */
bool snapshots_take(struct snapshots *snapshots);

#endif
