// SPDX-License-Identifier: GPL-2.0-or-later
/* damon_lru_sort: what is hot goes to the active list, and what is cold to the other. */
#include <errno.h>

#include "engine/abi.h"
#include "fs/modules/modules.h"
#include "util/cleanup.h"

static struct module *lru_sort_of(struct modules *modules)
{
	return &modules->lru_sort.module;
}

/* Goals and a filter for what is hot, if HOT, or cold. */
static int add_wishes(const struct module_lru_sort *lru_sort, struct damos_desc *scheme, bool hot)
{
	uint64_t active = lru_sort->active_mem_bp;
	int r = 0;

	if (active)
		r = module_add_goal(scheme,
				    (struct damos_quota_goal){
					    .metric = hot ? DAMOS_QUOTA_ACTIVE_MEM_BP :
							    DAMOS_QUOTA_INACTIVE_MEM_BP,
					    .target_value = hot ? active : 10000 + 2 - active,
				    });
	if (!r && lru_sort->filter_young_pages)
		r = module_add_filter(scheme,
				      (struct damos_filter){ .type = DAMOS_FILTER_TYPE_YOUNG,
							     .matching = !hot });
	return r;
}

static int describe_one(struct module_lru_sort *lru_sort, unsigned int abi,
			const struct damon_attrs *attrs, struct damos_desc *scheme, bool hot)
{
	uint64_t most = attrs->aggr_interval / attrs->sample_interval;

	scheme->action = hot ? DAMOS_LRU_PRIO : DAMOS_LRU_DEPRIO;
	if (hot) {
		scheme->pattern.min_nr_accesses =
			(uint32_t)(most * lru_sort->hot_thres_access_freq / 1000);
		scheme->pattern.max_nr_accesses = UINT32_MAX;
	} else {
		scheme->pattern.min_age_region =
			(uint32_t)(lru_sort->cold_min_age / attrs->aggr_interval);
	}
	scheme->quota.ms = lru_sort->quota_ms / 2;
	scheme->quota.reset_interval_ms = lru_sort->quota_reset_interval_ms;
	scheme->quota.weight_nr_accesses = 1;
	scheme->quota.weight_age = abi_lru_sort_weighs_age(abi);
	scheme->wmarks = module_wmarks(&lru_sort->wmarks);
	return add_wishes(lru_sort, scheme, hot);
}

static int lru_sort_describe(struct modules *modules, unsigned int abi, struct damon_desc **out)
{
	struct module_lru_sort *lru_sort = &modules->lru_sort;
	int r;

	if (!lru_sort->monitoring.autotune && !lru_sort->monitoring.sample_interval)
		return -EINVAL;
	/* The kernel divides by what is left for the other list. */
	if (lru_sort->active_mem_bp > 10000)
		return -EINVAL;
	r = module_describe(&lru_sort->monitoring, abi, 2, out);
	if (r)
		return r;
	r = describe_one(lru_sort, abi, &(*out)->attrs, &(*out)->schemes[0], true);
	if (!r)
		r = describe_one(lru_sort, abi, &(*out)->attrs, &(*out)->schemes[1], false);
	if (r)
		*out = damon_desc_free(*out);
	return r;
}

static void lru_sort_count(struct modules *modules, struct damon_desc *desc)
{
	desc->schemes[0].live = &modules->lru_sort.hot;
	desc->schemes[1].live = &modules->lru_sort.cold;
}

static void lru_sort_reset(struct modules *modules, unsigned int abi)
{
	if (!abi_module_counters_go_on(abi))
		modules->lru_sort.hot = modules->lru_sort.cold = (struct damos_stat){ 0 };
}

const struct module_type module_lru_sort_type = {
	.name = "damon_lru_sort",
	.of = lru_sort_of,
	.describe = lru_sort_describe,
	.count = lru_sort_count,
	.reset = lru_sort_reset,
};

MODULE_DEFINE(lru_sort)
