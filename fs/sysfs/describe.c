// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From directories to the engine's description: what the kernel does at `on' and `commit', in its
 * order and with its errors (docs/abi/sysfs.md section 6.1).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "access/proc/memcg.h"
#include "fs/sysfs/sysfs.h"
#include "util/cleanup.h"
#include "util/log.h"

static void desc_freep(struct damon_desc **desc)
{
	damon_desc_free(*desc);
}

int describe_processes(struct damon_desc *desc)
{
	int r = damon_desc_open(desc);

	if (r == -EMFILE || r == -ENFILE) {
		log_error("cannot open the processes of %zu targets: %s; raise damonfs's limit on "
			  "open files",
			  desc->nr_targets, strerror(-r));
		return -ENOMEM;
	}
	return r == -EPERM || r == -ENOMEM ? r : r ? -EINVAL : 0;
}

static int describe_target(const struct target_dir *target, enum damon_ops_id ops, uint64_t min_sz,
			   struct damon_target_desc *out)
{
	if (ops != DAMON_OPS_PADDR && target->pid <= 0)
		return -EINVAL;
	out->pid = target->pid;
	out->obsolete = target->obsolete;
	out->ranges = calloc(target->regions.nr + 1, sizeof(*out->ranges));
	if (!out->ranges)
		return -ENOMEM;
	for (size_t i = 0; i < target->regions.nr; i++) {
		const struct region_dir *region = (struct region_dir *)target->regions.dirs[i];

		if (region->start > region->end)
			return -EINVAL;
		if (i && out->ranges[i - 1].end > region->start)
			return -EINVAL;
		out->ranges[out->nr_ranges++] =
			(struct damon_addr_range){ region->start, region->end };
	}
	return damon_check_ranges(out->ranges, out->nr_ranges, min_sz);
}

/* The kernel says ENOMEM to any filter that it cannot make. */
static int describe_filter(const struct filter_dir *filter, struct damos_filter *out)
{
	*out = (struct damos_filter){
		.type = (enum damos_filter_type)filter->type,
		.matching = filter->matching,
		.allow = filter->allow,
		.addr_range = { filter->addr_start, filter->addr_end },
		.target_idx = filter->target_idx,
		.min_sz = filter->min,
		.max_sz = filter->max,
	};
	if (out->type == DAMOS_FILTER_TYPE_MEMCG && memcg_find(filter->memcg_path, &out->memcg_id))
		return -ENOMEM;
	if (out->type == DAMOS_FILTER_TYPE_ADDR && filter->addr_end < filter->addr_start)
		return -ENOMEM;
	if (out->type == DAMOS_FILTER_TYPE_HUGEPAGE_SIZE && filter->min > filter->max)
		return -ENOMEM;
	return 0;
}

/* Those of all three directories, in the kernel's order. */
static int describe_filters(const struct scheme_dir *scheme, struct damos_desc *out)
{
	const struct dir_list *lists[] = { &scheme->core_filters, &scheme->ops_filters,
					   &scheme->filters };
	size_t nr = 1;
	int r = 0;

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++)
		nr += lists[l]->nr;
	out->filters = calloc(nr, sizeof(*out->filters));
	if (!out->filters)
		return -ENOMEM;
	for (size_t l = 0; l < ARRAY_SIZE(lists); l++)
		for (size_t i = 0; !r && i < lists[l]->nr; i++)
			r = describe_filter((struct filter_dir *)lists[l]->dirs[i],
					    &out->filters[out->nr_filters++]);
	return r;
}

static int describe_dests(const struct dir_list *dests, struct damos_desc *out)
{
	out->dests = calloc(dests->nr + 1, sizeof(*out->dests));
	if (!out->dests)
		return -ENOMEM;
	for (size_t i = 0; i < dests->nr; i++) {
		const struct dest_dir *dest = (struct dest_dir *)dests->dirs[i];

		out->dests[out->nr_dests++] = (struct damos_dest){ dest->id, dest->weight };
	}
	return 0;
}

static int describe_goal(const struct goal_dir *goal, struct damos_quota_goal *out)
{
	*out = (struct damos_quota_goal){
		.metric = (enum damos_quota_goal_metric)goal->metric,
		.target_value = goal->target_value,
		.current_value = goal->current_value,
		.nid = goal->nid,
	};
	if (out->metric != DAMOS_QUOTA_NODE_MEMCG_USED_BP &&
	    out->metric != DAMOS_QUOTA_NODE_MEMCG_FREE_BP)
		return 0;
	return memcg_new(goal->path, &out->memcg);
}

/* Goals without a target value are not passed on. */
static int describe_scheme_goals(const struct dir_list *goals, struct damos_quota_desc *out)
{
	int r = 0;

	out->goals = calloc(goals->nr + 1, sizeof(*out->goals));
	if (!out->goals)
		return -ENOMEM;
	for (size_t i = 0; !r && i < goals->nr; i++) {
		const struct goal_dir *goal = (struct goal_dir *)goals->dirs[i];

		if (goal->target_value)
			r = describe_goal(goal, &out->goals[out->nr_goals++]);
	}
	return r;
}

