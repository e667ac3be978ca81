// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is told to the outside at each aggregation: one call of damonfs_damon_aggregated() for each
 * region, with the fields of the kernel's event damon:damon_aggregated, and of
 * damonfs_damos_before_apply() before an action.  They do nothing; a uprobe on them sees everything.
 */
#include "engine/context.h"
#include "engine/trace.h"

/* The barrier keeps the call and its arguments, which is all there is to see. */
__attribute__((noinline, used)) void damonfs_damon_aggregated(uint64_t target_id,
							      unsigned int nr_regions,
							      uint64_t start, uint64_t end,
							      uint32_t nr_accesses, uint32_t age)
{
	__asm__ volatile("" ::"r"(target_id), "r"(nr_regions), "r"(start), "r"(end),
			 "r"(nr_accesses), "r"(age));
}

__attribute__((noinline, used)) void
damonfs_damos_before_apply(size_t scheme_idx, size_t target_idx, unsigned int nr_regions,
			   uint64_t start, uint64_t end, uint32_t nr_accesses, uint32_t age)
{
	__asm__ volatile("" ::"r"(scheme_idx), "r"(target_idx), "r"(nr_regions), "r"(start),
			 "r"(end), "r"(nr_accesses), "m"(age));
}

__attribute__((noinline, used)) void damonfs_damon_monitor_intervals_tune(uint64_t sample_us)
{
	__asm__ volatile("" ::"r"(sample_us));
}

void damon_trace_aggregated(const struct damon_ctx *ctx)
{
	for (size_t t = 0; t < ctx->nr_targets; t++) {
		const struct damon_target *target = &ctx->targets[t];

		for (size_t i = 0; i < target->nr_regions; i++)
			damonfs_damon_aggregated(t, (unsigned int)target->nr_regions,
						 target->regions[i].start, target->regions[i].end,
						 target->regions[i].nr_accesses,
						 target->regions[i].age);
	}
}
