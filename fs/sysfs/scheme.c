// SPDX-License-Identifier: GPL-2.0-or-later
/* schemes/N: what is done to regions that match. */

#include "fs/sysfs/sysfs.h"
#include "util/cleanup.h"

static const struct keyword action_words[] = {
	{ "willneed", DAMOS_WILLNEED, 0 },
	{ "cold", DAMOS_COLD, 0 },
	{ "pageout", DAMOS_PAGEOUT, 0 },
	{ "hugepage", DAMOS_HUGEPAGE, 0 },
	{ "nohugepage", DAMOS_NOHUGEPAGE, 0 },
	{ "collapse", DAMOS_COLLAPSE, V(7, 2) },
	{ "lru_prio", DAMOS_LRU_PRIO, 0 },
	{ "lru_deprio", DAMOS_LRU_DEPRIO, 0 },
	{ "migrate_hot", DAMOS_MIGRATE_HOT, V(6, 11) },
	{ "migrate_cold", DAMOS_MIGRATE_COLD, V(6, 11) },
	{ "stat", DAMOS_STAT, 0 },
	{ 0 },
};

static const struct keyword tuner_words[] = {
	{ "consist", DAMOS_QUOTA_GOAL_TUNER_CONSIST, 0 },
	{ "temporal", DAMOS_QUOTA_GOAL_TUNER_TEMPORAL, 0 },
	{ 0 },
};

static const struct keyword watermark_words[] = {
	{ "none", DAMOS_WMARK_NONE, 0 },
	{ "free_mem_rate", DAMOS_WMARK_FREE_MEM_RATE, 0 },
	{ 0 },
};

static const struct file_type scheme_files[] = {
	KEYWORD("action", 0600, struct scheme_dir, action, action_words),
	NUMBER("apply_interval_us", 0600, struct scheme_dir, apply_interval, .since = V(6, 7)),
	INT("target_nid", 0600, struct scheme_dir, target_nid, .since = V(6, 11)),
	COUNT("dests/nr_dests", 0600, struct scheme_dir, dests, &dest_kind, .since = V(6, 17)),
	NUMBER("access_pattern/sz/min", 0600, struct scheme_dir, sz.min),
	NUMBER("access_pattern/sz/max", 0600, struct scheme_dir, sz.max),
	NUMBER("access_pattern/nr_accesses/min", 0600, struct scheme_dir, nr_accesses.min),
	NUMBER("access_pattern/nr_accesses/max", 0600, struct scheme_dir, nr_accesses.max),
	NUMBER("access_pattern/age/min", 0600, struct scheme_dir, age.min),
	NUMBER("access_pattern/age/max", 0600, struct scheme_dir, age.max),
	NUMBER("quotas/ms", 0600, struct scheme_dir, quotas.ms, .range_is_invalid = true),
	NUMBER("quotas/bytes", 0600, struct scheme_dir, quotas.bytes, .range_is_invalid = true),
	NUMBER("quotas/reset_interval_ms", 0600, struct scheme_dir, quotas.reset_interval_ms,
	       .range_is_invalid = true),
	NUMBER("quotas/effective_bytes", 0400, struct scheme_dir, quotas.effective_bytes,
	       .since = V(6, 9)),
	KEYWORD("quotas/goal_tuner", 0600, struct scheme_dir, quotas.goal_tuner, tuner_words,
		.since = V(7, 1)),
	UINT("quotas/fail_charge_num", 0600, struct scheme_dir, quotas.fail_charge_num,
	     .since = V(7, 2), .range_is_invalid = true),
	UINT("quotas/fail_charge_denom", 0600, struct scheme_dir, quotas.fail_charge_denom,
	     .since = V(7, 2), .range_is_invalid = true),
	UINT("quotas/weights/sz_permil", 0600, struct scheme_dir, quotas.sz_permil),
	UINT("quotas/weights/nr_accesses_permil", 0600, struct scheme_dir,
	     quotas.nr_accesses_permil),
	UINT("quotas/weights/age_permil", 0600, struct scheme_dir, quotas.age_permil),
	COUNT("quotas/goals/nr_goals", 0600, struct scheme_dir, quotas.goals, &goal_kind,
	      .since = V(6, 8)),
	KEYWORD("watermarks/metric", 0600, struct scheme_dir, watermarks.metric, watermark_words),
	NUMBER("watermarks/interval_us", 0600, struct scheme_dir, watermarks.interval),
	NUMBER("watermarks/high", 0600, struct scheme_dir, watermarks.high),
	NUMBER("watermarks/mid", 0600, struct scheme_dir, watermarks.mid),
	NUMBER("watermarks/low", 0600, struct scheme_dir, watermarks.low),
	COUNT("filters/nr_filters", 0600, struct scheme_dir, filters, &filter_kind,
	      .since = V(6, 3)),
	COUNT("core_filters/nr_filters", 0600, struct scheme_dir, core_filters, &core_filter_kind,
	      .since = V(6, 15)),
	COUNT("ops_filters/nr_filters", 0600, struct scheme_dir, ops_filters, &ops_filter_kind,
	      .since = V(6, 15)),
	NUMBER("stats/nr_tried", 0400, struct scheme_dir, stats.nr_tried),
	NUMBER("stats/sz_tried", 0400, struct scheme_dir, stats.sz_tried),
	NUMBER("stats/nr_applied", 0400, struct scheme_dir, stats.nr_applied),
	NUMBER("stats/sz_applied", 0400, struct scheme_dir, stats.sz_applied),
	NUMBER("stats/sz_ops_filter_passed", 0400, struct scheme_dir, stats.sz_ops_filter_passed,
	       .since = V(6, 14)),
	NUMBER("stats/qt_exceeds", 0400, struct scheme_dir, stats.qt_exceeds),
	NUMBER("stats/nr_snapshots", 0400, struct scheme_dir, stats.nr_snapshots, .since = V(7, 0)),
	NUMBER("stats/max_nr_snapshots", 0600, struct scheme_dir, max_nr_snapshots,
	       .since = V(7, 0)),
	LIST("tried_regions", struct scheme_dir, tried_regions, &tried_region_kind,
	     .since = V(6, 2), .measured = true),
	NUMBER("tried_regions/total_bytes", 0400, struct scheme_dir, tried_bytes, .since = V(6, 6)),
};

static void scheme_init(struct dir *dir)
{
	struct scheme_dir *scheme = (struct scheme_dir *)dir;

	scheme->action = DAMOS_STAT;
	scheme->target_nid = -1;
}

static void scheme_refresh(struct dir *dir)
{
	kdamond_refresh((struct kdamond_dir *)dir->parent->parent);
}

const struct dir_kind scheme_kind = {
	.name = "scheme",
	.size = sizeof(struct scheme_dir),
	.files = scheme_files,
	.nr_files = ARRAY_SIZE(scheme_files),
	.init = scheme_init,
	.refresh = scheme_refresh,
};
