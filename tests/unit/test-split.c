// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random splits between aggregations: when there is one, how many pieces it makes, where it may cut
 * and what the pieces inherit (docs/abi/engine.md section 8.2).
 */
#include "engine/adaptive.h"
#include "engine/context.h"
#include "engine/region.h"
#include "tests/unit/fixture.h"

#define CTX(name, nr_targets)                                                      \
	__attribute__((cleanup(damon_context_freep))) struct damon_context *name = \
		new_ctx(DAMON_OPS_VADDR, nr_targets, 0)

/* NR regions of SZ pages each, one after another. */
static void set_even(struct damon_target *target, size_t nr, uint64_t sz)
{
	target->nr_regions = 0;
	for (size_t i = 0; i < nr; i++)
		ck_assert_int_eq(damon_insert_region(target, i, i * sz * P, (i + 1) * sz * P), 0);
}

/* Of 100 pages a cut is always possible: the number of pieces is the number asked for. */
static const struct {
	size_t nr, remembered;
	uint64_t max_nr_regions;
	size_t after, remembered_after;
} number_vectors[] = {
	/* Two pieces, unless there are more than half of the most already. */
	{ 1, 0, 1000, 2, 1 },
	{ 5, 0, 10, 10, 5 },
	{ 6, 0, 10, 6, 0 },
	{ 5, 0, 11, 10, 5 },
	{ 6, 0, 11, 6, 0 },
	{ 6, 0, 12, 12, 6 },
	{ 1, 0, 1, 1, 0 },
	/* What is not split is not remembered. */
	{ 6, 4, 10, 6, 4 },
	{ 6, 6, 10, 6, 6 },
	/* Three if the last split was of as many, and they are fewer than a third. */
	{ 5, 5, 1000, 15, 5 },
	{ 5, 4, 1000, 10, 5 },
	{ 5, 6, 1000, 10, 5 },
	{ 5, 5, 18, 15, 5 },
	{ 5, 5, 17, 10, 5 },
	{ 5, 5, 15, 10, 5 },
	{ 5, 5, 10, 10, 5 },
};

START_TEST(number_of_pieces_follows_the_number_of_regions)
{
	CTX(ctx, 1);

	ctx->attrs.max_nr_regions = number_vectors[_i].max_nr_regions;
	ctx->last_split_nr_regions = number_vectors[_i].remembered;
	set_even(&ctx->targets[0], number_vectors[_i].nr, 100);
	damon_split_regions(ctx);
	ck_assert_uint_eq(damon_nr_regions(ctx), number_vectors[_i].after);
	ck_assert_uint_eq(ctx->last_split_nr_regions, number_vectors[_i].remembered_after);
	assert_covers(&ctx->targets[0], number_vectors[_i].nr * 100);
}
END_TEST

START_TEST(regions_of_all_targets_count)
{
	CTX(ctx, 3);

	ctx->attrs.max_nr_regions = 11;
	for (size_t t = 0; t < 2; t++)
		set_even(&ctx->targets[t], 3, 100);
	damon_split_regions(ctx);
	ck_assert_uint_eq(damon_nr_regions(ctx), 6);
	ctx->attrs.max_nr_regions = 12;
	damon_split_regions(ctx);
	for (size_t t = 0; t < 2; t++) {
		ck_assert_uint_eq(ctx->targets[t].nr_regions, 6);
		assert_covers(&ctx->targets[t], 300);
	}
	ck_assert_uint_eq(ctx->targets[2].nr_regions, 0);
	ck_assert_uint_eq(ctx->last_split_nr_regions, 6);
}
END_TEST

START_TEST(regions_of_two_pages_and_less_are_never_split)
{
	CTX(ctx, 1);

	ctx->attrs.max_nr_regions = 100000;
	for (uint64_t sz = 1; sz <= 2; sz++) {
		set_even(&ctx->targets[0], 100, sz);
		/* The second time with three pieces. */
		for (int i = 0; i < 2; i++)
			damon_split_regions(ctx);
		ck_assert_uint_eq(damon_nr_regions(ctx), 100);
		assert_covers(&ctx->targets[0], 100 * sz);
	}
}
END_TEST

/* 4 to 9 tenths of three pages are one or two pages; a try of 1 to 3 tenths is lost. */
START_TEST(cut_before_the_first_page_is_a_lost_try)
{
	CTX(ctx, 1);

	ctx->attrs.max_nr_regions = 100000;
	set_even(&ctx->targets[0], 900, 3);
	damon_split_regions(ctx);
	/* About 600 more; the chance of being this far off is less than one in a million. */
	ck_assert_uint_ge(damon_nr_regions(ctx), 900 + 520);
	ck_assert_uint_le(damon_nr_regions(ctx), 900 + 680);
	assert_covers(&ctx->targets[0], 2700);
}
END_TEST

