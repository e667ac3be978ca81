/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Contexts and regions for tests of the engine.  Regions are written in units of P, the smallest
 * region, as the vectors of docs/abi/engine.md are.
 */
#ifndef DAMONFS_TESTS_FIXTURE_H
#define DAMONFS_TESTS_FIXTURE_H

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/context.h"
#include "engine/region.h"
#include "tests/unit/unit.h"
#include "util/random.h"

#define P DAMON_MIN_REGION

/* What a test says of a region; a row with end 0 ends a table. */
struct span {
	uint64_t start, end; /* in P */
	uint32_t nr_accesses, last_nr_accesses, age;
};

#define MAX_SPANS 16

static const struct damon_attrs default_attrs = {
	.sample_interval = 5000,
	.aggr_interval = 100000,
	.ops_update_interval = 60000000,
	.min_nr_regions = 10,
	.max_nr_regions = 1000,
};

/* A pattern that every region matches. */
static const struct damos_access_pattern any_pattern = {
	.max_sz_region = UINT64_MAX,
	.max_nr_accesses = UINT32_MAX,
	.max_age_region = UINT32_MAX,
};

/* A description with stat schemes for everything, and no processes. */
static inline struct damon_desc *new_desc(enum damon_ops_id ops, size_t nr_targets,
					  size_t nr_schemes)
{
	struct damon_desc *desc = damon_desc_new(nr_targets, nr_schemes);

	ck_assert_ptr_nonnull(desc);
	desc->ops = ops;
	desc->attrs = default_attrs;
	for (size_t s = 0; s < nr_schemes; s++) {
		desc->schemes[s].pattern = any_pattern;
		desc->schemes[s].action = DAMOS_STAT;
	}
	return desc;
}

/* A context of processes that are nowhere: regions are the test's own. */
static inline struct damon_context *new_ctx(enum damon_ops_id ops, size_t nr_targets,
					    size_t nr_schemes)
{
	struct damon_desc *desc = new_desc(ops, nr_targets, nr_schemes);
	struct damon_context *ctx = NULL;

	ck_assert_int_eq(damon_context_new(desc, NULL, &ctx), 0);
	damon_desc_free(desc);
	random_seed(ctx->rng, 1);
	return ctx;
}

/* Sessions in which every process is as the script PLAYS says (access/methods/script.h). */
static inline struct access_sessions *open_playing(const char *plays)
{
	struct access_sessions *sessions = NULL;
	char path[64], name[80];

	write_temporary(path, plays);
	snprintf(name, sizeof(name), "simulated:%s", path);
	ck_assert_int_eq(access_sessions_open(name, &sessions), 0);
	unlink(path);
	return sessions;
}

static inline size_t count_spans(const struct span *spans)
{
	size_t nr = 0;

	while (nr < MAX_SPANS && spans[nr].end)
		nr++;
	return nr;
}

static inline void set_ranges(struct damon_target_desc *target, const struct span *spans)
{
	free(target->ranges);
	target->nr_ranges = count_spans(spans);
	target->ranges = calloc(target->nr_ranges, sizeof(*target->ranges));
	ck_assert_ptr_nonnull(target->ranges);
	for (size_t i = 0; i < target->nr_ranges; i++)
		target->ranges[i] =
			(struct damon_addr_range){ spans[i].start * P, spans[i].end * P };
}

/* The moving sum is what nr_accesses says. */
static inline void set_spans(struct damon_target *target, const struct span *spans)
{
	size_t nr = count_spans(spans);

	target->nr_regions = 0;
	ck_assert_int_eq(damon_reserve_regions(target, nr + 1), 0);
	for (size_t i = 0; i < nr; i++)
		target->regions[target->nr_regions++] = (struct damon_region){
			.start = spans[i].start * P,
			.end = spans[i].end * P,
			.nr_accesses = spans[i].nr_accesses,
			.nr_accesses_bp = spans[i].nr_accesses * 10000,
			.last_nr_accesses = spans[i].last_nr_accesses,
			.age = spans[i].age,
		};
}

/* Compares the bounds only. */
static inline void assert_bounds(const struct damon_target *target, const struct span *spans)
{
	ck_assert_uint_eq(target->nr_regions, count_spans(spans));
	for (size_t i = 0; i < target->nr_regions; i++) {
		ck_assert_msg(target->regions[i].start == spans[i].start * P &&
				      target->regions[i].end == spans[i].end * P,
			      "region %zu is %" PRIu64 "-%" PRIu64 ", not %" PRIu64 "-%" PRIu64
			      " (bytes: %" PRIu64 "-%" PRIu64 ")",
			      i, target->regions[i].start / P, target->regions[i].end / P,
			      spans[i].start, spans[i].end, target->regions[i].start,
			      target->regions[i].end);
	}
}

static inline void assert_spans(const struct damon_target *target, const struct span *spans)
{
	assert_bounds(target, spans);
	for (size_t i = 0; i < target->nr_regions; i++) {
		ck_assert_uint_eq(target->regions[i].nr_accesses, spans[i].nr_accesses);
		ck_assert_uint_eq(target->regions[i].last_nr_accesses, spans[i].last_nr_accesses);
		ck_assert_uint_eq(target->regions[i].age, spans[i].age);
	}
}

/* Ascending, aligned, not empty and not overlapping. */
static inline void assert_sound(const struct damon_target *target)
{
	for (size_t i = 0; i < target->nr_regions; i++) {
		const struct damon_region *region = &target->regions[i];

		ck_assert_uint_lt(region->start, region->end);
		ck_assert_uint_eq(region->start % P, 0);
		ck_assert_uint_eq(region->end % P, 0);
		if (i)
			ck_assert_uint_ge(region->start, target->regions[i - 1].end);
	}
	ck_assert_uint_le(target->nr_regions, target->room);
	ck_assert_uint_le(target->nr_regions, target->probe_room);
}

/* That the regions are sound and lie in [0, PAGES) without holes. */
static inline void assert_covers(const struct damon_target *target, uint64_t pages)
{
	uint64_t end = 0;

	assert_sound(target);
	for (size_t i = 0; i < target->nr_regions; i++) {
		ck_assert_uint_eq(target->regions[i].start, end);
		end = target->regions[i].end;
	}
	ck_assert_uint_eq(end, pages * P);
}

#endif
