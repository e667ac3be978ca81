// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a kdamond tells people of itself: see status.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/operations.h"
#include "engine/status.h"
#include "util/clock.h"

static enum damon_target_state state_of(const struct damon_context *ctx,
					const struct damon_target *target)
{
	if (ctx->ops->has_process && !(target->process && process_exists(target->process)))
		return DAMON_TARGET_GONE;
	if (target->space)
		return DAMON_TARGET_WATCHED;
	return target->unanswered ? DAMON_TARGET_UNANSWERED : DAMON_TARGET_UNSEEN;
}

static void fill_target(struct damon_target_status *out, const struct damon_context *ctx,
			const struct damon_target *target)
{
	*out = (struct damon_target_status){
		.pid = target->process ? target->process->pid : 0,
		.state = state_of(ctx, target),
		.method = target->space ? target->space->source->method->name : NULL,
		.nr_regions = target->nr_regions,
		.why = target->why,
	};
}

int damon_status_fill(struct damon_status *status, const struct damon_context *ctx, uint64_t now)
{
	if (!status->targets || status->nr_targets != ctx->nr_targets) {
		damon_status_clear(status);
		status->targets = calloc(ctx->nr_targets + 1, sizeof(*status->targets));
		if (!status->targets)
			return -ENOMEM;
		status->nr_targets = ctx->nr_targets;
	}
	status->told = now;
	status->cpu_ns = clock_run_ns();
	status->sample_interval = ctx->attrs.sample_interval;
	status->aggr_interval = ctx->attrs.aggr_interval;
	status->samples = ctx->passed;
	status->missed = ctx->missed;
	for (size_t t = 0; t < ctx->nr_targets; t++)
		fill_target(&status->targets[t], ctx, &ctx->targets[t]);
	return 0;
}
