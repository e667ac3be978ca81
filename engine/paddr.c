// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The physical address space: the user's regions, seen and acted upon frame by frame, as
 * mm/damon/paddr.c of Linux 6.12 has it (docs/abi/engine.md sections 10 and 13).
 */
#include "access/rights/privileges.h"
#include "engine/abi.h"
#include "engine/filter.h"
#include "engine/operations.h"
#include "engine/pages.h"
#include "engine/quota.h"
#include "util/saturate.h"

static uint32_t paddr_scheme_score(const struct damon_context *ctx,
				   const struct damon_region *region, const struct damos *scheme)
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
	enum page_action action;
} actions[NR_DAMOS_ACTIONS] = {
	[DAMOS_PAGEOUT] = { true, PAGE_PAGEOUT },      [DAMOS_LRU_PRIO] = { true, PAGE_PRIO },
	[DAMOS_LRU_DEPRIO] = { true, PAGE_DEPRIO },    [DAMOS_MIGRATE_HOT] = { true, PAGE_MIGRATE },
	[DAMOS_MIGRATE_COLD] = { true, PAGE_MIGRATE }, [DAMOS_STAT] = { true, PAGE_COUNT },
};

static bool paddr_match(const struct page_info *info, void *argument)
{
	const struct damos *scheme = argument;

	/*
	 * Young pages are not paged out, unless the user has a filter for them: the kernel appends
	 * a temporary one.
	 */
	return damos_page_passes(scheme, info,
				 scheme->desc.action == DAMOS_PAGEOUT &&
					 !damos_has_filter(scheme, DAMOS_FILTER_TYPE_YOUNG));
}

static int paddr_node_of(uint64_t index, void *argument)
{
	(void)index;
	return ((const struct damos *)argument)->desc.target_nid;
}

/* `stat' walks only since Linux 6.14, and only with filters, to report what passes. */
static bool is_of_interest(const struct damon_context *ctx, const struct damos *scheme)
{
	return actions[scheme->desc.action].is &&
	       (scheme->desc.action != DAMOS_STAT ||
		(scheme->has_ops_filters && abi_counts_filter_passed(ctx->abi)));
}

static struct page_walk_result paddr_apply_scheme(struct damon_context *ctx,
						  struct damon_target *target,
						  const struct damon_region *region,
						  const struct damos *scheme)
{
	enum damos_action action = scheme->desc.action;
	struct page_filter choice = {
		.wants_young = action == DAMOS_PAGEOUT,
		.match = paddr_match,
		.node = paddr_node_of,
	};
	struct damon_addr_range range = { mul_sat(region->start, ctx->addr_unit),
					  mul_sat(region->end, ctx->addr_unit) };
	struct page_walk_result result = { 0 };

	if (!is_of_interest(ctx, scheme))
		return result;
	result = damos_walk_pages(ctx, &ctx->pages, target, actions[action].action, range, scheme,
				  choice);
	result.applied /= ctx->addr_unit;
	result.passed /= ctx->addr_unit;
	return result;
}

const struct damon_operations damon_paddr_ops = {
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
	return ops != DAMON_OPS_PADDR || privileges_has(CAP_SYS_ADMIN);
}
