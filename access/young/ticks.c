// SPDX-License-Identifier: LGPL-2.1-or-later
/* The worker's side of rounds in the kernel: see ticks.h. */
#include <errno.h>
#include <stdatomic.h>

#include "access/young/ticks.h"
#include "util/clock.h"
#include "util/macros.h"
#include "util/saturate.h"

/* What a region costs in a tick (ns), until it is measured. */
#define FIRST_COST 300
/* A tick may take 1/TICK_SHARE of the sampling interval. */
#define TICK_SHARE 50

/* What a tick costs besides its regions (ns): the interrupt, and setting the timer again. */
#define TICK_NS 10000
/*
 * The ticks of all kdamonds together may take a quarter of a processor: nobody can schedule an
 * interrupt.  The rest is made by workers.  In millionths, atomic: it is what threads share here.
 */
#define ALL_TICKS 250000
static atomic_uint_fast64_t promised;

/* Return: whether so many regions may be left with that INTERVAL (ns), besides all others. */
static bool promise(struct young_slot *slot, size_t n, uint64_t interval)
{
	uint64_t part = (n * slot->batch->ticks.cost + TICK_NS) * 1000000 / interval;

	if (atomic_fetch_add(&promised, part) + part > ALL_TICKS) {
		atomic_fetch_sub(&promised, part);
		return false;
	}
	slot->promised = (uint32_t)part;
	return true;
}

static void take_back(struct young_slot *slot)
{
	atomic_fetch_sub(&promised, slot->promised);
	slot->promised = 0;
}

struct access_run *ticks_room(struct young_slot *slot, size_t n, uint64_t sample)
{
	struct young_ticks *ticks = &slot->batch->ticks;

	if (!slot->ticks || n > YOUNG_TICK_REGIONS)
		return NULL;
	if (!ticks->cost) {
		ticks->cost = FIRST_COST;
		random_seed(ticks->random, clock_ns() ^ (uintptr_t)slot);
	}
	ticks->limit = min_ul(YOUNG_TICK_NS, mul_sat(sample, 1000) / TICK_SHARE);
	if (n * ticks->cost > ticks->limit) {
		/* It may have been an interrupt's: it is forgotten by and by. */
		ticks->cost -= ticks->cost / 256 + 1;
		return NULL;
	}
	return ticks->run;
}

int ticks_leave(struct young_slot *slot, const struct young_task *task, struct clearing *clearing,
		size_t n, uint64_t deadline, uint64_t first, uint64_t sample, uint64_t rounds)
{
	struct young_ticks *ticks = &slot->batch->ticks;
	const struct clear_refs *refs = &clearing->refs;
	int r;

	if (!promise(slot, n, sample * 1000))
		return -EBUSY;
	ticks->nr = (uint32_t)n;
	ticks->left = (uint32_t)min_ul(rounds, UINT32_MAX);
	ticks->done = ticks->waits = 0;
	ticks->interval = sample * 1000;
	ticks->deadline = deadline * 1000;
	ticks->last = 0;
	ticks->clear_refs_used = refs->last_us != 0;
	ticks->clear_refs_at = refs->fd < 0 ? UINT64_MAX : clear_refs_next(refs, sample) * 1000;
	ticks->clock = clearing->clock;
	for (size_t i = 0; i < n; i++)
		ticks->run[i].hits = 0;
	r = young_ticks_start(slot, task, first * 1000);
	if (r)
		take_back(slot);
	return r;
}

/* Looks again at the next pages of NR probes, as the timer did it too long ago. */
static int look_again(struct young_slot *slot, const struct young_task *task,
		      const struct access_probe *probes, size_t nr)
{
	slot->batch->nr_prepared = 0;
	slot->batch->nr_next = (__u32)nr;
	for (size_t i = 0; i < nr; i++)
		slot->batch->next[i] = probes[i].next;
	return young_walk(slot, task);
}

/* Clears the pages that the timer found, and prepares all of its regions. */
static int clear_waiting(struct young_slot *slot, const struct young_task *task,
			 struct clearing *clearing, struct clearing_room *room, uint64_t now)
{
	struct young_ticks *ticks = &slot->batch->ticks;
	struct access_probe *probes = room->probes;
	size_t nr = min_ul(ticks->nr, YOUNG_TICK_REGIONS);
	int r = 0;

	for (size_t i = 0; i < nr; i++)
		probes[i] = ticks->run[i].probe;
	if (clock_ns() - ticks->last > ticks->interval / 4)
		r = look_again(slot, task, probes, nr);
	if (r)
		return r;
	r = clearing_prepare(clearing, room, slot->batch->leaf, probes, nr, 0, now,
			     ticks->interval / 1000);
	for (size_t i = 0; i < nr; i++)
		ticks->run[i].probe = probes[i];
	return r;
}

int ticks_resume(struct young_slot *slot, const struct young_task *task, struct clearing *clearing,
		 struct clearing_room *room, uint64_t now, uint64_t *rounds, uint64_t *prepared)
{
	struct young_ticks *ticks = &slot->batch->ticks;
	int r = young_ticks_stop(slot);

	take_back(slot);
	*rounds = ticks->done;
	if (ticks->done)
		*prepared = ticks->last / 1000;
	clearing->clock = ticks->clock;
	if (!r && ticks->waits) {
		r = clear_waiting(slot, task, clearing, room, now);
		/* clear_refs may have taken longer than an interval. */
		*prepared = clock_us();
	}
	return r;
}
