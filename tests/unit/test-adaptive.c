// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Adaptive regions: aging, merging, its thresholds, the reset between aggregations, random splits
 * and the moving sum (docs/abi/engine.md sections 6 to 8).
 */
#include "engine/adaptive.h"
#include "engine/attrs.h"
#include "engine/context.h"
#include "engine/sampling.h"
#include "tests/unit/fixture.h"

#define CTX(name, nr_targets)                                                      \
	__attribute__((cleanup(damon_context_freep))) struct damon_context *name = \
		new_ctx(DAMON_OPS_VADDR, nr_targets, 0)

/* ---- one pass of merging ---- */

static const struct {
	struct span before[MAX_SPANS];
	uint32_t threshold;
	uint64_t sz_limit; /* in P */
	bool aging;
	struct span after[MAX_SPANS];
} merge_vectors[] = {
	/* Those of docs/abi/engine.md. */
	{ { { 0, 100, 10 }, { 100, 300, 20 } }, 10, 9999, false, { { 0, 300, 16 } } },
	{ { { 0, 100, 0 },
	    { 100, 112, 0 },
	    { 114, 122, 10 },
	    { 122, 130, 10 },
	    { 130, 156, 20 },
	    { 156, 170, 30 },
	    { 170, 184, 1 },
	    { 184, 230, 2 } },
	  9,
	  9999,
	  false,
	  { { 0, 112, 0 }, { 114, 130, 10 }, { 130, 156, 20 }, { 156, 170, 30 }, { 170, 230, 1 } } },
	/* The threshold and the size limit are both included. */
	{ { { 0, 10, 5 }, { 10, 20, 8 } }, 3, 9999, false, { { 0, 20, 6 } } },
	{ { { 0, 10, 5 }, { 10, 20, 8 } }, 2, 9999, false, { { 0, 10, 5 }, { 10, 20, 8 } } },
	{ { { 0, 10, 8 }, { 10, 20, 5 } }, 3, 9999, false, { { 0, 20, 6 } } },
	{ { { 0, 10 }, { 10, 20 } }, 0, 20, false, { { 0, 20 } } },
	{ { { 0, 10 }, { 10, 20 } }, 0, 19, false, { { 0, 10 }, { 10, 20 } } },
	{ { { 0, 10 }, { 10, 20 }, { 20, 30 } }, 0, 20, false, { { 0, 20 }, { 20, 30 } } },
	/* Only neighbours. */
	{ { { 0, 10 }, { 11, 20 } }, 9, 9999, false, { { 0, 10 }, { 11, 20 } } },
	/* What was merged is compared with the next by its average. */
	{ { { 0, 10, 0 }, { 10, 20, 10 }, { 20, 30, 15 } }, 10, 9999, false, { { 0, 30, 8 } } },
	{ { { 0, 10, 0 }, { 10, 20, 10 }, { 20, 30, 16 } },
	  10,
	  9999,
	  false,
	  { { 0, 20, 5 }, { 20, 30, 16 } } },
	/* Ages are averaged by size too; last_nr_accesses is the left one's. */
	{ { { 0, 10, 2, 7, 100 }, { 10, 40, 4, 9, 20 } }, 2, 9999, false, { { 0, 40, 3, 7, 40 } } },
	{ { { 0, 1, 0, 0, UINT32_MAX }, { 1, 2, 0, 0, UINT32_MAX } },
	  0,
	  9999,
	  false,
	  { { 0, 2, 0, 0, UINT32_MAX } } },
	/* Aging comes right before the merge test, each region by its own change. */
	{ { { 0, 10, 5, 5, 7 }, { 10, 20, 5, 9, 7 } }, 3, 9999, true, { { 0, 20, 5, 5, 4 } } },
	{ { { 0, 10, 5, 5, 7 }, { 20, 30, 5, 8, 7 }, { 40, 50, 9, 5, 7 }, { 60, 70, 5, 9, 7 } },
	  3,
	  9999,
	  true,
	  { { 0, 10, 5, 5, 8 }, { 20, 30, 5, 8, 8 }, { 40, 50, 9, 5, 0 }, { 60, 70, 5, 9, 0 } } },
	/* The largest sizes do not overflow the average. */
	{ { { 0, 1UL << 51, 4000000000U }, { 1UL << 51, (1UL << 52) - 1, 4000000000U } },
	  0,
	  1UL << 52,
	  false,
	  { { 0, (1UL << 52) - 1, 4000000000U } } },
	{ { { 0 } }, 9, 9999, true, { { 0 } } },
};

