// SPDX-License-Identifier: LGPL-2.1-or-later
/* The description of a context that a user of the engine hands in, and its checks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/abi.h"
#include "engine/types.h"
#include "util/cleanup.h"

const struct damon_attrs damon_default_attrs = {
	.sample_interval = 5000,
	.aggr_interval = 100000,
	.ops_update_interval = 60000000,
	.min_nr_regions = 10,
	.max_nr_regions = 1000,
};

struct damon_desc *damon_desc_new(size_t nr_targets, size_t nr_schemes)
{
	struct damon_desc *desc = calloc(1, sizeof(*desc));

	if (!desc)
		return NULL;
	desc->targets = calloc(nr_targets + 1, sizeof(*desc->targets));
	desc->schemes = calloc(nr_schemes + 1, sizeof(*desc->schemes));
	if (!desc->targets || !desc->schemes)
		return damon_desc_free(desc);
	desc->addr_unit = 1;
	desc->nr_targets = nr_targets;
	desc->nr_schemes = nr_schemes;
	return desc;
}

static int open_process(struct damon_target_desc *target, struct caller *caller)
{
	struct process *process = NULL;
	int r = target->process ? process_for(target->process, caller, &process) :
				  process_open(target->pid, caller, &process);

	/* The one that was opened may not be who it was when it was named. */
	if (!r && !target->process && target->started &&
	    process_started(process->tid) != target->started)
		r = -ESRCH;
	if (r) {
		process_put(process);
		return r;
	}
	process_put(target->process);
	target->process = process;
	return 0;
}

int damon_desc_open(struct damon_desc *desc)
{
	int r = 0;

	/* A target without a process has no accesses: the debugfs files allow such. */
	for (size_t i = 0; !r && desc->ops != DAMON_OPS_PADDR && i < desc->nr_targets; i++)
		if (desc->targets[i].process || desc->targets[i].pid)
			r = open_process(&desc->targets[i], desc->caller);
	return r ? r : desc->error;
}

void damon_target_desc_clear(struct damon_target_desc *target)
{
	process_put(target->process);
	free(target->ranges);
	free(target->found);
	*target = (struct damon_target_desc){ 0 };
}

void damos_goals_clear(struct damos_quota_desc *quota)
{
	for (size_t i = 0; i < quota->nr_goals; i++)
		memcg_put(quota->goals[i].memcg);
	free(quota->goals);
	quota->goals = NULL;
	quota->nr_goals = 0;
}

void damon_probes_clear(struct damon_probe *probes, size_t *nr)
{
	for (size_t i = 0; i < *nr; i++) {
		free(probes[i].filters);
		probes[i] = (struct damon_probe){ 0 };
	}
	*nr = 0;
}

void damon_desc_clear(struct damon_desc *desc)
{
	for (size_t i = 0; i < desc->nr_targets; i++)
		damon_target_desc_clear(&desc->targets[i]);
	for (size_t i = 0; i < desc->nr_schemes; i++) {
		damos_goals_clear(&desc->schemes[i].quota);
		free(desc->schemes[i].filters);
		free(desc->schemes[i].dests);
	}
	damon_probes_clear(desc->probes, &desc->nr_probes);
	free(desc->targets);
	free(desc->schemes);
	caller_put(desc->caller);
	*desc = (struct damon_desc){ 0 };
}

struct damon_desc *damon_desc_free(struct damon_desc *desc)
{
	if (desc)
		damon_desc_clear(desc);
	free(desc);
	return NULL;
}

/* Return: a copy of the NR things at FROM of SIZE bytes each, not NULL for none, or NULL. */
static void *copy_array(const void *from, size_t nr, size_t size)
{
	void *copy = calloc(nr + 1, size);

	if (copy && nr)
		memcpy(copy, from, nr * size);
	return copy;
}

static int copy_target(const struct damon_target_desc *from, struct damon_target_desc *to)
{
	*to = *from;
	to->process = from->process ? process_get(from->process) : NULL;
	to->ranges = copy_array(from->ranges, from->nr_ranges, sizeof(*to->ranges));
	to->found = copy_array(from->found, from->nr_found, sizeof(*to->found));
	return to->ranges && to->found ? 0 : -ENOMEM;
}

