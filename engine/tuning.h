/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Intervals that find themselves. */
#ifndef DAMONFS_ENGINE_TUNING_H
#define DAMONFS_ENGINE_TUNING_H

#include "engine/types.h"

/* At the end of an aggregation: brings the intervals nearer to their goal, if it is time. */
void damon_tune_intervals(struct damon_ctx *ctx);

/* The sampling interval that comes after one whose accesses had a SCORE (10000: as wanted). */
uint64_t damon_tuned_sample(const struct damon_attrs *attrs, uint64_t score);

#endif
