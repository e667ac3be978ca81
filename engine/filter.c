// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Core filters: by address and by target, handled before an action sees the region.  Source:
 * damos_filter_out() of mm/damon/core.c, Linux 6.12, restated in spec/engine.md section 13.
 */
#include "engine/scheme.h"

/* Whether the region is in the range; cut so that it is either in or out. */
static bool in_range(struct damon_target *target, size_t index, struct damon_addr_range range)
{
	const struct damon_region *region = &target->regions[index];
	uint64_t start = align_down(range.start), end = align_down(range.end);

	if (region->end <= start || end <= region->start)
		return false;
	if (region->start < start) {
		damon_split_region_at(target, index, start - region->start);
		return false;
	}
	if (end < region->end)
		damon_split_region_at(target, index, end - region->start);
	return true;
}

bool damos_filtered_out(struct damon_ctx *ctx, size_t target, size_t index,
			const struct damos *scheme)
{
	for (size_t f = 0; f < scheme->desc.nr_filters; f++) {
		const struct damos_filter *filter = &scheme->desc.filters[f];
		bool matched;

		if (filter->type == DAMOS_FILTER_TYPE_TARGET)
			matched = filter->target_idx >= 0 && (size_t)filter->target_idx == target;
		else if (filter->type == DAMOS_FILTER_TYPE_ADDR)
			matched = in_range(&ctx->targets[target], index, filter->addr_range);
		else
			continue; /* the address space's affair */
		if (matched == filter->matching)
			return true;
	}
	return false;
}
