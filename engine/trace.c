// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Events are calls to these empty functions, with the fields of the kernel's events damon:*.  A
 * uprobe sees all fields, on the function (fs/exec/tracing.c makes it the kernel's event) or on its
 * USDT probe, if built with sys/sdt.h.  Without a listener an event costs one call.
 */
#include "engine/trace.h"
#include "engine/types.h"
#include "util/stop.h"

#ifdef HAVE_SDT
#include <sys/sdt.h>
#else
#define DTRACE_PROBE1(...)
#define DTRACE_PROBE2(...)
#define DTRACE_PROBE6(...)
#define DTRACE_PROBE7(...)
#endif

/* Never inlined or changed: all arguments are where the calling convention has them. */
#if defined(__clang__)
#define PROBED __attribute__((noinline, used))
#else
#define PROBED __attribute__((noipa, used))
#endif

PROBED void damonfs_damon_aggregated(uint64_t target_id, unsigned int nr_regions, uint64_t start,
				     uint64_t end, uint32_t nr_accesses, uint32_t age)
{
	DTRACE_PROBE6(damonfs, damon_aggregated, target_id, nr_regions, start, end, nr_accesses,
		      age);
	__asm__ volatile("" ::"r"(target_id), "r"(nr_regions), "r"(start), "r"(end),
			 "r"(nr_accesses), "r"(age));
}

PROBED void damonfs_damos_before_apply(size_t scheme_idx, size_t target_idx,
				       unsigned int nr_regions, uint64_t start, uint64_t end,
				       uint32_t nr_accesses, uint32_t age)
{
	DTRACE_PROBE7(damonfs, damos_before_apply, scheme_idx, target_idx, nr_regions, start, end,
		      nr_accesses, age);
	__asm__ volatile("" ::"r"(scheme_idx), "r"(target_idx), "r"(nr_regions), "r"(start),
			 "r"(end), "r"(nr_accesses), "m"(age));
}

PROBED void damonfs_damos_esz(size_t scheme_idx, uint64_t esz)
{
	DTRACE_PROBE2(damonfs, damos_esz, scheme_idx, esz);
	__asm__ volatile("" ::"r"(scheme_idx), "r"(esz));
}

PROBED void damonfs_damos_stat_after_apply_interval(size_t scheme_idx,
						    const struct damos_stat *stat)
{
	DTRACE_PROBE2(damonfs, damos_stat_after_apply_interval, scheme_idx, stat);
	__asm__ volatile("" ::"r"(scheme_idx), "r"(stat) : "memory");
}

PROBED void damonfs_damon_monitor_intervals_tune(uint64_t sample_us)
{
	DTRACE_PROBE1(damonfs, damon_monitor_intervals_tune, sample_us);
	__asm__ volatile("" ::"r"(sample_us));
}

void damon_trace_aggregated(const struct damon_context *ctx)
{
	for (size_t t = 0; t < ctx->nr_targets; t++) {
		const struct damon_target *target = &ctx->targets[t];

		/* Each costs a microsecond or more while somebody listens. */
		for (size_t i = 0; i < target->nr_regions && !stop_asked(); i++)
			damonfs_damon_aggregated(t, (unsigned int)target->nr_regions,
						 target->regions[i].start, target->regions[i].end,
						 target->regions[i].nr_accesses,
						 target->regions[i].age);
	}
}
