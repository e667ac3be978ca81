// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Intervals that tune themselves: the vectors of docs/kernel-6.18.md section 2.2, and what becomes
 * of counters and countdowns.
 */
#include "engine/adaptive.h"
#include "engine/attrs.h"
#include "engine/commit.h"
#include "engine/context.h"
#include "engine/region.h"
#include "engine/tuning.h"
#include "tests/unit/fixture.h"

#define CTX(name, nr_targets, nr_schemes)                                          \
	__attribute__((cleanup(damon_context_freep))) struct damon_context *name = \
		new_ctx(DAMON_OPS_PADDR, nr_targets, nr_schemes)

static const struct {
	uint64_t score;
	uint64_t factor; /* in 1/10000 */
} factor_vectors[] = {
	{ 0, 20000 },	 { 1, 19999 },	   { 2500, 17500 }, { 5000, 15000 },
	{ 9999, 10001 }, { 10000, 10000 }, { 10001, 9999 }, { 12500, 8750 },
	{ 15000, 7500 }, { 19999, 5000 },  { 20000, 5000 }, { 1000000, 5000 },
};

START_TEST(intervals_change_by_half_or_as_much_again_at_most)
{
	const struct damon_attrs attrs = { .sample_interval = 10000,
					   .intervals_goal = { .max_sample_us = UINT64_MAX } };

	ck_assert_uint_eq(damon_tuned_sample(&attrs, factor_vectors[_i].score),
			  factor_vectors[_i].factor);
}
END_TEST

START_TEST(intervals_stay_in_their_bounds)
{
	struct damon_attrs attrs = { .sample_interval = 10000,
				     .intervals_goal = { .min_sample_us = 8000,
							 .max_sample_us = 15000 } };

	ck_assert_uint_eq(damon_tuned_sample(&attrs, 20000), 8000);
	ck_assert_uint_eq(damon_tuned_sample(&attrs, 0), 15000);
	/* There is always something to count. */
	attrs = (struct damon_attrs){ .sample_interval = 1,
				      .intervals_goal = { .max_sample_us = 100 } };
	ck_assert_uint_eq(damon_tuned_sample(&attrs, 20000), 1);
}
END_TEST

/* 400 bp are wanted; 5 ms and 100 ms at first; between 1 ms and 100 ms. */
static const struct {
	struct span spans[3];
	uint64_t sample, sample_after;
} tune_vectors[] = {
	{ { { 0, 256, 0 } }, 5000, 10000 },
	{ { { 0, 256, 1 } }, 5000, 4375 },
	{ { { 0, 256, 2 } }, 5000, 2500 },
	{ { { 0, 24, 0 }, { 24, 25, 20 } }, 5000, 5000 },
	{ { { 0, 25, 0 }, { 25, 26, 20 } }, 5000, 5192 },
	{ { { 0, 49, 0 }, { 49, 50, 20 } }, 5000, 7500 },
	{ { { 0, 1, 0 } }, 80000, 100000 },
};

static void set_goal(struct damon_context *ctx, uint64_t sample, uint64_t aggrs)
{
	ctx->attrs.sample_interval = sample;
	ctx->attrs.aggr_interval = 20 * sample;
	ctx->attrs.intervals_goal = (struct damon_intervals_goal){
		.access_bp = 400,
		.aggrs = aggrs,
		.min_sample_us = 1000,
		.max_sample_us = 100000,
	};
}

START_TEST(intervals_follow_what_was_seen)
{
	CTX(ctx, 1, 0);

	set_goal(ctx, tune_vectors[_i].sample, 1);
	set_spans(&ctx->targets[0], tune_vectors[_i].spans);
	damon_tune_intervals(ctx);
	ck_assert_uint_eq(ctx->attrs.sample_interval, tune_vectors[_i].sample_after);
	ck_assert_uint_eq(ctx->attrs.aggr_interval, 20 * tune_vectors[_i].sample_after);
}
END_TEST

