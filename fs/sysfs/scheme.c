// SPDX-License-Identifier: GPL-2.0-or-later
/* schemes/N: what is done to regions that match, with its filters, goals and tried regions. */
#include <stdlib.h>
#include <string.h>

#include "fs/sysfs/sysfs.h"
#include "util/cleanup.h"

static const struct keyword action_words[] = {
	{ "willneed", DAMOS_WILLNEED, 0 },
	{ "cold", DAMOS_COLD, 0 },
	{ "pageout", DAMOS_PAGEOUT, 0 },
	{ "hugepage", DAMOS_HUGEPAGE, 0 },
	{ "nohugepage", DAMOS_NOHUGEPAGE, 0 },
	{ "lru_prio", DAMOS_LRU_PRIO, 0 },
	{ "lru_deprio", DAMOS_LRU_DEPRIO, 0 },
	{ "migrate_hot", DAMOS_MIGRATE_HOT, V(6, 11) },
	{ "migrate_cold", DAMOS_MIGRATE_COLD, V(6, 11) },
	{ "stat", DAMOS_STAT, 0 },
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
	LIST("tried_regions", struct scheme_dir, tried_regions, &tried_region_kind,
	     .since = V(6, 2)),
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

static const struct keyword goal_metric_words[] = {
	{ "user_input", DAMOS_QUOTA_USER_INPUT, 0 },
	{ "some_mem_psi_us", DAMOS_QUOTA_SOME_MEM_PSI_US, 0 },
	{ "node_mem_used_bp", DAMOS_QUOTA_NODE_MEM_USED_BP, V(6, 16) },
	{ "node_mem_free_bp", DAMOS_QUOTA_NODE_MEM_FREE_BP, V(6, 16) },
	{ 0 },
};

static const struct file_type goal_files[] = {
	KEYWORD("target_metric", 0600, struct goal_dir, metric, goal_metric_words,
		.since = V(6, 9)),
	NUMBER("target_value", 0600, struct goal_dir, target_value),
	NUMBER("current_value", 0600, struct goal_dir, current_value),
	INT("nid", 0600, struct goal_dir, nid, .since = V(6, 16)),
};

const struct dir_kind goal_kind = {
	.name = "goal",
	.size = sizeof(struct goal_dir),
	.files = goal_files,
	.nr_files = ARRAY_SIZE(goal_files),
};

#define CORE_TYPES                                          \
	{ "addr", DAMOS_FILTER_TYPE_ADDR, V(6, 6) },        \
	{                                                   \
		"target", DAMOS_FILTER_TYPE_TARGET, V(6, 6) \
	}
#define OPS_TYPES                                                                                \
	{ "anon", DAMOS_FILTER_TYPE_ANON, 0 }, { "active", DAMOS_FILTER_TYPE_ACTIVE, V(6, 15) }, \
		{ "memcg", DAMOS_FILTER_TYPE_MEMCG, 0 },                                         \
		{ "young", DAMOS_FILTER_TYPE_YOUNG, V(6, 10) },                                  \
		{ "hugepage_size", DAMOS_FILTER_TYPE_HUGEPAGE_SIZE, V(6, 15) },                  \
	{                                                                                        \
		"unmapped", DAMOS_FILTER_TYPE_UNMAPPED, V(6, 15)                                 \
	}

static const struct keyword filter_type_words[] = { OPS_TYPES, CORE_TYPES, { 0 } };

/* A new one is for anonymous pages also where that cannot be written. */
static const struct keyword core_type_words[] = { CORE_TYPES,
						  { "anon", DAMOS_FILTER_TYPE_ANON, KEYWORD_NEVER },
						  { 0 } };

static const struct keyword ops_type_words[] = { OPS_TYPES, { 0 } };

#define FILTER_FILES(words)                                                                  \
	KEYWORD("type", 0600, struct filter_dir, type, words),                               \
		FLAG("matching", 0600, struct filter_dir, matching),                         \
		FLAG("allow", 0600, struct filter_dir, allow, .since = V(6, 14)),            \
		TEXT("memcg_path", 0600, struct filter_dir, memcg_path),                     \
		NUMBER("addr_start", 0600, struct filter_dir, addr_start, .since = V(6, 6)), \
		NUMBER("addr_end", 0600, struct filter_dir, addr_end, .since = V(6, 6)),     \
		NUMBER("min", 0600, struct filter_dir, min, .since = V(6, 15)),              \
		NUMBER("max", 0600, struct filter_dir, max, .since = V(6, 15)),              \
		INT("damon_target_idx", 0600, struct filter_dir, target_idx, .since = V(6, 6))

static const struct file_type filter_files[] = { FILTER_FILES(filter_type_words) };
static const struct file_type core_filter_files[] = { FILTER_FILES(core_type_words) };
static const struct file_type ops_filter_files[] = { FILTER_FILES(ops_type_words) };

static void filter_clear(struct dir *dir)
{
	char *path = ((struct filter_dir *)dir)->memcg_path;

	account_refund(dir->account, ACCOUNT_BYTES, path ? strlen(path) + 1 : 0);
	free(path);
}

#define FILTER_KIND(name_, files_)                                                 \
	{                                                                          \
		.name = name_, .size = sizeof(struct filter_dir), .files = files_, \
		.nr_files = ARRAY_SIZE(files_), .clear = filter_clear,             \
	}

const struct dir_kind filter_kind = FILTER_KIND("filter", filter_files);
const struct dir_kind core_filter_kind = FILTER_KIND("core filter", core_filter_files);
const struct dir_kind ops_filter_kind = FILTER_KIND("ops filter", ops_filter_files);

static const struct file_type dest_files[] = {
	UINT("id", 0600, struct dest_dir, id),
	UINT("weight", 0600, struct dest_dir, weight),
};

const struct dir_kind dest_kind = {
	.name = "dest",
	.size = sizeof(struct dest_dir),
	.files = dest_files,
	.nr_files = ARRAY_SIZE(dest_files),
};

static const struct file_type tried_region_files[] = {
	NUMBER("start", 0400, struct tried_region_dir, start),
	NUMBER("end", 0400, struct tried_region_dir, end),
	UINT("nr_accesses", 0400, struct tried_region_dir, nr_accesses),
	UINT("age", 0400, struct tried_region_dir, age),
	NUMBER("sz_filter_passed", 0400, struct tried_region_dir, sz_filter_passed,
	       .since = V(6, 14)),
};

const struct dir_kind tried_region_kind = {
	.name = "tried region",
	.size = sizeof(struct tried_region_dir),
	.files = tried_region_files,
	.nr_files = ARRAY_SIZE(tried_region_files),
};
