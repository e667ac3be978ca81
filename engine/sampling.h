/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A round of the access methods over all targets. */
#ifndef DAMONFS_ENGINE_SAMPLING_H
#define DAMONFS_ENGINE_SAMPLING_H

#include "engine/types.h"

/* A round of the access methods over all targets; WHAT is of enum access_round. */
void damon_sample(struct damon_context *ctx, unsigned int what, uint64_t now, uint64_t rounds);

/* Counts the answers of ROUNDS rounds into a region, of which HITS say that it was accessed. */
void damon_update_region_access(struct damon_region *region, uint64_t hits, uint32_t max,
				uint64_t rounds);

/* The window of the moving sum of accesses, in rounds: MAX of damon_update_region_access(). */
uint32_t damon_sampling_window(const struct damon_context *ctx);

/* Notes what a round on TARGET's space answered: R of access_method.round(). */
void damon_note_round(struct damon_context *ctx, struct damon_target *target, int r);

#endif
