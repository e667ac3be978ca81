/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Schemes: what they want, and what they have done. */
#ifndef DAMONFS_ENGINE_SCHEME_H
#define DAMONFS_ENGINE_SCHEME_H

#include "engine/types.h"

/* Takes over what DESC owns. */
void damos_init(struct damos *scheme, struct damos_desc *desc);

/* The same without the quota, for a scheme that goes on. */
void damos_take_desc(struct damos *scheme, struct damos_desc *desc);

void damos_clear(struct damos *scheme);

/* Adds to the scheme's counters, and to those of its owner. */
void damos_count(struct damos *scheme, const struct damos_stat *more);

/* The scheme's apply interval, in sampling intervals. */
uint64_t damos_apply_interval(const struct damon_context *ctx, const struct damos *scheme);

/* Restarts it. */
void damos_set_next_apply(const struct damon_context *ctx, struct damos *scheme);

/* Whether size, accesses and age of REGION lie in PATTERN, bounds included. */
bool damos_pattern_matches(const struct damos_access_pattern *pattern,
			   const struct damon_region *region);

#endif
