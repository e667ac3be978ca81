// SPDX-License-Identifier: GPL-2.0-or-later
/* The rules that Linux 7.1 and 7.2 have changed, by docs/kernel-7.2.md and kernel-kunit.md
 * section 4. */
#include "access/act/page_walk.h"
#include "engine/adaptive.h"
#include "engine/apply.h"
#include "engine/filter.h"
#include "engine/operations.h"
#include "engine/quota.h"
#include "tests/unit/fixture.h"

#define CTX(name, ops, abi_)                                                       \
	__attribute__((cleanup(damon_context_freep))) struct damon_context *name = \
		new_ctx(ops, 1, 1);                                                \
	name->abi = abi_

#define OLD DAMON_ABI(7, 0)
#define NEW DAMON_ABI(7, 2)

/* ---- regions ---- */

/* A region of a size, the smallest one, how many there have to be; how large they are then. */
static const struct {
	uint64_t sz, min_sz;
	size_t least;
	uint64_t limit;
	size_t regions;
} cut_vectors[] = {
	{ 10, 1, 10, 1, 10 },
	{ 10, 1, 15, 1, 10 },
	{ 10, 2, 2, 6, 2 },
	{ 10, 2, 10, 2, 5 },
};

START_TEST(the_least_number_is_enforced)
{
	CTX(ctx, DAMON_OPS_VADDR, OLD);
	struct damon_target *target = &ctx->targets[0];

	set_spans(target, (struct span[]){ { 0, 10, 7, 6, 5 }, { 0 } });
	target->regions[0].end = cut_vectors[_i].sz;
	ctx->min_sz_region = cut_vectors[_i].min_sz;
	ctx->attrs.min_nr_regions = cut_vectors[_i].least;
	damon_enforce_min_regions(ctx);
	ck_assert_uint_eq(target->nr_regions, 1);
	ctx->abi = NEW;
	damon_enforce_min_regions(ctx);
	ck_assert_uint_eq(target->nr_regions, cut_vectors[_i].regions);
	for (size_t i = 0; i < target->nr_regions; i++) {
		const struct damon_region *region = &target->regions[i];

		ck_assert_uint_eq(region->start, i * cut_vectors[_i].limit);
		ck_assert_uint_eq(region->end,
				  min_ul(cut_vectors[_i].sz, (i + 1) * cut_vectors[_i].limit));
		ck_assert_uint_eq(region->nr_accesses, 7);
		ck_assert_uint_eq(region->age, 5);
	}
	/* No more than the limit of the context. */
	target->nr_regions = 1;
	target->regions[0].end = cut_vectors[_i].sz;
	ctx->max_total_regions = 2;
	damon_enforce_min_regions(ctx);
	ck_assert_uint_eq(target->nr_regions, 2);
}
END_TEST

START_TEST(what_is_alike_is_joined)
{
	static const struct span before[] = { { 0, 10, 3, 2, 5 },  { 10, 20, 3, 2, 5 },
					      { 20, 30, 3, 2, 6 }, { 30, 40, 3, 1, 6 },
					      { 50, 60, 3, 1, 6 }, { 60, 70, 4, 1, 6 },
					      { 70, 80, 4, 1, 6 }, { 0 } };
	CTX(ctx, DAMON_OPS_VADDR, NEW);
	struct damon_target *target = &ctx->targets[0];

	ctx->attrs.min_nr_regions = 3;
	set_spans(target, before);
	damon_merge_alike(ctx);
	assert_spans(target, (struct span[]){ { 0, 20, 3, 2, 5 },
					      { 20, 30, 3, 2, 6 },
					      { 30, 40, 3, 1, 6 },
					      { 50, 60, 3, 1, 6 },
					      { 60, 80, 4, 1, 6 },
					      { 0 } });
	/* Not beyond the size that leaves enough of them. */
	ctx->attrs.min_nr_regions = 5;
	set_spans(target, before);
	damon_merge_alike(ctx);
	assert_spans(target, before);
}
END_TEST

/* So many regions of 4 pages. */
static void set_many(struct damon_context *ctx, size_t nr)
{
	struct damon_target *target = &ctx->targets[0];

	ck_assert_int_eq(damon_reserve_regions(target, 2 * nr), 0);
	target->nr_regions = nr;
	for (size_t i = 0; i < nr; i++)
		target->regions[i] =
			(struct damon_region){ .start = i * 4 * P, .end = (i + 1) * 4 * P };
}

/* Regions of at most 1000, and how many are split. */
static const struct {
	size_t nr, split;
} split_vectors[] = {
	{ 501, 250 }, /* one in every 1000 / 499, which is 2 */
	{ 600, 300 }, { 750, 187 }, { 999, 0 }, { 1000, 0 },
};

