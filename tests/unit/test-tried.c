// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The collection of tried regions: one application round of each scheme, in order, with the values
 * from before the action, and its end when nothing comes (docs/abi/sysfs.md section 8).
 */
#include "engine/apply.h"
#include "engine/attrs.h"
#include "engine/context.h"
#include "engine/region.h"
#include "tests/unit/fixture.h"

#define CTX(name, nr_targets, nr_schemes)                                          \
	__attribute__((cleanup(damon_context_freep))) struct damon_context *name = \
		new_ctx(DAMON_OPS_VADDR, nr_targets, nr_schemes)

#define COMMAND(name)           \
	__attribute__((cleanup( \
		damon_command_clear))) struct damon_command name = { .kind = DAMON_COLLECT_TRIED }

struct tried {
	uint32_t scheme;
	uint64_t start, end; /* in P */
	uint32_t nr_accesses, age;
};

static void assert_tried(const struct damon_command *command, const struct tried *tried, size_t nr)
{
	ck_assert_uint_eq(command->nr_tried, nr);
	for (size_t i = 0; i < nr; i++) {
		ck_assert_uint_eq(command->tried[i].scheme, tried[i].scheme);
		ck_assert_uint_eq(command->tried[i].start, tried[i].start * P);
		ck_assert_uint_eq(command->tried[i].end, tried[i].end * P);
		ck_assert_uint_eq(command->tried[i].nr_accesses, tried[i].nr_accesses);
		ck_assert_uint_eq(command->tried[i].age, tried[i].age);
	}
}

/* Lets NR sampling intervals pass. */
static void pass(struct damon_context *ctx, uint64_t nr)
{
	for (; nr; nr--) {
		ctx->passed++;
		damos_apply_schemes(ctx, 0);
	}
}

START_TEST(regions_are_collected_as_before_the_action)
{
	CTX(ctx, 2, 1);
	COMMAND(command);

	ctx->schemes[0].desc.action = DAMOS_COLD;
	ctx->schemes[0].desc.pattern.min_age_region = 1;
	set_spans(
		&ctx->targets[0],
		(struct span[]){ { 0, 2, 3, 0, 5 }, { 2, 3, 9, 0, 0 }, { 3, 7, 4, 0, 6 }, { 0 } });
	set_spans(&ctx->targets[1], (struct span[]){ { 1, 2, 7, 0, 8 }, { 0 } });
	/* The moving sum counts. */
	ctx->targets[0].regions[0].nr_accesses = 1;
	damon_restart_intervals(ctx);
	damos_collect_start(ctx, &command);
	pass(ctx, 19);
	ck_assert(!damos_collect_finished(ctx));
	pass(ctx, 1);
	ck_assert(damos_collect_finished(ctx));
	assert_tried(&command,
		     (struct tried[]){ { 0, 0, 2, 3, 5 }, { 0, 3, 7, 4, 6 }, { 0, 1, 2, 7, 8 } },
		     3);
	ck_assert_uint_eq(ctx->targets[0].regions[0].age, 0);
}
END_TEST

START_TEST(schemes_are_collected_once_each_and_interleaved)
{
	CTX(ctx, 1, 2);
	COMMAND(command);

	ctx->schemes[1].desc.pattern.min_nr_accesses = 1;
	set_spans(&ctx->targets[0],
		  (struct span[]){ { 0, 2, 3 }, { 2, 3, 0 }, { 3, 7, 4 }, { 0 } });
	damon_restart_intervals(ctx);
	damos_collect_start(ctx, &command);
	pass(ctx, 20);
	ck_assert(damos_collect_finished(ctx));
	/* The second round is not collected. */
	pass(ctx, 20);
	assert_tried(&command,
		     (struct tried[]){ { 0, 0, 2, 3 },
				       { 1, 0, 2, 3 },
				       { 0, 2, 3 },
				       { 0, 3, 7, 4 },
				       { 1, 3, 7, 4 } },
		     5);
}
END_TEST

