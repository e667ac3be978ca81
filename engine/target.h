/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Targets: opening them, checking that they may still be watched, dropping them. */
#ifndef DAMONFS_ENGINE_TARGET_H
#define DAMONFS_ENGINE_TARGET_H

#include "engine/types.h"

/*
 * Makes the target that DESC describes, with at most MOST regions.  It may be cleared even on
 * failure.  Return: 0; or -EINVAL, or -ENOMEM also if there are more regions.
 */
int damon_target_init(struct damon_context *ctx, struct damon_target *target,
		      const struct damon_target_desc *desc, size_t most);

/*
 * The two parts of that: open its space, and fit its regions to those of DESC.  A target that
 * cannot be seen is `blind', which is logged; one that is gone just has no space.
 */
int damon_target_open(struct damon_context *ctx, struct damon_target *target,
		      struct process *process);
int damon_target_set_ranges(struct damon_context *ctx, struct damon_target *target,
			    const struct damon_target_desc *desc, size_t most);

void damon_target_clear(struct damon_target *target);

/* Whether there is a process, and it exists. */
static inline bool damon_target_exists(const struct damon_target *target)
{
	return target->process && process_exists(target->process);
}

/*
 * Checks that some of the NR targets can be seen, or that none of them is blind.
 * Return: 0, or -EINVAL, which is logged.
 */
int damon_targets_seen(const struct damon_target *targets, size_t nr);

/*
 * Asks the kernel whether all targets may still be watched in the name of who named them, and drops
 * those that may not: they are no longer sampled or acted upon.  Reopens a target that executed
 * another program, could not be seen, or failed its access method.  NOW in us.
 */
void damon_check_targets(struct damon_context *ctx, uint64_t now);

#endif
