// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A sampling round: the access method gets a random address of each region, and its answer is
 * counted.  No allocation, lock or log line in here.
 */
#include <errno.h>
#include <string.h>

#include "engine/attrs.h"
#include "engine/filter.h"
#include "engine/operations.h"
#include "engine/pages.h"
#include "engine/sampling.h"
#include "util/macros.h"
#include "util/random.h"
#include "util/saturate.h"
#include "util/stop.h"

uint32_t damon_sampling_window(const struct damon_context *ctx)
{
	return ctx->attrs.sample_interval ? damon_max_nr_accesses(&ctx->attrs) : 1;
}

void damon_update_region_access(struct damon_region *region, uint64_t hits, uint32_t max,
				uint64_t rounds)
{
	uint32_t leaves = (uint32_t)((uint64_t)region->last_nr_accesses * 10000 / max);

	/* Modulo 2^32, as if they were counted one by one. */
	region->nr_accesses += (uint32_t)hits;
	region->nr_accesses_bp += (uint32_t)hits * 10000U - (uint32_t)rounds * leaves;
}

void damon_note_round(struct damon_context *ctx, struct damon_target *target, int r)
{
	/* Asked about when the round is over, or soon. */
	target->replaced |= r == -ESTALE;
	if (r && r != -ESRCH && r != -ESTALE && r != -ECANCELED)
		target->failed = r;
	ctx->any_replaced |= target->replaced;
	target->unsure = r || !target->nr_regions || !target->space->session->method->notices_exit;
}

static void sample_target(struct damon_context *ctx, struct damon_target *target, unsigned int what,
			  uint64_t now, uint64_t rounds)
{
	uint32_t max = damon_sampling_window(ctx);
	struct access_probe *probes = target->probes;
	uint64_t unit = ctx->addr_unit;
	size_t nr = target->nr_regions;
	int r = -ESRCH;

	for (size_t i = 0; i < nr; i++) {
		struct damon_region *region = &target->regions[i];
		uint64_t next = region->sampling_addr;

		if (what & ACCESS_PREPARE)
			next = random_range(ctx->rng, region->start, region->end);
		probes[i] = (struct access_probe){ .prepared = mul_sat(region->sampling_addr, unit),
						   .next = mul_sat(next, unit),
						   .priv = region->priv };
		region->sampling_addr = next;
	}
	if (target->space)
		r = access_space_round(target->space, probes, nr, what, now,
				       ctx->attrs.sample_interval);
	damon_note_round(ctx, target, r);
	for (size_t i = 0; i < nr; i++) {
		struct damon_region *region = &target->regions[i];

		if (what & ACCESS_CHECK)
			damon_update_region_access(region, !r && probes[i].accessed ? rounds : 0,
						   max, rounds);
		region->priv = probes[i].priv;
	}
}

/* Asks of the sampled page of each region whether it passes the filters of the probes. */
static void probe_target(struct damon_context *ctx, struct damon_target *target, uint64_t rounds)
{
	bool wants_memcg = damon_probes_want_memcg(ctx);

	for (size_t i = 0; i < target->nr_regions && !stop_asked(); i++) {
		struct damon_region *region = &target->regions[i];
		struct page_info info;
		bool listed = damos_look_at_page(ctx, target,
						 mul_sat(region->sampling_addr, ctx->addr_unit),
						 wants_memcg, &info);

		for (size_t p = 0; p < min_ul(ctx->nr_probes, DAMON_MAX_PROBES); p++)
			if (damon_probe_passes(&ctx->probes[p], listed ? &info : NULL))
				region->hits[p] = (uint8_t)(region->hits[p] + rounds);
	}
}

void damon_sample(struct damon_context *ctx, unsigned int what, uint64_t now, uint64_t rounds)
{
	/* Before the next addresses are chosen.  Only frames have it. */
	if (ctx->nr_probes && what & ACCESS_CHECK && !ctx->ops->has_process)
		for (size_t t = 0; t < ctx->nr_targets && !stop_asked(); t++)
			probe_target(ctx, &ctx->targets[t], rounds);
	for (size_t t = 0; t < ctx->nr_targets && !stop_asked(); t++)
		sample_target(ctx, &ctx->targets[t], what, now, rounds);
}
