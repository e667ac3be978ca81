/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A scheme's filters. */
#ifndef DAMONFS_ENGINE_FILTER_H
#define DAMONFS_ENGINE_FILTER_H

#include "access/act/page_walk.h"
#include "engine/types.h"

/* Sets what happens to what no filter matches; call it whenever the filters change. */
void damos_set_filter_defaults(struct damos *scheme);

/*
 * Whether the core filters of SCHEME keep it away from region INDEX of target number TARGET.  Cuts
 * the region at the bound of an address filter that it crosses; if it cannot, keeps away from all
 * of it.
 */
bool damos_filtered_out(struct damon_context *ctx, size_t target, size_t index,
			struct damos *scheme);

/*
 * Whether the operations' filters pass a page of the region last given to damos_filtered_out();
 * SPARE_YOUNG appends a filter that keeps young pages out.
 */
bool damos_page_passes(const struct damos *scheme, const struct page_info *info, bool spare_young);

/* Whether SCHEME has a filter of this type, of whatever sort. */
bool damos_has_filter(const struct damos *scheme, enum damos_filter_type type);

/*
 * Whether the page of INFO, or a page on no list if that is NULL, passes the filters of PROBE.
 * Source: docs/kernel-7.2.md 3.6.
 */
bool damon_probe_passes(const struct damon_probe *probe, const struct page_info *info);

/* Whether a probe of CTX asks for cgroups. */
bool damon_probes_want_memcg(const struct damon_context *ctx);

#endif
