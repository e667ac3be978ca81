// SPDX-License-Identifier: LGPL-2.1-or-later
/* Applying schemes to regions: see scheme.h for the source of the rules. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "engine/abi.h"
#include "engine/adaptive.h"
#include "engine/apply.h"
#include "engine/filter.h"
#include "engine/operations.h"
#include "engine/quota.h"
#include "engine/region.h"
#include "engine/scheme.h"
#include "engine/target.h"
#include "engine/trace.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/saturate.h"
#include "util/stop.h"

static bool any_active(const struct damon_context *ctx)
{
	for (size_t s = 0; s < ctx->nr_schemes; s++)
		if (ctx->schemes[s].active)
			return true;
	return false;
}

void damos_collect_start(struct damon_context *ctx, struct damon_command *command)
{
	uint64_t wait = 0;

	ctx->collecting = command;
	command->nr_probes = ctx->nr_probes;
	for (size_t s = 0; s < ctx->nr_schemes; s++) {
		ctx->schemes[s].tried_done = false;
		wait = max_ul(wait, mul_sat(2, damos_apply_interval(ctx, &ctx->schemes[s])));
	}
	ctx->collect_until = add_sat(ctx->passed, add_sat(wait, 1));
}

bool damos_collect_finished(struct damon_context *ctx)
{
	bool all_done = ctx->nr_schemes || !abi_collects_by_rounds(ctx->abi);

	if (ctx->paused)
		ctx->collecting->error = -ECANCELED;
	if (ctx->collecting->error)
		return true;
	for (size_t s = 0; s < ctx->nr_schemes; s++)
		all_done &= ctx->schemes[s].tried_done;
	if (all_done)
		return true;
	/* Since Linux 6.14 the waiting command fails: no scheme is active. */
	if (!any_active(ctx) && abi_collects_by_rounds(ctx->abi))
		ctx->collecting->error = -ECANCELED;
	return !any_active(ctx) || ctx->passed >= ctx->collect_until;
}

/* Notes a region of scheme number S, if this is the round that the collection wants of it. */
static void collect(struct damon_context *ctx, size_t s, const struct damon_region *region,
		    uint64_t sz_filter_passed)
{
	struct damon_command *command = ctx->collecting;

	if (!command || ctx->schemes[s].tried_done || command->too_many_tried)
		return;
	if (command->max_tried && command->nr_tried == command->max_tried) {
		command->too_many_tried = true;
		return;
	}
	if (array_room(command->tried, command->room_tried, command->nr_tried, 64)) {
		command->error = -ENOMEM;
		return;
	}
	command->tried[command->nr_tried++] = (struct damos_tried_region){
		.scheme = (uint32_t)s,
		.start = region->start,
		.end = region->end,
		.nr_accesses = damos_nr_accesses(region),
		.age = region->age,
		.sz_filter_passed = sz_filter_passed,
	};
	memcpy(command->tried[command->nr_tried - 1].hits, region->hits, sizeof(region->hits));
}

/*
 * Cuts off the part of a region before where the last window stopped: it waits for its turn.
 * Return: whether to skip the region.
 */
static bool skip_to_resume_point(struct damon_context *ctx, struct damos *scheme, size_t t,
				 size_t index)
{
	struct damon_target *target = &ctx->targets[t];
	struct damos_quota *quota = &scheme->quota;
	const struct damon_region *region = &target->regions[index];
	uint64_t sz;

	if (!quota->resumes)
		return false;
	if (t != quota->resume_target)
		return true;
	if (index + 1 == target->nr_regions)
		quota->resumes = false; /* the next window begins at the start */
	if (region->end <= quota->resume_addr)
		return true;
	if (region->start >= quota->resume_addr)
		return false;
	sz = align_down(quota->resume_addr - region->start, ctx->min_sz_region);
	if (!sz && damon_sz_region(region) <= ctx->min_sz_region)
		return true;
	if (!sz)
		sz = ctx->min_sz_region;
	/* If it cannot be cut, all of it waits. */
	damon_cut_region(ctx, target, index, sz);
	return true;
}