START_TEST(alike_neighbours_are_merged_by_weight)
{
	CTX(ctx, 1);
	struct damon_target *target = &ctx->targets[0];
	uint64_t limit = merge_vectors[_i].sz_limit;

	set_spans(target, merge_vectors[_i].before);
	if (merge_vectors[_i].aging)
		damon_age_target(target, merge_vectors[_i].threshold, false);
	damon_merge_target(target, merge_vectors[_i].threshold,
			   limit >= 1UL << 52 ? UINT64_MAX : limit * P);
	assert_spans(target, merge_vectors[_i].after);
}
END_TEST

START_TEST(merged_regions_begin_a_moving_sum_of_their_own)
{
	CTX(ctx, 1);
	struct damon_target *target = &ctx->targets[0];

	set_spans(target, (struct span[]){ { 0, 1, 3 }, { 1, 2, 5 }, { 3, 4, 9 }, { 0 } });
	for (size_t i = 0; i < 3; i++)
		target->regions[i].nr_accesses_bp = 777;
	damon_merge_target(target, 2, UINT64_MAX);
	ck_assert_uint_eq(target->nr_regions, 2);
	ck_assert_uint_eq(target->regions[0].nr_accesses_bp, 40000);
	ck_assert_uint_eq(target->regions[1].nr_accesses_bp, 777);
}
END_TEST

/* What the access method knows: of most of the merged region. */
START_TEST(merged_regions_keep_what_is_known_of_the_larger_one)
{
	CTX(ctx, 1);
	struct damon_target *target = &ctx->targets[0];

	set_spans(target, (struct span[]){ { 0, 1, 3 }, { 1, 9, 3 }, { 9, 12, 3 }, { 0 } });
	for (size_t i = 0; i < 3; i++)
		target->regions[i].priv = (uint32_t)i + 1;
	damon_merge_target(target, 0, UINT64_MAX);
	ck_assert_uint_eq(target->nr_regions, 1);
	ck_assert_uint_eq(target->regions[0].priv, 2);
}
END_TEST

/* ---- the threshold, as often as it takes ---- */

static const struct {
	struct span before[MAX_SPANS];
	uint64_t max_nr_regions;
	struct span after[MAX_SPANS];
} threshold_vectors[] = {
	/* A tenth of the highest, then doubled, then all that there can be: 2, 4, 8, 16, 20. */
	{ { { 0, 1, 0 }, { 1, 2, 2 }, { 2, 3, 20 }, { 3, 4, 17 } },
	  3,
	  { { 0, 2, 1 }, { 2, 3, 20 }, { 3, 4, 17 } } },
	{ { { 0, 1, 0 }, { 1, 2, 2 }, { 2, 3, 20 }, { 3, 4, 17 } },
	  2,
	  { { 0, 2, 1 }, { 2, 4, 18 } } },
	{ { { 0, 1, 0 }, { 1, 2, 2 }, { 2, 3, 20 }, { 3, 4, 17 } }, 1, { { 0, 4, 9 } } },
	/* And no further. */
	{ { { 0, 1, 0 }, { 1, 2, 25 } }, 1, { { 0, 1, 0 }, { 1, 2, 25 } } },
	{ { { 0, 1, 5 }, { 1, 2, 25 } }, 1, { { 0, 2, 15 } } },
	/* From a threshold of zero. */
	{ { { 0, 1, 0 }, { 1, 2, 1 }, { 2, 3, 0 }, { 3, 4, 1 } }, 1, { { 0, 4, 0 } } },
	{ { { 0, 1, 0 }, { 1, 2, 1 }, { 2, 3, 0 }, { 3, 4, 1 } },
	  4,
	  { { 0, 1, 0 }, { 1, 2, 1 }, { 2, 3, 0 }, { 3, 4, 1 } } },
	/* Equal ones are merged whatever the number. */
	{ { { 0, 1, 0 }, { 1, 2, 0 }, { 2, 3, 9 } }, 1000, { { 0, 2, 0 }, { 2, 3, 9 } } },
	/* What is apart stays so: it ends above the number. */
	{ { { 0, 1, 0 }, { 2, 3, 0 }, { 4, 5, 0 } }, 1, { { 0, 1, 0 }, { 2, 3, 0 }, { 4, 5, 0 } } },
};