START_TEST(they_are_tuned_every_so_many_aggregations)
{
	CTX(ctx, 1, 1);

	ctx->abi = DAMON_ABI(6, 18);
	set_goal(ctx, 5000, 3);
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 1, 0, 0, 8 }, { 0 } });
	damon_context_start(ctx, 0);
	ck_assert_uint_eq(ctx->next_tune, 60);
	ctx->passed = 59;
	damon_tune_intervals(ctx);
	ck_assert_uint_eq(ctx->attrs.sample_interval, 5000);
	ctx->passed = 60;
	damon_tune_intervals(ctx);
	ck_assert_uint_eq(ctx->attrs.sample_interval, 10000);
	ck_assert_uint_eq(ctx->attrs.aggr_interval, 200000);
	ck_assert_uint_eq(ctx->next_tune, 120);
	/* Ages are in aggregations, and those are longer; countdowns begin anew. */
	ck_assert_uint_eq(ctx->targets[0].regions[0].age, 4);
	ck_assert_uint_eq(ctx->next_aggr, 80);
	ck_assert_uint_eq(ctx->next_ops_update, 60 + 6000);
	ck_assert_uint_eq(ctx->schemes[0].next_apply, 80);
	/* Off. */
	ctx->attrs.intervals_goal.aggrs = 0;
	ctx->passed = 1000;
	damon_tune_intervals(ctx);
	ck_assert_uint_eq(ctx->attrs.sample_interval, 10000);
}
END_TEST

START_TEST(the_largest_sizes_do_not_overflow)
{
	CTX(ctx, 1, 0);

	set_goal(ctx, 5000, 1);
	ctx->attrs.intervals_goal.access_bp = UINT64_MAX;
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 1UL << 51, 20 }, { 0 } });
	damon_tune_intervals(ctx);
	ck_assert_uint_eq(ctx->attrs.sample_interval, 10000); /* next to nothing of that is seen */
}
END_TEST

/* ---- attributes that are committed ---- */

static const struct {
	uint64_t passed; /* the aggregation ends at 20 */
	struct span before, after;
	uint32_t bp;
} commit_vectors[] = {
	/* Inside it begins again, with the counters of the last one. */
	{ 5, { 0, 4, 3, 10, 6 }, { 0, 4, 0, 5, 3 }, 50000 },
	/* At its end they are what they will be reported as. */
	{ 20, { 0, 4, 10, 7, 6 }, { 0, 4, 5, 7, 3 }, 50000 },
};

START_TEST(a_commit_inside_an_aggregation_begins_it_anew)
{
	CTX(ctx, 1, 0);
	struct damon_desc *desc = damon_desc_new(1, 0);

	ctx->abi = DAMON_ABI(6, 18);
	damon_restart_intervals(ctx);
	ctx->passed = commit_vectors[_i].passed;
	set_spans(&ctx->targets[0], (struct span[]){ commit_vectors[_i].before, { 0 } });
	desc->ops = DAMON_OPS_PADDR;
	desc->attrs = ctx->attrs;
	desc->attrs.sample_interval *= 4;
	desc->attrs.aggr_interval *= 2;
	ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
	assert_spans(&ctx->targets[0], (struct span[]){ commit_vectors[_i].after, { 0 } });
	ck_assert_uint_eq(ctx->targets[0].regions[0].nr_accesses_bp, commit_vectors[_i].bp);
	ck_assert_uint_eq(ctx->next_aggr, ctx->passed + 10);
	ck_assert_uint_eq(damon_max_nr_accesses(&ctx->attrs), 10);
	damon_desc_free(desc);
}
END_TEST

START_TEST(a_commit_of_the_same_changes_nothing)
{
	CTX(ctx, 1, 0);
	struct damon_desc *desc = damon_desc_new(1, 0);

	ctx->abi = DAMON_ABI(6, 18);
	damon_restart_intervals(ctx);
	ctx->passed = 5;
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 4, 3, 10, 6 }, { 0 } });
	desc->ops = DAMON_OPS_PADDR;
	desc->attrs = ctx->attrs;
	ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
	assert_spans(&ctx->targets[0], (struct span[]){ { 0, 4, 3, 10, 6 }, { 0 } });
	ck_assert_uint_eq(ctx->next_aggr, 20);
	damon_desc_free(desc);
}
END_TEST

