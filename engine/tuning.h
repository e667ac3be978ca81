/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Intervals that tune themselves. */
#ifndef DAMONFS_ENGINE_TUNING_H
#define DAMONFS_ENGINE_TUNING_H

#include "engine/types.h"

/* At the end of an aggregation, if it is time, moves the intervals towards their goal. */
void damon_tune_intervals(struct damon_context *ctx);

/* The next sampling interval, given the SCORE of the last one's accesses (10000: as wanted). */
uint64_t damon_tuned_sample(const struct damon_attrs *attrs, uint64_t score);

#endif
