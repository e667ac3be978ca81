/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A round of the access methods over all targets. */
#ifndef DAMONFS_ENGINE_SAMPLING_H
#define DAMONFS_ENGINE_SAMPLING_H

#include "engine/types.h"

/* A round of the access methods over all targets; WHAT is of enum access_round. */
void damon_sample(struct damon_ctx *ctx, unsigned int what, uint64_t now, uint64_t rounds);

/* Counts ROUNDS answers into a region. */
void damon_update_region_access(struct damon_region *region, bool accessed, uint32_t max,
				uint64_t rounds);

#endif
