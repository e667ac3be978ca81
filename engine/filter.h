/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A scheme's filters. */
#ifndef DAMONFS_ENGINE_FILTER_H
#define DAMONFS_ENGINE_FILTER_H

#include "access/act/page_walk.h"
#include "engine/types.h"

/* What happens to what no filter matches: to be set whenever the filters have changed. */
void damos_set_filter_defaults(struct damos *scheme);

/*
 * Whether the core filters of SCHEME keep it away from region INDEX of target number TARGET; cuts
 * the region at the bound of an address filter that it crosses.  One that cannot be cut is kept
 * away from as a whole.
 */
bool damos_filtered_out(struct damon_ctx *ctx, size_t target, size_t index, struct damos *scheme);

/*
 * Whether the operations' filters let a page of the region that was asked for last pass; with
 * SPARE_YOUNG as if there were one at their end that keeps young pages out.
 */
bool damos_page_passes(const struct damos *scheme, const struct page_info *info, bool spare_young);

/* Whether SCHEME has a filter of this type, of whatever sort. */
bool damos_has_filter(const struct damos *scheme, enum damos_filter_type type);

#endif
