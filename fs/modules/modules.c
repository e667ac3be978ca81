// SPDX-License-Identifier: GPL-2.0-or-later
/* All modules together: see modules.h. */
#include "fs/modules/modules.h"

void modules_init(struct modules *modules)
{
	static const struct module_monitoring monitoring = { .sample_interval = 5000,
							     .aggr_interval = 100000,
							     .min_nr_regions = 10,
							     .max_nr_regions = 1000,
							     .addr_unit = 1 };

	modules->reclaim = (struct module_reclaim){
		.monitoring = monitoring,
		.wmarks = { .interval = 5000000, .high = 500, .mid = 400, .low = 200 },
		.min_age = 120000000,
		.quota_ms = 10,
		.quota_sz = 134217728,
		.quota_reset_interval_ms = 1000,
	};
	modules->lru_sort = (struct module_lru_sort){
		.monitoring = monitoring,
		.wmarks = { .interval = 5000000, .high = 200, .mid = 150, .low = 50 },
		.hot_thres_access_freq = 500,
		.cold_min_age = 120000000,
		.quota_ms = 10,
		.quota_reset_interval_ms = 1000,
	};
}

void modules_clear(struct modules *modules)
{
	run_free(modules->reclaim.module.run);
	run_free(modules->lru_sort.module.run);
	run_free(modules->stat.module.run);
}

static void refresh_summary(struct module_stat *stat)
{
	const struct run *run = stat->module.run;
	struct damon_report report;

	if (!run || !run->kdamond || !kdamond_take_report(run->kdamond, &report))
		return;
	if (report.summary)
		stat->summary = *report.summary;
	damon_report_clear(&report);
}

void modules_refresh(struct modules *modules)
{
	modules->reclaim.shown = damos_stat_read(&modules->reclaim.stat);
	modules->lru_sort.shown_hot = damos_stat_read(&modules->lru_sort.hot);
	modules->lru_sort.shown_cold = damos_stat_read(&modules->lru_sort.cold);
	refresh_summary(&modules->stat);
}