/* ---- what is checked ---- */

static const struct {
	struct damon_intervals_goal goal;
	int result;
} check_vectors[] = {
	{ { 400, 3, 5000, 10000000 }, 0 },   { { 0, 3, 5000, 5000 }, 0 },
	{ { 20000, 3, 0, 5000 }, 0 },	     { { 400, 3, 5001, 10000 }, -EINVAL },
	{ { 400, 3, 1000, 4999 }, -EINVAL }, { { 400, 3, 6000, 5000 }, -EINVAL },
	{ { 400, 0, 6000, 5000 }, 0 },
};

START_TEST(goals_are_checked)
{
	struct damon_attrs attrs = default_attrs;

	attrs.intervals_goal = check_vectors[_i].goal;
	ck_assert_int_eq(damon_check_attrs(&attrs, DAMON_ABI(6, 18)), check_vectors[_i].result);
}
END_TEST

static const struct {
	enum damon_ops_id ops;
	uint64_t unit, min;
	int result;
} unit_vectors[] = {
	{ DAMON_OPS_PADDR, 1, 4096, 0 },       { DAMON_OPS_PADDR, 2, 2048, 0 },
	{ DAMON_OPS_PADDR, 4096, 1, 0 },       { DAMON_OPS_PADDR, 1000, 4, 0 },
	{ DAMON_OPS_PADDR, 1400, 2, 0 },       { DAMON_OPS_PADDR, 1UL << 40, 1, 0 },
	{ DAMON_OPS_PADDR, 3, 1365, -EINVAL }, { DAMON_OPS_PADDR, 600, 6, -EINVAL },
	{ DAMON_OPS_PADDR, 0, 4096, -EINVAL }, { DAMON_OPS_VADDR, 3, 4096, 0 },
};

START_TEST(units_of_addresses)
{
	ck_assert_uint_eq(damon_min_sz_region(unit_vectors[_i].ops, unit_vectors[_i].unit),
			  unit_vectors[_i].min);
	ck_assert_int_eq(damon_check_addr_unit(unit_vectors[_i].ops, unit_vectors[_i].unit),
			 unit_vectors[_i].result);
}
END_TEST

START_TEST(regions_may_be_as_small_as_their_unit_allows)
{
	CTX(ctx, 1, 0);
	struct damon_target *target = &ctx->targets[0];

	ctx->min_sz_region = 2;
	ck_assert_int_eq(damon_set_regions(target, (struct damon_addr_range[]){ { 3, 99 } }, 1, 2,
					   SIZE_MAX),
			 0);
	ck_assert_uint_eq(target->regions[0].start, 2);
	ck_assert_uint_eq(target->regions[0].end, 100);
	for (int i = 0; i < 20; i++)
		damon_split_regions(ctx);
	ck_assert_uint_gt(target->nr_regions, 10);
	for (size_t i = 0; i < target->nr_regions; i++) {
		ck_assert_uint_lt(target->regions[i].start, target->regions[i].end);
		ck_assert_uint_eq(target->regions[i].start % 2, 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tuning");
	TCase *tcase = tcase_create("tuning");

	ADD_VECTORS(tcase, intervals_change_by_half_or_as_much_again_at_most, factor_vectors);
	tcase_add_test(tcase, intervals_stay_in_their_bounds);
	ADD_VECTORS(tcase, intervals_follow_what_was_seen, tune_vectors);
	tcase_add_test(tcase, they_are_tuned_every_so_many_aggregations);
	tcase_add_test(tcase, the_largest_sizes_do_not_overflow);
	ADD_VECTORS(tcase, a_commit_inside_an_aggregation_begins_it_anew, commit_vectors);
	tcase_add_test(tcase, a_commit_of_the_same_changes_nothing);
	ADD_VECTORS(tcase, goals_are_checked, check_vectors);
	ADD_VECTORS(tcase, units_of_addresses, unit_vectors);
	tcase_add_test(tcase, regions_may_be_as_small_as_their_unit_allows);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
