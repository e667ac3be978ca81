/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory that schemes look at page by page. */
#ifndef DAMONFS_ENGINE_PAGES_H
#define DAMONFS_ENGINE_PAGES_H

#include "access/act/page_walk.h"
#include "engine/types.h"

/*
 * Walks RANGE (bytes) of TARGET, or of physical memory where that has no process, for SCHEME: its
 * filters say what CHOICE wants, and it is the argument of CHOICE's functions.  PAGES is where that
 * memory's are kept. Return: as page_walk_apply(); nothing where the pages cannot be seen, which
 * the log tells.
 */
struct page_walk_result damos_walk_pages(struct damon_ctx *ctx, struct damos_pages *pages,
					 const struct damon_target *target, enum page_action action,
					 struct damon_addr_range range, const struct damos *scheme,
					 struct page_filter choice);

#endif
