// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Quotas: windows, what is charged, where a region is cut and the next window goes on, time quotas,
 * goals, and which regions come first (docs/abi/engine.md section 11).
 */
#include "engine/apply.h"
#include "engine/context.h"
#include "engine/operations.h"
#include "engine/quota.h"
#include "tests/unit/fixture.h"

#define CTX(name, ops, nr_targets, nr_schemes)                                     \
	__attribute__((cleanup(damon_context_freep))) struct damon_context *name = \
		new_ctx(ops, nr_targets, nr_schemes)

#define MS 1000UL

/* A round at NOW (ms) in which every scheme is due; what scheme 0 tried in it, in pages. */
static void round_at(struct damon_context *ctx, uint64_t now, uint64_t nr, uint64_t pages)
{
	struct damos *scheme = &ctx->schemes[0];
	const struct damos_stat before = scheme->stat;

	for (size_t s = 0; s < ctx->nr_schemes; s++)
		ctx->schemes[s].next_apply = ctx->passed;
	damos_apply_schemes(ctx, now * MS);
	ck_assert_uint_eq(scheme->stat.nr_tried - before.nr_tried, nr);
	ck_assert_uint_eq(scheme->stat.sz_tried - before.sz_tried, pages * P);
	for (size_t t = 0; t < ctx->nr_targets; t++)
		assert_sound(&ctx->targets[t]);
}

static void set_quota(struct damos *scheme, uint64_t sz, uint64_t reset_ms)
{
	scheme->quota.desc.sz = sz;
	scheme->quota.desc.reset_interval_ms = reset_ms;
}

static const struct span four[] = { { 0, 10 }, { 10, 20 }, { 20, 30 }, { 30, 40 }, { 0 } };

/* They do not add up. */
START_TEST(windows_that_were_missed_are_none)
{
	CTX(ctx, DAMON_OPS_VADDR, 1, 1);

	set_quota(&ctx->schemes[0], 15 * P, 100);
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 100 }, { 0 } });
	round_at(ctx, 1000, 1, 15);
	round_at(ctx, 31050, 1, 15);
	round_at(ctx, 31149, 0, 0);
	round_at(ctx, 31150, 1, 15);
}
END_TEST

START_TEST(window_goes_on_where_the_last_one_stopped)
{
	CTX(ctx, DAMON_OPS_VADDR, 1, 1);
	struct damos_quota *quota = &ctx->schemes[0].quota;
	const struct damos_stat *stat = &ctx->schemes[0].stat;

	set_quota(&ctx->schemes[0], 15 * P, 100);
	set_spans(&ctx->targets[0], four);
	/* Size at once in the first round; a region is cut at what is left. */
	round_at(ctx, 1000, 2, 15);
	ck_assert_uint_eq(quota->esz, 15 * P);
	ck_assert_uint_eq(quota->charged_sz, 15 * P);
	assert_bounds(&ctx->targets[0],
		      (struct span[]){
			      { 0, 10 }, { 10, 15 }, { 15, 20 }, { 20, 30 }, { 30, 40 }, { 0 } });
	/* Nothing more before the window ends. */
	round_at(ctx, 1050, 0, 0);
	round_at(ctx, 1099, 0, 0);
	ck_assert_uint_eq(stat->qt_exceeds, 0);
	round_at(ctx, 1100, 2, 15);
	ck_assert_uint_eq(stat->qt_exceeds, 1);
	ck_assert_uint_eq(quota->total_charged_sz, 15 * P);
	/* To the end, with something to spare, and then from the start. */
	round_at(ctx, 1200, 1, 10);
	ck_assert_uint_eq(stat->qt_exceeds, 2);
	round_at(ctx, 1300, 2, 15);
	ck_assert_uint_eq(stat->qt_exceeds, 2);
	ck_assert_uint_eq(quota->total_charged_sz, 40 * P);
	ck_assert_uint_eq(ctx->targets[0].regions[0].start, 0);
}
END_TEST

