// SPDX-License-Identifier: LGPL-2.1-or-later
/* Schemes: what they want, and what they have done. */
#include <errno.h>
#include <stdlib.h>
#include <sys/capability.h>

#include "access/proc/clear_refs.h"
#include "engine/filter.h"
#include "engine/region.h"
#include "engine/scheme.h"
#include "util/cleanup.h"
#include "util/saturate.h"
#include "util/stop.h"

void damos_take_desc(struct damos *scheme, struct damos_desc *desc)
{
	free(scheme->desc.filters);
	free(scheme->desc.dests);
	scheme->desc = *desc;
	desc->filters = NULL;
	desc->nr_filters = 0;
	desc->dests = NULL;
	desc->nr_dests = 0;
	damos_set_filter_defaults(scheme);
}

void damos_init(struct damos *scheme, struct damos_desc *desc)
{
	*scheme = (struct damos){ .active = true };
	scheme->quota.desc = desc->quota;
	desc->quota.goals = NULL;
	desc->quota.nr_goals = 0;
	damos_take_desc(scheme, desc);
}

void damos_clear(struct damos *scheme)
{
	damos_goals_clear(&scheme->quota.desc);
	free(scheme->desc.filters);
	free(scheme->desc.dests);
	*scheme = (struct damos){ 0 };
}

uint64_t damos_apply_interval(const struct damon_context *ctx, const struct damos *scheme)
{
	uint64_t interval = scheme->desc.apply_interval;

	return (interval ? interval : ctx->attrs.aggr_interval) /
	       max_ul(ctx->attrs.sample_interval, 1);
}

void damos_set_next_apply(const struct damon_context *ctx, struct damos *scheme)
{
	scheme->next_apply = add_sat(ctx->passed, damos_apply_interval(ctx, scheme));
}

bool damos_pattern_matches(const struct damos_access_pattern *pattern,
			   const struct damon_region *region)
{
	uint64_t sz = damon_sz_region(region);
	uint32_t nr_accesses = damos_nr_accesses(region);

	return pattern->min_sz_region <= sz && sz <= pattern->max_sz_region &&
	       pattern->min_nr_accesses <= nr_accesses && nr_accesses <= pattern->max_nr_accesses &&
	       pattern->min_age_region <= region->age && region->age <= pattern->max_age_region;
}

/* Only the kdamond's thread writes the counter; others may read it. */
static void count(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

static void count_all(struct damos_stat *stat, const struct damos_stat *more)
{
	count(&stat->nr_tried, more->nr_tried);
	count(&stat->sz_tried, more->sz_tried);
	count(&stat->nr_applied, more->nr_applied);
	count(&stat->sz_applied, more->sz_applied);
	count(&stat->sz_ops_filter_passed, more->sz_ops_filter_passed);
	count(&stat->qt_exceeds, more->qt_exceeds);
	count(&stat->nr_snapshots, more->nr_snapshots);
}

void damos_count(struct damos *scheme, const struct damos_stat *more)
{
	count_all(&scheme->stat, more);
	if (scheme->desc.live)
		count_all(scheme->desc.live, more);
}
