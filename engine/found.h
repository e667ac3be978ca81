/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a kdamond found of its targets, for another one that goes on when this one was killed. */
#ifndef DAMONFS_ENGINE_FOUND_H
#define DAMONFS_ENGINE_FOUND_H

#include "engine/types.h"

/*
 * Writes the regions of all targets of CTX to OUT, which has room for damon_nr_regions().  If
 * MERGED, an aggregation has just ended, and its accesses are not yet those of the last one.
 * Return: how many.
 */
size_t damon_found_list(const struct damon_context *ctx, bool merged,
			struct damon_found_region *out);

/* Gives COMMAND the regions of all targets of CTX; none if there is no memory. */
void damon_found_fill(const struct damon_context *ctx, struct damon_command *command);

/*
 * Makes the regions of TARGET, which has none, those that DESC says were found, unless they are not
 * regions, or more than MOST: then it still has none.
 * Return: 0 or -ENOMEM.
 */
int damon_found_take(const struct damon_context *ctx, struct damon_target *target,
		     const struct damon_target_desc *desc, size_t most);

#endif