START_TEST(resume_point_skips_targets_and_cuts_the_region_that_it_is_in)
{
	CTX(ctx, DAMON_OPS_VADDR, 3, 1);
	struct damos_quota *quota = &ctx->schemes[0].quota;

	set_quota(&ctx->schemes[0], 1000 * P, 0);
	for (size_t t = 0; t < 3; t++)
		set_spans(&ctx->targets[t], four);
	quota->resumes = true;
	quota->resume_target = 1;
	quota->resume_addr = 14 * P;
	round_at(ctx, 1, 7, 6 + 20 + 40);
	assert_bounds(&ctx->targets[0], four);
	assert_bounds(&ctx->targets[1],
		      (struct span[]){
			      { 0, 10 }, { 10, 14 }, { 14, 20 }, { 20, 30 }, { 30, 40 }, { 0 } });
	ck_assert(!quota->resumes);
	round_at(ctx, 2, 13, 120);
}
END_TEST

START_TEST(resume_point_within_a_page_is_behind_it)
{
	CTX(ctx, DAMON_OPS_VADDR, 1, 1);
	struct damos_quota *quota = &ctx->schemes[0].quota;

	set_quota(&ctx->schemes[0], 1000 * P, 0);
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 1 }, { 1, 5 }, { 5, 9 }, { 0 } });
	quota->resumes = true;
	quota->resume_addr = 1 * P + 7;
	round_at(ctx, 1, 2, 3 + 4);
	assert_bounds(&ctx->targets[0],
		      (struct span[]){ { 0, 1 }, { 1, 2 }, { 2, 5 }, { 5, 9 }, { 0 } });
	/* A region of one page is skipped whole. */
	quota->resumes = true;
	quota->resume_addr = 7;
	round_at(ctx, 2, 3, 8);
}
END_TEST

START_TEST(reset_interval_of_zero_is_a_window_each_round)
{
	CTX(ctx, DAMON_OPS_VADDR, 1, 1);

	set_quota(&ctx->schemes[0], 10 * P, 0);
	set_spans(&ctx->targets[0], four);
	for (uint64_t i = 0; i < 4; i++)
		round_at(ctx, 5, 1, 10);
	ck_assert_uint_eq(ctx->schemes[0].stat.qt_exceeds, 3);
}
END_TEST

/* In a quota smaller than a page nothing fits, and everything is tried with zero bytes. */
START_TEST(less_than_a_page_tries_zero_bytes)
{
	CTX(ctx, DAMON_OPS_VADDR, 1, 1);

	set_quota(&ctx->schemes[0], P - 1, 100);
	ctx->schemes[0].desc.action = DAMOS_COLD;
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 1, 0, 0, 5 }, { 1, 9, 0, 0, 5 }, { 0 } });
	round_at(ctx, 1, 2, 0);
	ck_assert_uint_eq(ctx->schemes[0].quota.charged_sz, 0);
	assert_spans(&ctx->targets[0],
		     (struct span[]){ { 0, 1, 0, 0, 5 }, { 1, 9, 0, 0, 5 }, { 0 } });
	ck_assert_uint_eq(ctx->schemes[0].stat.nr_applied, 0);
}
END_TEST

START_TEST(quotas_of_schemes_are_apart)
{
	CTX(ctx, DAMON_OPS_VADDR, 1, 2);

	set_quota(&ctx->schemes[0], 10 * P, 100);
	set_spans(&ctx->targets[0], four);
	round_at(ctx, 1, 1, 10);
	/* No quota, no limit; what is charged is only counted. */
	ck_assert_uint_eq(ctx->schemes[1].quota.esz, 0);
	ck_assert_uint_eq(ctx->schemes[1].stat.sz_tried, 40 * P);
	ck_assert_uint_eq(ctx->schemes[1].quota.charged_sz, 40 * P);
	ck_assert_uint_eq(ctx->schemes[1].stat.qt_exceeds, 0);
}
END_TEST

/* ---- the effective size ---- */