START_TEST(some_are_split_up_to_the_maximum)
{
	CTX(ctx, DAMON_OPS_VADDR, OLD);
	struct damon_target *target = &ctx->targets[0];
	size_t nr = split_vectors[_i].nr, second;

	set_many(ctx, nr);
	damon_split_regions(ctx);
	ck_assert_uint_eq(target->nr_regions, nr);
	ctx->abi = NEW;
	damon_split_regions(ctx);
	assert_covers(target, 4 * nr);
	ck_assert_uint_ge(target->nr_regions, nr + split_vectors[_i].split);
	ck_assert_uint_le(target->nr_regions, nr + split_vectors[_i].split + 1);
	if (nr != 600)
		return;
	/* The next time, the others. */
	ck_assert_uint_lt(target->regions[0].end, 4 * P);
	set_many(ctx, nr);
	damon_split_regions(ctx);
	ck_assert_uint_eq(target->regions[0].end, 4 * P);
	second = target->nr_regions;
	ck_assert_uint_eq(second, nr + 300);
}
END_TEST

/* ---- quotas: of physical memory, as processes that are nowhere are passed over ---- */

static const struct span four[] = { { 0, 10 }, { 10, 20 }, { 20, 30 }, { 30, 40 }, { 0 } };

/* A round at NOW (ms) in which the scheme is due. */
static void round_at(struct damon_context *ctx, uint64_t now)
{
	ctx->schemes[0].next_apply = ctx->passed;
	damos_apply_schemes(ctx, now * 1000);
}

static void set_quota(struct damon_context *ctx, uint64_t sz)
{
	ctx->schemes[0].quota.desc.sz = sz;
	ctx->schemes[0].quota.desc.reset_interval_ms = 100;
	set_spans(&ctx->targets[0], four);
	ctx->attrs.min_nr_regions = 3;
}

/*
 * `stat' does nothing, so a quarter of what is tried is charged: 10; 7 and 3 of the second, as 7.5
 * are left; 5, 3, 2; 2, 2, 1, 1, 1; and less than a region is nothing.
 */
START_TEST(failures_are_charged_in_part)
{
	CTX(ctx, DAMON_OPS_PADDR, NEW);
	struct damos *scheme = &ctx->schemes[0];

	set_quota(ctx, 10 * P);
	scheme->quota.desc.fail_charge_num = 1;
	scheme->quota.desc.fail_charge_denom = 4;
	round_at(ctx, 1000);
	ck_assert_uint_eq(scheme->stat.sz_tried, 37 * P);
	ck_assert_uint_eq(scheme->stat.nr_tried, 11);
	ck_assert_uint_eq(scheme->quota.charged_sz, 37 * P / 4);
	ck_assert_uint_eq(damos_quota_left(ctx, &scheme->quota), 0);
	round_at(ctx, 1050);
	ck_assert_uint_eq(scheme->stat.nr_tried, 11);
	/* More than in full; and the largest numbers. */
	scheme->quota.desc.fail_charge_num = UINT32_MAX;
	scheme->quota.desc.fail_charge_denom = 1;
	round_at(ctx, 1100);
	ck_assert_uint_eq(scheme->stat.nr_tried, 12);
	ck_assert_uint_gt(scheme->quota.charged_sz, UINT32_MAX);
}
END_TEST

/* What a goal's value, of 100, makes of a quota of so many pages. */
static const struct {
	uint64_t sz, value, esz;
} temporal_vectors[] = {
	{ 15 * P, 99, 15 * P },	      { 15 * P, 100, 0 }, { 15 * P, 1000, 0 },
	{ 0, 0, UINT64_MAX / 10000 }, { 0, 100, 0 },
};

START_TEST(all_or_nothing)
{
	CTX(ctx, DAMON_OPS_PADDR, NEW);
	struct damos *scheme = &ctx->schemes[0];
	struct damos_quota_goal *goal = calloc(1, sizeof(*goal));

	ck_assert_ptr_nonnull(goal);
	*goal = (struct damos_quota_goal){ .target_value = 100,
					   .current_value = temporal_vectors[_i].value };
	set_quota(ctx, temporal_vectors[_i].sz);
	scheme->quota.desc.goals = goal;
	scheme->quota.desc.nr_goals = 1;
	scheme->quota.desc.goal_tuner = DAMOS_QUOTA_GOAL_TUNER_TEMPORAL;
	round_at(ctx, 1000);
	ck_assert_uint_eq(scheme->quota.esz, temporal_vectors[_i].esz);
	ck_assert_uint_eq(scheme->stat.sz_tried, min_ul(temporal_vectors[_i].esz, 40 * P));
	/* The other one goes on from there: from nothing at a byte, or less than before. */
	scheme->quota.desc.goal_tuner = DAMOS_QUOTA_GOAL_TUNER_CONSIST;
	goal->current_value = 200;
	round_at(ctx, 1100);
	ck_assert_uint_eq(scheme->quota.esz, 1);
	ck_assert_uint_eq(damos_quota_left(ctx, &scheme->quota), 0);
}
END_TEST

START_TEST(a_quota_that_is_not_set_is_no_limit)
{
	CTX(ctx, DAMON_OPS_PADDR, NEW);

	set_quota(ctx, 0);
	round_at(ctx, 1000);
	ck_assert_uint_eq(ctx->schemes[0].stat.sz_tried, 40 * P);
	ck_assert_uint_eq(damos_quota_left(ctx, &ctx->schemes[0].quota), UINT64_MAX);
}
END_TEST

