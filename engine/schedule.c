// SPDX-License-Identifier: LGPL-2.1-or-later
/* Deadlines of a kdamond: see schedule.h. */
#include "engine/context.h"
#include "engine/schedule.h"
#include "util/clock.h"
#include "util/macros.h"
#include "util/saturate.h"

/* A shorter sampling interval counts as none: then the thread rests enough not to spin. */
#define SHORTEST_SAMPLE_US 50
/* That rest is this many times its work, within these bounds; watermark checks rest so, too. */
#define REST_SHARE	 49
#define SHORTEST_REST_US 1000
#define LONGEST_REST_US	 1000000
/* A machine that is only busy hardly keeps anybody waiting for so long. */
#define STANDSTILL_US 500000

uint64_t schedule_step(const struct damon_context *ctx)
{
	return max_ul(ctx->attrs.sample_interval, SHORTEST_SAMPLE_US);
}

/* How long to rest after the last work, if no interval says so. */
static uint64_t rest_after_work(const struct schedule *schedule)
{
	return max_ul(SHORTEST_REST_US,
		      min_ul((clock_us() - schedule->began) * REST_SHARE, LONGEST_REST_US));
}

uint64_t schedule_rest(const struct schedule *schedule, uint64_t wanted)
{
	return wanted < SHORTEST_REST_US ? rest_after_work(schedule) : wanted;
}

uint64_t schedule_next_look(const struct damon_context *ctx, const struct schedule *schedule)
{
	uint64_t sample = ctx->attrs.sample_interval;
	/* Memory needs time to be touched before it is checked. */
	uint64_t least = sample < SHORTEST_SAMPLE_US ? rest_after_work(schedule) : sample / 4 * 3;

	return max_ul(add_sat(schedule->deadline, schedule_step(ctx)),
		      add_sat(schedule->prepared, least));
}

bool schedule_is_standstill(const struct damon_context *ctx, uint64_t late)
{
	return late >= max_ul(STANDSTILL_US, mul_sat(2, schedule_step(ctx)));
}

bool schedule_is_behind(const struct schedule *schedule, const struct damon_context *ctx)
{
	return schedule->prepared > schedule->deadline &&
	       schedule_is_standstill(ctx, schedule->prepared - schedule->deadline);
}

uint64_t schedule_stood_still(struct schedule *schedule, const struct damon_context *ctx,
			      uint64_t due, uint64_t now)
{
	uint64_t late = now > due ? now - due : 0;

	if (schedule->stood_still || !schedule_is_standstill(ctx, late))
		return 0;
	schedule->stood_still = true;
	schedule->deadline = schedule->began = now;
	return late;
}

uint64_t schedule_skip_missed(struct schedule *schedule, const struct damon_context *ctx,
			      uint64_t now)
{
	uint64_t sample = schedule_step(ctx);
	uint64_t late = now > schedule->deadline ? now - schedule->deadline : 0, missed, left;

	schedule->stood_still = false;
	if (late > add_sat(mul_sat(2, ctx->attrs.aggr_interval), 1000000)) {
		schedule->deadline = now;
		return 0;
	}
	missed = late / sample;
	left = max_ul(damon_ctx_until_due(ctx), 1) - 1;
	if (missed > left) {
		/* The next aggregation must not be short because this one was long. */
		schedule->deadline = now;
		return left;
	}
	schedule->deadline += missed * sample;
	return missed;
}
