// SPDX-License-Identifier: LGPL-2.1-or-later
/* The state of a kdamond, for its files: see report.h. */
#include <errno.h>
#include <stdlib.h>

#include "engine/report.h"
#include "engine/summary.h"

/* Fills in the summary of REPORT, if there is to be one.  Return: 0 or -ENOMEM. */
static int make_summary(const struct damon_context *ctx, struct damon_report *report)
{
	if (!ctx->summarises)
		return 0;
	if (!report->summary)
		report->summary = calloc(1, sizeof(*report->summary));
	return report->summary ? damon_summarise(ctx, report->summary) : -ENOMEM;
}

int damon_report_fill(struct damon_report *report, const struct damon_context *ctx)
{
	if (!report->stats || report->nr_schemes != ctx->nr_schemes) {
		damon_report_clear(report);
		report->stats = calloc(ctx->nr_schemes + 1, sizeof(*report->stats));
		report->effective_sz = calloc(ctx->nr_schemes + 1, sizeof(*report->effective_sz));
	}
	if (!report->stats || !report->effective_sz || make_summary(ctx, report)) {
		damon_report_clear(report);
		return -ENOMEM;
	}
	report->sample_interval = ctx->attrs.sample_interval;
	report->aggr_interval = ctx->attrs.aggr_interval;
	report->nr_schemes = ctx->nr_schemes;
	for (size_t s = 0; s < ctx->nr_schemes; s++) {
		report->stats[s] = ctx->schemes[s].stat;
		report->effective_sz[s] = ctx->schemes[s].quota.esz;
	}
	return 0;
}