/* Carries out the scheme's action. */
static struct page_walk_result apply_act(struct damon_context *ctx, struct damon_target *target,
					 size_t index, struct damos *scheme)
{
	struct page_walk_result result = { 0 };
	uint64_t start;

	if (!ctx->ops->apply_scheme ||
	    (scheme->desc.action == DAMOS_STAT && !scheme->has_ops_filters))
		return result;
	start = clock_ns();
	result = ctx->ops->apply_scheme(ctx, target, &target->regions[index], scheme);
	scheme->quota.total_charged_ns += clock_ns() - start;
	return result;
}

static void count_try(struct damos *scheme, uint64_t sz, struct page_walk_result result)
{
	damos_count(scheme, &(struct damos_stat){
				    .nr_tried = 1,
				    .sz_tried = sz,
				    .nr_applied = result.applied > 0,
				    .sz_applied = result.applied,
				    .sz_ops_filter_passed = result.passed,
			    });
}

/* What a region of SZ costs of which APPLIED was done.  Source: docs/kernel-7.2.md 3.4. */
static uint64_t price(const struct damos_quota_desc *quota, uint64_t sz, uint64_t applied)
{
	unsigned __int128 failed = sz - applied;

	if (!quota->fail_charge_denom || applied > sz)
		return sz;
	failed = failed * quota->fail_charge_num / quota->fail_charge_denom;
	return failed > UINT64_MAX ? UINT64_MAX : add_sat(applied, (uint64_t)failed);
}

/* Charges SZ to the quota; if that fills the window, the next resumes after REGION of target T. */
static void charge(const struct damon_context *ctx, struct damos_quota *quota, uint64_t sz,
		   size_t t, const struct damon_region *region)
{
	quota->charged_sz = add_sat(quota->charged_sz, sz);
	if (damos_quota_left(ctx, quota))
		return;
	quota->resumes = true;
	quota->resume_target = t;
	quota->resume_addr = region->end;
}

/*
 * Cuts region INDEX of target T to what the quota of SCHEME has left, which is not 0.
 * Return: whether to apply the scheme; if less than a minimum region is left, only counts a try.
 */
static bool cut_to_quota(struct damon_context *ctx, size_t t, size_t index, struct damos *scheme)
{
	struct damon_target *target = &ctx->targets[t];
	uint64_t left = damos_quota_left(ctx, &scheme->quota);

	if (damon_sz_region(&target->regions[index]) <= left)
		return true;
	left = align_down(left, ctx->min_sz_region);
	if (!left)
		count_try(scheme, 0, (struct page_walk_result){ 0 });
	return left && !damon_cut_region(ctx, target, index, left);
}

static void apply_scheme(struct damon_context *ctx, size_t t, size_t index, size_t s)
{
	struct damon_target *target = &ctx->targets[t];
	struct damos *scheme = &ctx->schemes[s];
	struct page_walk_result result;
	struct damon_region *region;
	uint64_t sz;

	if (!cut_to_quota(ctx, t, index, scheme) || damos_filtered_out(ctx, t, index, scheme))
		return;
	/* Only now: the array may have moved. */
	region = &target->regions[index];
	sz = damon_sz_region(region);
	damonfs_damos_before_apply(s, t, (unsigned int)target->nr_regions, region->start,
				   region->end, damos_nr_accesses(region), region->age);
	result = apply_act(ctx, target, index, scheme);
	collect(ctx, s, region, result.passed);
	charge(ctx, &scheme->quota, price(&scheme->quota.desc, sz, result.applied), t, region);
	if (scheme->desc.action != DAMOS_STAT)
		region->age = 0;
	count_try(scheme, sz, result);
}

/* Whether it is the scheme's turn, and its quota has something left. */
static bool is_to_look(const struct damon_context *ctx, const struct damos *scheme)
{
	return scheme->due && scheme->active && damos_quota_left(ctx, &scheme->quota);
}

static bool is_exhausted(const struct damos *scheme)
{
	return scheme->desc.max_nr_snapshots &&
	       scheme->stat.nr_snapshots >= scheme->desc.max_nr_snapshots;
}

