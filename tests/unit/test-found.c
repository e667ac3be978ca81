// SPDX-License-Identifier: GPL-2.0-or-later
/* Regions that a kdamond leaves behind, and another one goes on with. */
#include <stdlib.h>

#include "engine/found.h"
#include "tests/unit/fixture.h"

/* A description of one target with ranges, of which FOUND was found. */
static struct damon_desc *describe_found(enum damon_ops_id ops, const struct span *ranges,
					 const struct span *found)
{
	struct damon_desc *desc = new_desc(ops, 1, 0);
	struct damon_target_desc *target = &desc->targets[0];

	set_ranges(target, ranges);
	target->nr_found = count_spans(found);
	target->found = calloc(target->nr_found + 1, sizeof(*target->found));
	ck_assert_ptr_nonnull(target->found);
	for (size_t i = 0; i < target->nr_found; i++)
		target->found[i] = (struct damon_found_region){ 0,
								0,
								found[i].start * P,
								found[i].end * P,
								found[i].last_nr_accesses,
								found[i].age };
	return desc;
}

static struct damon_context *begin(struct damon_desc *desc)
{
	struct damon_context *ctx = NULL;

	ck_assert_int_eq(damon_context_new(desc, NULL, &ctx), 0);
	damon_desc_free(desc);
	return ctx;
}

/* FOUND is not gone on with where there may be MOST regions: RANGES are begun with. */
static void assert_begins_anew(const struct span *ranges, const struct span *found, size_t most)
{
	struct damon_desc *desc = describe_found(DAMON_OPS_FVADDR, ranges, found);
	struct damon_context *ctx;

	desc->max_total_regions = most;
	ctx = begin(desc);
	assert_spans(&ctx->targets[0], ranges);
	damon_context_free(ctx);
}

START_TEST(what_was_found_is_gone_on_with)
{
	static const struct span ranges[] = { { 0, 100 }, { 0 } };
	static const struct span found[] = {
		{ 0, 10, 0, 0, 50 }, { 10, 20, 0, 20, 7 }, { 20, 100, 0, 3, 0 }, { 0 }
	};
	struct damon_command command = { .kind = DAMON_COLLECT_TRIED };
	struct damon_context *ctx = begin(describe_found(DAMON_OPS_FVADDR, ranges, found));

	assert_spans(&ctx->targets[0], found);
	ck_assert_uint_eq(ctx->targets[0].regions[1].nr_accesses_bp, 200000);
	damon_found_fill(ctx, &command);
	ck_assert_uint_eq(command.nr_found, 3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(command.found[i].start, found[i].start * P);
		ck_assert_uint_eq(command.found[i].end, found[i].end * P);
		ck_assert_uint_eq(command.found[i].nr_accesses, found[i].last_nr_accesses);
		ck_assert_uint_eq(command.found[i].age, found[i].age);
	}
	damon_command_clear(&command);
	damon_context_free(ctx);
}
END_TEST

/* The user's ranges hold: what was found outside is dropped, and what was not is filled in. */
START_TEST(it_is_fitted_to_the_ranges)
{
	static const struct span ranges[] = { { 5, 30 }, { 50, 60 }, { 0 } };
	static const struct span found[] = { { 0, 10, 0, 2, 50 }, { 35, 45, 0, 3, 7 }, { 0 } };
	static const struct span expected[] = { { 5, 30, 0, 2, 50 }, { 50, 60, 0, 0, 0 }, { 0 } };
	struct damon_context *ctx = begin(describe_found(DAMON_OPS_FVADDR, ranges, found));

	assert_spans(&ctx->targets[0], expected);
	damon_context_free(ctx);
}
END_TEST

/* A region that reaches over two ranges becomes two, which may be one too many. */
START_TEST(what_does_not_fit_is_left)
{
	static const struct span ranges[] = { { 0, 50 }, { 50, 100 }, { 0 } };
	static const struct span found[] = { { 0, 25 }, { 25, 30 }, { 30, 100 }, { 0 } };

	assert_begins_anew(ranges, found, 3);
}
END_TEST

/* Whoever got hold of the journal wrote it: then the target begins anew. */
START_TEST(what_are_no_regions_is_left)
{
	static const struct span ranges[] = { { 0, 100 }, { 0 } };
	static const struct span bad[][4] = {
		{ { 0, 10 }, { 5, 20 }, { 0 } }, /* overlap */
		{ { 20, 30 }, { 0, 10 }, { 0 } }, /* descend */
		{ { 10, 10 }, { 0 } },
		{ { 10, 5 }, { 0 } },
	};

	assert_begins_anew(ranges, bad[_i], 0);
}
END_TEST

START_TEST(odd_numbers)
{
	static const struct span ranges[] = { { 0, 100 }, { 0 } };
	static const struct span found[] = { { 0, 100, 0, UINT32_MAX, UINT32_MAX }, { 0 } };
	struct damon_desc *desc = describe_found(DAMON_OPS_FVADDR, ranges, found);
	struct damon_context *ctx;

	ctx = begin(damon_desc_copy(desc));
	/* No more than there can be. */
	ck_assert_uint_eq(ctx->targets[0].regions[0].last_nr_accesses, 20);
	ck_assert_uint_eq(ctx->targets[0].regions[0].age, UINT32_MAX);
	damon_context_free(ctx);
	desc->targets[0].found[0].start++;
	ctx = begin(desc);
	assert_spans(&ctx->targets[0], ranges);
	damon_context_free(ctx);
}
END_TEST

START_TEST(more_than_there_may_be)
{
	static const struct span ranges[] = { { 0, 100 }, { 0 } };
	static const struct span found[] = { { 0, 10 }, { 10, 20 }, { 20, 100 }, { 0 } };

	assert_begins_anew(ranges, found, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("found");
	TCase *found = tcase_create("found");

	tcase_add_test(found, what_was_found_is_gone_on_with);
	tcase_add_test(found, it_is_fitted_to_the_ranges);
	tcase_add_test(found, what_does_not_fit_is_left);
	tcase_add_loop_test(found, what_are_no_regions_is_left, 0, 4);
	tcase_add_test(found, odd_numbers);
	tcase_add_test(found, more_than_there_may_be);
	suite_add_tcase(suite, found);
	return unit_run(suite);
}
