// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory is short: each allocation of what the engine does fails once, and then all from there on.
 * What failed says so, nothing is half done, and whatever can go on does.  The same of a limit to
 * the number of regions.  Schemes are in test-closed.c.
 */
#include "engine/adaptive.h"
#include "engine/commit.h"
#include "engine/context.h"
#include "engine/region.h"
#include "engine/target.h"
#include "tests/unit/failing.h"
#include "tests/unit/monitor.h"
#include "tests/unit/run.h"

/* More than anything here allocates. */
#define MANY 1000

/* ---- descriptions and contexts ---- */

#define SCRIPT                    \
	"map 0x10000000 64M\n"    \
	"map 0x40000000 1M\n"     \
	"map 0x7ffff0000000 1M\n" \
	"access 0 0x7fffffffffff 100%\n"

/* Of everything some. */
static struct damon_desc *new_full_desc(size_t nr_targets, size_t nr_schemes)
{
	struct damon_desc *desc = new_desc(DAMON_OPS_FVADDR, nr_targets, nr_schemes);

	for (size_t t = 0; t < nr_targets; t++) {
		ck_assert_int_eq(process_open(getpid(), NULL, &desc->targets[t].process), 0);
		set_ranges(&desc->targets[t], (struct span[]){ { 2, 6 }, { 20, 30 }, { 0 } });
	}
	for (size_t s = 0; s < nr_schemes; s++) {
		struct damos_desc *scheme = &desc->schemes[s];

		scheme->filters = calloc(2, sizeof(*scheme->filters));
		scheme->quota.goals = calloc(1, sizeof(*scheme->quota.goals));
		scheme->dests = calloc(3, sizeof(*scheme->dests));
		ck_assert(scheme->filters && scheme->quota.goals && scheme->dests);
		scheme->nr_filters = 2;
		scheme->filters[0].type = DAMOS_FILTER_TYPE_YOUNG;
		scheme->quota.nr_goals = 1;
		scheme->nr_dests = 3;
	}
	return desc;
}

START_TEST(a_description_is_copied_as_a_whole_or_not)
{
	struct damon_desc *desc = new_full_desc(2, 2), *copy;
	long n;

	desc->max_total_regions = 77;
	for (n = 1; n < MANY; n++) {
		fail_at(n, false);
		copy = damon_desc_copy(desc);
		if (!no_more_failures())
			break;
		ck_assert_ptr_null(copy);
	}
	ck_assert_int_gt(n, 10);
	ck_assert_ptr_nonnull(copy);
	ck_assert_uint_eq(copy->max_total_regions, 77);
	damon_desc_free(copy);
	damon_desc_free(desc);
}
END_TEST

START_TEST(a_context_is_made_as_a_whole_or_not)
{
	struct access_sessions *sessions = open_playing(HOT_SCRIPT);
	struct damon_context *ctx = NULL;
	int r = -ENOMEM;
	long n;

	for (n = 1; n < MANY && r; n++) {
		struct damon_desc *desc = new_full_desc(2, 2);

		fail_at(n, _i);
		r = damon_context_new(desc, sessions, &ctx);
		ck_assert_int_eq(r, no_more_failures() ? -ENOMEM : 0);
		damon_desc_free(desc);
	}
	ck_assert_int_gt(n, 8);
	damon_context_free(ctx);
	access_sessions_close(sessions);
}
END_TEST

/* ---- commits ---- */

static void assert_same(const struct damon_context *ctx, const struct damon_context *was,
			const struct damon_target targets[2], const struct damos schemes[2])
{
	ck_assert(!memcmp(ctx, was, sizeof(*ctx)));
	ck_assert(!memcmp(ctx->targets, targets, 2 * sizeof(*targets)));
	ck_assert(!memcmp(ctx->schemes, schemes, 2 * sizeof(*schemes)));
	for (size_t t = 0; t < 2; t++) {
		assert_spans(&ctx->targets[t],
			     (struct span[]){ { 0, 5, 3, 2, 1 }, { 7, 9, 6, 5, 4 }, { 0 } });
		ck_assert(process_exists(ctx->targets[t].process));
	}
	for (size_t s = 0; s < 2; s++)
		ck_assert_int_eq(ctx->schemes[s].desc.filters[0].type, DAMOS_FILTER_TYPE_YOUNG);
}

