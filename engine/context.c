// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A monitoring context and the order of its steps.  Source: kdamond_fn() of mm/damon/core.c, Linux
 * 6.12, restated in docs/abi/engine.md section 2; intervals are counted in samples, as there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access/act/page_walk.h"
#include "engine/adaptive.h"
#include "engine/apply.h"
#include "engine/attrs.h"
#include "engine/context.h"
#include "engine/operations.h"
#include "engine/region.h"
#include "engine/sampling.h"
#include "engine/scheme.h"
#include "engine/target.h"
#include "engine/trace.h"
#include "engine/tuning.h"
#include "engine/watermark.h"
#include "util/cleanup.h"
#include "util/random.h"
#include "util/saturate.h"
#include "util/stop.h"

struct damon_context *damon_context_free(struct damon_context *ctx)
{
	if (!ctx)
		return NULL;
	for (size_t t = 0; t < ctx->nr_targets; t++)
		damon_target_clear(&ctx->targets[t]);
	for (size_t s = 0; s < ctx->nr_schemes; s++)
		damos_clear(&ctx->schemes[s]);
	page_walk_close(ctx->pages.frames);
	damon_probes_clear(ctx->probes, &ctx->nr_probes);
	caller_put(ctx->caller);
	free(ctx->targets);
	free(ctx->schemes);
	free(ctx);
	return NULL;
}

void damon_context_freep(struct damon_context **ctx)
{
	*ctx = damon_context_free(*ctx);
}

void damon_ctx_set_operations(struct damon_context *ctx, const struct damon_desc *desc)
{
	ctx->ops = damon_operations_of(desc->ops);
	ctx->addr_unit = desc->ops == DAMON_OPS_PADDR ? desc->addr_unit : 1;
	ctx->min_sz_region = damon_min_sz_region(desc->ops, desc->addr_unit);
}

void damon_ctx_take_probes(struct damon_context *ctx, struct damon_desc *desc)
{
	ctx->paused = desc->paused;
	ctx->summarises = desc->summarises;
	damon_probes_clear(ctx->probes, &ctx->nr_probes);
	memcpy(ctx->probes, desc->probes, sizeof(ctx->probes));
	ctx->nr_probes = desc->nr_probes;
	desc->nr_probes = 0;
}

int damon_context_new(struct damon_desc *desc, struct access_sessions *sessions,
		      struct damon_context **out)
{
	__attribute__((cleanup(damon_context_freep))) struct damon_context *ctx =
		calloc(1, sizeof(*ctx));
	int r = 0;

	if (!ctx)
		return -ENOMEM;
	ctx->abi = desc->abi;
	ctx->caller = caller_get(desc->caller);
	ctx->attrs = desc->attrs;
	ctx->max_total_regions = desc->max_total_regions;
	damon_ctx_take_probes(ctx, desc);
	damon_ctx_set_operations(ctx, desc);
	ctx->sessions = sessions;
	random_seed(ctx->rng, (uintptr_t)ctx);
	ctx->targets = calloc(desc->nr_targets + 1, sizeof(*ctx->targets));
	ctx->schemes = calloc(desc->nr_schemes + 1, sizeof(*ctx->schemes));
	if (!ctx->targets || !ctx->schemes)
		return -ENOMEM;
	for (size_t t = 0; !r && t < desc->nr_targets; t++) {
		size_t most = damon_regions_left(ctx);

		r = damon_target_init(ctx, &ctx->targets[ctx->nr_targets++], &desc->targets[t],
				      most);
		if (!r && stop_asked())
			r = -ECANCELED;
	}
	if (!r)
		r = damon_targets_seen(ctx->targets, ctx->nr_targets);
	if (r)
		return r;
	for (size_t s = 0; s < desc->nr_schemes; s++)
		damos_init(&ctx->schemes[ctx->nr_schemes++], &desc->schemes[s]);
	*out = steal_ptr(ctx);
	return 0;
}

