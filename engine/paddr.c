// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The physical address space: the user's regions, seen and acted upon frame by frame, as
 * mm/damon/paddr.c of Linux 6.12 has it (spec/engine.md sections 10 and 13).
 */
#include <errno.h>
#include <string.h>

#include "access/frames.h"
#include "access/log.h"
#include "access/privileges.h"
#include "engine/operations.h"
#include "engine/scheme.h"

static uint32_t paddr_scheme_score(const struct damon_ctx *ctx, const struct damon_region *region,
				   const struct damos *scheme)
{
	switch (scheme->desc.action) {
	case DAMOS_LRU_PRIO:
	case DAMOS_MIGRATE_HOT:
		return damos_hot_score(ctx, region, scheme);
	case DAMOS_PAGEOUT:
	case DAMOS_LRU_DEPRIO:
	case DAMOS_MIGRATE_COLD:
		return damos_cold_score(ctx, region, scheme);
	default:
		return DAMOS_MAX_SCORE;
	}
}

static const struct {
	bool is;
	enum frames_action action;
} actions[NR_DAMOS_ACTIONS] = {
	[DAMOS_PAGEOUT] = { true, FRAMES_PAGEOUT },
	[DAMOS_LRU_PRIO] = { true, FRAMES_PRIO },
	[DAMOS_LRU_DEPRIO] = { true, FRAMES_DEPRIO },
	[DAMOS_MIGRATE_HOT] = { true, FRAMES_MIGRATE },
	[DAMOS_MIGRATE_COLD] = { true, FRAMES_MIGRATE },
};

static bool matches(const struct damos_filter *filter, const struct frame_info *info)
{
	switch (filter->type) {
	case DAMOS_FILTER_TYPE_ANON:
		return info->anon;
	case DAMOS_FILTER_TYPE_MEMCG:
		return info->memcg_id == filter->memcg_id;
	default:
		return info->young;
	}
}

/* The filters for pages; those for addresses and targets have been asked before. */
static bool is_for_pages(const struct damos_filter *filter)
{
	return filter->type == DAMOS_FILTER_TYPE_ANON || filter->type == DAMOS_FILTER_TYPE_MEMCG ||
	       filter->type == DAMOS_FILTER_TYPE_YOUNG;
}

static bool has_filter(const struct damos *scheme, enum damos_filter_type type)
{
	for (size_t i = 0; i < scheme->desc.nr_filters; i++)
		if (scheme->desc.filters[i].type == type)
			return true;
	return false;
}

static bool takes(const struct frame_info *info, void *argument)
{
	const struct damos *scheme = argument;

	for (size_t i = 0; i < scheme->desc.nr_filters; i++) {
		const struct damos_filter *filter = &scheme->desc.filters[i];

		if (is_for_pages(filter) && matches(filter, info) == filter->matching)
			return false;
	}
	/* What is in use is not paged out, unless the user has an opinion of their own. */
	return scheme->desc.action != DAMOS_PAGEOUT ||
	       has_filter(scheme, DAMOS_FILTER_TYPE_YOUNG) || !info->young;
}

static uint64_t paddr_apply_scheme(struct damon_ctx *ctx, struct damon_target *target,
				   const struct damon_region *region, const struct damos *scheme)
{
	enum damos_action action = scheme->desc.action;
	struct frames_choice choice = {
		.node = scheme->desc.target_nid,
		.wants_memcg = has_filter(scheme, DAMOS_FILTER_TYPE_MEMCG),
		.wants_young = action == DAMOS_PAGEOUT ||
			       has_filter(scheme, DAMOS_FILTER_TYPE_YOUNG),
		.takes = takes,
		.argument = (void *)scheme,
	};
	int r = 0;

	(void)target;
	if (!actions[action].is || !ctx->session)
		return 0;
	if (!ctx->frames)
		r = frames_open(ctx->session, &ctx->frames);
	if (r) {
		log_debug("physical memory cannot be acted upon: %s", strerror(-r));
		return 0;
	}
	return frames_apply(ctx->frames, actions[action].action, region->start, region->end,
			    &choice);
}

const struct damon_operations damon_paddr_ops = {
	.id = DAMON_OPS_PADDR,
	.apply_scheme = paddr_apply_scheme,
	.scheme_score = paddr_scheme_score,
};

const struct damon_operations *damon_operations_of(enum damon_ops_id id)
{
	static const struct damon_operations *const operations[NR_DAMON_OPS] = {
		[DAMON_OPS_VADDR] = &damon_vaddr_ops,
		[DAMON_OPS_FVADDR] = &damon_fvaddr_ops,
		[DAMON_OPS_PADDR] = &damon_paddr_ops,
	};

	return operations[id];
}

bool damon_ops_available(enum damon_ops_id ops)
{
	return ops != DAMON_OPS_PADDR || capable_of(CAP_SYS_ADMIN);
}