START_TEST(faster_scheme_waits_for_the_slower_one)
{
	CTX(ctx, 1, 2);
	COMMAND(command);

	ctx->schemes[0].desc.apply_interval = 25000;
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 2 }, { 0 } });
	damon_restart_intervals(ctx);
	damos_collect_start(ctx, &command);
	pass(ctx, 19);
	ck_assert(!damos_collect_finished(ctx));
	assert_tried(&command, (struct tried[]){ { 0, 0, 2 } }, 1);
	pass(ctx, 1);
	ck_assert(damos_collect_finished(ctx));
	assert_tried(&command, (struct tried[]){ { 0, 0, 2 }, { 1, 0, 2 } }, 2);
}
END_TEST

/* In sampling intervals: the scheme is given up at about twice its apply interval. */
static const struct {
	uint64_t apply; /* us */
	uint64_t waits;
} give_up_vectors[] = {
	{ 0, 40 },
	{ 100000, 40 },
	{ 25000, 10 },
	{ 500000, 200 },
};

START_TEST(scheme_without_regions_is_given_up_after_twice_its_interval)
{
	CTX(ctx, 1, 1);
	COMMAND(command);

	ctx->schemes[0].desc.apply_interval = give_up_vectors[_i].apply;
	ctx->schemes[0].desc.pattern.min_age_region = 1;
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 2 }, { 0 } });
	ctx->passed = 7;
	damon_restart_intervals(ctx);
	damos_collect_start(ctx, &command);
	pass(ctx, give_up_vectors[_i].waits - 1);
	ck_assert(!damos_collect_finished(ctx));
	pass(ctx, 2);
	ck_assert(damos_collect_finished(ctx));
	ck_assert_uint_eq(command.nr_tried, 0);
}
END_TEST

START_TEST(late_match_is_still_collected)
{
	CTX(ctx, 1, 1);
	COMMAND(command);

	ctx->schemes[0].desc.pattern.min_age_region = 1;
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 2 }, { 0 } });
	damon_restart_intervals(ctx);
	damos_collect_start(ctx, &command);
	pass(ctx, 20);
	ck_assert(!damos_collect_finished(ctx));
	ctx->targets[0].regions[0].age = 1;
	pass(ctx, 20);
	ck_assert(damos_collect_finished(ctx));
	assert_tried(&command, (struct tried[]){ { 0, 0, 2, 0, 1 } }, 1);
}
END_TEST

START_TEST(nothing_to_wait_for_is_finished_at_once)
{
	CTX(none, 1, 0);
	CTX(inactive, 1, 2);
	COMMAND(command);

	damos_collect_start(none, &command);
	ck_assert(damos_collect_finished(none));
	damon_restart_intervals(inactive);
	damos_collect_start(inactive, &command);
	ck_assert(!damos_collect_finished(inactive));
	inactive->schemes[0].active = inactive->schemes[1].active = false;
	ck_assert(damos_collect_finished(inactive));
}
END_TEST

/* Excluded by a core filter, or tried with zero bytes of quota: not listed.  By others: listed. */
static const struct {
	enum damos_filter_type filter;
	uint64_t quota;
	size_t nr;
} listed_vectors[] = {
	{ DAMOS_FILTER_TYPE_TARGET, 0, 0 },   { DAMOS_FILTER_TYPE_ANON, 0, 1 },
	{ DAMOS_FILTER_TYPE_MEMCG, 0, 1 },    { DAMOS_FILTER_TYPE_YOUNG, 0, 1 },
	{ DAMOS_FILTER_TYPE_ANON, P - 1, 0 },
};

