/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that schemes look at page by page. */
#ifndef DAMONFS_ENGINE_PAGES_H
#define DAMONFS_ENGINE_PAGES_H

#include "access/act/page_walk.h"
#include "engine/types.h"

/*
 * Walks RANGE (bytes) of TARGET, or of physical memory if it has no process, for SCHEME.  SCHEME's
 * filters set what CHOICE wants, and SCHEME is the argument of CHOICE's functions.  PAGES keeps
 * that memory's state.
 * Return: as page_walk_apply(); nothing if the pages cannot be seen, which is logged.
 */
struct page_walk_result damos_walk_pages(struct damon_context *ctx, struct damos_pages *pages,
					 const struct damon_target *target, enum page_action action,
					 struct damon_addr_range range, const struct damos *scheme,
					 struct page_filter choice);

/*
 * What is known of the page of physical memory at ADDRESS (bytes).
 * Return: whether it is on a list of reclaim; else *INFO is not set.
 */
bool damos_look_at_page(struct damon_context *ctx, const struct damon_target *target,
			uint64_t address, bool wants_memcg, struct page_info *info);

#endif
