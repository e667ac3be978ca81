/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a kdamond does what: its deadlines, and how long it rests.  All in us of clock_us(). */
#ifndef DAMONFS_ENGINE_SCHEDULE_H
#define DAMONFS_ENGINE_SCHEDULE_H

#include "engine/types.h"

struct schedule {
	uint64_t deadline; /* the start of the sampling interval */
	uint64_t began; /* its work */
	uint64_t prepared; /* the regions, to be checked when it ends */
	bool stood_still; /* since the last check */
};

/* From one deadline to the next: a sampling interval, but not so short that the thread spins. */
uint64_t schedule_step(const struct damon_context *ctx);

/* When to check what was prepared: when the interval ends, or later to give it its time. */
uint64_t schedule_next_look(const struct damon_context *ctx, const struct schedule *schedule);

/* Whether the thread is so late, by its own work, that it must make the next round itself. */
bool schedule_is_behind(const struct schedule *schedule, const struct damon_context *ctx);

/*
 * Whether LATE us are too many to have been used, or missed now and then: the thread was stopped,
 * or the machine was busy or suspended.
 */
bool schedule_is_standstill(const struct damon_context *ctx, uint64_t late);

/*
 * Whether the thread stood still, as it awoke at NOW and not when it was due, at DUE.  If so, that
 * time does not count: the next interval begins now.  What was prepared had far more than its time,
 * and is to be prepared again.  That is not said twice without a check in between, however late the
 * thread always is.  Return: for how long (us), or 0.
 */
uint64_t schedule_stood_still(struct schedule *schedule, const struct damon_context *ctx,
			      uint64_t due, uint64_t now);

/*
 * Counts the sampling intervals that were missed at NOW, and moves the deadline on by them: at most
 * those left until something is due, and none if its own work took so long that one answer cannot
 * stand for them.  The check that comes now is noted.
 */
uint64_t schedule_skip_missed(struct schedule *schedule, const struct damon_context *ctx,
			      uint64_t now);

/* How long to rest after the work that began last: WANTED, or longer if that is too short. */
uint64_t schedule_rest(const struct schedule *schedule, uint64_t wanted);

#endif