#define THROUGHPUT (1024 * P) /* bytes a millisecond, while none is known */
#define GOALS(...) .nr_goals = sizeof((uint64_t[][2]){ __VA_ARGS__ }) / 16, .goals = { __VA_ARGS__ }

static const struct {
	uint64_t ms, sz, total_sz, total_ns;
	size_t nr_goals;
	uint64_t goals[3][2]; /* current, target */
	uint64_t esz[4]; /* of the first windows */
} size_vectors[] = {
	{ .sz = 12345, .esz = { 12345, 12345 } },
	{ .ms = 2, .esz = { 2 * THROUGHPUT, 2 * THROUGHPUT } },
	{ .ms = 2, .sz = 5000, .esz = { 5000 } },
	{ .ms = 1, .sz = 2 * THROUGHPUT, .esz = { THROUGHPUT } },
	/* By what was measured: a MiB in 2 ms. */
	{ .ms = 3, .total_sz = 1 << 20, .total_ns = 2000000, .esz = { 3 << 19 } },
	{ .ms = 1, .total_sz = 1UL << 50, .total_ns = 1UL << 50, .esz = { 1000000 } },
	/* At least a page. */
	{ .ms = 1, .total_sz = P, .total_ns = 1UL << 40, .esz = { P } },
	{ .ms = 1, .sz = 10, .total_sz = P, .total_ns = 1UL << 40, .esz = { 10 } },
	/* Goals: doubled while nothing of it is reached, from a single byte. */
	{ GOALS({ 0, 10000 }), .esz = { 2, 4, 8, 16 } },
	{ GOALS({ 5000, 10000 }), .esz = { 1, 2, 3, 5 } },
	{ GOALS({ 10000, 10000 }), .esz = { 1, 1, 1 } },
	{ GOALS({ 20000, 10000 }), .esz = { 1, 1, 1 } },
	{ GOALS({ UINT64_MAX, 1 }), .esz = { 1, 1, 1 } },
	/* The goal that is nearest decides. */
	{ GOALS({ 0, 100 }, { 100, 100 }), .esz = { 1, 1 } },
	{ GOALS({ 50, 100 }, { 0, 100 }, { 10, 100 }), .esz = { 1, 2, 3, 5 } },
	/* With a time it is a page at least, with a size that at most. */
	{ GOALS({ 0, 100 }), .ms = 1, .esz = { P, P, P } },
	{ GOALS({ 0, 100 }), .sz = 5, .esz = { 2, 4, 5, 5 } },
};

START_TEST(effective_size_is_the_least_of_what_limits_it)
{
	CTX(ctx, DAMON_OPS_VADDR, 1, 1);
	struct damos_quota *quota = &ctx->schemes[0].quota;

	quota->desc.ms = size_vectors[_i].ms;
	quota->desc.sz = size_vectors[_i].sz;
	quota->total_charged_sz = size_vectors[_i].total_sz;
	quota->total_charged_ns = size_vectors[_i].total_ns;
	quota->desc.nr_goals = size_vectors[_i].nr_goals;
	quota->desc.goals = calloc(3, sizeof(*quota->desc.goals));
	ck_assert_ptr_nonnull(quota->desc.goals);
	for (size_t i = 0; i < quota->desc.nr_goals; i++) {
		quota->desc.goals[i].current_value = size_vectors[_i].goals[i][0];
		quota->desc.goals[i].target_value = size_vectors[_i].goals[i][1];
	}
	for (size_t i = 0; i < 4 && size_vectors[_i].esz[i]; i++) {
		damos_adjust_quota(ctx, &ctx->schemes[0], i * MS);
		ck_assert_uint_eq(quota->esz, size_vectors[_i].esz[i]);
	}
}
END_TEST

