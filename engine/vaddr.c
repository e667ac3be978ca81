// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The virtual address spaces of processes: vaddr derives its regions from the mappings, fvaddr
 * takes the user's only.  Source: mm/damon/vaddr.c of Linux 6.12, restated in docs/abi/engine.md
 * sections 3, 4.
 */
#include <errno.h>
#include <string.h>

#include "access/act/process_madvise.h"
#include "engine/abi.h"
#include "engine/filter.h"
#include "engine/operations.h"
#include "engine/pages.h"
#include "engine/quota.h"
#include "engine/region.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/stop.h"

int damon_three_regions(const struct maps *maps, struct damon_addr_range ranges[3])
{
	struct damon_addr_range first = { 0 }, second = { 0 }; /* the largest gaps */

	for (size_t i = 1; i < maps->nr; i++) {
		struct damon_addr_range gap = { maps->mapping[i - 1].end, maps->mapping[i].start };
		uint64_t sz = gap.end - gap.start;

		if (sz > first.end - first.start) {
			second = first;
			first = gap;
		} else if (sz > second.end - second.start) {
			second = gap;
		}
	}
	if (second.start == second.end)
		return -EINVAL;
	if (first.start > second.start) {
		struct damon_addr_range swap = first;

		first = second;
		second = swap;
	}
	ranges[0] = (struct damon_addr_range){ maps->mapping[0].start, first.start };
	ranges[1] = (struct damon_addr_range){ first.end, second.start };
	ranges[2] = (struct damon_addr_range){ second.end, maps->mapping[maps->nr - 1].end };
	return 0;
}

static int read_three_regions(const struct damon_target *target, struct damon_addr_range ranges[3])
{
	__attribute__((cleanup(maps_free))) struct maps maps = { 0 };
	int r = target->space ? access_space_maps(target->space, &maps) : -ESRCH;

	return r ? r : damon_three_regions(&maps, ranges);
}

/* The size of even pieces that make min_nr_regions of the ranges, but not more than MOST. */
static uint64_t size_of_pieces(struct damon_context *ctx, const struct damon_addr_range ranges[3],
			       size_t most)
{
	uint64_t sz = 0, piece, least;

	/* They are cut as all regions are. */
	if (abi_enforces_min_regions(ctx->abi))
		return UINT64_MAX;
	for (int i = 0; i < 3; i++)
		sz += ranges[i].end - ranges[i].start;
	piece = max_ul(sz / max_ul(ctx->attrs.min_nr_regions, 1), DAMON_MIN_REGION);
	if (most == SIZE_MAX)
		return piece;
	/* A range smaller than a piece is a piece by itself. */
	least = most > 3 ? sz / (most - 3) + 1 : UINT64_MAX;
	if (piece < least)
		damon_tell_full(ctx);
	return max_ul(piece, least);
}

/* Makes three regions, in even pieces; without memory, the next update makes the rest. */
static void init_target(struct damon_context *ctx, struct damon_target *target, size_t most)
{
	struct damon_addr_range ranges[3];
	uint64_t piece;
	int r = read_three_regions(target, ranges);

	if (!r && most < 3)
		damon_tell_full(ctx);
	if (r || most < 3)
		return;
	piece = size_of_pieces(ctx, ranges, most);
	for (int i = 0; !r && i < 3; i++) {
		size_t index = target->nr_regions;

		r = damon_insert_region(target, index, ranges[i].start, ranges[i].end);
		if (!r)
			r = damon_evenly_split_region(target, index,
						      (ranges[i].end - ranges[i].start) / piece);
	}
	if (r)
		damon_tell_short(ctx);
}

/* Targets without regions share those that may still be made. */
static void vaddr_init(struct damon_context *ctx)
{
	size_t without = 0, left;

	for (size_t t = 0; t < ctx->nr_targets; t++)
		without += !ctx->targets[t].nr_regions;
	for (size_t t = 0; t < ctx->nr_targets && without && !stop_asked(); t++) {
		if (ctx->targets[t].nr_regions)
			continue;
		left = damon_regions_left(ctx);
		init_target(ctx, &ctx->targets[t], left == SIZE_MAX ? left : left / without);
		without--;
	}
}

static void vaddr_update(struct damon_context *ctx)
{
	for (size_t t = 0; t < ctx->nr_targets && !stop_asked(); t++) {
		struct damon_target *target = &ctx->targets[t];
		size_t left = damon_regions_left(ctx);
		struct damon_addr_range ranges[3];
		int r = read_three_regions(target, ranges);

		if (!r)
			r = damon_set_regions(target, ranges, 3, ctx->min_sz_region,
					      left == SIZE_MAX ? left : left + target->nr_regions);
		if (r == -ENOSPC)
			damon_tell_full(ctx);
		else if (r == -ENOMEM)
			damon_tell_short(ctx);
	}
}

