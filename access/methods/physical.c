// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Physical memory through mappings: see physical.h.
 *
 * Preparing looks up which processes map the frame of each address, sorts that by process, and
 * hands each process's addresses to a space of its own; checking asks the same spaces again.  A
 * frame was accessed if any process that was asked says so.
 *
 * It opens a space when it first meets a process, and keeps it while the process is in the reverse
 * map: nothing else here allocates after the beginning.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access/methods/physical.h"
#include "access/proc/rmap.h"
#include "access/rights/privileges.h"
#include "util/cleanup.h"
#include "util/stop.h"

/* How many of the processes that share a frame are asked. */
#define MAX_MAPPINGS 4

/* A page of a process that was prepared for a probe. */
struct prepared_page {
	uint32_t owner, probe;
	uint64_t frame_address; /* the probe's */
	struct access_probe page;
};

struct physical_space {
	struct access_space base;
	struct access_session self; /* what base.session is */
	struct access_session *inner; /* of the method that sees processes */
	struct rmap_user user;
	uint64_t generation;
	struct rmap *map;
	struct access_space **spaces; /* of map->owners; NULL until they are met */
	struct prepared_page *prepared; /* ascending by owner and address */
	struct access_probe *batch;
	size_t nr, room;
};

static void close_spaces(struct physical_space *space)
{
	for (size_t i = 0; space->map && i < space->map->nr_owners; i++)
		access_space_close(space->spaces[i]);
	free(space->spaces);
	space->spaces = NULL;
}

static void physical_space_close(struct access_space *base)
{
	struct physical_space *space = (struct physical_space *)base;

	close_spaces(space);
	rmap_put(space->map);
	rmap_leave(&space->user);
	free(space->prepared);
	free(space->batch);
	free(space);
}

static struct access_space *take_space(struct physical_space *space, pid_t pid)
{
	for (size_t i = 0; space->map && i < space->map->nr_owners; i++)
		if (space->map->owners[i]->pid == pid && process_exists(space->map->owners[i]))
			return steal_ptr(space->spaces[i]);
	return NULL;
}

/* Switches to a newer map, and keeps the spaces of the processes that are in both. */
static int physical_renew_map(struct physical_space *space)
{
	uint64_t generation = rmap_generation();
	struct access_space **spaces;
	struct rmap *map;

	if (generation == space->generation)
		return 0;
	map = rmap_newest();
	spaces = map ? calloc(map->nr_owners + 1, sizeof(*spaces)) : NULL;
	if (!spaces) {
		rmap_put(map);
		return map ? -ENOMEM : 0;
	}
	for (size_t i = 0; i < map->nr_owners; i++)
		spaces[i] = take_space(space, map->owners[i]->pid);
	close_spaces(space);
	rmap_put(space->map);
	space->map = map;
	space->spaces = spaces;
	space->generation = generation;
	space->nr = 0; /* what was prepared has numbers of the old map */
	return 0;
}

/* Copies the next process's pages, from AT on, to the batch.  Return: how many. */
static size_t take_batch(struct physical_space *space, size_t at)
{
	size_t nr = 0;

	while (at + nr < space->nr && space->prepared[at + nr].owner == space->prepared[at].owner) {
		space->batch[nr] = space->prepared[at + nr].page;
		nr++;
	}
	return nr;
}

static int physical_open_space(struct physical_space *space, uint32_t owner)
{
	return space->spaces[owner] ? 0 :
				      access_session_space(space->inner, space->map->owners[owner],
							   &space->spaces[owner]);
}

static int round_of(struct physical_space *space, uint32_t owner, size_t nr, unsigned int what,
		    uint64_t now, uint64_t sample)
{
	int r = physical_open_space(space, owner);

	return r ? r :
		   access_space_round(space->spaces[owner], space->batch, nr, what, now, sample);
}

static void physical_check(struct physical_space *space, struct access_probe *probes, size_t n,
			   uint64_t now, uint64_t sample)
{
	for (size_t i = 0; i < n; i++)
		probes[i].accessed = false;
	for (size_t at = 0, nr; at < space->nr && !stop_asked(); at += nr) {
		uint32_t owner = space->prepared[at].owner;
		int r;

		nr = take_batch(space, at);
		r = round_of(space, owner, nr, ACCESS_CHECK, now, sample);
		for (size_t k = 0; !r && k < nr; k++) {
			const struct prepared_page *prepared = &space->prepared[at + k];

			if (prepared->probe >= n ||
			    probes[prepared->probe].prepared != prepared->frame_address)
				continue;
			probes[prepared->probe].accessed |= space->batch[k].accessed;
			probes[prepared->probe].priv = space->batch[k].priv;
		}
	}
}

static int compare_pages(const void *a, const void *b)
{
	const struct prepared_page *x = a, *y = b;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return x->page.next < y->page.next ? -1 : x->page.next > y->page.next;
}

