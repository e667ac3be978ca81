// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Applying a new description to a running context, as Linux 6.12 does (damon_commit_ctx(); restated
 * in docs/abi/engine.md section 14): index by index, keeping what was learnt.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/abi.h"
#include "engine/attrs.h"
#include "engine/commit.h"
#include "engine/context.h"
#include "engine/region.h"
#include "engine/scheme.h"
#include "engine/target.h"
#include "util/cleanup.h"
#include "util/stop.h"

/* Takes the goals of DESC; those of the same index keep their stall totals, as in the kernel. */
static void take_goals(struct damos_quota *quota, struct damos_quota_desc *desc)
{
	for (size_t i = 0; i < desc->nr_goals && i < quota->desc.nr_goals; i++)
		desc->goals[i].last_psi_total = quota->desc.goals[i].last_psi_total;
	damos_goals_clear(&quota->desc);
	quota->desc.goals = steal_ptr(desc->goals);
	quota->desc.nr_goals = desc->nr_goals;
	desc->nr_goals = 0;
}

/* Keeps statistics, charges and the tuner's state. */
static void commit_scheme(struct damos *scheme, struct damos_desc *desc)
{
	struct damos_quota_desc quota = desc->quota;

	take_goals(&scheme->quota, &desc->quota);
	quota.goals = scheme->quota.desc.goals;
	quota.nr_goals = scheme->quota.desc.nr_goals;
	scheme->quota.desc = quota;
	damos_take_desc(scheme, desc);
	scheme->active = true;
}

/* SCHEMES has room for all of DESC, and becomes the context's. */
static void commit_schemes(struct damon_context *ctx, struct damon_desc *desc,
			   struct damos *schemes)
{
	for (size_t s = 0; s < desc->nr_schemes; s++) {
		if (s < ctx->nr_schemes) {
			schemes[s] = ctx->schemes[s];
			commit_scheme(&schemes[s], &desc->schemes[s]);
		} else {
			damos_init(&schemes[s], &desc->schemes[s]);
		}
	}
	for (size_t s = desc->nr_schemes; s < ctx->nr_schemes; s++)
		damos_clear(&ctx->schemes[s]);
	free(ctx->schemes);
	ctx->schemes = schemes;
	ctx->nr_schemes = desc->nr_schemes;
}

/* What a target was, and what it becomes. */
struct staged_target {
	struct damon_target *old; /* the context's, or NULL */
	struct damon_target_desc *desc;
	bool goes_on; /* with the same process */
};

/*
 * All that a commit needs, made before anything changes.  For a target that goes on, `targets'
 * holds only its new regions, if any.
 */
struct staged {
	struct damos *schemes;
	struct damon_target *targets;
	struct staged_target *from; /* of each */
	size_t nr_targets;
	size_t left; /* regions that may still be made */
};

static void unstage(struct staged *staged)
{
	for (size_t t = 0; t < staged->nr_targets; t++)
		damon_target_clear(&staged->targets[t]);
	free(staged->schemes);
	free(staged->targets);
	free(staged->from);
}

static bool same_process(const struct process *a, const struct process *b)
{
	/* Both exist or existed since they were named: equal numbers are of the same task. */
	return a == b || (a && b && a->tid == b->tid && process_exists(a));
}

static int copy_regions(const struct damon_target *from, struct damon_target *to)
{
	int r = damon_reserve_regions(to, from->nr_regions + 1);

	if (!r && from->nr_regions)
		memcpy(to->regions, from->regions, from->nr_regions * sizeof(*to->regions));
	if (!r)
		to->nr_regions = from->nr_regions;
	return r;
}

/* Stages a target that OLD, or none, becomes by ITS.  Without ranges, it keeps the old regions. */
static int stage_target(struct damon_context *ctx, struct damon_target *old,
			struct damon_target_desc *its, struct staged *staged)
{
	struct staged_target *from = &staged->from[staged->nr_targets];
	struct damon_target *target = &staged->targets[staged->nr_targets++];
	int r = 0;

	*from = (struct staged_target){ .old = old, .desc = its };
	if (!old)
		return damon_target_init(ctx, target, its, staged->left);
	from->goes_on = same_process(old->process, its->process);
	if (!from->goes_on)
		r = damon_target_open(ctx, target, its->process);
	/* Another process takes the old regions over, fitted to new ones if any. */
	if (!r && (!from->goes_on || its->nr_ranges))
		r = copy_regions(old, target);
	if (!r && its->nr_ranges)
		r = damon_target_set_ranges(ctx, target, its, staged->left);
	return r;
}

static size_t nr_staged(const struct staged *staged, size_t t)
{
	return staged->from[t].goes_on && !staged->targets[t].regions ?
		       staged->from[t].old->nr_regions :
		       staged->targets[t].nr_regions;
}

/* Whether anything will be seen: one target that goes on and is not blind is enough. */
static int see_staged(const struct staged *staged)
{
	for (size_t t = 0; t < staged->nr_targets; t++)
		if (staged->from[t].goes_on && !staged->from[t].old->blind)
			return 0;
	return damon_targets_seen(staged->targets, staged->nr_targets);
}

/* Stages target number T of DESC, unless it is obsolete: then there must be one to remove. */
static int stage_number(struct damon_context *ctx, const struct damon_desc *desc, size_t t,
			struct staged *staged)
{
	struct damon_target *old = t < ctx->nr_targets ? &ctx->targets[t] : NULL;
	int r;

