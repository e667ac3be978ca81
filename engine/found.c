// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a kdamond leaves behind, and goes on with: see found.h. */
#include <errno.h>
#include <stdlib.h>

#include "engine/attrs.h"
#include "engine/found.h"
#include "engine/region.h"
#include "util/saturate.h"

size_t damon_found_list(const struct damon_context *ctx, bool merged,
			struct damon_found_region *out)
{
	size_t nr = 0;

	for (size_t t = 0; t < ctx->nr_targets; t++) {
		const struct damon_target *target = &ctx->targets[t];

		for (size_t i = 0; i < target->nr_regions; i++) {
			const struct damon_region *region = &target->regions[i];

			out[nr++] = (struct damon_found_region){
				.target = (uint32_t)t,
				.pid = target->process ? target->process->given_pid : 0,
				.start = region->start,
				.end = region->end,
				.nr_accesses = merged ? region->nr_accesses :
							region->last_nr_accesses,
				.age = region->age,
			};
		}
	}
	return nr;
}

void damon_found_fill(const struct damon_context *ctx, struct damon_command *command)
{
	struct damon_found_region *found = calloc(damon_nr_regions(ctx) + 1, sizeof(*found));

	free(command->found);
	command->found = found;
	command->nr_found = found ? damon_found_list(ctx, false, found) : 0;
}

/* Somebody else may have written them. */
static bool are_regions(const struct damon_target_desc *desc, uint64_t min_sz)
{
	uint64_t end = 0;

	for (size_t i = 0; i < desc->nr_found; i++) {
		const struct damon_found_region *found = &desc->found[i];

		if (found->start < end || found->start >= found->end ||
		    (found->start | found->end) & (min_sz - 1))
			return false;
		end = found->end;
	}
	return true;
}

int damon_found_take(const struct damon_context *ctx, struct damon_target *target,
		     const struct damon_target_desc *desc, size_t most)
{
	uint32_t max = (uint32_t)min_ul(damon_max_nr_accesses(&ctx->attrs), UINT32_MAX / 10000);

	if (!desc->nr_found || desc->nr_found > most || !are_regions(desc, ctx->min_sz_region))
		return 0;
	if (damon_reserve_regions(target, desc->nr_found))
		return -ENOMEM;
	for (size_t i = 0; i < desc->nr_found; i++) {
		const struct damon_found_region *found = &desc->found[i];
		uint32_t nr_accesses = (uint32_t)min_ul(found->nr_accesses, max);

		target->regions[i] = (struct damon_region){
			.start = found->start,
			.end = found->end,
			.last_nr_accesses = nr_accesses,
			.nr_accesses_bp = nr_accesses * 10000,
			.age = found->age,
		};
	}
	target->nr_regions = desc->nr_found;
	return 0;
}