static int describe_scheme(const struct scheme_dir *scheme, struct damos_desc *out)
{
	int r;

	/* The engine's counters have 32 bits, and the kernel truncates likewise. */
	out->pattern = (struct damos_access_pattern){
		.min_sz_region = scheme->sz.min,
		.max_sz_region = scheme->sz.max,
		.min_nr_accesses = (uint32_t)scheme->nr_accesses.min,
		.max_nr_accesses = (uint32_t)scheme->nr_accesses.max,
		.min_age_region = (uint32_t)scheme->age.min,
		.max_age_region = (uint32_t)scheme->age.max,
	};
	out->action = (enum damos_action)scheme->action;
	out->apply_interval = scheme->apply_interval;
	out->target_nid = scheme->target_nid;
	out->quota.ms = scheme->quotas.ms;
	out->quota.sz = scheme->quotas.bytes;
	out->quota.reset_interval_ms = scheme->quotas.reset_interval_ms;
	out->quota.weight_sz = scheme->quotas.sz_permil;
	out->quota.weight_nr_accesses = scheme->quotas.nr_accesses_permil;
	out->quota.weight_age = scheme->quotas.age_permil;
	out->wmarks = (struct damos_watermarks){
		.metric = (enum damos_wmark_metric)scheme->watermarks.metric,
		.interval = scheme->watermarks.interval,
		.high = scheme->watermarks.high,
		.mid = scheme->watermarks.mid,
		.low = scheme->watermarks.low,
	};
	out->max_nr_snapshots = scheme->max_nr_snapshots;
	out->quota.goal_tuner = (enum damos_quota_goal_tuner)scheme->quotas.goal_tuner;
	out->quota.fail_charge_num = scheme->quotas.fail_charge_num;
	out->quota.fail_charge_denom = scheme->quotas.fail_charge_denom;
	/* Any failure in a scheme is ENOMEM. */
	r = describe_scheme_goals(&scheme->quotas.goals, &out->quota) ? -ENOMEM : 0;
	if (!r)
		r = describe_dests(&scheme->dests, out);
	return r ? r : describe_filters(scheme, out);
}

static int describe_probe(const struct probe_dir *probe, struct damon_probe *out)
{
	int r = 0;

	out->filters = calloc(probe->filters.nr + 1, sizeof(*out->filters));
	if (!out->filters)
		return -ENOMEM;
	/* Here a filter that cannot be made is EINVAL. */
	for (size_t i = 0; !r && i < probe->filters.nr; i++)
		if (describe_filter((struct filter_dir *)probe->filters.dirs[i],
				    &out->filters[out->nr_filters++]))
			r = -EINVAL;
	return r;
}

/* Since Linux 7.2, goals of physical memory are for nothing else. */
static int check_goals(const struct context_dir *context)
{
	for (size_t s = 0; s < context->schemes.nr; s++) {
		const struct scheme_dir *scheme = (struct scheme_dir *)context->schemes.dirs[s];

		for (size_t i = 0; i < scheme->quotas.goals.nr; i++) {
			const struct goal_dir *goal =
				(struct goal_dir *)scheme->quotas.goals.dirs[i];

			if (goal->metric == DAMOS_QUOTA_NODE_ELIGIBLE_MEM_BP &&
			    goal->target_value && context->operations != DAMON_OPS_PADDR)
				return -EINVAL;
		}
	}
	return 0;
}

int describe_context(const struct context_dir *context, struct caller *caller,
		     struct damon_desc **out)
{
	__attribute__((cleanup(desc_freep))) struct damon_desc *desc =
		damon_desc_new(context->targets.nr, context->schemes.nr);
	int r;

	if (!desc)
		return -ENOMEM;
	desc->abi = context->base.tree->abi;
	desc->caller = caller_get(caller);
	desc->ops = (enum damon_ops_id)context->operations;
	desc->addr_unit = context->addr_unit;
	desc->attrs = context->attrs;
	r = damon_check_desc(desc);
	/* Physical memory is everybody's. */
	if (!r && desc->ops == DAMON_OPS_PADDR && !caller_capable(caller, CAP_SYS_ADMIN))
		r = -EPERM;
	for (size_t i = 0; !r && i < desc->nr_targets; i++)
		r = describe_target((struct target_dir *)context->targets.dirs[i], desc->ops,
				    damon_min_sz_region(desc->ops, desc->addr_unit),
				    &desc->targets[i]);
	if (!r)
		r = check_goals(context);
	for (size_t i = 0; !r && i < context->probes.nr; i++)
		r = describe_probe((struct probe_dir *)context->probes.dirs[i],
				   &desc->probes[desc->nr_probes++]);
	if (r)
		return r;
	desc->paused = context->pause;
	for (size_t i = 0; !desc->error && i < desc->nr_schemes; i++)
		desc->error = describe_scheme((struct scheme_dir *)context->schemes.dirs[i],
					      &desc->schemes[i]);
	*out = steal_ptr(desc);
	return 0;
}

int describe_goals(const struct context_dir *context, struct damon_desc **out)
{
	__attribute__((cleanup(desc_freep))) struct damon_desc *desc =
		damon_desc_new(0, context->schemes.nr);
	int r = desc ? 0 : -ENOMEM;

	if (r)
		return r;
	for (size_t i = 0; i < desc->nr_schemes; i++) {
		const struct scheme_dir *scheme = (struct scheme_dir *)context->schemes.dirs[i];

		desc->error = describe_scheme_goals(&scheme->quotas.goals, &desc->schemes[i].quota);
		if (desc->error == -ENOMEM)
			return -ENOMEM;
		if (!desc->error)
			continue;
		/* The schemes before one with a bad goal get theirs. */
		damos_goals_clear(&desc->schemes[i].quota);
		desc->nr_schemes = i;
		break;
	}
	*out = steal_ptr(desc);
	return 0;
}
