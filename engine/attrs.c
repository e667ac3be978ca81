// SPDX-License-Identifier: LGPL-2.1-or-later
/* Attributes of a context, and what follows from them: see attrs.h. */
#include "engine/attrs.h"
#include "engine/region.h"
#include "engine/scheme.h"
#include "util/cleanup.h"
#include "util/saturate.h"

uint32_t damon_max_nr_accesses(const struct damon_attrs *attrs)
{
	uint64_t max = attrs->aggr_interval / max_ul(attrs->sample_interval, 1);

	return (uint32_t)max_ul(min_ul(max, UINT32_MAX), 1);
}

void damon_update_size_limit(struct damon_context *ctx)
{
	uint64_t sz = 0;

	for (size_t t = 0; t < ctx->nr_targets; t++)
		for (size_t i = 0; i < ctx->targets[t].nr_regions; i++)
			sz = add_sat(sz, damon_sz_region(&ctx->targets[t].regions[i]));
	if (ctx->attrs.min_nr_regions)
		sz /= ctx->attrs.min_nr_regions;
	ctx->sz_limit = max_ul(sz, ctx->min_sz_region);
}

void damon_restart_intervals(struct damon_context *ctx)
{
	uint64_t sample = max_ul(ctx->attrs.sample_interval, 1);

	ctx->next_aggr = add_sat(ctx->passed, ctx->attrs.aggr_interval / sample);
	ctx->next_ops_update = add_sat(ctx->passed, ctx->attrs.ops_update_interval / sample);
	for (size_t s = 0; s < ctx->nr_schemes; s++)
		damos_set_next_apply(ctx, &ctx->schemes[s]);
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
		/* The current aggregation starts over. */
		region->last_nr_accesses = rescale(region->last_nr_accesses, most, will);
		region->nr_accesses_bp = region->last_nr_accesses * 10000;
		region->nr_accesses = 0;
	} else {
		region->nr_accesses = rescale(region->nr_accesses, most, will);
		region->nr_accesses_bp = region->nr_accesses * 10000;
	}
	region->age = (uint32_t)((uint64_t)region->age * from->aggr_interval / to->aggr_interval);
}

void damon_set_attrs(struct damon_context *ctx, const struct damon_attrs *attrs, bool inside)
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
