/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an address space must offer to be monitored and acted upon. */
#ifndef DAMONFS_ENGINE_OPERATIONS_H
#define DAMONFS_ENGINE_OPERATIONS_H

#include "access/act/page_walk.h"
#include "engine/types.h"

struct damon_operations {
	bool has_process; /* targets are processes; it ends with the last of them */

	/*
	 * Both may be NULL: then only the user makes regions.  Without memory or room, regions stay
	 * as they are until the next update.
	 */
	void (*init)(struct damon_context *ctx);
	void (*update)(struct damon_context *ctx);

	/*
	 * Applies a scheme to a region; NULL: no action does anything.
	 * Return: how much was applied, and how much passed the page filters, in units of
	 * addresses.
	 */
	struct page_walk_result (*apply_scheme)(struct damon_context *ctx,
						struct damon_target *target,
						const struct damon_region *region,
						const struct damos *scheme);

	/* The region's priority for the scheme, 0 to DAMOS_MAX_SCORE; NULL: always the highest. */
	uint32_t (*scheme_score)(const struct damon_context *ctx, const struct damon_region *region,
				 const struct damos *scheme);
};

extern const struct damon_operations damon_vaddr_ops;
extern const struct damon_operations damon_fvaddr_ops;
extern const struct damon_operations damon_paddr_ops;

/* The operations of ID.  They are constant. */
const struct damon_operations *damon_operations_of(enum damon_ops_id id);

/*
 * The three ranges that hold all mappings, without the two largest gaps (docs/abi/engine.md section
 * 3; kernel: __damon_va_three_regions()).
 * Return: 0, or -EINVAL if there are fewer than two gaps.
 */
int damon_three_regions(const struct maps *maps, struct damon_addr_range ranges[3]);

/* The node for folio number INDEX; negative: the folio stays. */
int damos_dest_of(const struct damos_desc *desc, uint64_t index);

#endif