START_TEST(threshold_is_doubled_until_there_are_few_enough)
{
	CTX(ctx, 1);
	const struct span *after = threshold_vectors[_i].after;

	ctx->attrs.min_nr_regions = 1;
	ctx->attrs.max_nr_regions = threshold_vectors[_i].max_nr_regions;
	set_spans(&ctx->targets[0], threshold_vectors[_i].before);
	damon_update_size_limit(ctx);
	damon_merge_regions(ctx);
	assert_bounds(&ctx->targets[0], after);
	for (size_t i = 0; i < ctx->targets[0].nr_regions; i++)
		ck_assert_uint_eq(ctx->targets[0].regions[i].nr_accesses, after[i].nr_accesses);
}
END_TEST

START_TEST(age_grows_once_however_many_passes_there_are)
{
	CTX(ctx, 1);
	struct damon_target *target = &ctx->targets[0];

	ctx->attrs.min_nr_regions = 1;
	ctx->attrs.max_nr_regions = 1;
	set_spans(target, (struct span[]){ { 0, 1, 0, 0, 50 }, { 1, 2, 20, 20, 50 }, { 0 } });
	damon_update_size_limit(ctx);
	damon_merge_regions(ctx);
	assert_spans(target, (struct span[]){ { 0, 2, 10, 0, 51 }, { 0 } });
	/* And what changed by more than the first threshold is young. */
	set_spans(target, (struct span[]){ { 0, 1, 0, 3, 50 }, { 1, 2, 20, 17, 50 }, { 0 } });
	damon_merge_regions(ctx);
	assert_spans(target, (struct span[]){ { 0, 2, 10, 3, 0 }, { 0 } });
}
END_TEST

START_TEST(size_limit_holds_against_the_number_of_regions)
{
	CTX(ctx, 2);

	ctx->attrs.min_nr_regions = 4;
	ctx->attrs.max_nr_regions = 4;
	for (size_t t = 0; t < 2; t++)
		set_spans(&ctx->targets[t],
			  (struct span[]){ { 0, 3 }, { 3, 6 }, { 6, 9 }, { 9, 10 }, { 0 } });
	damon_update_size_limit(ctx);
	ck_assert_uint_eq(ctx->sz_limit, 5 * P); /* of both targets' 20 */
	damon_merge_regions(ctx);
	for (size_t t = 0; t < 2; t++)
		assert_bounds(&ctx->targets[t],
			      (struct span[]){ { 0, 3 }, { 3, 6 }, { 6, 10 }, { 0 } });
}
END_TEST

START_TEST(size_limit_is_at_least_a_page)
{
	CTX(ctx, 1);

	damon_update_size_limit(ctx);
	ck_assert_uint_eq(ctx->sz_limit, P);
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 9 }, { 0 } });
	damon_update_size_limit(ctx);
	ck_assert_uint_eq(ctx->sz_limit, P);
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 35 }, { 0 } });
	damon_update_size_limit(ctx);
	ck_assert_uint_eq(ctx->sz_limit, 35 * P / 10);
}
END_TEST

START_TEST(next_aggregation_begins_with_the_moving_sum_untouched)
{
	CTX(ctx, 2);

	for (size_t t = 0; t < 2; t++)
		set_spans(&ctx->targets[t],
			  (struct span[]){ { 0, 3, 7, 1, 5 }, { 3, 6, 0, 9, 6 }, { 0 } });
	damon_reset_aggregated(ctx);
	for (size_t t = 0; t < 2; t++) {
		assert_spans(&ctx->targets[t],
			     (struct span[]){ { 0, 3, 0, 7, 5 }, { 3, 6, 0, 0, 6 }, { 0 } });
		ck_assert_uint_eq(ctx->targets[t].regions[0].nr_accesses_bp, 70000);
	}
}
END_TEST

/* ---- the moving sum ---- */

