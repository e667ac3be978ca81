/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attributes of a context, and what follows from them. */
#ifndef DAMONFS_ENGINE_ATTRS_H
#define DAMONFS_ENGINE_ATTRS_H

#include "engine/types.h"

/* Maximum nr_accesses: sampling intervals per aggregation, at least 1. */
uint32_t damon_max_nr_accesses(const struct damon_attrs *attrs);

/* Recomputes the size limit of merged regions: total size / min_nr_regions. */
void damon_update_size_limit(struct damon_context *ctx);

/* Restarts the counting of intervals. */
void damon_restart_intervals(struct damon_context *ctx);

/*
 * Converts the counters of REGION from one set of intervals to another, INSIDE an aggregation or at
 * its end, before it is reported.
 */
void damon_rescale_region(struct damon_region *region, const struct damon_attrs *from,
			  const struct damon_attrs *to, bool inside);

/* Sets new attributes, and restarts the counting of intervals. */
void damon_set_attrs(struct damon_context *ctx, const struct damon_attrs *attrs, bool inside);

#endif
