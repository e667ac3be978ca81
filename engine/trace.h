/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions to be probed: see trace.c. */
#ifndef DAMONFS_ENGINE_TRACE_H
#define DAMONFS_ENGINE_TRACE_H

#include <stddef.h>
#include <stdint.h>

struct damon_context;
struct damos_stat;

/* damon:damon_aggregated: a region at the end of an aggregation. */
void damonfs_damon_aggregated(uint64_t target_id, unsigned int nr_regions, uint64_t start,
			      uint64_t end, uint32_t nr_accesses, uint32_t age);

/* damon:damos_before_apply: a region that a scheme is about to be applied to; the context is 0. */
void damonfs_damos_before_apply(size_t scheme_idx, size_t target_idx, unsigned int nr_regions,
				uint64_t start, uint64_t end, uint32_t nr_accesses, uint32_t age);

/* damon:damos_esz: the effective size of a quota from now on; the context is 0. */
void damonfs_damos_esz(size_t scheme_idx, uint64_t esz);

/* damon:damos_stat_after_apply_interval: a scheme's totals after a round; the context is 0. */
void damonfs_damos_stat_after_apply_interval(size_t scheme_idx, const struct damos_stat *stat);

/* damon:damon_monitor_intervals_tune: the sampling interval (us) from now on. */
void damonfs_damon_monitor_intervals_tune(uint64_t sample_us);

/* Emits damon:damon_aggregated for each region. */
void damon_trace_aggregated(const struct damon_context *ctx);

#endif
