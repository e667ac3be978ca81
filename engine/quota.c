// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Quotas: how much a scheme may do in a window of time, how much of that the goals allow, and which
 * regions come first.  Source: damos_adjust_quota(), damos_set_effective_quota() of mm/damon/core.c
 * and damon_hot_score() of mm/damon/ops-common.c, Linux 6.12, restated in docs/abi/engine.md
 * section 11.
 */
#include "access/proc/meminfo.h"
#include "engine/abi.h"
#include "engine/attrs.h"
#include "engine/filter.h"
#include "engine/operations.h"
#include "engine/pages.h"
#include "engine/quota.h"
#include "engine/region.h"
#include "engine/scheme.h"
#include "engine/trace.h"
#include "util/cleanup.h"
#include "util/saturate.h"

/* The tuner aims at this score. */
#define GOAL_REACHED 10000UL

/* Bytes a millisecond, until there is a measurement: 4 MiB. */
#define DEFAULT_THROUGHPUT (1024 * DAMON_MIN_REGION)

uint64_t damos_feed_loop_next(uint64_t x, uint64_t score)
{
	uint64_t off, change;

	if (score == GOAL_REACHED)
		return x;
	if (score >= GOAL_REACHED * 2)
		return GOAL_REACHED;
	off = score < GOAL_REACHED ? GOAL_REACHED - score : score - GOAL_REACHED;
	if (__builtin_mul_overflow(x, off, &change))
		change = x / GOAL_REACHED * off;
	else
		change /= GOAL_REACHED;
	if (score < GOAL_REACHED)
		return x > UINT64_MAX - change ? UINT64_MAX : x + change;
	return x > change ? max_ul(x - change, GOAL_REACHED) : GOAL_REACHED;
}

static bool has_limit(const struct damos_quota_desc *desc)
{
	return desc->ms || desc->sz || desc->nr_goals;
}

uint64_t damos_quota_left(const struct damon_context *ctx, const struct damos_quota *quota)
{
	bool limited = abi_empty_quota_is_a_quota(ctx->abi) ? has_limit(&quota->desc) : quota->esz;
	uint64_t left;

	if (!limited)
		return UINT64_MAX;
	left = quota->esz > quota->charged_sz ? quota->esz - quota->charged_sz : 0;
	return left < ctx->min_sz_region && abi_leaves_no_crumbs(ctx->abi) ? 0 : left;
}

static uint64_t stall_growth(struct damos_quota_goal *goal)
{
	uint64_t total, growth;

	if (meminfo_some_stall_us(&total))
		return 0;
	growth = total - goal->last_psi_total;
	goal->last_psi_total = total;
	return growth;
}

/*
 * The part of the node's memory, in 1/10000, that is used or used by a cgroup; or the rest of it,
 * if UNUSED.  A node that has no memory is all free.
 */
static uint64_t node_share(const struct damos_quota_goal *goal, bool unused)
{
	uint64_t total, free, used;

	if (meminfo_node(goal->nid, &total, &free) || !total)
		return unused ? 10000 : 0;
	used = goal->memcg ? memcg_node_used(goal->memcg, goal->nid) / 1024 :
			     total - min_ul(free, total);
	used = min_ul(used, total);
	return (unused ? total - used : used) * 10000 / total;
}

static uint64_t active_share(const struct damos_quota_goal *goal)
{
	uint64_t bp;

	if (meminfo_active_bp(&bp))
		return 0;
	return goal->metric == DAMOS_QUOTA_ACTIVE_MEM_BP ? bp : 10000 - bp;
}

static bool is_any(const struct page_info *info, void *argument)
{
	(void)info;
	(void)argument;
	return true;
}

/* Bytes that are on lists of reclaim in the part of REGION that is in RANGE (bytes). */
static uint64_t listed_in(struct damon_context *ctx, const struct damon_target *target,
			  const struct damon_region *region, const struct damos *scheme,
			  struct damon_addr_range range)
{
	uint64_t start = max_ul(mul_sat(region->start, ctx->addr_unit), range.start);
	uint64_t end = min_ul(mul_sat(region->end, ctx->addr_unit), range.end);

