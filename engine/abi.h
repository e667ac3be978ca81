/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules that changed between kernel versions, by name.  ABI is a DAMON_ABI() value.  Which
 * files and words exist is in the tables of fs/, as `since'.
 */
#ifndef DAMONFS_ENGINE_ABI_H
#define DAMONFS_ENGINE_ABI_H

#include <stdbool.h>

#include "engine/damon.h"

/* RULE holds since a version. */
#define SINCE(rule, major, minor)                       \
	static inline bool abi_##rule(unsigned int abi) \
	{                                               \
		return abi >= DAMON_ABI(major, minor);  \
	}

/* Attributes with a sampling interval above the aggregation interval are refused. */
SINCE(checks_sample_against_aggr, 6, 7)
/* debugfs treats an unknown watermark metric as no watermarks. */
SINCE(forgets_unknown_metrics, 6, 9)

/* A failed command fails its write, and does not end the kdamond. */
SINCE(reports_command_errors, 6, 14)
/* Tried regions are cleared before they are collected, even without a kdamond. */
SINCE(clears_tried_first, 6, 14)
/* Tried regions are numbered within their scheme, not among those of all schemes. */
SINCE(numbers_tried_by_scheme, 6, 14)
/* A collection ends once each scheme had its round, even if it tried nothing. */
SINCE(collects_by_rounds, 6, 14)
/* `stat' on physical memory counts what passes the filters. */
SINCE(counts_filter_passed, 6, 14)

/* A commit is carried out at the end of a sampling interval, not of an aggregation. */
SINCE(commits_at_any_time, 6, 15)

/* A flag may be `enable' or `disable'. */
SINCE(flags_are_words, 6, 16)

/* Schemes on virtual addresses migrate, and their `stat' counts what passes the filters. */
SINCE(walks_virtual_pages, 6, 17)

/*
 * A command gets ECANCELED if the kdamond has ended, EINVAL if there never was one.  Stable kernels
 * 6.18 have it; 6.19 and 7.0 do not.
 */
static inline bool abi_tells_ended_from_never(unsigned int abi)
{
	return abi == DAMON_ABI(6, 18) || abi >= DAMON_ABI(7, 1);
}
/* Aging treats zero accesses as unlike any other number. */
SINCE(zero_is_another, 6, 18)
/* The moving sum is set to the aggregation's count at its end. */
SINCE(moving_sum_is_exact, 6, 18)

/* Tried regions have odd numbers, as the kernel counts each twice. */
SINCE(counts_tried_twice, 7, 0)
/* Schemes pass targets over whose process is gone. */
SINCE(passes_over_the_gone, 7, 0)

/* Where a limit is set, an effective quota of 0 lets nothing through: it is not without limit. */
SINCE(empty_quota_is_a_quota, 7, 1)
/* What core filters keep out has no score, and leaves more of the quota to others. */
SINCE(scores_what_passes, 7, 1)
/* The first effective size of a quota is traced, too. */
SINCE(traces_first_size, 7, 1)
/* Regions are cut so that there are nr_regions/min of them, after each merge. */
SINCE(enforces_min_regions, 7, 1)
/* Tried regions have even numbers. */
SINCE(numbers_tried_evenly, 7, 1)

/* `off' of a kdamond that has ended is done. */
SINCE(off_again_is_done, 7, 2)
/* `on' checks what a commit does: there is no obsolete target to remove. */
SINCE(checks_on_as_commit, 7, 2)
/* Less than a region that is left of a quota is nothing. */
SINCE(leaves_no_crumbs, 7, 2)
/* Neighbours that schemes made alike are merged at once. */
SINCE(merges_after_schemes, 7, 2)
/* With more than half of nr_regions/max, some regions are still split. */
SINCE(splits_up_to_max, 7, 2)

/* DAMON's modules: counters go on when they are enabled again; */
SINCE(module_counters_go_on, 6, 18)
/* damon_stat watches from the first block of memory to the last; so do the others later; */
SINCE(stat_region_is_all, 7, 0)
SINCE(module_region_is_all, 7, 2)
/* damon_lru_sort prefers what has long been as it is; */
SINCE(lru_sort_weighs_age, 7, 0)
/* a default region is in units of addr_unit, and its end is the first byte behind it; */
SINCE(module_keeps_addr_unit, 7, 1)
/* commit_inputs is answered when it is done. */
SINCE(module_commits_wait, 7, 2)

#undef SINCE

#endif
