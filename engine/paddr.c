// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The physical address space: the user's regions, seen frame by frame.  Of the actions, none has a
 * way to frames yet but `stat'.
 */
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

const struct damon_operations damon_paddr_ops = {
	.id = DAMON_OPS_PADDR,
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
