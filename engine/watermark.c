// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Watermarks: schemes rest while the system has too much free memory to need them, or too little to
 * bear them.  Source: damos_wmark_wait_us() of mm/damon/core.c, Linux 6.12; docs/abi/engine.md
 * section 12.
 */
#include <errno.h>

#include "access/proc/meminfo.h"
#include "engine/watermark.h"
#include "util/cleanup.h"

bool damos_has_watermarks(const struct damon_context *ctx)
{
	for (size_t s = 0; s < ctx->nr_schemes; s++)
		if (ctx->schemes[s].desc.wmarks.metric != DAMOS_WMARK_NONE)
			return true;
	return false;
}

uint64_t damos_watermark_wait(struct damos *scheme, uint64_t metric)
{
	const struct damos_watermarks *wmarks = &scheme->desc.wmarks;

	if (metric > wmarks->high || metric < wmarks->low)
		scheme->active = false;
	else if (!scheme->active && metric >= wmarks->mid)
		scheme->active = false; /* it comes back only below `mid' */
	else
		scheme->active = true;
	return scheme->active ? 0 : wmarks->interval;
}

/* The debugfs files take unknown metrics, which measure as an error does in 6.1. */
static uint64_t wait_of(struct damos *scheme, uint64_t rate)
{
	switch (scheme->desc.wmarks.metric) {
	case DAMOS_WMARK_NONE:
		return 0;
	case DAMOS_WMARK_FREE_MEM_RATE:
		return damos_watermark_wait(scheme, rate);
	default:
		return damos_watermark_wait(scheme, (uint64_t)-EINVAL);
	}
}

uint64_t damos_check_watermarks(struct damon_context *ctx)
{
	uint64_t shortest = UINT64_MAX, rate = 0;

	if (!damos_has_watermarks(ctx) || meminfo_free_rate(&rate))
		return 0;
	for (size_t s = 0; s < ctx->nr_schemes; s++)
		shortest = min_ul(shortest, wait_of(&ctx->schemes[s], rate));
	return shortest;
}