	if (desc->targets[t].obsolete)
		return old ? 0 : -EINVAL;
	r = stage_target(ctx, old, &desc->targets[t], staged);
	if (!r && staged->left != SIZE_MAX)
		staged->left -= min_ul(staged->left, nr_staged(staged, staged->nr_targets - 1));
	return r;
}

static int stage(struct damon_context *ctx, const struct damon_desc *desc, struct staged *staged)
{
	int r = 0;

	staged->left = desc->max_total_regions ? desc->max_total_regions : SIZE_MAX;
	staged->schemes = calloc(desc->nr_schemes + 1, sizeof(*staged->schemes));
	staged->targets = calloc(desc->nr_targets + 1, sizeof(*staged->targets));
	staged->from = calloc(desc->nr_targets + 1, sizeof(*staged->from));
	if (!staged->schemes || !staged->targets || !staged->from)
		return -ENOMEM;
	for (size_t t = 0; !r && t < desc->nr_targets; t++) {
		r = stage_number(ctx, desc, t, staged);
		if (!r && stop_asked())
			r = -ECANCELED;
	}
	return r ? r : see_staged(staged);
}

/* Continues the OLD target in the committer's name, with the regions of STAGED. */
static void continue_target(struct damon_target *staged, struct damon_target *old,
			    struct damon_target_desc *desc)
{
	struct damon_target next = *old;

	next.process = steal_ptr(desc->process);
	if (staged->regions) {
		next.regions = staged->regions;
		next.nr_regions = staged->nr_regions;
		next.room = staged->room;
		next.probes = staged->probes;
		next.probe_room = staged->probe_room;
		free(old->regions);
		free(old->probes);
	}
	process_put(old->process);
	*staged = next;
	*old = (struct damon_target){ 0 };
}

/* The next window of a quota begins where the last one stopped, if that target goes on. */
static void keep_resume_point(const struct damon_context *ctx, const struct staged *staged,
			      struct damos_quota *quota)
{
	if (!quota->resumes)
		return;
	for (size_t t = 0; t < staged->nr_targets; t++)
		if (staged->from[t].old == &ctx->targets[quota->resume_target]) {
			quota->resume_target = t;
			return;
		}
	/* It stopped in a target that is removed. */
	quota->resumes = false;
}

static void commit_targets(struct damon_context *ctx, struct staged *staged)
{
	for (size_t s = 0; s < ctx->nr_schemes; s++)
		keep_resume_point(ctx, staged, &ctx->schemes[s].quota);
	for (size_t t = 0; t < staged->nr_targets; t++)
		if (staged->from[t].goes_on)
			continue_target(&staged->targets[t], staged->from[t].old,
					staged->from[t].desc);
	for (size_t t = 0; t < ctx->nr_targets; t++)
		damon_target_clear(&ctx->targets[t]);
	free(ctx->targets);
	ctx->targets = steal_ptr(staged->targets);
	ctx->nr_targets = staged->nr_targets;
	staged->nr_targets = 0;
}

static bool same_attrs(const struct damon_attrs *a, const struct damon_attrs *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Since Linux 6.15 equal attributes change nothing, and commits come at any time. */
static void commit_attrs(struct damon_context *ctx, const struct damon_attrs *attrs)
{
	bool any_time = abi_commits_at_any_time(ctx->abi);

	if (any_time && same_attrs(&ctx->attrs, attrs))
		return;
	damon_set_attrs(ctx, attrs, any_time && ctx->passed < ctx->next_aggr);
}

/* Stages the commit, as the one in whose name it is made. */
static int commit_prepare(struct damon_context *ctx, const struct damon_desc *desc,
			  struct staged *staged)
{
	const struct damon_context was = *ctx;
	int r;

	/* Targets are opened for the new operations and in their units. */
	damon_ctx_set_operations(ctx, desc);
	ctx->max_total_regions = desc->max_total_regions;
	r = stage(ctx, desc, staged);
	if (!r)
		return 0;
	ctx->ops = was.ops;
	ctx->addr_unit = was.addr_unit;
	ctx->min_sz_region = was.min_sz_region;
	ctx->max_total_regions = was.max_total_regions;
	return r;
}

int damon_context_commit(struct damon_context *ctx, struct damon_desc *desc)
{
	__attribute__((cleanup(unstage))) struct staged staged = { 0 };
	int r = caller_become(desc->caller);

	if (!r)
		r = commit_prepare(ctx, desc, &staged);
	if (r) {
		ctx->stranded = caller_come_back(ctx->caller, 0);
		return r;
	}
	caller_put(ctx->caller);
	ctx->caller = steal_ptr(desc->caller);
	commit_targets(ctx, &staged);
	commit_schemes(ctx, desc, steal_ptr(staged.schemes));
	commit_attrs(ctx, &desc->attrs);
	damon_ctx_take_probes(ctx, desc);
	return 0;
}

int damos_commit_goals(struct damon_context *ctx, struct damon_desc *desc)
{
	for (size_t s = 0; s < ctx->nr_schemes && s < desc->nr_schemes; s++)
		take_goals(&ctx->schemes[s].quota, &desc->schemes[s].quota);
	return desc->error;
}
