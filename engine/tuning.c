// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Intervals that tune themselves: long enough to see a wanted share of all accesses that could be
 * seen, with their proportion kept.  Source: kdamond_tune_intervals() of mm/damon/core.c, Linux
 * 6.18, restated in docs/abi/engine.md section 17.
 */
#include "engine/attrs.h"
#include "engine/quota.h"
#include "engine/region.h"
#include "engine/trace.h"
#include "engine/tuning.h"
#include "util/cleanup.h"
#include "util/saturate.h"

#define REACHED 10000UL

/* How much was seen of what is wanted, in 1/10000. */
static uint64_t score(const struct damon_context *ctx)
{
	unsigned __int128 most = 0, seen = 0, wanted;
	uint32_t most_each = damon_max_nr_accesses(&ctx->attrs);
	uint64_t most_score = 2 * REACHED;

	for (size_t t = 0; t < ctx->nr_targets; t++) {
		for (size_t i = 0; i < ctx->targets[t].nr_regions; i++) {
			const struct damon_region *region = &ctx->targets[t].regions[i];
			uint64_t sz = damon_sz_region(region);

			most += (unsigned __int128)sz * most_each;
			seen += (unsigned __int128)sz * region->nr_accesses;
		}
	}
	wanted = min_ul(ctx->attrs.intervals_goal.access_bp, UINT32_MAX);
	wanted = most / 10000 * wanted + most % 10000 * wanted / 10000;
	seen = seen * REACHED / (wanted ? wanted : 1);
	return seen > most_score ? most_score : (uint64_t)seen;
}

uint64_t damon_tuned_sample(const struct damon_attrs *attrs, uint64_t score)
{
	const struct damon_intervals_goal *goal = &attrs->intervals_goal;
	uint64_t factor = damos_feed_loop_next(100000000, score) / 10000;
	unsigned __int128 next;

	/* At most halved or doubled. */
	if (factor <= 10000)
		factor = 5000 + factor / 2;
	/* At least 1, so that there is an interval to count. */
	next = (unsigned __int128)attrs->sample_interval * factor / 10000;
	return max_ul(next > goal->max_sample_us ? goal->max_sample_us :
						   max_ul((uint64_t)next, goal->min_sample_us),
		      1);
}

void damon_tune_intervals(struct damon_context *ctx)
{
	const struct damon_intervals_goal *goal = &ctx->attrs.intervals_goal;
	struct damon_attrs tuned = ctx->attrs;
	uint64_t samples = damon_max_nr_accesses(&ctx->attrs), its;

	if (!goal->aggrs || ctx->passed < ctx->next_tune)
		return;
	ctx->next_tune = add_sat(ctx->next_tune, mul_sat(samples, goal->aggrs));
	its = score(ctx);
	if (its == REACHED)
		return;
	tuned.sample_interval = damon_tuned_sample(&ctx->attrs, its);
	tuned.aggr_interval = mul_sat(tuned.sample_interval, samples);
	damonfs_damon_monitor_intervals_tune(tuned.sample_interval);
	/* If the bounds left it unchanged, do not round counters for nothing. */
	if (tuned.sample_interval != ctx->attrs.sample_interval)
		damon_set_attrs(ctx, &tuned, false);
}
