// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Taking a new description over while running, as Linux 6.12 does (damon_commit_ctx(); restated in
 * spec/engine.md section 14): index by index, keeping what was learnt.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access/cleanup.h"
#include "engine/operations.h"
#include "engine/scheme.h"

/* What the state of goals has to go on with: stall totals of those of the same index and metric. */
static void take_goals(struct damos_quota *quota, struct damos_quota_desc *desc)
{
	for (size_t i = 0; i < desc->nr_goals && i < quota->desc.nr_goals; i++)
		desc->goals[i].last_psi_total = quota->desc.goals[i].last_psi_total;
	free(quota->desc.goals);
	quota->desc.goals = steal_ptr(desc->goals);
	quota->desc.nr_goals = desc->nr_goals;
	desc->nr_goals = 0;
}

/* Statistics, what is charged and the tuner's state stay. */
static void commit_scheme(struct damos *scheme, struct damos_desc *desc)
{
	struct damos_quota_desc quota = desc->quota;

	take_goals(&scheme->quota, &desc->quota);
	quota.goals = scheme->quota.desc.goals;
	quota.nr_goals = scheme->quota.desc.nr_goals;
	scheme->quota.desc = quota;
	damos_take_desc(scheme, desc);
	scheme->active = true;
}

static int commit_schemes(struct damon_ctx *ctx, struct damon_desc *desc)
{
	struct damos *schemes = calloc(desc->nr_schemes + 1, sizeof(*schemes));

	if (!schemes)
		return -ENOMEM;
	for (size_t s = 0; s < desc->nr_schemes; s++) {
		if (s < ctx->nr_schemes) {
			schemes[s] = ctx->schemes[s];
			commit_scheme(&schemes[s], &desc->schemes[s]);
		} else {
			damos_init(&schemes[s], &desc->schemes[s]);
		}
	}
	for (size_t s = desc->nr_schemes; s < ctx->nr_schemes; s++)
		damos_clear(&ctx->schemes[s]);
	free(ctx->schemes);
	ctx->schemes = schemes;
	ctx->nr_schemes = desc->nr_schemes;
	return 0;
}

static bool same_process(const struct process *a, const struct process *b)
{
	/* Both exist or existed since they were named: equal numbers are of the same task. */
	return a == b || (a && b && a->tid == b->tid && process_exists(a));
}

static void swap_regions(struct damon_target *a, struct damon_target *b)
{
	struct damon_target was = *a;

	a->regions = b->regions;
	a->nr_regions = b->nr_regions;
	a->room = b->room;
	a->probes = b->probes;
	a->probe_room = b->probe_room;
	b->regions = was.regions;
	b->nr_regions = was.nr_regions;
	b->room = was.room;
	b->probes = was.probes;
	b->probe_room = was.probe_room;
}

/* None given: they stay as they are. */
static int set_ranges(struct damon_ctx *ctx, struct damon_target *target,
		      const struct damon_target_desc *desc)
{
	if (!desc->nr_ranges)
		return 0;
	return damon_set_regions(target, desc->ranges, desc->nr_ranges, ctx->min_sz_region);
}

static int commit_target(struct damon_ctx *ctx, struct damon_target *target,
			 struct damon_target_desc *desc)
{
	struct damon_target fresh;
	int r;

	if (same_process(target->process, desc->process))
		return set_ranges(ctx, target, desc);
	r = damon_target_init(ctx, &fresh, desc);
	if (r) {
		damon_target_clear(&fresh);
		return r;
	}
	/* Another process goes on with the regions, fitted to new ones if there are. */
	swap_regions(&fresh, target);
	damon_target_clear(target);
	*target = fresh;
	return set_ranges(ctx, target, desc);
}

/* Schemes whose last window stopped in it begin the next one at the start. */
static void drop_target(struct damon_ctx *ctx, size_t t)
{
	for (size_t s = 0; s < ctx->nr_schemes; s++)
		if (ctx->schemes[s].quota.resume_target == t)
			ctx->schemes[s].quota.resumes = false;
	damon_target_clear(&ctx->targets[t]);
}

static int commit_targets(struct damon_ctx *ctx, struct damon_desc *desc)
{
	void *room = reallocarray(ctx->targets, max_ul(desc->nr_targets, ctx->nr_targets) + 1,
				  sizeof(*ctx->targets));
	int r = 0;

	if (!room)
		return -ENOMEM;
	ctx->targets = room;
	while (ctx->nr_targets > desc->nr_targets)
		drop_target(ctx, --ctx->nr_targets);
	for (size_t t = 0; !r && t < desc->nr_targets; t++) {
		if (t < ctx->nr_targets)
			r = commit_target(ctx, &ctx->targets[t], &desc->targets[t]);
		else
			r = damon_target_init(ctx, &ctx->targets[ctx->nr_targets++],
					      &desc->targets[t]);
	}
	return r;
}

static uint32_t rescale(uint32_t nr_accesses, uint64_t from, uint64_t to)
{
	uint32_t bp = (uint32_t)((uint64_t)nr_accesses * 10000 / from);

	return (uint32_t)((uint64_t)bp * to / 10000);
}

void damon_rescale_region(struct damon_region *region, const struct damon_attrs *from,
			  const struct damon_attrs *to, bool inside)
{
	uint64_t most = damon_max_nr_accesses(from), will = damon_max_nr_accesses(to);

	if (inside) {
		/* The aggregation that has begun begins again. */
		region->last_nr_accesses = rescale(region->last_nr_accesses, most, will);
		region->nr_accesses_bp = region->last_nr_accesses * 10000;
		region->nr_accesses = 0;
	} else {
		region->nr_accesses = rescale(region->nr_accesses, most, will);
		region->nr_accesses_bp = region->nr_accesses * 10000;
	}
	region->age = (uint32_t)((uint64_t)region->age * from->aggr_interval / to->aggr_interval);
}

void damon_set_attrs(struct damon_ctx *ctx, const struct damon_attrs *attrs, bool inside)
{
	const struct damon_attrs from = ctx->attrs;

	ctx->attrs = *attrs;
	if (from.sample_interval && from.aggr_interval && attrs->sample_interval &&
	    attrs->aggr_interval)
		for (size_t t = 0; t < ctx->nr_targets; t++)
			for (size_t i = 0; i < ctx->targets[t].nr_regions; i++)
				damon_rescale_region(&ctx->targets[t].regions[i], &from, attrs,
						     inside);
	damon_restart_intervals(ctx);
}

static bool same_attrs(const struct damon_attrs *a, const struct damon_attrs *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Since Linux 6.15 those that are the same change nothing, and commits come at any time. */
static void commit_attrs(struct damon_ctx *ctx, const struct damon_attrs *attrs)
{
	bool any_time = ctx->abi >= DAMON_ABI(6, 15);

	if (any_time && same_attrs(&ctx->attrs, attrs))
		return;
	damon_set_attrs(ctx, attrs, any_time && ctx->passed < ctx->next_aggr);
}

int damon_ctx_commit(struct damon_ctx *ctx, struct damon_desc *desc)
{
	int r = commit_schemes(ctx, desc);

	/* Targets are named for the operations that come, and have their units. */
	damon_ctx_set_operations(ctx, desc);
	if (!r)
		r = commit_targets(ctx, desc);
	if (!r)
		commit_attrs(ctx, &desc->attrs);
	return r;
}

int damos_commit_goals(struct damon_ctx *ctx, struct damon_desc *desc)
{
	for (size_t s = 0; s < ctx->nr_schemes && s < desc->nr_schemes; s++)
		take_goals(&ctx->schemes[s].quota, &desc->schemes[s].quota);
	return 0;
}