/* Looks up the frames of the N probes. */
static void physical_find_pages(struct physical_space *space, const struct access_probe *probes,
				size_t n)
{
	struct rmap_mapping mappings[MAX_MAPPINGS];

	space->nr = 0;
	for (size_t i = 0; i < n; i++) {
		size_t found = rmap_find(space->map, probes[i].next / PAGE, mappings, MAX_MAPPINGS);

		for (size_t k = 0; k < found; k++) {
			uint64_t address = mappings[k].page * PAGE;

			space->prepared[space->nr++] = (struct prepared_page){
				.owner = mappings[k].owner,
				.probe = (uint32_t)i,
				.frame_address = probes[i].next,
				.page = { address, address, probes[i].priv, false },
			};
		}
	}
	if (space->nr)
		qsort(space->prepared, space->nr, sizeof(*space->prepared), compare_pages);
}

static void physical_prepare(struct physical_space *space, const struct access_probe *probes,
			     size_t n, uint64_t now, uint64_t sample)
{
	size_t kept = 0;

	physical_find_pages(space, probes, n);
	for (size_t at = 0, nr; at < space->nr && !stop_asked(); at += nr) {
		int r;

		nr = take_batch(space, at);
		r = round_of(space, space->prepared[at].owner, nr, ACCESS_PREPARE, now, sample);
		/* A process that is gone, or cannot be watched, accesses nothing. */
		for (size_t k = 0; !r && k < nr; k++) {
			space->prepared[kept] = space->prepared[at + k];
			space->prepared[kept++].page.priv = space->batch[k].priv;
		}
	}
	space->nr = kept;
}

/* Room grows with the number of regions, not in each round. */
static int physical_reserve(struct physical_space *space, size_t n)
{
	void *prepared, *batch;

	if (n * MAX_MAPPINGS <= space->room)
		return 0;
	prepared = reallocarray(space->prepared, n * 2 * MAX_MAPPINGS, sizeof(*space->prepared));
	if (prepared)
		space->prepared = prepared;
	batch = reallocarray(space->batch, n * 2 * MAX_MAPPINGS, sizeof(*space->batch));
	if (batch)
		space->batch = batch;
	if (!prepared || !batch)
		return -ENOMEM;
	space->room = n * 2 * MAX_MAPPINGS;
	return 0;
}

/* Tells the keeper of the map what is watched, if that is more than it knows. */
static void want(struct physical_space *space, const struct access_probe *probes, size_t n)
{
	uint64_t first = n ? probes[0].next / PAGE : 0,
		 last = n ? probes[n - 1].next / PAGE + 1 : 0;

	if (first >= space->user.first && last <= space->user.last)
		return;
	/* Addresses are drawn anew each time: a margin keeps it from growing page by page. */
	first -= min_ul(first, 1UL << 15);
	rmap_want(&space->user, first, last + (1UL << 15));
}

static int physical_round(struct access_space *base, struct access_probe *probes, size_t n,
			  unsigned int what, uint64_t now, uint64_t sample)
{
	struct physical_space *space = (struct physical_space *)base;
	int r = physical_reserve(space, n);

	if (r)
		return r;
	if (what & ACCESS_CHECK)
		physical_check(space, probes, n, now, sample);
	if (what & ACCESS_PREPARE) {
		want(space, probes, n);
		r = physical_renew_map(space);
		if (!r && space->map)
			physical_prepare(space, probes, n, now, sample);
	}
	return r;
}

static int physical_peek(struct access_space *base, struct access_probe *probes, size_t n)
{
	struct physical_space *space = (struct physical_space *)base;
	int r = physical_reserve(space, n);

	if (!r)
		want(space, probes, n);
	if (!r)
		r = physical_renew_map(space);
	if (r || !space->map)
		return r ? r : -EAGAIN;
	for (size_t i = 0; i < n; i++)
		probes[i].accessed = false;
	physical_find_pages(space, probes, n);
	for (size_t at = 0, nr; at < space->nr && !stop_asked(); at += nr) {
		uint32_t owner = space->prepared[at].owner;

		nr = take_batch(space, at);
		if (physical_open_space(space, owner) ||
		    access_space_peek(space->spaces[owner], space->batch, nr))
			continue;
		for (size_t k = 0; k < nr; k++)
			probes[space->prepared[at + k].probe].accessed |= space->batch[k].accessed;
	}
	space->nr = 0;
	return 0;
}

static const struct access_method through_mappings = {
	.name = "physical",
	.space_close = physical_space_close,
	.round = physical_round,
	.peek = physical_peek,
};

int physical_space_open(struct access_session *session, struct access_space **out,
			struct access_why *why)
{
	struct physical_space *space = calloc(1, sizeof(*space));
	int r;

	if (!space)
		return -ENOMEM;
	space->inner = session;
	space->self.method = &through_mappings;
	space->base.session = &space->self;
	space->base.source = session;
	r = rmap_join(&space->user);
	if (r) {
		free(space);
		return access_because(why, r,
				      "cannot build its reverse map: %s; " ACCESS_ADD_CAPABILITY(
					      "SYS_ADMIN") " outside of user namespaces",
				      strerror(-r));
	}
	if (!capable_of(CAP_SYS_PTRACE))
		access_because(why, 0,
			       "accesses by processes that damonfs may not trace are not "
			       "seen; " ACCESS_ADD_CAPABILITY("SYS_PTRACE"));
	*out = &space->base;
	return 0;
}