START_TEST(moving_sum_follows_the_vector)
{
	static const bool inputs[] = { 1, 0, 1, 0, 0, 0, 1, 0, 0, 0 };
	static const uint32_t sums[] = { 55000, 50000, 55000, 50000, 45000,
					 40000, 45000, 40000, 35000, 30000 };
	struct damon_region region = { .nr_accesses_bp = 50000, .last_nr_accesses = 5 };

	for (size_t i = 0; i < ARRAY_SIZE(inputs); i++) {
		damon_update_region_access(&region, inputs[i], 10, 1);
		ck_assert_uint_eq(region.nr_accesses_bp, sums[i]);
	}
	ck_assert_uint_eq(region.nr_accesses, 3);
	ck_assert_uint_eq(region.last_nr_accesses, 5);
}
END_TEST

START_TEST(several_rounds_count_as_so_many_single_ones)
{
	for (int accessed = 0; accessed < 2; accessed++) {
		struct damon_region one = { .nr_accesses_bp = 123456,
					    .last_nr_accesses = 7,
					    .nr_accesses = 2 };
		struct damon_region many = one;

		for (int i = 0; i < 5; i++)
			damon_update_region_access(&one, accessed ? 1 : 0, 20, 1);
		damon_update_region_access(&many, accessed ? 5 : 0, 20, 5);
		ck_assert_uint_eq(many.nr_accesses, accessed ? 7 : 2);
		ck_assert_uint_eq(many.nr_accesses, one.nr_accesses);
		ck_assert_uint_eq(many.nr_accesses_bp, one.nr_accesses_bp);
	}
}
END_TEST

/* A round without a process: nothing is accessed. */
START_TEST(moving_sum_has_a_window_of_one_while_the_sampling_interval_is_zero)
{
	CTX(ctx, 1);

	ctx->attrs.sample_interval = 0;
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 3, 5, 5 }, { 0 } });
	damon_sample(ctx, ACCESS_CHECK, 0, 1);
	ck_assert_uint_eq(ctx->targets[0].regions[0].nr_accesses_bp, 0);
}
END_TEST

static const struct {
	uint64_t sample, aggr;
	uint32_t max;
} max_vectors[] = {
	{ 5000, 100000, 20 },
	{ 5000, 104999, 20 },
	{ 1, 1, 1 },
	{ 0, 100000, 100000 },
	{ 10, 0, 1 },
	{ 100, 99, 1 },
	{ 0, 0, 1 },
	{ 1, UINT64_MAX, UINT32_MAX },
	{ 1, 1UL << 32, UINT32_MAX },
};

START_TEST(most_accesses_are_the_samples_of_an_aggregation)
{
	const struct damon_attrs attrs = { .sample_interval = max_vectors[_i].sample,
					   .aggr_interval = max_vectors[_i].aggr };

	ck_assert_uint_eq(damon_max_nr_accesses(&attrs), max_vectors[_i].max);
}
END_TEST

static void add_moving_sum(TCase *tcase)
{
	tcase_add_test(tcase, moving_sum_follows_the_vector);
	tcase_add_test(tcase, several_rounds_count_as_so_many_single_ones);
	tcase_add_test(tcase, moving_sum_has_a_window_of_one_while_the_sampling_interval_is_zero);
	ADD_VECTORS(tcase, most_accesses_are_the_samples_of_an_aggregation, max_vectors);
}

int main(void)
{
	Suite *suite = suite_create("adaptive");
	TCase *tcase = tcase_create("adaptive");

	ADD_VECTORS(tcase, alike_neighbours_are_merged_by_weight, merge_vectors);
	tcase_add_test(tcase, merged_regions_begin_a_moving_sum_of_their_own);
	tcase_add_test(tcase, merged_regions_keep_what_is_known_of_the_larger_one);
	ADD_VECTORS(tcase, threshold_is_doubled_until_there_are_few_enough, threshold_vectors);
	tcase_add_test(tcase, age_grows_once_however_many_passes_there_are);
	tcase_add_test(tcase, size_limit_holds_against_the_number_of_regions);
	tcase_add_test(tcase, size_limit_is_at_least_a_page);
	tcase_add_test(tcase, next_aggregation_begins_with_the_moving_sum_untouched);
	add_moving_sum(tcase);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