void damon_context_start(struct damon_context *ctx, uint64_t now)
{
	if (ctx->ops->init)
		ctx->ops->init(ctx);
	damon_update_size_limit(ctx);
	damon_enforce_min_regions(ctx);
	damon_restart_intervals(ctx);
	ctx->next_tune =
		mul_sat(damon_max_nr_accesses(&ctx->attrs), ctx->attrs.intervals_goal.aggrs);
	damon_sample(ctx, ACCESS_PREPARE, now, 1);
	ctx->prepared = true;
}

bool damon_context_valid(const struct damon_context *ctx)
{
	if (!ctx->ops->has_process)
		return true;
	for (size_t t = 0; t < ctx->nr_targets; t++) {
		const struct damon_target *target = &ctx->targets[t];

		/* A process that was just sampled exists: no need to ask. */
		if ((ctx->prepared && !target->unsure) || damon_target_exists(target))
			return true;
	}
	return false;
}

uint64_t damon_ctx_until_due(const struct damon_context *ctx)
{
	uint64_t next = min_ul(ctx->next_aggr, ctx->next_ops_update);

	for (size_t s = 0; s < ctx->nr_schemes; s++)
		next = min_ul(next, ctx->schemes[s].next_apply);
	return next > ctx->passed ? next - ctx->passed : 0;
}

/* Ends an aggregation, after its schemes: tune, report, reset, split. */
static void end_aggregation(struct damon_context *ctx)
{
	damon_tune_intervals(ctx);
	damon_trace_aggregated(ctx);
	damon_reset_aggregated(ctx);
	damon_split_regions(ctx);
}

static void begin_next_aggregation(struct damon_context *ctx)
{
	uint64_t sample = max_ul(ctx->attrs.sample_interval, 1);

	ctx->next_aggr = add_sat(ctx->next_aggr, ctx->attrs.aggr_interval / sample);
}

/* Updates the regions, which was due at DUE. */
static void update_operations(struct damon_context *ctx, uint64_t due)
{
	uint64_t sample = max_ul(ctx->attrs.sample_interval, 1);

	ctx->next_ops_update = add_sat(due, ctx->attrs.ops_update_interval / sample);
	if (ctx->ops->update)
		ctx->ops->update(ctx);
	damon_update_size_limit(ctx);
}

/*
 * If nothing is due between this check and the next preparation, does both in one round of the
 * access method.  Return: whether it did.
 */
static bool step_simply(struct damon_context *ctx, uint64_t now, uint64_t rounds)
{
	if (damon_ctx_until_due(ctx) <= rounds || damos_has_watermarks(ctx))
		return false;
	damon_sample(ctx, ctx->prepared ? ACCESS_CHECK | ACCESS_PREPARE : ACCESS_PREPARE, now,
		     rounds);
	ctx->passed += rounds;
	ctx->prepared = true;
	return true;
}

/* Does what is due after a check, in the kernel's order.  Return: as damon_context_step(). */
static int do_what_is_due(struct damon_context *ctx, uint64_t now)
{
	bool aggregated = ctx->passed >= ctx->next_aggr, updates;
	uint64_t due;
	int r = 0;

	if (aggregated) {
		begin_next_aggregation(ctx);
		damon_merge_regions(ctx);
		damon_enforce_min_regions(ctx);
		if (ctx->after_merge)
			r = ctx->after_merge(ctx, ctx->argument);
	}
	if (r)
		return r;
	damos_apply_schemes(ctx, now);
	/* Tuning restarts all countdowns, but what is due now stays due. */
	due = ctx->next_ops_update;
	updates = ctx->passed >= due;
	if (updates || (aggregated && now >= ctx->next_check))
		damon_check_targets(ctx, now);
	if (ctx->stranded)
		return -ENOTRECOVERABLE;
	if (aggregated)
		end_aggregation(ctx);
	if (updates)
		update_operations(ctx, due);
	return 0;
}

int damon_context_step(struct damon_context *ctx, uint64_t now, uint64_t rounds)
{
	if (ctx->any_replaced)
		damon_check_targets(ctx, now);
	if (ctx->stranded)
		return -ENOTRECOVERABLE;
	if (step_simply(ctx, now, rounds))
		return 0;
	if (ctx->prepared)
		damon_sample(ctx, ACCESS_CHECK, now, rounds);
	ctx->prepared = false;
	ctx->passed += rounds;
	return do_what_is_due(ctx, now);
}
