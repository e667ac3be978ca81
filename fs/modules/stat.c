// SPDX-License-Identifier: GPL-2.0-or-later
/* damon_stat: how much of memory is in use, all the time. */
#include <errno.h>
#include <inttypes.h>

#include "engine/abi.h"
#include "fs/modules/modules.h"
#include "util/cleanup.h"

static struct module *stat_of(struct modules *modules)
{
	return &modules->stat.module;
}

static int stat_describe(struct modules *modules, unsigned int abi, struct damon_desc **out)
{
	struct module_monitoring monitoring = { .sample_interval = 5000,
						.aggr_interval = 100000,
						.min_nr_regions = 10,
						.max_nr_regions = 1000,
						.addr_unit = 1,
						.everywhere = abi_stat_region_is_all(abi) };
	int r = module_describe(&monitoring, abi, 0, out);

	(void)modules;
	if (r)
		return r == -EINVAL ? -ENOMEM : r;
	module_autotune(&(*out)->attrs, 400);
	(*out)->attrs.ops_update_interval = 60000000;
	(*out)->summarises = true;
	return 0;
}

const struct module_type module_stat_type = {
	.name = "damon_stat",
	.of = stat_of,
	.describe = stat_describe,
	.report_ms = 5000,
};

int stat_show_percentiles(struct dir *dir, const struct process_caller *reader, struct text *out)
{
	const int64_t *idle_ms = modules_of(dir)->stat.summary.idle_ms;
	int r = 0;

	(void)reader;
	for (size_t i = 0; !r && i < DAMON_PERCENTILES; i++)
		r = text_add(out, "%" PRId64 "%c", idle_ms[i],
			     i + 1 < DAMON_PERCENTILES ? ',' : '\n');
	return r;
}

MODULE_DEFINE(stat)
