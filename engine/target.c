// SPDX-License-Identifier: GPL-2.0-or-later
/* A monitored target: its process, the access method's space for it, and its regions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access/frames.h"
#include "access/log.h"
#include "engine/operations.h"

int damon_target_init(struct damon_ctx *ctx, struct damon_target *target,
		      struct damon_target_desc *desc)
{
	int r;

	*target = (struct damon_target){ .unsure = true };
	if (ctx->ops->has_process && desc->process)
		target->process = process_get(desc->process);
	if (ctx->session && (target->process || !ctx->ops->has_process)) {
		r = access_space_open(ctx->session, target->process, &target->space);
		if (r == -ENOMEM)
			return r;
		if (r && target->process)
			log_info("pid %d cannot be watched: %s; its regions will show no access",
				 target->process->pid, strerror(-r));
		else if (r)
			log_info("physical memory cannot be watched: %s; its regions will show no "
				 "access",
				 strerror(-r));
	}
	r = damon_reserve_regions(target, 1);
	if (!r && !desc->as_they_stand)
		return damon_set_regions(target, desc->ranges, desc->nr_ranges, ctx->min_sz_region);
	for (size_t i = 0; !r && i < desc->nr_ranges; i++)
		r = damon_insert_region(target, i, desc->ranges[i].start, desc->ranges[i].end);
	return r;
}

void damon_target_clear(struct damon_target *target)
{
	frames_close(target->pages.frames);
	access_space_close(target->space);
	process_put(target->process);
	free(target->regions);
	free(target->probes);
	*target = (struct damon_target){ 0 };
}
