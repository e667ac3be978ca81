// SPDX-License-Identifier: GPL-2.0-or-later
/* damon_reclaim: pages out what was not used for long, while memory is short. */
#include "engine/abi.h"
#include "fs/modules/modules.h"
#include "util/cleanup.h"

static struct module *reclaim_of(struct modules *modules)
{
	return &modules->reclaim.module;
}

/* Goals, and a filter. */
static int add_wishes(const struct module_reclaim *reclaim, struct damos_desc *scheme)
{
	int r = 0;

	if (reclaim->quota_mem_pressure_us)
		r = module_add_goal(scheme, (struct damos_quota_goal){
						    .metric = DAMOS_QUOTA_SOME_MEM_PSI_US,
						    .target_value = reclaim->quota_mem_pressure_us,
					    });
	if (!r && reclaim->quota_autotune_feedback)
		r = module_add_goal(scheme,
				    (struct damos_quota_goal){
					    .metric = DAMOS_QUOTA_USER_INPUT,
					    .target_value = 10000,
					    .current_value = reclaim->quota_autotune_feedback,
				    });
	if (!r && reclaim->skip_anon)
		r = module_add_filter(scheme, (struct damos_filter){ .type = DAMOS_FILTER_TYPE_ANON,
								     .matching = true });
	return r;
}

static int reclaim_describe(struct modules *modules, unsigned int abi, struct damon_desc **out)
{
	struct module_reclaim *reclaim = &modules->reclaim;
	struct damos_desc *scheme;
	int r = module_describe(&reclaim->monitoring, abi, 1, out);

	if (r)
		return r;
	scheme = (*out)->schemes;
	scheme->action = DAMOS_PAGEOUT;
	scheme->pattern.min_age_region = (uint32_t)(reclaim->min_age / (*out)->attrs.aggr_interval);
	scheme->quota.ms = reclaim->quota_ms;
	scheme->quota.sz = reclaim->quota_sz;
	scheme->quota.reset_interval_ms = reclaim->quota_reset_interval_ms;
	scheme->quota.weight_age = 1;
	scheme->wmarks = module_wmarks(&reclaim->wmarks);
	r = add_wishes(reclaim, scheme);
	if (r)
		*out = damon_desc_free(*out);
	return r;
}

static void reclaim_count(struct modules *modules, struct damon_desc *desc)
{
	desc->schemes[0].live = &modules->reclaim.stat;
}

/* Before Linux 6.18, the schemes were made anew each time. */
static void reclaim_reset(struct modules *modules, unsigned int abi)
{
	if (!abi_module_counters_go_on(abi))
		modules->reclaim.stat = (struct damos_stat){ 0 };
}

const struct module_type module_reclaim_type = {
	.name = "damon_reclaim",
	.of = reclaim_of,
	.describe = reclaim_describe,
	.count = reclaim_count,
	.reset = reclaim_reset,
};

MODULE_DEFINE(reclaim)