static const uint64_t sizes[] = {
	10,
	100,
	(1UL << 20) + 10 - (1UL << 20) % 10, /* beyond 32 bits */
	(1UL << 35) - (1UL << 35) % 10, /* a process's whole address space */
	(1UL << 52) - (1UL << 52) % 10, /* all there is */
};

START_TEST(cuts_are_at_any_of_nine_tenths)
{
	CTX(ctx, 1);
	size_t seen[11] = { 0 };

	for (int i = 0; i < 900; i++) {
		set_even(&ctx->targets[0], 1, sizes[_i]);
		ctx->last_split_nr_regions = 0;
		damon_split_regions(ctx);
		assert_covers(&ctx->targets[0], sizes[_i]);
		ck_assert_uint_eq(damon_nr_regions(ctx), 2);
		ck_assert_uint_eq(ctx->targets[0].regions[0].end / P % (sizes[_i] / 10), 0);
		seen[ctx->targets[0].regions[0].end / P / (sizes[_i] / 10)]++;
	}
	for (int k = 1; k <= 9; k++) {
		ck_assert_uint_ge(seen[k], 50);
		ck_assert_uint_le(seen[k], 150);
	}
}
END_TEST

START_TEST(second_cut_is_in_the_left_piece)
{
	CTX(ctx, 1);
	const struct damon_region *regions;

	for (int i = 0; i < 200; i++) {
		uint64_t first, second;

		set_even(&ctx->targets[0], 1, 100);
		ctx->last_split_nr_regions = 1;
		damon_split_regions(ctx);
		ck_assert_uint_eq(damon_nr_regions(ctx), 3);
		assert_covers(&ctx->targets[0], 100);
		regions = ctx->targets[0].regions;
		first = regions[1].end / P;
		second = regions[0].end / P;
		ck_assert_uint_eq(first % 10, 0);
		ck_assert_uint_eq(second % (first / 10), 0);
	}
}
END_TEST

START_TEST(pieces_inherit_everything)
{
	CTX(ctx, 1);
	struct damon_target *target = &ctx->targets[0];

	set_spans(target, (struct span[]){ { 0, 100, 0, 7, 9 }, { 0 } });
	target->regions[0].nr_accesses_bp = 12345;
	target->regions[0].priv = 3;
	ctx->last_split_nr_regions = 1;
	damon_split_regions(ctx);
	ck_assert_uint_eq(target->nr_regions, 3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(target->regions[i].nr_accesses, 0);
		ck_assert_uint_eq(target->regions[i].last_nr_accesses, 7);
		ck_assert_uint_eq(target->regions[i].nr_accesses_bp, 12345);
		ck_assert_uint_eq(target->regions[i].age, 9);
		ck_assert_uint_eq(target->regions[i].priv, 3);
	}
}
END_TEST

START_TEST(holes_stay_holes)
{
	CTX(ctx, 1);
	struct damon_target *target = &ctx->targets[0];
	uint64_t sum = 0;

	set_spans(target, (struct span[]){ { 5, 25 }, { 30, 31 }, { 40, 90 }, { 0 } });
	damon_split_regions(ctx);
	ck_assert_uint_eq(target->nr_regions, 5);
	assert_sound(target);
	for (size_t i = 0; i < 5; i++)
		sum += damon_sz_region(&target->regions[i]);
	ck_assert_uint_eq(sum, 71 * P);
	ck_assert_uint_eq(target->regions[2].start, 30 * P);
	ck_assert_uint_eq(target->regions[4].end, 90 * P);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("split");
	TCase *tcase = tcase_create("split");

	ADD_VECTORS(tcase, number_of_pieces_follows_the_number_of_regions, number_vectors);
	tcase_add_test(tcase, regions_of_all_targets_count);
	tcase_add_test(tcase, regions_of_two_pages_and_less_are_never_split);
	tcase_add_test(tcase, cut_before_the_first_page_is_a_lost_try);
	ADD_VECTORS(tcase, cuts_are_at_any_of_nine_tenths, sizes);
	tcase_add_test(tcase, second_cut_is_in_the_left_piece);
	tcase_add_test(tcase, pieces_inherit_everything);
	tcase_add_test(tcase, holes_stay_holes);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
