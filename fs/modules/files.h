/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parameter files of the modules: rows of the root's table.  See modules.h. */
#ifndef DAMONFS_FS_MODULES_FILES_H
#define DAMONFS_FS_MODULES_FILES_H

#include "fs/modules/modules.h"
#include "fs/tree/type.h"

#define PARAMETER(module, name) "modules/damon_" #module "/parameters/" name

#define MODULE_ENABLED(module, ...)                                                            \
	OWN(PARAMETER(module, "enabled"), 0600, module##_show_enabled, module##_store_enabled, \
	    .commands = true, .resumption = &module##_resumption, __VA_ARGS__)

/* ULONG and BOOL, of MODULE's struct in TYPE. */
#define ULONG(module, name, type, member, ...) \
	NUMBER(PARAMETER(module, name), 0600, type, modules.module.member, __VA_ARGS__)
#define SHOWN(module, name, type, member, ...) \
	NUMBER(PARAMETER(module, name), 0400, type, modules.module.member, __VA_ARGS__)
#define BOOL(module, name, type, member, ...) \
	FLAG(PARAMETER(module, name), 0600, type, modules.module.member, __VA_ARGS__)

/* What damon_reclaim and damon_lru_sort have in common. */
#define MODULE_COMMON(module, type)                                                       \
	MODULE_ENABLED(module),                                                           \
		OWN(PARAMETER(module, "commit_inputs"), 0600, module##_show_commit,       \
		    module##_store_commit, .commands = true),                             \
		ULONG(module, "quota_ms", type, quota_ms),                                \
		ULONG(module, "quota_reset_interval_ms", type, quota_reset_interval_ms),  \
		ULONG(module, "wmarks_interval", type, wmarks.interval),                  \
		ULONG(module, "wmarks_high", type, wmarks.high),                          \
		ULONG(module, "wmarks_mid", type, wmarks.mid),                            \
		ULONG(module, "wmarks_low", type, wmarks.low),                            \
		ULONG(module, "sample_interval", type, monitoring.sample_interval),       \
		ULONG(module, "aggr_interval", type, monitoring.aggr_interval),           \
		ULONG(module, "min_nr_regions", type, monitoring.min_nr_regions),         \
		ULONG(module, "max_nr_regions", type, monitoring.max_nr_regions),         \
		ULONG(module, "monitor_region_start", type, monitoring.start),            \
		ULONG(module, "monitor_region_end", type, monitoring.end),                \
		ULONG(module, "addr_unit", type, monitoring.addr_unit, .since = V(6, 18), \
		      .not_zero = true),                                                  \
		OWN(PARAMETER(module, "kdamond_pid"), 0400, module##_show_pid, NULL)

#define RECLAIM_FILES(type)                                                               \
	MODULE_COMMON(reclaim, type), ULONG(reclaim, "min_age", type, min_age),           \
		ULONG(reclaim, "quota_sz", type, quota_sz),                               \
		ULONG(reclaim, "quota_mem_pressure_us", type, quota_mem_pressure_us,      \
		      .since = V(6, 12)),                                                 \
		ULONG(reclaim, "quota_autotune_feedback", type, quota_autotune_feedback,  \
		      .since = V(6, 12)),                                                 \
		BOOL(reclaim, "skip_anon", type, skip_anon, .since = V(6, 12)),           \
		BOOL(reclaim, "autotune_monitoring_intervals", type, monitoring.autotune, \
		     .since = V(7, 2)),                                                   \
		SHOWN(reclaim, "nr_reclaim_tried_regions", type, shown.nr_tried),         \
		SHOWN(reclaim, "bytes_reclaim_tried_regions", type, shown.sz_tried),      \
		SHOWN(reclaim, "nr_reclaimed_regions", type, shown.nr_applied),           \
		SHOWN(reclaim, "bytes_reclaimed_regions", type, shown.sz_applied),        \
		SHOWN(reclaim, "nr_quota_exceeds", type, shown.qt_exceeds)

#define LRU_SORT_COUNTERS(type, what)                                                              \
	SHOWN(lru_sort, "nr_lru_sort_tried_" #what "_regions", type, shown_##what.nr_tried),       \
		SHOWN(lru_sort, "bytes_lru_sort_tried_" #what "_regions", type,                    \
		      shown_##what.sz_tried),                                                      \
		SHOWN(lru_sort, "nr_lru_sorted_" #what "_regions", type, shown_##what.nr_applied), \
		SHOWN(lru_sort, "bytes_lru_sorted_" #what "_regions", type,                        \
		      shown_##what.sz_applied),                                                    \
		SHOWN(lru_sort, "nr_" #what "_quota_exceeds", type, shown_##what.qt_exceeds)

#define LRU_SORT_FILES(type)                                                                      \
	MODULE_COMMON(lru_sort, type),                                                            \
		ULONG(lru_sort, "hot_thres_access_freq", type, hot_thres_access_freq),            \
		ULONG(lru_sort, "cold_min_age", type, cold_min_age),                              \
		ULONG(lru_sort, "active_mem_bp", type, active_mem_bp, .since = V(7, 0)),          \
		BOOL(lru_sort, "autotune_monitoring_intervals", type, monitoring.autotune,        \
		     .since = V(7, 0)),                                                           \
		BOOL(lru_sort, "filter_young_pages", type, filter_young_pages, .since = V(7, 0)), \
		LRU_SORT_COUNTERS(type, hot), LRU_SORT_COUNTERS(type, cold)

#define STAT_FILES(type)                                                                         \
	MODULE_ENABLED(stat, .since = V(6, 17)),                                                 \
		SHOWN(stat, "estimated_memory_bandwidth", type, summary.bandwidth,               \
		      .since = V(6, 17)),                                                        \
		OWN(PARAMETER(stat, "memory_idle_ms_percentiles"), 0400, stat_show_percentiles,  \
		    NULL, .since = V(6, 17)),                                                    \
		SHOWN(stat, "aggr_interval_us", type, summary.aggr_interval, .since = V(6, 18)), \
		OWN(PARAMETER(stat, "kdamond_pid"), 0400, stat_show_pid, NULL, .since = V(7, 2))

#endif
