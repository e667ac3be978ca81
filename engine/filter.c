// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Filters: core ones, by address and target, run before an action sees the region; the operations'
 * own run by page.  In each group the first match decides; what none matches is kept out if the
 * last filter lets something in.  Sources: damos_filter_out() of mm/damon/core.c of Linux 6.12,
 * restated in docs/abi/engine.md section 13; docs/kernel-6.18.md section 2.5 for `allow', without
 * which both are the same.
 */
#include <errno.h>

#include "engine/filter.h"
#include "engine/region.h"

/*
 * Whether the region is in the range, after cutting it to be either in or out.
 * Return: 1, 0, or -ENOMEM if it cannot be cut.
 */
static int in_range(struct damon_context *ctx, size_t t, size_t index,
		    struct damon_addr_range range)
{
	struct damon_target *target = &ctx->targets[t];
	const struct damon_region *region = &target->regions[index];
	uint64_t start = align_down(range.start, ctx->min_sz_region);
	uint64_t end = align_down(range.end, ctx->min_sz_region);

	if (region->end <= start || end <= region->start)
		return 0;
	if (region->start < start)
		return damon_cut_region(ctx, target, index, start - region->start);
	if (end < region->end && damon_cut_region(ctx, target, index, end - region->start))
		return -ENOMEM;
	return 1;
}

/* Return: as in_range(). */
static int core_matches(struct damon_context *ctx, size_t target, size_t index,
			const struct damos_filter *filter)
{
	if (filter->type == DAMOS_FILTER_TYPE_TARGET)
		return filter->target_idx >= 0 && (size_t)filter->target_idx == target;
	return in_range(ctx, target, index, filter->addr_range);
}

static bool is_core(const struct damos_filter *filter)
{
	return filter->type == DAMOS_FILTER_TYPE_ADDR || filter->type == DAMOS_FILTER_TYPE_TARGET;
}

void damos_set_filter_defaults(struct damos *scheme)
{
	const struct damos_filter *last_core = NULL, *last_ops = NULL;

	for (size_t f = 0; f < scheme->desc.nr_filters; f++) {
		const struct damos_filter *filter = &scheme->desc.filters[f];

		*(is_core(filter) ? &last_core : &last_ops) = filter;
	}
	scheme->has_ops_filters = last_ops;
	scheme->ops_default_reject = last_ops && last_ops->allow;
	scheme->core_default_reject = last_core && last_core->allow && !last_ops;
}

bool damos_filtered_out(struct damon_context *ctx, size_t target, size_t index,
			struct damos *scheme)
{
	scheme->allowed_by_core = false;
	for (size_t f = 0; f < scheme->desc.nr_filters; f++) {
		const struct damos_filter *filter = &scheme->desc.filters[f];
		int matched;

		if (!is_core(filter))
			continue;
		matched = core_matches(ctx, target, index, filter);
		/* Part of it may be what the user keeps out. */
		if (matched < 0)
			return true;
		if (matched != filter->matching)
			continue;
		scheme->allowed_by_core = filter->allow;
		return !filter->allow;
	}
	return scheme->core_default_reject;
}

static bool matches(const struct damos_filter *filter, const struct page_info *info)
{
	switch (filter->type) {
	case DAMOS_FILTER_TYPE_ANON:
		return info->anon;
	case DAMOS_FILTER_TYPE_ACTIVE:
		return info->active;
	case DAMOS_FILTER_TYPE_MEMCG:
		return info->memcg_id == filter->memcg_id;
	case DAMOS_FILTER_TYPE_YOUNG:
		return info->young;
	case DAMOS_FILTER_TYPE_HUGEPAGE_SIZE:
		return filter->min_sz <= info->folio_sz && info->folio_sz <= filter->max_sz;
	case DAMOS_FILTER_TYPE_UNMAPPED:
		return !info->mapped;
	default:
		return false;
	}
}

bool damos_page_passes(const struct damos *scheme, const struct page_info *info, bool spare_young)
{
	if (scheme->allowed_by_core)
		return true;
	for (size_t f = 0; f < scheme->desc.nr_filters; f++) {
		const struct damos_filter *filter = &scheme->desc.filters[f];

		if (!is_core(filter) && matches(filter, info) == filter->matching)
			return filter->allow;
	}
	return !(spare_young && info->young) && !scheme->ops_default_reject;
}

bool damos_has_filter(const struct damos *scheme, enum damos_filter_type type)
{
	for (size_t f = 0; f < scheme->desc.nr_filters; f++)
		if (scheme->desc.filters[f].type == type)
			return true;
	return false;
}

bool damon_probe_passes(const struct damon_probe *probe, const struct page_info *info)
{
	for (size_t f = 0; f < probe->nr_filters; f++) {
		const struct damos_filter *filter = &probe->filters[f];

		if ((info && matches(filter, info)) == filter->matching)
			return filter->allow;
	}
	return !probe->nr_filters || !probe->filters[probe->nr_filters - 1].allow;
}

bool damon_probes_want_memcg(const struct damon_context *ctx)
{
	for (size_t p = 0; p < ctx->nr_probes; p++)
		for (size_t f = 0; f < ctx->probes[p].nr_filters; f++)
			if (ctx->probes[p].filters[f].type == DAMOS_FILTER_TYPE_MEMCG)
				return true;
	return false;
}