	if (start >= end)
		return 0;
	return damos_walk_pages(ctx, &ctx->pages, target, PAGE_COUNT,
				(struct damon_addr_range){ start, end }, scheme,
				(struct page_filter){ .match = is_any })
		.passed;
}

/* Which share, in 1/10000, of the memory that matches SCHEME's pattern is on the goal's node. */
static uint64_t eligible_share(struct damon_context *ctx, const struct damos *scheme, int nid)
{
	const struct damon_addr_range everywhere = { 0, UINT64_MAX };
	struct iomem_range ranges[MEMINFO_MAX_RANGES];
	uint64_t total = 0, here = 0;
	int nr = meminfo_node_ranges(nid, ranges);

	for (size_t t = 0; t < ctx->nr_targets && nr > 0; t++) {
		const struct damon_target *target = &ctx->targets[t];

		for (size_t i = 0; i < target->nr_regions; i++) {
			const struct damon_region *region = &target->regions[i];

			if (!damos_pattern_matches(&scheme->desc.pattern, region))
				continue;
			total += listed_in(ctx, target, region, scheme, everywhere);
			for (int k = 0; k < nr; k++)
				here += listed_in(ctx, target, region, scheme,
						  (struct damon_addr_range){ ranges[k].start,
									     ranges[k].end });
		}
	}
	return total ? (uint64_t)((unsigned __int128)here * 10000 / total) : 0;
}

static uint64_t goal_value(struct damon_context *ctx, const struct damos *scheme,
			   struct damos_quota_goal *goal)
{
	switch (goal->metric) {
	case DAMOS_QUOTA_SOME_MEM_PSI_US:
		return stall_growth(goal);
	case DAMOS_QUOTA_NODE_MEM_USED_BP:
	case DAMOS_QUOTA_NODE_MEMCG_USED_BP:
		return node_share(goal, false);
	case DAMOS_QUOTA_NODE_MEM_FREE_BP:
	case DAMOS_QUOTA_NODE_MEMCG_FREE_BP:
		return node_share(goal, true);
	case DAMOS_QUOTA_ACTIVE_MEM_BP:
	case DAMOS_QUOTA_INACTIVE_MEM_BP:
		return active_share(goal);
	case DAMOS_QUOTA_NODE_ELIGIBLE_MEM_BP:
		return eligible_share(ctx, scheme, goal->nid);
	default:
		return goal->current_value;
	}
}

/* The highest score of all goals: the least aggressive outcome. */
static uint64_t goals_score(struct damon_context *ctx, struct damos *scheme)
{
	struct damos_quota *quota = &scheme->quota;
	uint64_t highest = 0;

	for (size_t i = 0; i < quota->desc.nr_goals; i++) {
		struct damos_quota_goal *goal = &quota->desc.goals[i];
		uint64_t value = goal_value(ctx, scheme, goal);

		if (!goal->target_value)
			continue;
		highest = max_ul(highest, (uint64_t)((unsigned __int128)value * GOAL_REACHED /
						     goal->target_value));
	}
	return highest;
}

/* What the goals' SCORE makes of the quota, in 1/10000 bytes.  Source: docs/kernel-7.2.md 3.3. */
static uint64_t tune_goal(const struct damos_quota *quota, uint64_t score)
{
	if (quota->desc.goal_tuner == DAMOS_QUOTA_GOAL_TUNER_CONSIST)
		return damos_feed_loop_next(max_ul(quota->esz_bp, GOAL_REACHED), score);
	if (score >= GOAL_REACHED)
		return 0;
	/* It wraps, as the kernel's does. */
	return quota->desc.sz ? quota->desc.sz * GOAL_REACHED : UINT64_MAX;
}

static void set_effective_size(struct damon_context *ctx, struct damos *scheme)
{
	struct damos_quota *quota = &scheme->quota;
	uint64_t throughput = DEFAULT_THROUGHPUT, esz = UINT64_MAX;

	if (!quota->desc.ms && !quota->desc.nr_goals) {
		quota->esz = quota->desc.sz;
		return;
	}
	if (quota->desc.nr_goals) {
		quota->esz_bp = tune_goal(quota, goals_score(ctx, scheme));
		esz = quota->esz_bp / GOAL_REACHED;
	}
	if (quota->desc.ms) {
		if (quota->total_charged_ns)
			throughput = (uint64_t)((unsigned __int128)quota->total_charged_sz *
						1000000 / quota->total_charged_ns);
		/* It wraps, as the kernel's does: users see it in effective_bytes. */
		esz = max_ul(ctx->min_sz_region, min_ul(throughput * quota->desc.ms, esz));
	}
	if (quota->desc.sz && quota->desc.sz < esz)
		esz = quota->desc.sz;
	quota->esz = esz;
}

