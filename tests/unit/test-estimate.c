// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Estimates against a full sampler: a region, of which a page was touched in a round with a given
 * chance, in runs, or every few rounds, is looked at by clearing each touched page that is due.
 * What is told in 20 rounds must have the mean of what a sampler that clears in every round tells,
 * and the spread that estimate.h promises; and what never changes must need few clears.
 */
#include <math.h>
#include <string.h>

#include "access/methods/estimate.h"
#include "tests/unit/unit.h"

#define ROUNDS	     20 /* of an aggregation */
#define AGGREGATIONS 20000

struct figures {
	double mean, deviation, clears; /* of the sums of an aggregation; clears a round */
};

struct region {
	double chance; /* that a page is touched in a round */
	unsigned int period; /* or touched in one round of so many, if not 0 */
	double stays; /* or: chance that the next round is like this one */
	uint64_t random[4];
	uint64_t round;
	bool last;
};

static double draw(struct region *region)
{
	return (double)(random_next(region->random) >> 11) / (double)(1ULL << 53);
}

static bool touched(struct region *region)
{
	uint64_t round = region->round++;

	if (region->period)
		return round % region->period == 0;
	if (region->stays > 0 && round && draw(region) < region->stays)
		return region->last;
	return region->last = draw(region) < region->chance;
}

/* A round over one touched page; WAS_TOUCHED is what a look at it finds.  Return: whether it was
 * cleared. */
static bool look(struct estimate_clock *clock, struct access_probe *probe, bool full,
		 bool was_touched)
{
	bool due;

	estimate_next_round(clock);
	estimate_instead(probe, false);
	due = full || estimate_is_due(clock, probe);
	if (due)
		estimate_prepare_cleared(probe);
	estimate_check(probe, was_touched);
	return due;
}

/* Watches REGION, clearing in every round (FULL) or when it is due. */
static struct figures watch(struct region region, bool full)
{
	struct estimate_clock clock = { 0 };
	struct access_probe probe = { 0 };
	double sum = 0, squares = 0, clears = 0;

	random_seed(region.random, 1);
	random_seed(clock.random, 2);
	for (int a = 0; a < AGGREGATIONS; a++) {
		double accesses = 0;

		for (int i = 0; i < ROUNDS; i++) {
			clears += look(&clock, &probe, full, touched(&region));
			accesses += probe.accessed;
		}
		sum += accesses;
		squares += accesses * accesses;
	}
	sum /= AGGREGATIONS;
	return (struct figures){ sum, sqrt(fmax(squares / AGGREGATIONS - sum * sum, 0)),
				 clears / AGGREGATIONS / ROUNDS };
}

static const struct region regions[] = {
	{ .chance = 0 },
	{ .chance = 0.002 },
	{ .chance = 0.01 },
	{ .chance = 0.02 },
	{ .chance = 0.05 },
	{ .chance = 0.1 },
	{ .chance = 0.3 },
	{ .chance = 0.5 },
	{ .chance = 0.7 },
	{ .chance = 0.9 },
	{ .chance = 0.95 },
	{ .chance = 0.98 },
	{ .chance = 0.99 },
	{ .chance = 0.998 },
	{ .chance = 1 },
	{ .period = 2 },
	{ .period = 4 },
	{ .period = 8 },
	{ .period = 16 },
	{ .period = 200 },
	{ .period = 1000 },
	{ .chance = 0.5, .stays = 0.9 },
	{ .chance = 0.5, .stays = 0.999 },
	{ .chance = 0.9, .stays = 0.999 },
};

START_TEST(estimates_are_right_in_the_mean)
{
	struct figures full = watch(regions[_i], true), ours = watch(regions[_i], false);
	/* Three deviations of a mean of so many aggregations; never more than 2 % of 20. */
	double tolerance = 3 * ours.deviation / sqrt(AGGREGATIONS / 10) + 0.02;

	ck_assert_msg(fabs(ours.mean - full.mean) <= fmin(tolerance, 0.4),
		      "%g accesses instead of %g (tolerance %g)", ours.mean, full.mean, tolerance);
}
END_TEST

START_TEST(estimates_spread_little_more)
{
	struct figures full = watch(regions[_i], true), ours = watch(regions[_i], false);
	bool rare = full.mean < 0.4 || full.mean > 19.6;
	double most = rare ? fmax(0.8, 1.3 * full.deviation) : 1.3 * full.deviation;

	ck_assert_msg(ours.deviation <= most + 1e-9, "deviation %g, at most %g (full %g)",
		      ours.deviation, most, full.deviation);
}
END_TEST

START_TEST(what_never_changes_needs_few_clears)
{
	ck_assert_double_lt(watch((struct region){ .chance = 1 }, false).clears, 0.135);
	ck_assert_double_lt(watch((struct region){ .chance = 0 }, false).clears, 0.135);
	/* And what disagrees with itself is cleared as ever. */
	ck_assert_double_gt(watch((struct region){ .chance = 0.5 }, false).clears, 0.999);
}
END_TEST

/* Eight rounds have four of level 1 or more, two of level 2 or more, and one of level 3. */
START_TEST(instants_are_nested_and_random)
{
	struct estimate_clock clock = { 0 };
	unsigned int rare[8] = { 0 };

	random_seed(clock.random, 3);
	for (int block = 0; block < 8000; block++) {
		unsigned int at_least[4] = { 0 };

		for (unsigned int i = 0; i < 8; i++) {
			estimate_next_round(&clock);
			for (unsigned int level = 0; level <= clock.level; level++)
				at_least[level]++;
			rare[i] += clock.level == 3;
		}
		ck_assert_uint_eq(at_least[1], 4);
		ck_assert_uint_eq(at_least[2], 2);
		ck_assert_uint_eq(at_least[3], 1);
	}
	for (int i = 0; i < 8; i++)
		ck_assert(rare[i] > 850 && rare[i] < 1150);
}
END_TEST

/* A region that was hot for long and is left: told within the longest hold and the one before. */
START_TEST(a_change_is_seen_soon)
{
	struct estimate_clock clock = { 0 };
	struct access_probe probe = { 0 };
	int rounds = 0;

	random_seed(clock.random, 4);
	for (int i = 0; i < 10000; i++)
		look(&clock, &probe, false, true);
	do {
		look(&clock, &probe, false, false);
		rounds++;
	} while (probe.accessed);
	ck_assert_int_le(rounds, 15);
	/* An untouched page that is touched says so at once, and the next page is cleared. */
	estimate_prepare_untouched(&probe);
	estimate_check(&probe, true);
	ck_assert(probe.accessed);
	clock.level = 0;
	ck_assert(estimate_is_due(&clock, &probe));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("estimate");
	TCase *tcase = tcase_create("estimate");

	ADD_VECTORS(tcase, estimates_are_right_in_the_mean, regions);
	ADD_VECTORS(tcase, estimates_spread_little_more, regions);
	tcase_add_test(tcase, what_never_changes_needs_few_clears);
	tcase_add_test(tcase, instants_are_nested_and_random);
	tcase_add_test(tcase, a_change_is_seen_soon);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
