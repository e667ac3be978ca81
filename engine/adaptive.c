// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Adaptive regions: neighbours that look alike are merged at the end of each aggregation, and what
 * is left is split at random, so that the number of regions stays between the user's bounds and
 * their edges find the edges of the access pattern.  Source: mm/damon/core.c of Linux 6.12,
 * restated in docs/abi/engine.md sections 7 and 8.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/abi.h"
#include "engine/adaptive.h"
#include "engine/attrs.h"
#include "engine/region.h"
#include "util/cleanup.h"
#include "util/random.h"

static uint32_t distance(uint32_t a, uint32_t b)
{
	return a > b ? a - b : b - a;
}

static uint32_t weighted(uint32_t a, uint64_t sz_a, uint32_t b, uint64_t sz_b)
{
	return (uint32_t)(((unsigned __int128)a * sz_a + (unsigned __int128)b * sz_b) /
			  (sz_a + sz_b));
}

static void merge_two(struct damon_region *left, const struct damon_region *right)
{
	uint64_t sz_left = damon_sz_region(left), sz_right = damon_sz_region(right);

	left->nr_accesses = weighted(left->nr_accesses, sz_left, right->nr_accesses, sz_right);
	left->nr_accesses_bp = left->nr_accesses * 10000;
	left->age = weighted(left->age, sz_left, right->age, sz_right);
	for (size_t p = 0; p < DAMON_MAX_PROBES; p++)
		left->hits[p] = (uint8_t)weighted(left->hits[p], sz_left, right->hits[p], sz_right);
	/* What the method knows of the larger part holds for most of the whole. */
	if (sz_right > sz_left)
		left->priv = right->priv;
	left->end = right->end;
}

void damon_age_target(struct damon_target *target, uint32_t threshold, bool zero_is_another)
{
	for (size_t i = 0; i < target->nr_regions; i++) {
		struct damon_region *region = &target->regions[i];

		if (distance(region->nr_accesses, region->last_nr_accesses) > threshold ||
		    (zero_is_another && !region->nr_accesses != !region->last_nr_accesses))
			region->age = 0;
		else
			region->age++;
	}
}

/* Whether two neighbours differ by so little that they are one region. */
static bool are_similar(const struct damon_region *a, const struct damon_region *b,
			uint32_t threshold)
{
	return distance(a->nr_accesses, b->nr_accesses) <= threshold;
}

/* Whether nothing tells one from the other. */
static bool are_alike(const struct damon_region *a, const struct damon_region *b,
		      uint32_t threshold)
{
	return a->age == b->age && a->last_nr_accesses == b->last_nr_accesses &&
	       are_similar(a, b, threshold);
}

/* Merges the neighbours of which JOIN says so, up to regions of SZ_LIMIT. */
static void merge_neighbours(struct damon_target *target, uint64_t sz_limit, uint32_t threshold,
			     bool (*join)(const struct damon_region *a,
					  const struct damon_region *b, uint32_t threshold))
{
	size_t kept = 0;

	for (size_t i = 0; i < target->nr_regions; i++) {
		struct damon_region region = target->regions[i];
		struct damon_region *previous = kept ? &target->regions[kept - 1] : NULL;

		if (previous && previous->end == region.start &&
		    join(previous, &region, threshold) &&
		    damon_sz_region(previous) + damon_sz_region(&region) <= sz_limit)
			merge_two(previous, &region);
		else
			target->regions[kept++] = region;
	}
	target->nr_regions = kept;
}

void damon_merge_target(struct damon_target *target, uint32_t threshold, uint64_t sz_limit)
{
	merge_neighbours(target, sz_limit, threshold, are_similar);
}

void damon_merge_regions(struct damon_context *ctx)
{
	uint32_t highest = 0, threshold, most;

	for (size_t t = 0; t < ctx->nr_targets; t++)
		for (size_t i = 0; i < ctx->targets[t].nr_regions; i++)
			highest = (uint32_t)max_ul(highest, ctx->targets[t].regions[i].nr_accesses);
	threshold = highest / 10;
	most = (uint32_t)min_ul(ctx->attrs.aggr_interval / max_ul(ctx->attrs.sample_interval, 1),
				UINT32_MAX);
	for (size_t t = 0; t < ctx->nr_targets; t++)
		damon_age_target(&ctx->targets[t], threshold, abi_zero_is_another(ctx->abi));
	for (;;) {
		for (size_t t = 0; t < ctx->nr_targets; t++)
			damon_merge_target(&ctx->targets[t], threshold, ctx->sz_limit);
		if (damon_nr_regions(ctx) <= ctx->attrs.max_nr_regions || threshold >= most)
			return;
		threshold = threshold < most / 2 ? (uint32_t)max_ul(1, threshold * 2UL) : most;
	}
}

void damon_merge_alike(struct damon_context *ctx)
{
	damon_update_size_limit(ctx);
	for (size_t t = 0; t < ctx->nr_targets; t++)
		merge_neighbours(&ctx->targets[t], ctx->sz_limit, 0, are_alike);
}