/* The commit has another process for the first target, and more and other of everything. */
static struct damon_desc *new_commit(pid_t other)
{
	struct damon_desc *desc = new_full_desc(4, 3);

	process_put(desc->targets[0].process);
	ck_assert_int_eq(process_open(other, NULL, &desc->targets[0].process), 0);
	desc->attrs.ops_update_interval = 1000000;
	for (size_t s = 0; s < 3; s++)
		desc->schemes[s].filters[0].type = DAMOS_FILTER_TYPE_ACTIVE;
	return desc;
}

START_TEST(a_commit_is_carried_out_as_a_whole_or_not)
{
	struct access_sessions *sessions = open_playing(HOT_SCRIPT);
	struct damon_desc *desc = new_full_desc(2, 2);
	struct damon_target targets[2];
	struct damos schemes[2];
	struct damon_context *ctx, was;
	pid_t child = start_child();
	int r = -ENOMEM;
	long n;

	ck_assert_int_eq(damon_context_new(desc, sessions, &ctx), 0);
	damon_desc_free(desc);
	damon_context_start(ctx, 0);
	for (size_t t = 0; t < 2; t++)
		set_spans(&ctx->targets[t],
			  (struct span[]){ { 0, 5, 3, 2, 1 }, { 7, 9, 6, 5, 4 }, { 0 } });
	was = *ctx;
	memcpy(targets, ctx->targets, sizeof(targets));
	memcpy(schemes, ctx->schemes, sizeof(schemes));
	for (n = 1; n < MANY && r; n++) {
		desc = new_commit(child);
		desc->ops = DAMON_OPS_VADDR;
		fail_at(n, _i);
		r = damon_context_commit(ctx, desc);
		ck_assert_int_eq(r, no_more_failures() ? -ENOMEM : 0);
		if (r)
			assert_same(ctx, &was, targets, schemes);
		damon_desc_free(desc);
	}
	ck_assert_int_gt(n, 8);
	ck_assert_uint_eq(ctx->nr_targets, 4);
	ck_assert_uint_eq(ctx->nr_schemes, 3);
	ck_assert_int_eq(ctx->targets[0].process->pid, child);
	for (size_t t = 0; t < 2; t++)
		assert_spans(&ctx->targets[t],
			     (struct span[]){ { 2, 6, 3, 2, 1 }, { 20, 30 }, { 0 } });
	assert_bounds(&ctx->targets[3], (struct span[]){ { 2, 6 }, { 20, 30 }, { 0 } });
	damon_context_free(ctx);
	access_sessions_close(sessions);
	end_child(child);
}
END_TEST

START_TEST(more_regions_than_there_may_be_are_refused)
{
	struct access_sessions *sessions = open_playing(HOT_SCRIPT);
	struct damon_target targets[2];
	struct damos schemes[2];
	struct damon_context *ctx = NULL, was;

	for (size_t most = 1; most < 6; most++) {
		struct damon_desc *desc = new_full_desc(2, 2);

		desc->max_total_regions = most;
		ck_assert_int_eq(damon_context_new(desc, sessions, &ctx), most < 4 ? -ENOMEM : 0);
		damon_desc_free(desc);
		if (most == 4)
			ctx = damon_context_free(ctx);
	}
	for (size_t t = 0; t < 2; t++)
		set_spans(&ctx->targets[t],
			  (struct span[]){ { 0, 5, 3, 2, 1 }, { 7, 9, 6, 5, 4 }, { 0 } });
	was = *ctx;
	memcpy(targets, ctx->targets, sizeof(targets));
	memcpy(schemes, ctx->schemes, sizeof(schemes));
	for (size_t most = 1; most < 9; most++) {
		struct damon_desc *desc = new_commit(getpid());

		desc->max_total_regions = most;
		was.told_full = true;
		if (most < 8)
			ck_assert_int_eq(damon_context_commit(ctx, desc), -ENOMEM);
		if (most < 8)
			assert_same(ctx, &was, targets, schemes);
		else
			ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
		damon_desc_free(desc);
	}
	ck_assert_uint_eq(damon_nr_regions(ctx), 8);
	ck_assert_uint_eq(ctx->max_total_regions, 8);
	damon_context_free(ctx);
	access_sessions_close(sessions);
}
END_TEST

