// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a kdamond shows at the end of each aggregation: see snapshot.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/api/public.h"
#include "engine/api/snapshot.h"

DEFINE_LOCK(snapshots_role, snapshots, struct snapshots, lock);

void snapshots_init(struct snapshots *snapshots)
{
	snapshots->event = -1;
	pthread_mutex_init(&snapshots->lock, NULL);
}

ALONE void snapshots_clear(struct snapshots *snapshots)
{
	if (snapshots->event >= 0)
		close(snapshots->event);
	free(snapshots->left.regions);
	free(snapshots->taken.regions);
	pthread_mutex_destroy(&snapshots->lock);
}

void snapshots_wake(struct snapshots *snapshots)
{
	if (snapshots->event >= 0)
		eventfd_write(snapshots->event, 1);
}

/* Without memory the one before stays. */
static void leave(struct snapshots *snapshots, const struct damon_found_region *regions, size_t nr)
{
	struct damon_snapshot *left;

	snapshots_lock(snapshots);
	left = &snapshots->left;
	if (nr > left->room) {
		struct damon_found_region *more = malloc(2 * nr * sizeof(*more));

		if (!more) {
			snapshots_unlock(snapshots);
			return;
		}
		free(left->regions);
		left->regions = more;
		left->room = 2 * nr;
	}
	memcpy(left->regions, regions, nr * sizeof(*regions));
	left->nr = nr;
	snapshots->fresh = true;
	snapshots_unlock(snapshots);
	snapshots_wake(snapshots);
}

void snapshots_show(struct snapshots *snapshots, const struct damon_found_region *regions,
		    size_t nr)
{
	/* Nobody changes it. */
	const struct damon_snapshot snapshot = { .regions = (struct damon_found_region *)regions,
						 .nr = nr };

	if (snapshots->event >= 0)
		leave(snapshots, regions, nr);
	else
		snapshots->fn(&snapshot, snapshots->data);
}

bool snapshots_take(struct snapshots *snapshots)
{
	struct damon_snapshot was = snapshots->taken;
	bool fresh;

	snapshots_lock(snapshots);
	fresh = snapshots->fresh;
	if (fresh) {
		snapshots->taken = snapshots->left;
		snapshots->left = was;
		snapshots->fresh = false;
	}
	snapshots_unlock(snapshots);
	return fresh;
}

API size_t damon_snapshot_nr(const struct damon_snapshot *snapshot)
{
	return snapshot->nr;
}

API int damon_snapshot_region(const struct damon_snapshot *snapshot, size_t i, unsigned int *target,
			      uint64_t *start, uint64_t *end, unsigned int *nr_accesses,
			      unsigned int *age_aggrs)
{
	const struct damon_found_region *region;

	if (i >= snapshot->nr)
		return -EINVAL;
	region = &snapshot->regions[i];
	if (target)
		*target = region->target;
	if (start)
		*start = region->start;
	if (end)
		*end = region->end;
	if (nr_accesses)
		*nr_accesses = region->nr_accesses;
	if (age_aggrs)
		*age_aggrs = region->age;
	return 0;
}