void damon_enforce_min_regions(struct damon_context *ctx)
{
	uint64_t limit;

	if (!abi_enforces_min_regions(ctx->abi))
		return;
	damon_update_size_limit(ctx);
	limit = align_up(ctx->sz_limit, ctx->min_sz_region);
	for (size_t t = 0; t < ctx->nr_targets; t++) {
		struct damon_target *target = &ctx->targets[t];

		for (size_t i = 0; i < target->nr_regions; i++)
			if (damon_sz_region(&target->regions[i]) > limit &&
			    damon_cut_region(ctx, target, i, limit))
				return;
	}
}

void damon_reset_aggregated(struct damon_context *ctx)
{
	for (size_t t = 0; t < ctx->nr_targets; t++) {
		for (size_t i = 0; i < ctx->targets[t].nr_regions; i++) {
			struct damon_region *region = &ctx->targets[t].regions[i];

			/* The moving sum has reached this by now, except for rounding. */
			if (abi_moving_sum_is_exact(ctx->abi))
				region->nr_accesses_bp = region->nr_accesses * 10000;
			region->last_nr_accesses = region->nr_accesses;
			region->nr_accesses = 0;
			memset(region->hits, 0, sizeof(region->hits));
		}
	}
}

/* Writes the pieces of REGION, in order, to OUT, which has room for NR_PIECES.  Return: how many. */
static size_t split_randomly(struct damon_context *ctx, struct damon_region region,
			     size_t nr_pieces, struct damon_region *out)
{
	struct damon_region pieces[3]; /* from the right */
	size_t nr = 0;

	for (size_t i = 0; i + 1 < nr_pieces && damon_sz_region(&region) > 2 * ctx->min_sz_region;
	     i++) {
		uint64_t sz = damon_sz_region(&region);
		uint64_t left = align_down(
			(uint64_t)((unsigned __int128)sz * random_range(ctx->rng, 1, 10) / 10),
			ctx->min_sz_region);

		if (!left || left >= sz)
			continue;
		pieces[nr] = region;
		pieces[nr++].start = region.start + left;
		region.end = region.start + left;
	}
	*out++ = region;
	for (size_t i = nr; i; i--)
		*out++ = pieces[i - 1];
	return nr + 1;
}

static int split_target(struct damon_context *ctx, struct damon_target *target, size_t nr_pieces)
{
	size_t nr_old = target->nr_regions, nr = 0;
	_cleanup_free_ struct damon_region *old = malloc(max_ul(nr_old, 1) * sizeof(*old));
	int r = old ? damon_reserve_regions(target, nr_old * nr_pieces) : -ENOMEM;

	if (r)
		return r;
	if (nr_old)
		memcpy(old, target->regions, nr_old * sizeof(*old));
	for (size_t i = 0; i < nr_old; i++)
		nr += split_randomly(ctx, old[i], nr_pieces, &target->regions[nr]);
	target->nr_regions = nr;
	return 0;
}

/*
 * Splits a part of the NR regions, so many that there are at most MOST: one in every so many, which
 * are others the next time.
 */
static void split_some(struct damon_context *ctx, size_t nr, size_t most)
{
	size_t every = most / (most - nr), at = ctx->next_split++ % every;

	for (size_t t = 0; t < ctx->nr_targets; t++) {
		struct damon_target *target = &ctx->targets[t];

		for (size_t i = 0; i < target->nr_regions; i++) {
			uint64_t sz = damon_sz_region(&target->regions[i]);

			if (at++ % every || sz < 2 * ctx->min_sz_region)
				continue;
			sz = align_down(sz / 10 * random_range(ctx->rng, 1, 10),
					ctx->min_sz_region);
			if (damon_cut_region(ctx, target, i, max_ul(sz, ctx->min_sz_region)))
				return;
			i++;
		}
	}
}

void damon_split_regions(struct damon_context *ctx)
{
	size_t nr_regions = damon_nr_regions(ctx), nr_pieces = 2;
	uint64_t most = ctx->attrs.max_nr_regions;

	if (nr_regions > most / 2 && nr_regions < most && abi_splits_up_to_max(ctx->abi))
		split_some(ctx, nr_regions, most);
	if (nr_regions > most / 2)
		return;
	if (ctx->max_total_regions)
		most = min_ul(most, ctx->max_total_regions);
	if (nr_regions > most / 2) {
		damon_tell_full(ctx);
		return;
	}
	/* The last split did not help: try harder. */
	if (nr_regions == ctx->last_split_nr_regions && nr_regions < most / 3)
		nr_pieces = 3;
	ctx->last_split_nr_regions = nr_regions;
	for (size_t t = 0; t < ctx->nr_targets; t++)
		if (split_target(ctx, &ctx->targets[t], nr_pieces))
			damon_tell_short(ctx);
}