/* ---- regions ---- */

START_TEST(regions_that_cannot_be_fitted_stay)
{
	static const struct span old[MAX_SPANS] = { { 10, 20, 1, 2, 3 },
						    { 30, 40, 4, 5, 6 },
						    { 0 } };
	struct damon_addr_range ranges[8];
	int r = -ENOMEM;
	long n;

	for (size_t i = 0; i < 8; i++)
		ranges[i] = (struct damon_addr_range){ (i * 10 + 5) * P, (i * 10 + 12) * P };
	for (n = 1; n < MANY && r; n++) {
		struct damon_target target = { 0 };

		set_spans(&target, old);
		fail_at(n, _i);
		r = damon_set_regions(&target, ranges, 8, P, SIZE_MAX);
		ck_assert_int_eq(r, no_more_failures() ? -ENOMEM : 0);
		if (r)
			assert_spans(&target, old);
		else
			ck_assert_int_ge((int)target.nr_regions, 8);
		assert_sound(&target);
		ck_assert_int_eq(damon_set_regions(&target, ranges, 8, P, 7), -ENOSPC);
		damon_target_clear(&target);
	}
	ck_assert_int_gt(n, 2);
}
END_TEST

START_TEST(regions_that_cannot_be_split_stay_whole)
{
	for (long n = 1; n < 12; n++) {
		__attribute__((cleanup(damon_context_freep))) struct damon_context *ctx =
			new_ctx(DAMON_OPS_VADDR, 3, 0);

		for (size_t t = 0; t < 3; t++)
			set_spans(&ctx->targets[t], (struct span[]){ { 0, 1000 }, { 0 } });
		for (int round = 0; round < 8; round++) {
			fail_at(n, _i);
			damon_split_regions(ctx);
			no_more_failures();
		}
		for (size_t t = 0; t < 3; t++)
			assert_covers(&ctx->targets[t], 1000);
	}
}
END_TEST

START_TEST(regions_are_split_to_no_more_than_there_may_be)
{
	for (size_t most = 1; most < 40; most++) {
		__attribute__((cleanup(damon_context_freep))) struct damon_context *ctx =
			new_ctx(DAMON_OPS_VADDR, 3, 0);

		ctx->max_total_regions = most;
		for (size_t t = 0; t < 3; t++)
			set_spans(&ctx->targets[t], (struct span[]){ { 0, 1000 }, { 0 } });
		for (int round = 0; round < 20; round++)
			damon_split_regions(ctx);
		ck_assert_uint_le(damon_nr_regions(ctx), max_ul(most, 3));
		ck_assert_uint_gt(damon_nr_regions(ctx), most / 2);
		ck_assert(ctx->told_full);
	}
}
END_TEST

START_TEST(first_regions_are_no_more_than_there_may_be)
{
	static const uint64_t least[] = { 3, 10, 1000, 1UL << 62 };

	for (size_t most = 1; most < 200; most++) {
		RUN(run);

		run_open(&run, SCRIPT, getpid(), DAMON_OPS_VADDR, 0);
		run.ctx->attrs.min_nr_regions = least[_i];
		run.ctx->attrs.max_nr_regions = least[_i] * 2;
		run.ctx->max_total_regions = most;
		run_start(&run);
		ck_assert_uint_le(damon_nr_regions(run.ctx), most);
		/* A target without regions is not seen: if there can be any, there are. */
		ck_assert_int_eq(damon_nr_regions(run.ctx) >= 3, most >= 3);
		for (int i = 0; i < 200; i++)
			run_step(&run, 1);
		ck_assert_uint_le(damon_nr_regions(run.ctx), most);
	}
}
END_TEST

