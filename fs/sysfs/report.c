// SPDX-License-Identifier: GPL-2.0-or-later
/* What a kdamond reports of itself, and the files that show it. */
#include "fs/sysfs/sysfs.h"

void report_take_stats(struct context_dir *context, const struct damon_report *report)
{
	for (size_t s = 0; s < report->nr_schemes && s < context->schemes.nr; s++)
		context_scheme(context, s)->stats = report->stats[s];
}

void report_take_effective(struct context_dir *context, const struct damon_report *report)
{
	for (size_t s = 0; s < report->nr_schemes && s < context->schemes.nr; s++)
		context_scheme(context, s)->quotas.effective_bytes = report->effective_sz[s];
}

void report_take_intervals(struct context_dir *context, const struct damon_report *report)
{
	context->attrs.sample_interval = report->sample_interval;
	context->attrs.aggr_interval = report->aggr_interval;
}

void kdamond_refresh(struct kdamond_dir *dir)
{
	struct context_dir *context = kdamond_context(dir);
	struct damon_report report;

	if (!dir->run || !dir->run->kdamond || !context ||
	    !kdamond_take_report(dir->run->kdamond, &report))
		return;
	if (dir->refresh_ms) {
		report_take_intervals(context, &report);
		report_take_stats(context, &report);
		report_take_effective(context, &report);
	}
	damon_report_clear(&report);
}
