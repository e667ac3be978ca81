/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rounds of the method young without its worker: a timer of the kernel makes them (ticks.bpf.h),
 * until a page has to be cleared.
 */
#ifndef DAMONFS_ACCESS_YOUNG_TICKS_H
#define DAMONFS_ACCESS_YOUNG_TICKS_H

#include "access/probe.h"
#include "access/young/clearing.h"
#include "access/young/program.h"

/* Room for N regions, or NULL if so many cannot be left: see access_unattended. */
struct access_run *ticks_room(struct young_slot *slot, size_t n, uint64_t sample);

/* Leaves the N regions of TASK, as access_unattended.leave(). */
int ticks_leave(struct young_slot *slot, const struct young_task *task, struct clearing *clearing,
		size_t n, uint64_t deadline, uint64_t first, uint64_t sample, uint64_t rounds);

/*
 * Takes them back, as access_unattended.resume(), and clears the pages for which the timer stopped,
 * with ROOM for that.
 */
int ticks_resume(struct young_slot *slot, const struct young_task *task, struct clearing *clearing,
		 struct clearing_room *room, uint64_t now, uint64_t *rounds, uint64_t *prepared);

#endif
