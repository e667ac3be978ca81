// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The virtual address spaces of processes: vaddr derives its regions from the mappings, fvaddr
 * takes the user's only.  Source: mm/damon/vaddr.c of Linux 6.12, restated in spec/engine.md
 * sections 3, 4.
 */
#include <errno.h>
#include <string.h>

#include "access/advice.h"
#include "access/cleanup.h"
#include "access/log.h"
#include "engine/operations.h"
#include "engine/scheme.h"

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

/* Three regions, in as many even pieces as make min_nr_regions of them. */
static int init_target(struct damon_ctx *ctx, struct damon_target *target)
{
	struct damon_addr_range ranges[3];
	uint64_t piece = 0;
	int r = read_three_regions(target, ranges);

	if (r)
		return r == -ENOMEM ? r : 0; /* tried again at the next update */
	for (int i = 0; i < 3; i++)
		piece += ranges[i].end - ranges[i].start;
	if (ctx->attrs.min_nr_regions)
		piece /= ctx->attrs.min_nr_regions;
	piece = max_ul(piece, DAMON_MIN_REGION);
	for (int i = 0; !r && i < 3; i++) {
		size_t index = target->nr_regions;

		r = damon_insert_region(target, index, ranges[i].start, ranges[i].end);
		if (!r)
			r = damon_evenly_split_region(target, index,
						      (ranges[i].end - ranges[i].start) / piece);
	}
	return r;
}

static int vaddr_init(struct damon_ctx *ctx)
{
	for (size_t t = 0; t < ctx->nr_targets; t++) {
		int r = ctx->targets[t].nr_regions ? 0 : init_target(ctx, &ctx->targets[t]);

		if (r)
			return r;
	}
	return 0;
}

static int vaddr_update(struct damon_ctx *ctx)
{
	for (size_t t = 0; t < ctx->nr_targets; t++) {
		struct damon_addr_range ranges[3];
		int r = read_three_regions(&ctx->targets[t], ranges);

		if (!r)
			r = damon_set_regions(&ctx->targets[t], ranges, 3);
		if (r == -ENOMEM)
			return r;
	}
	return 0;
}

/* What has no advice of its own is not for virtual addresses: tried, and not applied. */
static const struct {
	bool is;
	enum advice advice;
} advices[NR_DAMOS_ACTIONS] = {
	[DAMOS_WILLNEED] = { true, ADVICE_WILLNEED },
	[DAMOS_COLD] = { true, ADVICE_COLD },
	[DAMOS_PAGEOUT] = { true, ADVICE_PAGEOUT },
	[DAMOS_HUGEPAGE] = { true, ADVICE_HUGEPAGE },
	[DAMOS_NOHUGEPAGE] = { true, ADVICE_NOHUGEPAGE },
};

/* All of the region, or nothing, as madvise() answers.  Source: damos_madvise() of Linux 6.12. */
static uint64_t vaddr_apply_scheme(struct damon_ctx *ctx, struct damon_target *target,
				   const struct damon_region *region, const struct damos *scheme)
{
	enum damos_action action = scheme->desc.action;
	uint64_t sz = align_up(damon_sz_region(region));
	int r;

	(void)ctx;
	if (!advices[action].is || !target->process)
		return 0;
	r = advice_give(target->process, advices[action].advice, align_up(region->start), sz);
	if (r)
		log_debug("pid %d: advice %d for %lx-%lx: %s", target->process->pid, action,
			  region->start, region->end, strerror(-r));
	return r ? 0 : sz;
}

static uint32_t vaddr_scheme_score(const struct damon_ctx *ctx, const struct damon_region *region,
				   const struct damos *scheme)
{
	if (scheme->desc.action == DAMOS_PAGEOUT)
		return damos_cold_score(ctx, region, scheme);
	return DAMOS_MAX_SCORE;
}

const struct damon_operations damon_vaddr_ops = {
	.id = DAMON_OPS_VADDR,
	.has_process = true,
	.init = vaddr_init,
	.update = vaddr_update,
	.apply_scheme = vaddr_apply_scheme,
	.scheme_score = vaddr_scheme_score,
};

const struct damon_operations damon_fvaddr_ops = {
	.id = DAMON_OPS_FVADDR,
	.has_process = true,
	.apply_scheme = vaddr_apply_scheme,
	.scheme_score = vaddr_scheme_score,
};
