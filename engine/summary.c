// SPDX-License-Identifier: LGPL-2.1-or-later
/* How memory is used, in a few figures: see summary.h. */
#include <errno.h>
#include <stdlib.h>

#include "engine/region.h"
#include "engine/summary.h"
#include "util/cleanup.h"
#include "util/saturate.h"

/* Memory that was not used for so many aggregations, or was in use for as many if negative. */
struct idle_memory {
	int64_t aggrs;
	uint64_t sz;
};

static int compare_idle(const void *a, const void *b)
{
	const struct idle_memory *x = a, *y = b;

	return x->aggrs < y->aggrs ? -1 : x->aggrs > y->aggrs;
}

/* Writes the regions to OUT, the longest in use first.  Return: bytes of all. */
static uint64_t sort_regions(const struct damon_context *ctx, struct idle_memory *out)
{
	uint64_t total = 0;
	size_t nr = 0;

	for (size_t t = 0; t < ctx->nr_targets; t++) {
		for (size_t i = 0; i < ctx->targets[t].nr_regions; i++) {
			const struct damon_region *region = &ctx->targets[t].regions[i];
			int64_t aggrs = (int64_t)region->age + 1;

			out[nr++] = (struct idle_memory){
				.aggrs = region->last_nr_accesses ? -aggrs : aggrs,
				.sz = damon_sz_region(region),
			};
			total = add_sat(total, damon_sz_region(region));
		}
	}
	if (nr)
		qsort(out, nr, sizeof(*out), compare_idle);
	return total;
}

static uint64_t bandwidth_of(const struct damon_context *ctx)
{
	uint64_t bytes = 0;

	for (size_t t = 0; t < ctx->nr_targets; t++)
		for (size_t i = 0; i < ctx->targets[t].nr_regions; i++)
			bytes = add_sat(bytes,
					mul_sat(damon_sz_region(&ctx->targets[t].regions[i]),
						ctx->targets[t].regions[i].last_nr_accesses));
	bytes = mul_sat(bytes, ctx->addr_unit);
	return mul_sat(bytes, 1000000) / max_ul(ctx->attrs.aggr_interval, 1);
}

int damon_summarise(const struct damon_context *ctx, struct damon_summary *out)
{
	size_t nr = damon_nr_regions(ctx), next = 0;
	_cleanup_free_ struct idle_memory *memory = calloc(nr + 1, sizeof(*memory));
	int64_t aggr = (int64_t)min_ul(ctx->attrs.aggr_interval, UINT32_MAX);
	uint64_t total, passed = 0;

	if (!memory)
		return -ENOMEM;
	*out = (struct damon_summary){ .aggr_interval = ctx->attrs.aggr_interval,
				       .bandwidth = bandwidth_of(ctx) };
	total = sort_regions(ctx, memory);
	for (size_t i = 0; i < nr && total; i++) {
		passed += memory[i].sz;
		while (next < DAMON_PERCENTILES && next <= (unsigned __int128)passed * 100 / total)
			out->idle_ms[next++] = memory[i].aggrs * aggr / 1000;
	}
	return 0;
}
