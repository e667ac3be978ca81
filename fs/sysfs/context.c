// SPDX-License-Identifier: GPL-2.0-or-later
/* contexts/N: what is monitored, and how; with its targets and their regions. */
#include <errno.h>
#include <sys/capability.h>

#include "fs/sysfs/sysfs.h"
#include "util/cleanup.h"

const struct keyword operations_words[] = {
	{ "vaddr", DAMON_OPS_VADDR, 0 },
	{ "fvaddr", DAMON_OPS_FVADDR, 0 },
	{ "paddr", DAMON_OPS_PADDR, 0 },
	{ 0 },
};

/* `on' will require it for physical memory. */
static bool may_have_physical(const struct process_caller *reader)
{
	__attribute__((cleanup(caller_putp))) struct caller *caller = NULL;

	return !reader || (!caller_new(reader->pid, reader->uid, reader->gid, &caller) &&
			   caller_capable(caller, CAP_SYS_ADMIN));
}

static int show_avail_operations(struct dir *dir, const struct process_caller *reader,
				 struct text *out)
{
	bool physical = may_have_physical(reader);
	int r = 0;

	(void)dir;
	for (const struct keyword *word = operations_words; !r && word->name; word++)
		if (damon_ops_available((enum damon_ops_id)word->value) &&
		    (word->value != DAMON_OPS_PADDR || physical))
			r = text_add(out, "%s\n", word->name);
	return r;
}

static int check_nr_probes(struct dir *dir, int count)
{
	(void)dir;
	return count > DAMON_MAX_PROBES ? -EINVAL : 0;
}

#define GOAL(name, member)                                                                  \
	NUMBER("monitoring_attrs/intervals/intervals_goal/" name, 0600, struct context_dir, \
	       attrs.intervals_goal.member, .since = V(6, 15))

static const struct file_type context_files[] = {
	OWN("avail_operations", 0400, show_avail_operations, NULL),
	KEYWORD("operations", 0600, struct context_dir, operations, operations_words),
	NUMBER("addr_unit", 0600, struct context_dir, addr_unit, .since = V(6, 18),
	       .not_zero = true),
	FLAG("pause", 0600, struct context_dir, pause, .since = V(7, 2)),
	NUMBER("monitoring_attrs/intervals/sample_us", 0600, struct context_dir,
	       attrs.sample_interval),
	NUMBER("monitoring_attrs/intervals/aggr_us", 0600, struct context_dir, attrs.aggr_interval),
	NUMBER("monitoring_attrs/intervals/update_us", 0600, struct context_dir,
	       attrs.ops_update_interval),
	GOAL("access_bp", access_bp),
	GOAL("aggrs", aggrs),
	GOAL("min_sample_us", min_sample_us),
	GOAL("max_sample_us", max_sample_us),
	NUMBER("monitoring_attrs/nr_regions/min", 0600, struct context_dir, attrs.min_nr_regions),
	NUMBER("monitoring_attrs/nr_regions/max", 0600, struct context_dir, attrs.max_nr_regions),
	COUNT("monitoring_attrs/probes/nr_probes", 0600, struct context_dir, probes, &probe_kind,
	      .since = V(7, 2), .check_count = check_nr_probes),
	COUNT("targets/nr_targets", 0600, struct context_dir, targets, &target_kind),
	COUNT("schemes/nr_schemes", 0600, struct context_dir, schemes, &scheme_kind),
};

static void context_init(struct dir *dir)
{
	struct context_dir *context = (struct context_dir *)dir;

	context->operations = DAMON_OPS_VADDR;
	context->addr_unit = 1;
	context->attrs = damon_default_attrs;
}

static void context_refresh(struct dir *dir)
{
	kdamond_refresh((struct kdamond_dir *)dir->parent);
}

const struct dir_kind context_kind = {
	.name = "context",
	.size = sizeof(struct context_dir),
	.files = context_files,
	.nr_files = ARRAY_SIZE(context_files),
	.init = context_init,
	.refresh = context_refresh,
};

static const struct file_type target_files[] = {
	INT("pid_target", 0600, struct target_dir, pid, .range_is_invalid = true),
	FLAG("obsolete_target", 0600, struct target_dir, obsolete, .since = V(6, 19)),
	COUNT("regions/nr_regions", 0600, struct target_dir, regions, &region_kind),
};

const struct dir_kind target_kind = {
	.name = "target",
	.size = sizeof(struct target_dir),
	.files = target_files,
	.nr_files = ARRAY_SIZE(target_files),
};

static const struct file_type region_files[] = {
	NUMBER("start", 0600, struct region_dir, start),
	NUMBER("end", 0600, struct region_dir, end),
};

const struct dir_kind region_kind = {
	.name = "region",
	.size = sizeof(struct region_dir),
	.files = region_files,
	.nr_files = ARRAY_SIZE(region_files),
};