/* Whether the scheme wants the region, by pattern and score. */
static bool is_wanted(const struct damon_context *ctx, const struct damos *scheme,
		      const struct damon_region *region)
{
	const struct damos_quota *quota = &scheme->quota;

	if (!damos_pattern_matches(&scheme->desc.pattern, region))
		return false;
	return damos_quota_left(ctx, quota) == UINT64_MAX || !ctx->ops->scheme_score ||
	       ctx->ops->scheme_score(ctx, region, scheme) >= quota->min_score;
}

static void apply_schemes_to(struct damon_context *ctx, size_t t, size_t index)
{
	struct damon_target *target = &ctx->targets[t];

	for (size_t s = 0; s < ctx->nr_schemes; s++) {
		struct damos *scheme = &ctx->schemes[s];

		if (!is_to_look(ctx, scheme) || skip_to_resume_point(ctx, scheme, t, index) ||
		    is_exhausted(scheme))
			continue;
		if (is_wanted(ctx, scheme, &target->regions[index]))
			apply_scheme(ctx, t, index, s);
		/* A quota that cut it is not through with the target. */
		if (index + 1 == target->nr_regions)
			damos_count(scheme, &(struct damos_stat){ .nr_snapshots = 1 });
	}
}

/* Whether schemes pass a target over. */
static bool is_gone(const struct damon_context *ctx, const struct damon_target *target)
{
	return abi_passes_over_the_gone(ctx->abi) && ctx->ops->has_process &&
	       !damon_target_exists(target);
}

/* Ends a round of scheme S: sets its next time, and notes its part in a collection. */
static void end_round(struct damon_context *ctx, size_t s)
{
	struct damos *scheme = &ctx->schemes[s];
	const struct damon_command *command = ctx->collecting;

	scheme->due = false;
	damos_set_next_apply(ctx, scheme);
	damonfs_damos_stat_after_apply_interval(s, &scheme->stat);
	/* Whether or not it tried anything, since Linux 6.14. */
	scheme->tried_done |= abi_collects_by_rounds(ctx->abi);
	for (size_t i = command ? command->nr_tried : 0; i; i--)
		if (command->tried[i - 1].scheme == s) {
			scheme->tried_done = true;
			break;
		}
}

/*
 * Whether this round must check that its targets may be acted upon.  A caller who may trace
 * everything is only checked now and then; the kernel also checks each advice.
 */
static bool must_ask(const struct damon_context *ctx)
{
	if (!ctx->ops->has_process || caller_capable(ctx->caller, CAP_SYS_PTRACE))
		return false;
	for (size_t s = 0; s < ctx->nr_schemes; s++)
		if (ctx->schemes[s].due && ctx->schemes[s].active &&
		    ctx->schemes[s].desc.action != DAMOS_STAT)
			return true;
	return false;
}

void damos_apply_schemes(struct damon_context *ctx, uint64_t now)
{
	bool any = false;

	for (size_t s = 0; s < ctx->nr_schemes && !stop_asked(); s++) {
		struct damos *scheme = &ctx->schemes[s];

		scheme->due = ctx->passed >= scheme->next_apply;
		any |= scheme->due;
		if (scheme->due && scheme->active)
			damos_adjust_quota(ctx, scheme, now);
	}
	if (!any)
		return;
	if (must_ask(ctx))
		damon_check_targets(ctx, now);
	if (ctx->stranded)
		return;
	/* Regions that are cut off on the way are visited next. */
	for (size_t t = 0; t < ctx->nr_targets; t++) {
		if (is_gone(ctx, &ctx->targets[t]))
			continue;
		for (size_t i = 0; i < ctx->targets[t].nr_regions && !stop_asked(); i++)
			apply_schemes_to(ctx, t, i);
	}
	for (size_t s = 0; s < ctx->nr_schemes; s++)
		if (ctx->schemes[s].due)
			end_round(ctx, s);
	if (abi_merges_after_schemes(ctx->abi))
		damon_merge_alike(ctx);
}
