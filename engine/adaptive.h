/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Regions adapt: what is alike is merged, what is left is split. */
#ifndef DAMONFS_ENGINE_ADAPTIVE_H
#define DAMONFS_ENGINE_ADAPTIVE_H

#include "engine/types.h"

/* Ages and merges by the counters of the aggregation that ends. */
void damon_merge_regions(struct damon_ctx *ctx);

/*
 * One target with one threshold: what damon_merge_regions() is made of.  Regions are as old as
 * their counters have stayed alike; Linux 6.18 takes zero for unlike anything else.
 */
void damon_age_target(struct damon_target *target, uint32_t threshold, bool zero_is_another);
void damon_merge_target(struct damon_target *target, uint32_t threshold, uint64_t sz_limit);

/* Begins the next aggregation: last_nr_accesses := nr_accesses := 0. */
void damon_reset_aggregated(struct damon_ctx *ctx);

/* Splits them at random, if there are not too many; what there is no memory for stays whole. */
void damon_split_regions(struct damon_ctx *ctx);

#endif