static const struct {
	uint64_t x, score, next;
} feed_vectors[] = {
	{ 10000, 0, 20000 },
	{ 10000, 5000, 15000 },
	{ 1000000, 15000, 500000 },
	{ 1000000, 19999, 10000 },
	{ 1000000, 20000, 10000 },
	{ 15000, 15000, 10000 },
	{ 10000, 9999, 10001 },
	{ 12345, 10000, 12345 },
	{ UINT64_MAX, 10000, UINT64_MAX },
	{ 1000000, UINT64_MAX, 10000 },
	{ 20000, 15000, 10000 },
	{ 30000, 15000, 15000 },
	/* Where the product is beyond 64 bits, and where the sum is. */
	{ 1UL << 60, 5000, (1UL << 60) + (1UL << 60) / 10000 * 5000 },
	{ 1UL << 63, 15000, (1UL << 63) - (1UL << 63) / 10000 * 5000 },
	{ 1UL << 63, 0, (1UL << 63) + (1UL << 63) / 10000 * 10000 },
	{ UINT64_MAX, 0, UINT64_MAX },
	{ UINT64_MAX, 9999, UINT64_MAX },
};

START_TEST(feed_loop_follows_the_vectors)
{
	ck_assert_uint_eq(damos_feed_loop_next(feed_vectors[_i].x, feed_vectors[_i].score),
			  feed_vectors[_i].next);
}
END_TEST

/* ---- priorities ---- */

static const struct {
	uint32_t nr_accesses, age, max;
	uint64_t aggr;
	uint32_t weight_nr_accesses, weight_age, hot, cold;
} score_vectors[] = {
	{ 0, 0, 20, 100000, 1, 1, 24, 75 },
	{ 0, 0, 20, 100000, 0, 0, 0, 99 },
	{ 20, 36000, 20, 100000, 0, 0, 0, 99 },
	{ 20, 0, 20, 100000, 1, 1, 74, 25 },
	{ 20, 0, 20, 100000, 1, 0, 99, 0 },
	{ 10, 100, 20, 100000, 1, 1, 52, 47 },
	{ 0, 100, 20, 100000, 1, 1, 20, 79 },
	{ 0, 36000, 20, 100000, 1, 1, 14, 85 },
	{ 20, 36000, 20, 100000, 1, 1, 83, 16 },
	{ 1, 600, 20, 100000, 3, 7, 41, 58 },
	/* More than there can be is no more than the most. */
	{ 40, 0, 20, 100000, 1, 0, 99, 0 },
	{ 20, UINT32_MAX, 20, 1000000, 0, 1, 99, 0 },
	{ 0, UINT32_MAX, 20, 1000000, 0, 1, 0, 99 },
};

START_TEST(scores_follow_the_table)
{
	CTX(ctx, DAMON_OPS_PADDR, 1, 1);
	struct damos *scheme = &ctx->schemes[0];
	const struct damon_region region = {
		.end = P,
		.nr_accesses_bp = score_vectors[_i].nr_accesses * 10000 + 9999,
		.age = score_vectors[_i].age,
	};

	ctx->attrs.aggr_interval = score_vectors[_i].aggr;
	ctx->attrs.sample_interval = score_vectors[_i].aggr / score_vectors[_i].max;
	scheme->quota.desc.weight_sz = 1000; /* is not used */
	scheme->quota.desc.weight_nr_accesses = score_vectors[_i].weight_nr_accesses;
	scheme->quota.desc.weight_age = score_vectors[_i].weight_age;
	ck_assert_uint_eq(damos_hot_score(ctx, &region, scheme), score_vectors[_i].hot);
	ck_assert_uint_eq(damos_cold_score(ctx, &region, scheme), score_vectors[_i].cold);
}
END_TEST

enum { HOT = 74, COLD = 25, ALL = 99 };

static const struct {
	enum damos_action action;
	uint32_t vaddr, paddr;
} action_vectors[] = {
	{ DAMOS_WILLNEED, ALL, ALL },	   { DAMOS_COLD, ALL, ALL },
	{ DAMOS_PAGEOUT, COLD, COLD },	   { DAMOS_HUGEPAGE, ALL, ALL },
	{ DAMOS_NOHUGEPAGE, ALL, ALL },	   { DAMOS_LRU_PRIO, ALL, HOT },
	{ DAMOS_LRU_DEPRIO, ALL, COLD },   { DAMOS_MIGRATE_HOT, ALL, HOT },
	{ DAMOS_MIGRATE_COLD, ALL, COLD }, { DAMOS_STAT, ALL, ALL },
};

