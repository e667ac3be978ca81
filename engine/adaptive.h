/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Adaptive regions: merge the similar, split the rest. */
#ifndef DAMONFS_ENGINE_ADAPTIVE_H
#define DAMONFS_ENGINE_ADAPTIVE_H

#include "engine/types.h"

/* Ages and merges by the counters of the aggregation that ends. */
void damon_merge_regions(struct damon_context *ctx);

/*
 * The parts of damon_merge_regions(), for one target and threshold.  A region ages while its
 * counter stays similar; Linux 6.18 treats zero as unlike anything else.
 */
void damon_age_target(struct damon_target *target, uint32_t threshold, bool zero_is_another);
void damon_merge_target(struct damon_target *target, uint32_t threshold, uint64_t sz_limit);

/* Joins neighbours that are alike in all that is known, as the actions of schemes made them. */
void damon_merge_alike(struct damon_context *ctx);

/* Cuts regions that are too large for nr_regions/min, where it is enforced: since Linux 7.1. */
void damon_enforce_min_regions(struct damon_context *ctx);

/* Begins the next aggregation: last_nr_accesses := nr_accesses := 0, and no hits. */
void damon_reset_aggregated(struct damon_context *ctx);

/* Splits regions at random, unless there are too many; without memory they stay whole. */
void damon_split_regions(struct damon_context *ctx);

#endif