/* The least score at which the regions from the highest score down fill the quota. */
static uint32_t find_min_score(struct damon_context *ctx, struct damos *scheme)
{
	bool filters = abi_scores_what_passes(ctx->abi);
	uint64_t histogram[DAMOS_MAX_SCORE + 1] = { 0 }, sum = 0;
	uint32_t score = 0;

	for (size_t t = 0; t < ctx->nr_targets; t++) {
		for (size_t i = 0; i < ctx->targets[t].nr_regions; i++) {
			const struct damon_region *region = &ctx->targets[t].regions[i];
			uint32_t its;

			if (!damos_pattern_matches(&scheme->desc.pattern, region))
				continue;
			if (filters && damos_filtered_out(ctx, t, i, scheme))
				continue;
			/* Only now: the filter may have cut it, and the array have moved. */
			region = &ctx->targets[t].regions[i];
			its = ctx->ops->scheme_score(ctx, region, scheme);
			histogram[its] = add_sat(histogram[its], damon_sz_region(region));
			score = (uint32_t)max_ul(score, its);
		}
	}
	for (;; score--) {
		sum = add_sat(sum, histogram[score]);
		if (sum >= scheme->quota.esz || !score)
			return score;
	}
}

void damos_adjust_quota(struct damon_context *ctx, struct damos *scheme, uint64_t now)
{
	struct damos_quota *quota = &scheme->quota;
	uint64_t now_ms = now / 1000, before;

	if (!has_limit(&quota->desc)) {
		quota->esz = 0;
		return;
	}
	if (!quota->has_window || now_ms - quota->charged_from >= quota->desc.reset_interval_ms) {
		if (quota->has_window && !damos_quota_left(ctx, quota))
			damos_count(scheme, &(struct damos_stat){ .qt_exceeds = 1 });
		quota->total_charged_sz = add_sat(quota->total_charged_sz, quota->charged_sz);
		quota->charged_from = now_ms;
		quota->charged_sz = 0;
		before = quota->esz;
		set_effective_size(ctx, scheme);
		if ((quota->has_window || abi_traces_first_size(ctx->abi)) && quota->esz != before)
			damonfs_damos_esz((size_t)(scheme - ctx->schemes), quota->esz);
		quota->has_window = true;
	}
	if (ctx->ops->scheme_score)
		quota->min_score = find_min_score(ctx, scheme);
}

static uint32_t significant_bits(uint32_t x)
{
	return x ? 32 - (uint32_t)__builtin_clz(x) : 0;
}

uint32_t damos_hot_score(const struct damon_context *ctx, const struct damon_region *region,
			 const struct damos *scheme)
{
	uint32_t weight_freq = scheme->quota.desc.weight_nr_accesses;
	uint32_t weight_age = scheme->quota.desc.weight_age;
	uint32_t freq = damos_nr_accesses(region) * 100 / damon_max_nr_accesses(&ctx->attrs);
	uint32_t sec = (uint32_t)((uint64_t)region->age * ctx->attrs.aggr_interval / 1000000);
	int log_age = (int)significant_bits(sec);
	uint32_t age, hot;

	/* Without accesses, a higher age means colder. */
	if (!freq)
		log_age = -log_age;
	age = (uint32_t)(log_age + 32) * 100 / 32 / 2;
	hot = weight_freq * freq + weight_age * age;
	if (weight_freq + weight_age)
		hot /= weight_freq + weight_age;
	return (uint32_t)min_ul((uint64_t)hot * DAMOS_MAX_SCORE / 100, DAMOS_MAX_SCORE);
}

uint32_t damos_cold_score(const struct damon_context *ctx, const struct damon_region *region,
			  const struct damos *scheme)
{
	return DAMOS_MAX_SCORE - damos_hot_score(ctx, region, scheme);
}