START_TEST(monitoring_starts_and_goes_on_without_memory)
{
	long n;

	for (n = 1; n < 60; n++) {
		RUN(run);

		run_open(&run, SCRIPT, getpid(), DAMON_OPS_VADDR, 2);
		run.ctx->attrs.ops_update_interval = 200000;
		run.now = 1000000;
		fail_at(n, _i);
		damon_context_start(run.ctx, run.now);
		for (int i = 0; i < 100; i++) {
			run.now += 5000;
			damon_context_step(run.ctx, run.now, 1);
		}
		no_more_failures();
		/* It catches up. */
		for (int i = 0; i < 100; i++)
			run_step(&run, 1);
		ck_assert_uint_ge(damon_nr_regions(run.ctx), 3);
		assert_sound(&run.ctx->targets[0]);
	}
}
END_TEST

/* ---- the thread ---- */

/* Whatever fails in a kdamond's thread while it starts, it says how it went, and ends when told. */
START_TEST(a_kdamond_starts_or_says_why_not)
{
	for (long n = 1; n < 40; n++) {
		struct damon_desc *desc = describe(getpid(), 2);
		struct monitor m;

		desc->ops = _i ? DAMON_OPS_VADDR : DAMON_OPS_FVADDR;
		fail_others_at(n, false);
		start(&m, desc, 0);
		ck_assert(wait_for(&m, "s") || wait_for(&m, "se"));
		usleep(1000);
		no_more_failures();
		ck_assert(!m.result || m.result == -ENOMEM || m.result == -EINVAL);
		stop(&m, "se");
	}
}
END_TEST

static const enum damon_command_kind kinds[] = { DAMON_COMMIT, DAMON_REPORT, DAMON_COLLECT_TRIED };

START_TEST(a_command_without_memory_is_answered)
{
	struct damon_desc *desc = describe(getpid(), 2);
	struct request request;
	struct monitor m;

	desc->abi = DAMON_ABI(6, 18);
	start(&m, desc, 0);
	ck_assert(wait_for(&m, "s"));
	for (int again = 0; again < 2; again++) {
		desc = kinds[_i] == DAMON_COMMIT ? describe(getpid(), 3) : NULL;
		if (desc)
			desc->abi = DAMON_ABI(6, 18);
		if (!again)
			fail_others_at(1, true);
		ck_assert_int_eq(send_desc(&m, &request, kinds[_i], desc), 0);
		ck_assert(wait_for(&m, again ? "scc" : "sc"));
		ck_assert_int_eq(no_more_failures(), !again);
		/* It goes on, and the next one works. */
		ck_assert_int_eq(request.command.error, again ? 0 : -ENOMEM);
		damon_command_clear(&request.command);
		fail_at(0, false);
	}
	stop(&m, "scce");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("short");
	TCase *tcase = tcase_create("short");

	tcase_set_timeout(tcase, 6 * PATIENCE_S);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_description_is_copied_as_a_whole_or_not);
	/* Each test twice: one allocation fails, or all from there on. */
	tcase_add_loop_test(tcase, a_context_is_made_as_a_whole_or_not, 0, 2);
	tcase_add_loop_test(tcase, a_commit_is_carried_out_as_a_whole_or_not, 0, 2);
	tcase_add_test(tcase, more_regions_than_there_may_be_are_refused);
	tcase_add_loop_test(tcase, regions_that_cannot_be_fitted_stay, 0, 2);
	tcase_add_loop_test(tcase, regions_that_cannot_be_split_stay_whole, 0, 2);
	tcase_add_test(tcase, regions_are_split_to_no_more_than_there_may_be);
	tcase_add_loop_test(tcase, first_regions_are_no_more_than_there_may_be, 0, 4);
	tcase_add_loop_test(tcase, monitoring_starts_and_goes_on_without_memory, 0, 2);
	tcase_add_loop_test(tcase, a_kdamond_starts_or_says_why_not, 0, 2);
	ADD_VECTORS(tcase, a_command_without_memory_is_answered, kinds);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