START_TEST(actions_prefer_what_they_are_for)
{
	CTX(ctx, DAMON_OPS_VADDR, 1, 1);
	struct damos *scheme = &ctx->schemes[0];
	const struct damon_region region = { .end = P, .nr_accesses_bp = 200000 };

	scheme->desc.action = action_vectors[_i].action;
	scheme->quota.desc.weight_nr_accesses = scheme->quota.desc.weight_age = 1;
	for (int id = 0; id < NR_DAMON_OPS; id++) {
		ctx->ops = damon_operations_of((enum damon_ops_id)id);
		ck_assert_uint_eq(ctx->ops->scheme_score(ctx, &region, scheme),
				  id == DAMON_OPS_PADDR ? action_vectors[_i].paddr :
							  action_vectors[_i].vaddr);
	}
}
END_TEST

/* By frequency alone: regions of 10 pages with cold scores 0, 50 and 99, and one that does not
 * match. */
static const struct {
	uint64_t sz; /* in P */
	uint32_t min_score;
	uint64_t nr, pages; /* tried */
	size_t first; /* region that is aged by it, or rather made young */
} priority_vectors[] = {
	{ 5, 99, 1, 5, 2 },  { 10, 99, 1, 10, 2 }, { 11, 50, 2, 11, 1 },  { 20, 50, 2, 20, 1 },
	{ 21, 0, 3, 21, 0 }, { 30, 0, 3, 30, 0 },  { 1000, 0, 3, 30, 0 },
};

START_TEST(quota_is_for_the_regions_of_the_highest_scores)
{
	CTX(ctx, DAMON_OPS_VADDR, 1, 1);
	struct damos *scheme = &ctx->schemes[0];

	scheme->desc.action = DAMOS_PAGEOUT;
	scheme->desc.pattern.min_age_region = 1;
	scheme->quota.desc.weight_nr_accesses = 1;
	set_quota(scheme, priority_vectors[_i].sz * P, 100);
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 10, 20, 0, 5 },
						     { 10, 20, 10, 0, 5 },
						     { 20, 30, 0, 0, 5 },
						     { 30, 999, 0, 0, 0 },
						     { 0 } });
	round_at(ctx, 1, priority_vectors[_i].nr, priority_vectors[_i].pages);
	ck_assert_uint_eq(scheme->quota.min_score, priority_vectors[_i].min_score);
	for (size_t i = 0; i < priority_vectors[_i].first; i++)
		ck_assert_uint_eq(ctx->targets[0].regions[i].age, 5);
	ck_assert_uint_eq(ctx->targets[0].regions[priority_vectors[_i].first].age, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quota");
	TCase *tcase = tcase_create("quota");

	tcase_add_test(tcase, windows_that_were_missed_are_none);
	tcase_add_test(tcase, window_goes_on_where_the_last_one_stopped);
	tcase_add_test(tcase, resume_point_skips_targets_and_cuts_the_region_that_it_is_in);
	tcase_add_test(tcase, resume_point_within_a_page_is_behind_it);
	tcase_add_test(tcase, reset_interval_of_zero_is_a_window_each_round);
	tcase_add_test(tcase, less_than_a_page_tries_zero_bytes);
	tcase_add_test(tcase, quotas_of_schemes_are_apart);
	ADD_VECTORS(tcase, effective_size_is_the_least_of_what_limits_it, size_vectors);
	ADD_VECTORS(tcase, feed_loop_follows_the_vectors, feed_vectors);
	ADD_VECTORS(tcase, scores_follow_the_table, score_vectors);
	ADD_VECTORS(tcase, actions_prefer_what_they_are_for, action_vectors);
	ADD_VECTORS(tcase, quota_is_for_the_regions_of_the_highest_scores, priority_vectors);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
