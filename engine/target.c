// SPDX-License-Identifier: LGPL-2.1-or-later
/* A monitored target: its process, the access method's space for it, and its regions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/act/page_walk.h"
#include "engine/found.h"
#include "engine/operations.h"
#include "engine/region.h"
#include "engine/target.h"
#include "util/error.h"
#include "util/log.h"
#include "util/stop.h"

/* Targets are checked at least this often, and by region updates and acting schemes. */
#define CHECK_INTERVAL_US 1000000
/* How long an agent may take to answer. */
#define ASK_MS 50

/* A target that executes program after program is logged at most this often. */
#define TELL_INTERVAL_US 60000000

/* Return: 0, even if it cannot be seen, or a fatal negative errno. */
static int target_open_space(struct damon_context *ctx, struct damon_target *target, bool tell)
{
	int r = access_space_open(ctx->sessions, target->process, tell, &target->space,
				  &target->why);

	target->failed = 0;
	target->blind = r && r != -ESRCH;
	if (access_is_fatal(r))
		return r;
	if (target->blind && tell && target->process)
		log_info("pid %d cannot be watched: its regions will show no access",
			 target->process->pid);
	return 0;
}

int damon_target_open(struct damon_context *ctx, struct damon_target *target,
		      struct process *process)
{
	*target = (struct damon_target){ .unsure = true };
	if (ctx->ops->has_process && process)
		target->process = process_get(process);
	if (!ctx->sessions || (!target->process && ctx->ops->has_process))
		return 0;
	return target_open_space(ctx, target, true);
}

int damon_targets_seen(const struct damon_target *targets, size_t nr)
{
	size_t nr_seen = 0, nr_blind = 0;

	for (size_t t = 0; t < nr; t++) {
		nr_seen += !!targets[t].space;
		nr_blind += targets[t].blind;
	}
	if (nr_seen || !nr_blind)
		return 0;
	log_error("no target can be watched: see the lines above");
	return -EINVAL;
}

/* Takes the ranges of the debugfs files as given: they have been checked. */
static int take_ranges(struct damon_target *target, const struct damon_target_desc *desc)
{
	int r = damon_reserve_regions(target, desc->nr_ranges + 1);

	for (size_t i = 0; !r && i < desc->nr_ranges; i++)
		r = damon_insert_region(target, i, desc->ranges[i].start, desc->ranges[i].end);
	return r;
}

int damon_target_set_ranges(struct damon_context *ctx, struct damon_target *target,
			    const struct damon_target_desc *desc, size_t most)
{
	int r = damon_set_regions(target, desc->ranges, desc->nr_ranges, ctx->min_sz_region, most);

	if (r != -ENOSPC)
		return r;
	damon_tell_full(ctx);
	return -ENOMEM;
}

int damon_target_init(struct damon_context *ctx, struct damon_target *target,
		      const struct damon_target_desc *desc, size_t most)
{
	int r = damon_target_open(ctx, target, desc->process);

	if (!r)
		r = damon_reserve_regions(target, 1);
	if (!r && desc->nr_ranges > most) {
		damon_tell_full(ctx);
		r = -ENOMEM;
	}
	if (r)
		return r;
	if (desc->as_they_stand)
		return take_ranges(target, desc);
	r = damon_found_take(ctx, target, desc, most);
	/* Updates may have replaced the user's ranges since. */
	if (r || (target->nr_regions && ctx->ops->update))
		return r;
	/* If they do not fit to the ranges, it begins anew. */
	if (target->nr_regions && damon_set_regions(target, desc->ranges, desc->nr_ranges,
						    ctx->min_sz_region, most) == -ENOSPC)
		target->nr_regions = 0;
	return damon_target_set_ranges(ctx, target, desc, most);
}

/* Closes what sees it. */
static void close_space(struct damon_target *target)
{
	page_walk_close(target->pages.frames);
	target->pages = (struct damos_pages){ 0 };
	access_space_close(target->space);
	target->space = NULL;
}

/* Empties the target, but keeps its place. */
static void drop(struct damon_target *target)
{
	close_space(target);
	target->process = process_put(target->process);
	target->nr_regions = 0;
	target->unsure = true;
	target->blind = false;
	target->failed = 0;
}

/* Reopens a target that executes another program, or is not seen yet or any more. */
static void open_anew(struct damon_context *ctx, struct damon_target *target, uint64_t now)
{
	bool tell = now >= target->next_tell, was_blind = target->blind;
	int r;

	if (tell && target->failed)
		log_info("pid %d: the method %s failed: %s", target->process->pid,
			 target->space->session->method->name, strerror(-target->failed));
	close_space(target);
	/* What one method remembers of a region means nothing to another. */
	for (size_t i = 0; i < target->nr_regions; i++)
		target->regions[i].priv = 0;
	/* It was logged before that it is not seen. */
	r = target_open_space(ctx, target, tell && !was_blind);
	if (r && tell && !was_blind)
		log_info("pid %d cannot be watched for now: %s", target->process->pid,
			 strerror(-r));
	if (r == -ENOTRECOVERABLE)
		ctx->stranded = true;
	if (was_blind && target->space) {
		log_info("pid %d can be watched now, by the method %s", target->process->pid,
			 target->space->session->method->name);
		if (ctx->ops->init)
			ctx->ops->init(ctx);
	}
	if (tell)
		target->next_tell = now + TELL_INTERVAL_US;
}

/* Leaves the target alone while it is unknown whether it may be watched. */
static void suspend(struct damon_target *target, int error, uint64_t now)
{
	if (!target->unanswered && now >= target->next_tell) {
		log_info("pid %d is left alone until it is known whether it may still be watched: "
			 "%s",
			 target->process->pid,
			 error == -EAGAIN ? "the process `damonfs:agent', which asks on its "
					    "caller's behalf, did not answer in time" :
					    strerror(-error));
		target->next_tell = now + TELL_INTERVAL_US;
	}
	close_space(target);
	target->unsure = true;
	target->blind = true;
	target->unanswered = true;
}

static void check_target(struct damon_context *ctx, struct damon_target *target, uint64_t now)
{
	int r = process_may(target->process, CALLER_WATCH, ASK_MS);

	ctx->stranded |= r == -ENOTRECOVERABLE;
	if (r == -EAGAIN || error_is_shortage(r)) {
		suspend(target, r, now);
		return;
	}
	target->unanswered = false;
	if (!r && ctx->sessions && (target->replaced || target->blind || target->failed))
		open_anew(ctx, target, now);
	target->replaced = false;
	if (r == -EPERM || r == -EACCES) {
		const struct caller *caller = target->process->caller;

		log_info("pid %d is dropped: the kernel no longer lets user %u watch it; it may "
			 "have executed a program with other privileges, or changed its user",
			 target->process->pid, caller ? caller->uid : geteuid());
		drop(target);
	}
}

void damon_check_targets(struct damon_context *ctx, uint64_t now)
{
	for (size_t t = 0; t < ctx->nr_targets && !stop_asked(); t++)
		if (ctx->targets[t].process)
			check_target(ctx, &ctx->targets[t], now);
	ctx->any_replaced = false;
	ctx->next_check = now + CHECK_INTERVAL_US;
}

void damon_target_clear(struct damon_target *target)
{
	close_space(target);
	process_put(target->process);
	free(target->regions);
	free(target->probes);
	*target = (struct damon_target){ 0 };
}
