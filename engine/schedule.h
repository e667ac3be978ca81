/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a kdamond does what: its deadlines, and how long it rests.  All in us of clock_us(). */
#ifndef DAMONFS_ENGINE_SCHEDULE_H
#define DAMONFS_ENGINE_SCHEDULE_H

#include "engine/types.h"

struct schedule {
	uint64_t deadline; /* the start of the sampling interval */
	uint64_t began; /* its work */
	uint64_t prepared; /* the regions, to be checked when it ends */
};

/* From one deadline to the next: a sampling interval, but not so short that the thread spins. */
uint64_t schedule_step(const struct damon_ctx *ctx);

/* When to check what was prepared: when the interval ends, or later to give it its time. */
uint64_t schedule_next_look(const struct damon_ctx *ctx, const struct schedule *schedule);

/*
 * Counts the sampling intervals that were missed at NOW, and moves the deadline on by them: at most
 * those left until something is due, and none if so many were missed that the machine must have
 * been suspended.
 */
uint64_t schedule_skip_missed(struct schedule *schedule, const struct damon_ctx *ctx, uint64_t now);

/* How long to rest after the work that began last: WANTED, or longer if that is too short. */
uint64_t schedule_rest(const struct schedule *schedule, uint64_t wanted);

#endif