/* The coldest is kept out by a filter: who comes next, if that takes no part of the quota. */
START_TEST(what_is_kept_out_has_no_score)
{
	static const struct span spans[] = { { 0, 10, 0, 0, 1000 }, { 10, 20, 0, 0, 1 }, { 0 } };

	for (int newer = 0; newer < 2; newer++) {
		CTX(ctx, DAMON_OPS_PADDR, newer ? NEW : OLD);
		struct damos *scheme = &ctx->schemes[0];
		struct damos_filter *filter = calloc(1, sizeof(*filter));

		ck_assert_ptr_nonnull(filter);
		*filter = (struct damos_filter){ .type = DAMOS_FILTER_TYPE_ADDR,
						 .matching = true,
						 .addr_range = { 0, 10 * P } };
		scheme->desc.filters = filter;
		scheme->desc.nr_filters = 1;
		damos_set_filter_defaults(scheme);
		scheme->desc.action = DAMOS_PAGEOUT;
		scheme->quota.desc.weight_age = 1;
		set_quota(ctx, 10 * P);
		set_spans(&ctx->targets[0], spans);
		round_at(ctx, 1000);
		ck_assert_uint_eq(scheme->stat.sz_tried, newer ? 10 * P : 0);
	}
}
END_TEST

/* ---- probes ---- */

#define ANON(matching_, allow_)                                                        \
	{                                                                              \
		.type = DAMOS_FILTER_TYPE_ANON, .matching = matching_, .allow = allow_ \
	}
#define GROUP(matching_, allow_)                                                         \
	{                                                                                \
		.type = DAMOS_FILTER_TYPE_MEMCG, .matching = matching_, .allow = allow_, \
		.memcg_id = 7                                                            \
	}

/* Filters; what becomes of an anonymous page of the cgroup, a file's of another, and none. */
static const struct {
	struct damos_filter filters[2];
	size_t nr;
	bool anonymous, file, none;
} probe_vectors[] = {
	{ { { 0 } }, 0, true, true, true },
	{ { ANON(true, true) }, 1, true, false, false },
	{ { ANON(true, false) }, 1, false, true, true },
	{ { ANON(false, true) }, 1, false, true, true },
	{ { GROUP(true, true) }, 1, true, false, false },
	{ { GROUP(false, false) }, 1, true, false, false },
	{ { ANON(false, false), GROUP(true, true) }, 2, true, false, false },
	{ { ANON(true, true), GROUP(true, false) }, 2, true, true, true },
};

START_TEST(probes_ask_for_attributes)
{
	static const struct page_info anonymous = { .anon = true, .memcg_id = 7 };
	static const struct page_info file = { .memcg_id = 8 };
	const struct damon_probe probe = { (struct damos_filter *)probe_vectors[_i].filters,
					   probe_vectors[_i].nr };

	ck_assert_int_eq(damon_probe_passes(&probe, &anonymous), probe_vectors[_i].anonymous);
	ck_assert_int_eq(damon_probe_passes(&probe, &file), probe_vectors[_i].file);
	ck_assert_int_eq(damon_probe_passes(&probe, NULL), probe_vectors[_i].none);
}
END_TEST

/* They go with their regions: averaged by a merge, copied by a cut, gone with the aggregation. */
START_TEST(hits_go_with_regions)
{
	CTX(ctx, DAMON_OPS_PADDR, NEW);
	struct damon_target *target = &ctx->targets[0];

	set_spans(target, (struct span[]){ { 0, 10, 0 }, { 10, 40, 0 }, { 0 } });
	target->regions[0].hits[1] = 10;
	target->regions[1].hits[1] = 255;
	damon_merge_target(target, 0, UINT64_MAX);
	ck_assert_uint_eq(target->nr_regions, 1);
	ck_assert_uint_eq(target->regions[0].hits[1], (10 * 10 + 255 * 30) / 40);
	ck_assert_int_eq(damon_cut_region(ctx, target, 0, 5 * P), 0);
	ck_assert_uint_eq(target->regions[1].hits[1], (10 * 10 + 255 * 30) / 40);
	damon_reset_aggregated(ctx);
	ck_assert_uint_eq(target->regions[1].hits[1], 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("next");
	TCase *tcase = tcase_create("next");

	ADD_VECTORS(tcase, the_least_number_is_enforced, cut_vectors);
	tcase_add_test(tcase, what_is_alike_is_joined);
	ADD_VECTORS(tcase, some_are_split_up_to_the_maximum, split_vectors);
	tcase_add_test(tcase, failures_are_charged_in_part);
	ADD_VECTORS(tcase, all_or_nothing, temporal_vectors);
	tcase_add_test(tcase, a_quota_that_is_not_set_is_no_limit);
	tcase_add_test(tcase, what_is_kept_out_has_no_score);
	ADD_VECTORS(tcase, probes_ask_for_attributes, probe_vectors);
	tcase_add_test(tcase, hits_go_with_regions);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
