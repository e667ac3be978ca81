/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Schemes at work: matching, quotas, filters, watermarks. */
#ifndef DAMONFS_ENGINE_SCHEME_H
#define DAMONFS_ENGINE_SCHEME_H

#include "access/frames.h"
#include "engine/context.h"

/* Takes over what DESC owns. */
void damos_init(struct damos *scheme, struct damos_desc *desc);
/* The same but for the quota, in a scheme that goes on. */
void damos_take_desc(struct damos *scheme, struct damos_desc *desc);
void damos_clear(struct damos *scheme);

/* Adds to the scheme's counters, and to those of its owner. */
void damos_count(struct damos *scheme, const struct damos_stat *more);

/* Begins the scheme's apply interval. */
void damos_set_next_apply(const struct damon_ctx *ctx, struct damos *scheme);

/*
 * A round of all schemes that are due, over all regions.  Source: kdamond_apply_schemes() of Linux
 * 6.12, restated in docs/abi/engine.md sections 9 to 11.  NOW in us.
 */
void damos_apply_schemes(struct damon_ctx *ctx, uint64_t now);

/* How often a region is accessed, as schemes see it. */
static inline uint32_t damos_nr_accesses(const struct damon_region *region)
{
	return region->nr_accesses_bp / 10000;
}

bool damos_pattern_matches(const struct damos_access_pattern *pattern,
			   const struct damon_region *region);

/* ---- collection of tried regions ---- */

/* Begins to collect what schemes are applied to, for COMMAND. */
void damos_collect_start(struct damon_ctx *ctx, struct damon_command *command);
/* Whether the collection is complete, has waited long enough, or was given up with an error. */
bool damos_collect_finished(struct damon_ctx *ctx);

/* ---- quota.c ---- */

/* Begins a new window if it is time, and finds the least score that the quota has room for. */
void damos_adjust_quota(struct damon_ctx *ctx, struct damos *scheme, uint64_t now);
/* The goal tuner's next value of X after a score of SCORE, both in 1/10000. */
uint64_t damos_feed_loop_next(uint64_t x, uint64_t score);
/* How hot or cold a region is, 0 to DAMOS_MAX_SCORE, by the scheme's weights. */
uint32_t damos_hot_score(const struct damon_ctx *ctx, const struct damon_region *region,
			 const struct damos *scheme);
uint32_t damos_cold_score(const struct damon_ctx *ctx, const struct damon_region *region,
			  const struct damos *scheme);

/* ---- filter.c ---- */

/* What happens to what no filter matches: to be set whenever the filters have changed. */
void damos_set_filter_defaults(struct damos *scheme);
/*
 * Whether the core filters of SCHEME keep it away from region INDEX of target number TARGET; cuts
 * the region at the bound of an address filter that it crosses.  One that cannot be cut is kept
 * away from as a whole.
 */
bool damos_filtered_out(struct damon_ctx *ctx, size_t target, size_t index, struct damos *scheme);
/*
 * Whether the operations' filters let a page of the region that was asked for last pass; with
 * SPARE_YOUNG as if there were one at their end that keeps young pages out.
 */
bool damos_page_passes(const struct damos *scheme, const struct frame_info *info, bool spare_young);
/* Whether SCHEME has a filter of this type, of whatever sort. */
bool damos_has_filter(const struct damos *scheme, enum damos_filter_type type);

/* ---- pages.c ---- */

/*
 * Walks RANGE (bytes) of TARGET, or of physical memory where that has no process, for SCHEME: its
 * filters say what CHOICE wants, and it is the argument of CHOICE's functions.  PAGES is where that
 * memory's are kept. Return: as frames_apply(); nothing where the pages cannot be seen, which the
 * log tells.
 */
struct frames_result damos_walk_pages(struct damon_ctx *ctx, struct damos_pages *pages,
				      const struct damon_target *target, enum frames_action action,
				      struct damon_addr_range range, const struct damos *scheme,
				      struct frames_choice choice);

/* ---- vaddr.c ---- */

/* The node for folio number INDEX, or a negative number: it stays. */
int damos_dest_of(const struct damos_desc *desc, uint64_t index);

/* ---- watermark.c ---- */

/* Whether any scheme has a metric to watch. */
bool damos_has_watermarks(const struct damon_ctx *ctx);
/*
 * Switches the schemes on or off by their watermarks.
 * Return: 0 to go on monitoring, or for how long (us) to rest because none is active.
 */
uint64_t damos_check_watermarks(struct damon_ctx *ctx);
/* The rule for one scheme and a METRIC in thousandths; returns the wait that it contributes. */
uint64_t damos_watermark_wait(struct damos *scheme, uint64_t metric);

#endif
