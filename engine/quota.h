/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A scheme's quota: windows, goals, priorities. */
#ifndef DAMONFS_ENGINE_QUOTA_H
#define DAMONFS_ENGINE_QUOTA_H

#include "engine/types.h"

/* Begins a new window if it is time, and finds the lowest score that fits the quota. */
void damos_adjust_quota(struct damon_context *ctx, struct damos *scheme, uint64_t now);

/* How many bytes the quota leaves in this window; UINT64_MAX: there is no limit. */
uint64_t damos_quota_left(const struct damon_context *ctx, const struct damos_quota *quota);

/* The goal tuner's next value of X after SCORE, both in 1/10000. */
uint64_t damos_feed_loop_next(uint64_t x, uint64_t score);

/* How hot or cold a region is, 0 to DAMOS_MAX_SCORE, by the scheme's weights. */
uint32_t damos_hot_score(const struct damon_context *ctx, const struct damon_region *region,
			 const struct damos *scheme);
uint32_t damos_cold_score(const struct damon_context *ctx, const struct damon_region *region,
			  const struct damos *scheme);

#endif
