// SPDX-License-Identifier: GPL-2.0-or-later
/* What the modules have in common of what they monitor: see modules.h. */
#include <errno.h>
#include <stdlib.h>

#include "access/proc/iomem.h"
#include "engine/abi.h"
#include "engine/region.h"
#include "fs/modules/modules.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/macros.h"
#include "util/saturate.h"

static void desc_freep(struct damon_desc **desc)
{
	damon_desc_free(*desc);
}

void module_autotune(struct damon_attrs *attrs, uint64_t access_bp)
{
	attrs->sample_interval = 5000;
	attrs->aggr_interval = 100000;
	attrs->intervals_goal = (struct damon_intervals_goal){
		.access_bp = access_bp,
		.aggrs = 3,
		.min_sample_us = 5000,
		.max_sample_us = 10000000,
	};
}

/* The largest block of memory, whose last byte the files name before Linux 7.1; or all of it. */
static int default_region(struct module_monitoring *monitoring, unsigned int abi)
{
	struct iomem_range largest, all;
	int r = iomem_system_ram(&largest, &all);

	if (r)
		return -EINVAL;
	if (monitoring->everywhere || abi_module_region_is_all(abi))
		largest = all;
	if (!abi_module_keeps_addr_unit(abi)) {
		monitoring->addr_unit = 1;
		largest.end--;
	}
	monitoring->start = largest.start / monitoring->addr_unit;
	monitoring->end = largest.end / monitoring->addr_unit;
	return 0;
}

static int set_region(struct module_monitoring *monitoring, unsigned int abi,
		      struct damon_desc *desc)
{
	struct damon_addr_range *range = calloc(1, sizeof(*range));
	uint64_t min_sz;
	int r;

	if (!range)
		return -ENOMEM;
	desc->targets[0].ranges = range;
	if (monitoring->start > monitoring->end)
		return -EINVAL;
	r = monitoring->start || monitoring->end ? 0 : default_region(monitoring, abi);
	if (r)
		return r;
	min_sz = damon_min_sz_region(DAMON_OPS_PADDR, monitoring->addr_unit);
	desc->addr_unit = monitoring->addr_unit;
	r = damon_check_addr_unit(DAMON_OPS_PADDR, desc->addr_unit);
	if (r)
		return r;
	*range = (struct damon_addr_range){ align_down(monitoring->start, min_sz),
					    align_up(monitoring->end, min_sz) };
	/* An empty one is accepted, and nothing is seen. */
	desc->targets[0].nr_ranges = range->start < range->end;
	return 0;
}

int module_describe(struct module_monitoring *monitoring, unsigned int abi, size_t nr_schemes,
		    struct damon_desc **out)
{
	__attribute__((cleanup(desc_freep))) struct damon_desc *desc =
		damon_desc_new(1, nr_schemes);
	int r;

	if (!desc)
		return -ENOMEM;
	desc->abi = abi;
	desc->ops = DAMON_OPS_PADDR;
	desc->attrs = (struct damon_attrs){
		.sample_interval = monitoring->sample_interval,
		.aggr_interval = monitoring->aggr_interval,
		.min_nr_regions = monitoring->min_nr_regions,
		.max_nr_regions = monitoring->max_nr_regions,
	};
	if (monitoring->autotune)
		module_autotune(&desc->attrs, 40);
	/* The kernel divides by it. */
	r = desc->attrs.aggr_interval ? 0 : -EINVAL;
	if (!r)
		r = damon_check_attrs(&desc->attrs, abi);
	if (!r)
		r = set_region(monitoring, abi, desc);
	if (r)
		return r;
	for (size_t s = 0; s < nr_schemes; s++) {
		struct damos_desc *scheme = &desc->schemes[s];

		scheme->pattern = (struct damos_access_pattern){
			.min_sz_region = PAGE,
			.max_sz_region = UINT64_MAX,
			.max_age_region = UINT32_MAX,
		};
		scheme->target_nid = -1;
	}
	*out = steal_ptr(desc);
	return 0;
}

struct damos_watermarks module_wmarks(const struct module_wmarks *wmarks)
{
	return (struct damos_watermarks){
		.metric = DAMOS_WMARK_FREE_MEM_RATE,
		.interval = wmarks->interval,
		.high = wmarks->high,
		.mid = wmarks->mid,
		.low = wmarks->low,
	};
}

int module_add_goal(struct damos_desc *scheme, struct damos_quota_goal goal)
{
	if (array_more(scheme->quota.goals, scheme->quota.nr_goals))
		return -ENOMEM;
	scheme->quota.goals[scheme->quota.nr_goals++] = goal;
	return 0;
}

int module_add_filter(struct damos_desc *scheme, struct damos_filter filter)
{
	if (array_more(scheme->filters, scheme->nr_filters))
		return -ENOMEM;
	scheme->filters[scheme->nr_filters++] = filter;
	return 0;
}