static int copy_scheme(const struct damos_desc *from, struct damos_desc *to)
{
	*to = *from;
	to->quota.goals =
		copy_array(from->quota.goals, from->quota.nr_goals, sizeof(*to->quota.goals));
	for (size_t i = 0; i < to->quota.nr_goals && to->quota.goals; i++)
		memcg_get(to->quota.goals[i].memcg);
	if (!to->quota.goals)
		to->quota.nr_goals = 0;
	to->filters = copy_array(from->filters, from->nr_filters, sizeof(*to->filters));
	to->dests = copy_array(from->dests, from->nr_dests, sizeof(*to->dests));
	return to->quota.goals && to->filters && to->dests ? 0 : -ENOMEM;
}

static int copy_probe(const struct damon_probe *from, struct damon_probe *to)
{
	*to = *from;
	to->filters = copy_array(from->filters, from->nr_filters, sizeof(*to->filters));
	return to->filters ? 0 : -ENOMEM;
}

struct damon_desc *damon_desc_copy(const struct damon_desc *desc)
{
	struct damon_desc *copy = damon_desc_new(desc->nr_targets, desc->nr_schemes);
	int r = 0;

	if (!copy)
		return NULL;
	copy->abi = desc->abi;
	copy->caller = caller_get(desc->caller);
	copy->ops = desc->ops;
	copy->addr_unit = desc->addr_unit;
	copy->attrs = desc->attrs;
	copy->max_total_regions = desc->max_total_regions;
	copy->error = desc->error;
	for (size_t i = 0; !r && i < desc->nr_targets; i++)
		r = copy_target(&desc->targets[i], &copy->targets[i]);
	for (size_t i = 0; !r && i < desc->nr_schemes; i++)
		r = copy_scheme(&desc->schemes[i], &copy->schemes[i]);
	copy->paused = desc->paused;
	copy->summarises = desc->summarises;
	for (size_t i = 0; !r && i < desc->nr_probes; i++)
		r = copy_probe(&desc->probes[i], &copy->probes[copy->nr_probes++]);
	return r ? damon_desc_free(copy) : copy;
}

struct damos_stat damos_stat_read(const struct damos_stat *live)
{
	return (struct damos_stat){
		.nr_tried = __atomic_load_n(&live->nr_tried, __ATOMIC_RELAXED),
		.sz_tried = __atomic_load_n(&live->sz_tried, __ATOMIC_RELAXED),
		.nr_applied = __atomic_load_n(&live->nr_applied, __ATOMIC_RELAXED),
		.sz_applied = __atomic_load_n(&live->sz_applied, __ATOMIC_RELAXED),
		.sz_ops_filter_passed =
			__atomic_load_n(&live->sz_ops_filter_passed, __ATOMIC_RELAXED),
		.qt_exceeds = __atomic_load_n(&live->qt_exceeds, __ATOMIC_RELAXED),
		.nr_snapshots = __atomic_load_n(&live->nr_snapshots, __ATOMIC_RELAXED),
	};
}

uint64_t damon_min_sz_region(enum damon_ops_id ops, uint64_t addr_unit)
{
	if (ops != DAMON_OPS_PADDR)
		return DAMON_MIN_REGION;
	return max_ul(DAMON_MIN_REGION / max_ul(addr_unit, 1), 1);
}

int damon_check_addr_unit(enum damon_ops_id ops, uint64_t addr_unit)
{
	uint64_t min = damon_min_sz_region(ops, addr_unit);

	return addr_unit && !(min & (min - 1)) ? 0 : -EINVAL;
}

static bool is_valid_goal(const struct damon_intervals_goal *goal, uint64_t sample)
{
	return !goal->aggrs || (goal->min_sample_us <= goal->max_sample_us &&
				goal->min_sample_us <= sample && sample <= goal->max_sample_us);
}

int damon_check_attrs(const struct damon_attrs *attrs, unsigned int abi)
{
	if (!is_valid_goal(&attrs->intervals_goal, attrs->sample_interval))
		return -EINVAL;
	if (attrs->min_nr_regions < 3 || attrs->min_nr_regions > attrs->max_nr_regions)
		return -EINVAL;
	if (abi_checks_sample_against_aggr(abi) && attrs->sample_interval > attrs->aggr_interval)
		return -EINVAL;
	return 0;
}

int damon_check_desc(const struct damon_desc *desc)
{
	int r = damon_check_attrs(&desc->attrs, desc->abi);

	if (!r)
		r = damon_check_addr_unit(desc->ops, desc->addr_unit);
	return !r && desc->ops == DAMON_OPS_PADDR && desc->nr_targets > 1 ? -EINVAL : r;
}
