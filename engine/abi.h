/* SPDX-License-Identifier: GPL-2.0-or-later */
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

#undef SINCE

#endif