/* Actions without advice are not for virtual addresses: tried, but not applied. */
static const struct {
	bool is;
	enum advice advice;
} advices[NR_DAMOS_ACTIONS] = {
	[DAMOS_WILLNEED] = { true, ADVICE_WILLNEED },
	[DAMOS_COLD] = { true, ADVICE_COLD },
	[DAMOS_PAGEOUT] = { true, ADVICE_PAGEOUT },
	[DAMOS_HUGEPAGE] = { true, ADVICE_HUGEPAGE },
	[DAMOS_NOHUGEPAGE] = { true, ADVICE_NOHUGEPAGE },
	[DAMOS_COLLAPSE] = { true, ADVICE_COLLAPSE },
};

/* All of the region, or nothing, as madvise() answers.  Source: damos_madvise() of Linux 6.12. */
static uint64_t vaddr_advise(const struct damon_target *target, const struct damon_region *region,
			     enum damos_action action)
{
	uint64_t sz = align_up(damon_sz_region(region), DAMON_MIN_REGION);
	int r = process_madvise_range(target->process, advices[action].advice,
				      align_up(region->start, DAMON_MIN_REGION), sz);

	if (r)
		log_debug("pid %d: action %d on %lx-%lx failed: %s", target->process->pid, action,
			  region->start, region->end, strerror(-r));
	return r ? 0 : sz;
}

static bool vaddr_match(const struct page_info *info, void *argument)
{
	return damos_page_passes(argument, info, false);
}

/* By the weights of the destinations.  Source: damos_va_migrate_dests_add() of Linux 6.18. */
int damos_dest_of(const struct damos_desc *desc, uint64_t index)
{
	uint32_t total = 0, rest;

	if (!desc->nr_dests)
		return desc->target_nid;
	for (size_t i = 0; i < desc->nr_dests; i++)
		total += desc->dests[i].weight;
	if (!total)
		return -1;
	rest = (uint32_t)(index % total);
	for (size_t i = 0; i < desc->nr_dests; i++) {
		if (rest < desc->dests[i].weight)
			return (int)desc->dests[i].node;
		rest -= desc->dests[i].weight;
	}
	return -1;
}

static int vaddr_node_of(uint64_t index, void *argument)
{
	return damos_dest_of(&((const struct damos *)argument)->desc, index);
}

/* Since Linux 6.17: `stat' counts what passes the filters, and memory is migrated. */
static bool walks(const struct damon_context *ctx, const struct damos *scheme)
{
	if (!abi_walks_virtual_pages(ctx->abi))
		return false;
	switch (scheme->desc.action) {
	case DAMOS_MIGRATE_HOT:
	case DAMOS_MIGRATE_COLD:
		return true;
	default:
		return scheme->desc.action == DAMOS_STAT && scheme->has_ops_filters;
	}
}

static struct page_walk_result walk(struct damon_context *ctx, struct damon_target *target,
				    const struct damon_region *region, const struct damos *scheme)
{
	enum page_action action = scheme->desc.action == DAMOS_STAT ? PAGE_COUNT : PAGE_MIGRATE;
	struct page_walk_result result = damos_walk_pages(
		ctx, &target->pages, target, action,
		(struct damon_addr_range){ region->start, region->end }, scheme,
		(struct page_filter){ .match = vaddr_match, .node = vaddr_node_of });

	/* What passes is reported for `stat' only. */
	if (action == PAGE_MIGRATE)
		result.passed = 0;
	return result;
}

static struct page_walk_result vaddr_apply_scheme(struct damon_context *ctx,
						  struct damon_target *target,
						  const struct damon_region *region,
						  const struct damos *scheme)
{
	struct page_walk_result result = { 0 };

	if (!target->process || target->unanswered)
		return result;
	if (advices[scheme->desc.action].is)
		result.applied = vaddr_advise(target, region, scheme->desc.action);
	else if (walks(ctx, scheme))
		result = walk(ctx, target, region, scheme);
	return result;
}

static uint32_t vaddr_scheme_score(const struct damon_context *ctx,
				   const struct damon_region *region, const struct damos *scheme)
{
	switch (scheme->desc.action) {
	case DAMOS_PAGEOUT:
		return damos_cold_score(ctx, region, scheme);
	case DAMOS_MIGRATE_HOT:
		return abi_walks_virtual_pages(ctx->abi) ? damos_hot_score(ctx, region, scheme) :
							   DAMOS_MAX_SCORE;
	case DAMOS_MIGRATE_COLD:
		return abi_walks_virtual_pages(ctx->abi) ? damos_cold_score(ctx, region, scheme) :
							   DAMOS_MAX_SCORE;
	default:
		return DAMOS_MAX_SCORE;
	}
}

const struct damon_operations damon_vaddr_ops = {
	.has_process = true,
	.init = vaddr_init,
	.update = vaddr_update,
	.apply_scheme = vaddr_apply_scheme,
	.scheme_score = vaddr_scheme_score,
};

const struct damon_operations damon_fvaddr_ops = {
	.has_process = true,
	.apply_scheme = vaddr_apply_scheme,
	.scheme_score = vaddr_scheme_score,
};
