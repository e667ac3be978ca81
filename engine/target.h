/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is watched: opening it, asking whether it may still be, dropping it. */
#ifndef DAMONFS_ENGINE_TARGET_H
#define DAMONFS_ENGINE_TARGET_H

#include "engine/types.h"

/*
 * Makes the target that DESC describes, with MOST regions at most, which may be cleared also where
 * that fails.  Return: 0; or -EINVAL, or -ENOMEM also if there are more regions.
 */
int damon_target_init(struct damon_ctx *ctx, struct damon_target *target,
		      const struct damon_target_desc *desc, size_t most);

/*
 * The two parts of that: its space, and its regions, fitted to those that DESC has.  A target that
 * cannot be seen is `blind', which the log is told; one that is gone just has no space.
 */
int damon_target_open(struct damon_ctx *ctx, struct damon_target *target, struct process *process);
int damon_target_set_ranges(struct damon_ctx *ctx, struct damon_target *target,
			    const struct damon_target_desc *desc, size_t most);

void damon_target_clear(struct damon_target *target);

/*
 * Whether any of the NR targets can be seen, or there is none that is there and cannot.
 * Return: 0, or -EINVAL, which the log is told.
 */
int damon_targets_seen(const struct damon_target *targets, size_t nr);

/*
 * Asks the kernel whether all targets may still be watched in the name of who named them, and drops
 * those that may not: nothing of them is seen or acted upon any more.  One that executed another
 * program, that could not be seen, or on which its method failed, is opened anew.  NOW in us.
 */
void damon_check_targets(struct damon_ctx *ctx, uint64_t now);

#endif
