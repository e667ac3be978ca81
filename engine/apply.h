/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Applying schemes, and collecting what they were applied to. */
#ifndef DAMONFS_ENGINE_APPLY_H
#define DAMONFS_ENGINE_APPLY_H

#include "engine/types.h"

/*
 * Applies all schemes that are due to all regions.  Source: kdamond_apply_schemes() of Linux 6.12,
 * restated in docs/abi/engine.md sections 9 to 11.  NOW in us.
 */
void damos_apply_schemes(struct damon_context *ctx, uint64_t now);

/* Begins to collect what schemes are applied to, for COMMAND. */
void damos_collect_start(struct damon_context *ctx, struct damon_command *command);

/* Whether the collection is complete, has timed out or has failed. */
bool damos_collect_finished(struct damon_context *ctx);

#endif