START_TEST(only_what_is_applied_is_collected)
{
	CTX(ctx, 1, 1);
	COMMAND(command);

	ctx->schemes[0].desc.filters = calloc(1, sizeof(*ctx->schemes[0].desc.filters));
	ck_assert_ptr_nonnull(ctx->schemes[0].desc.filters);
	ctx->schemes[0].desc.filters[0].type = listed_vectors[_i].filter;
	ctx->schemes[0].desc.filters[0].matching = true;
	ctx->schemes[0].desc.nr_filters = 1;
	ctx->schemes[0].quota.desc.sz = listed_vectors[_i].quota;
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 2 }, { 0 } });
	damos_collect_start(ctx, &command);
	pass(ctx, 1);
	ck_assert_uint_eq(command.nr_tried, listed_vectors[_i].nr);
}
END_TEST

START_TEST(any_number_of_regions_is_collected)
{
	CTX(ctx, 1, 1);
	COMMAND(command);

	for (size_t i = 0; i < 1000; i++)
		ck_assert_int_eq(damon_insert_region(&ctx->targets[0], i, i * P, (i + 1) * P), 0);
	damos_collect_start(ctx, &command);
	pass(ctx, 1);
	ck_assert_uint_eq(command.nr_tried, 1000);
	for (size_t i = 0; i < 1000; i++)
		ck_assert_uint_eq(command.tried[i].start, i * P);
}
END_TEST

/* ---- since Linux 6.14 ---- */

START_TEST(the_first_round_of_each_is_enough)
{
	CTX(ctx, 1, 2);
	COMMAND(command);

	ctx->abi = DAMON_ABI(6, 18);
	ctx->schemes[0].desc.apply_interval = 25000;
	ctx->schemes[0].desc.pattern.min_nr_accesses = 1; /* which no region has */
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 2 }, { 0 } });
	damon_restart_intervals(ctx);
	damos_collect_start(ctx, &command);
	pass(ctx, 19);
	ck_assert(!damos_collect_finished(ctx));
	pass(ctx, 1);
	ck_assert(damos_collect_finished(ctx));
	ck_assert_int_eq(command.error, 0);
	assert_tried(&command, (struct tried[]){ { 1, 0, 2 } }, 1);
}
END_TEST

START_TEST(nothing_to_wait_for_is_an_error)
{
	for (size_t nr = 0; nr < 2; nr++) {
		CTX(ctx, 1, nr);
		COMMAND(command);

		ctx->abi = DAMON_ABI(6, 18);
		if (nr)
			ctx->schemes[0].active = false;
		damos_collect_start(ctx, &command);
		ck_assert(damos_collect_finished(ctx));
		ck_assert_int_eq(command.error, -ECANCELED);
	}
}
END_TEST

START_TEST(a_collection_that_failed_ends_and_the_kdamond_goes_on)
{
	CTX(ctx, 1, 1);
	COMMAND(command);

	ctx->abi = DAMON_ABI(6, 18);
	damos_collect_start(ctx, &command);
	command.error = -ENOMEM;
	pass(ctx, 1);
	ck_assert(damos_collect_finished(ctx));
	ck_assert_int_eq(command.error, -ENOMEM);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tried");
	TCase *tcase = tcase_create("tried");

	tcase_add_test(tcase, regions_are_collected_as_before_the_action);
	tcase_add_test(tcase, schemes_are_collected_once_each_and_interleaved);
	tcase_add_test(tcase, faster_scheme_waits_for_the_slower_one);
	ADD_VECTORS(tcase, scheme_without_regions_is_given_up_after_twice_its_interval,
		    give_up_vectors);
	tcase_add_test(tcase, late_match_is_still_collected);
	tcase_add_test(tcase, nothing_to_wait_for_is_finished_at_once);
	ADD_VECTORS(tcase, only_what_is_applied_is_collected, listed_vectors);
	tcase_add_test(tcase, any_number_of_regions_is_collected);
	tcase_add_test(tcase, the_first_round_of_each_is_enough);
	tcase_add_test(tcase, nothing_to_wait_for_is_an_error);
	tcase_add_test(tcase, a_collection_that_failed_ends_and_the_kdamond_goes_on);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
