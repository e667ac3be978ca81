// SPDX-License-Identifier: LGPL-2.1-or-later
/* Sampling rounds that need no worker: see unattended.h. */
#include "engine/context.h"
#include "engine/sampling.h"
#include "engine/unattended.h"
#include "engine/watermark.h"
#include "util/macros.h"
#include "util/saturate.h"

/* Leaving fewer rounds, or shorter ones, costs as much as making them. */
#define FEWEST_ROUNDS 2
#define SHORTEST_US   1000
/* Nor is a worker left asleep for longer. */
#define LONGEST_US 60000000

/* How many rounds may be left: all but the one in which something is due. */
static uint64_t rounds_to_leave(const struct damon_context *ctx)
{
	uint64_t sample = ctx->attrs.sample_interval, due = damon_ctx_until_due(ctx);
	const struct damon_target *target = ctx->targets;

	/* The timer of a thread looks at one process. */
	if (ctx->nr_targets != 1 || !target->space || !target->nr_regions || target->unsure)
		return 0;
	if (!access_unattended_of(target->space))
		return 0;
	if (!ctx->prepared || ctx->any_replaced || damos_has_watermarks(ctx))
		return 0;
	if (sample < SHORTEST_US || due <= FEWEST_ROUNDS)
		return 0;
	return min_ul(due - 1, LONGEST_US / sample);
}

uint64_t damon_leave_rounds(struct damon_context *ctx, uint64_t deadline, uint64_t first, int *wake)
{
	uint64_t rounds = rounds_to_leave(ctx), unit = ctx->addr_unit;
	const struct access_unattended *unattended;
	struct damon_target *target = ctx->targets;
	struct access_run *runs;
	int r;

	if (!rounds)
		return 0;
	unattended = access_unattended_of(target->space);
	runs = unattended->room(target->space, target->nr_regions, ctx->attrs.sample_interval);
	if (!runs)
		return 0;
	for (size_t i = 0; i < target->nr_regions; i++) {
		const struct damon_region *region = &target->regions[i];

		runs[i] = (struct access_run){
			.probe = { .next = mul_sat(region->sampling_addr, unit),
				   .priv = region->priv },
			.start = mul_sat(region->start, unit),
			.end = mul_sat(region->end, unit),
		};
	}
	r = unattended->leave(target->space, target->nr_regions, deadline, first,
			      ctx->attrs.sample_interval, rounds, wake);
	return r ? 0 : rounds;
}

uint64_t damon_resume_rounds(struct damon_context *ctx, uint64_t now, uint64_t *prepared)
{
	struct damon_target *target = ctx->targets;
	uint32_t max = damon_sampling_window(ctx);
	const struct access_run *runs;
	uint64_t rounds;
	int r = access_unattended_of(target->space)
			->resume(target->space, now, &runs, &rounds, prepared);

	damon_note_round(ctx, target, r);
	for (size_t i = 0; i < target->nr_regions; i++) {
		struct damon_region *region = &target->regions[i];

		damon_update_region_access(region, runs[i].hits, max, rounds);
		region->sampling_addr = runs[i].probe.next / ctx->addr_unit;
		region->priv = runs[i].probe.priv;
	}
	ctx->passed += rounds;
	return rounds;
}
