// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The figures of the kernel's own unit tests of DAMON (docs/kernel-kunit.md says which, and where
 * the others are): whatever they ask of the kernel's engine, they ask of this one.
 */
#include "engine/adaptive.h"
#include "engine/attrs.h"
#include "engine/commit.h"
#include "engine/filter.h"
#include "engine/quota.h"
#include "engine/sampling.h"
#include "engine/scheme.h"
#include "tests/unit/fixture.h"

#define CTX(name, nr_targets, nr_schemes)                                          \
	__attribute__((cleanup(damon_context_freep))) struct damon_context *name = \
		new_ctx(DAMON_OPS_VADDR, nr_targets, nr_schemes)

static void desc_freep(struct damon_desc **desc)
{
	damon_desc_free(*desc);
}

#define DESC(name, nr_targets, nr_schemes)                             \
	__attribute__((cleanup(desc_freep))) struct damon_desc *name = \
		new_desc(DAMON_OPS_VADDR, nr_targets, nr_schemes)

/* ---- regions and targets ---- */

START_TEST(aggregate)
{
	static const struct span spans[3][MAX_SPANS] = {
		{ { 10, 15, 42 }, { 20, 27, 95 }, { 30, 40, 84 } },
		{ { 5, 31, 10 }, { 42, 45, 20 }, { 49, 55, 30 } },
		{ { 13, 23, 0 }, { 33, 44, 1 }, { 55, 66, 2 } },
	};
	CTX(ctx, 3, 0);

	for (size_t t = 0; t < 3; t++)
		set_spans(&ctx->targets[t], spans[t]);
	damon_reset_aggregated(ctx);
	ck_assert_uint_eq(ctx->nr_targets, 3);
	for (size_t t = 0; t < 3; t++) {
		ck_assert_uint_eq(ctx->targets[t].nr_regions, 3);
		for (size_t i = 0; i < 3; i++)
			ck_assert_uint_eq(ctx->targets[t].regions[i].nr_accesses, 0);
	}
}
END_TEST

START_TEST(split_at)
{
	CTX(ctx, 1, 0);
	struct damon_target *target = &ctx->targets[0];

	set_spans(target, (struct span[]){ { 0, 100, 42, 15, 10 }, { 0 } });
	ck_assert_int_eq(damon_split_region_at(target, 0, 25 * P), 0);
	assert_spans(target,
		     (struct span[]){ { 0, 25, 42, 15, 10 }, { 25, 100, 42, 15, 10 }, { 0 } });
	for (size_t i = 0; i < 2; i++)
		ck_assert_uint_eq(target->regions[i].nr_accesses_bp, 420000);
}
END_TEST

START_TEST(merge_two)
{
	CTX(ctx, 1, 0);
	struct damon_target *target = &ctx->targets[0];

	set_spans(target, (struct span[]){ { 0, 100, 10, 0, 9 }, { 100, 300, 20, 0, 21 }, { 0 } });
	damon_merge_target(target, 10, UINT64_MAX);
	assert_spans(target, (struct span[]){ { 0, 300, 16, 0, 17 }, { 0 } });
	ck_assert_uint_eq(target->regions[0].nr_accesses_bp, 160000);
}
END_TEST

/* The ages follow from the rule: of 6.18, where zero is unlike anything else, and of before. */
static const struct {
	bool zero_is_another;
	struct span after[MAX_SPANS];
} merge_vectors[] = {
	{ true,
	  { { 0, 112, 0, 0, 1 },
	    { 114, 130, 10 },
	    { 130, 156, 20 },
	    { 156, 170, 30 },
	    { 170, 230, 1 },
	    { 230, 10170, 5 } } },
	{ false,
	  { { 0, 112, 0, 0, 1 },
	    { 114, 130, 10 },
	    { 130, 156, 20 },
	    { 156, 170, 30 },
	    { 170, 230, 1, 0, 1 },
	    { 230, 10170, 5, 0, 1 } } },
};

START_TEST(merge_regions_of)
{
	static const struct span before[MAX_SPANS] = {
		{ 0, 100, 0 },	   { 100, 112, 0 },
		{ 114, 122, 10 },  { 122, 130, 10 },
		{ 130, 156, 20 },  { 156, 170, 30 },
		{ 170, 184, 1 },   { 184, 230, 2 },
		{ 230, 10170, 5 }, { 0 },
	};
	CTX(ctx, 1, 0);
	struct damon_target *target = &ctx->targets[0];

	set_spans(target, before);
	damon_age_target(target, 9, merge_vectors[_i].zero_is_another);
	damon_merge_target(target, 9, 9999 * P);
	assert_spans(target, merge_vectors[_i].after);
}
END_TEST

/* The kernel's function is asked for 4 pieces; here their number follows from that of regions. */
START_TEST(split_regions_of)
{
	static const struct span spans[2][MAX_SPANS] = {
		{ { 0, 22 } },
		{ { 0, 220 }, { 300, 400 }, { 500, 700 } },
	};
	CTX(ctx, 2, 0);
	uint64_t sizes[2] = { 0 };

	for (size_t t = 0; t < 2; t++)
		set_spans(&ctx->targets[t], spans[t]);
	damon_split_regions(ctx);
	for (size_t t = 0; t < 2; t++) {
		const struct damon_target *target = &ctx->targets[t];

		assert_sound(target);
		ck_assert_uint_le(target->nr_regions, 3 * count_spans(spans[t]));
		for (size_t i = 0; i < target->nr_regions; i++)
			sizes[t] += damon_sz_region(&target->regions[i]);
	}
	ck_assert_uint_eq(sizes[0], 22 * P);
	ck_assert_uint_eq(sizes[1], 520 * P);
}
END_TEST

static const struct {
	struct span committed[MAX_SPANS], after[MAX_SPANS];
} region_vectors[] = {
	{ { { 4, 6 } }, { { 4, 6 } } },
	{ { { 0 } }, { { 3, 8 }, { 8, 10 } } },
};

START_TEST(commit_target_regions)
{
	CTX(ctx, 1, 0);
	DESC(desc, 1, 0);

	set_spans(&ctx->targets[0], (struct span[]){ { 3, 8 }, { 8, 10 }, { 0 } });
	set_ranges(&desc->targets[0], region_vectors[_i].committed);
	ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
	assert_bounds(&ctx->targets[0], region_vectors[_i].after);
}
END_TEST

/* ---- attributes and counters ---- */

START_TEST(nr_accesses_to_accesses_bp)
{
	const struct damon_attrs attrs = { .sample_interval = 10,
					   .aggr_interval = 10 * (1UL << 32) };
	struct damon_region region = { .last_nr_accesses = 123 };

	ck_assert_uint_eq(damon_max_nr_accesses(&attrs), UINT32_MAX);
	/* 123 of so many are none in 1/10000. */
	damon_update_region_access(&region, 0, damon_max_nr_accesses(&attrs), 1);
	ck_assert_uint_eq(region.nr_accesses_bp, 0);
}
END_TEST

START_TEST(update_monitoring_result)
{
	static const struct {
		uint64_t sample, aggr;
		uint32_t nr_accesses, age;
	} steps[] = { { 100, 10000, 15, 2 }, { 1, 1000, 150, 2 }, { 1, 100, 150, 20 } };
	const struct damon_attrs old = { .sample_interval = 10, .aggr_interval = 1000 };
	struct damon_region region = { .nr_accesses = 15, .nr_accesses_bp = 150000, .age = 20 };

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		const struct damon_attrs new = { .sample_interval = steps[i].sample,
						 .aggr_interval = steps[i].aggr };

		damon_rescale_region(&region, &old, &new, false);
		ck_assert_uint_eq(region.nr_accesses, steps[i].nr_accesses);
		ck_assert_uint_eq(region.age, steps[i].age);
	}
}
END_TEST

static const struct {
	uint64_t min, max, sample, aggr;
	int result;
} attrs_vectors[] = {
	{ 10, 1000, 5000, 100000, 0 },
	{ 1, 1000, 5000, 100000, -EINVAL },
	{ 10, 9, 5000, 100000, -EINVAL },
	{ 10, 1000, 5000, 4999, -EINVAL },
};

START_TEST(set_attrs)
{
	const struct damon_attrs attrs = { .min_nr_regions = attrs_vectors[_i].min,
					   .max_nr_regions = attrs_vectors[_i].max,
					   .sample_interval = attrs_vectors[_i].sample,
					   .aggr_interval = attrs_vectors[_i].aggr };

	ck_assert_int_eq(damon_check_attrs(&attrs, DAMON_ABI(7, 0)), attrs_vectors[_i].result);
}
END_TEST

/* ---- goals, quotas, destinations ---- */

START_TEST(feed_loop_next_input)
{
	ck_assert_uint_eq(damos_feed_loop_next(900000, 200), 1782000);
	ck_assert_uint_eq(damos_feed_loop_next(900000, 250000000), 10000);
	ck_assert_uint_eq(damos_feed_loop_next(900000, 2000), 1620000);
}
END_TEST

static void set_goal(struct damos_quota_desc *quota, const struct damos_quota_goal *goal)
{
	quota->goals = calloc(2, sizeof(*quota->goals));
	ck_assert_ptr_nonnull(quota->goals);
	quota->nr_goals = !!goal;
	if (goal)
		quota->goals[0] = *goal;
}

/* One after the other. */
START_TEST(commit_quota_goal)
{
	static const struct damos_quota_goal goals[] = {
		{ .metric = DAMOS_QUOTA_USER_INPUT, .target_value = 789, .current_value = 12 },
		{ .metric = DAMOS_QUOTA_NODE_MEM_FREE_BP, .target_value = 345, .nid = 9 },
		{ .metric = DAMOS_QUOTA_NODE_MEM_USED_BP, .target_value = 12, .nid = 6 },
		{ .metric = DAMOS_QUOTA_NODE_MEMCG_USED_BP, .target_value = 456, .nid = 6 },
		{ .metric = DAMOS_QUOTA_NODE_MEMCG_FREE_BP, .target_value = 890, .nid = 10 },
		{ .metric = DAMOS_QUOTA_SOME_MEM_PSI_US, .target_value = 234 },
	};
	CTX(ctx, 1, 1);
	const struct damos_quota_desc *quota;

	set_goal(&ctx->schemes[0].quota.desc,
		 &(struct damos_quota_goal){ .metric = DAMOS_QUOTA_SOME_MEM_PSI_US,
					     .target_value = 1000,
					     .current_value = 123,
					     .last_psi_total = 456 });
	for (size_t i = 0; i < ARRAY_SIZE(goals); i++) {
		DESC(desc, 1, 1);

		set_goal(&desc->schemes[0].quota, &goals[i]);
		ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
		quota = &ctx->schemes[0].quota.desc;
		ck_assert_uint_eq(quota->nr_goals, 1);
		ck_assert_int_eq(quota->goals[0].metric, goals[i].metric);
		ck_assert_uint_eq(quota->goals[0].target_value, goals[i].target_value);
		ck_assert_int_eq(quota->goals[0].nid, goals[i].nid);
		if (goals[i].metric == DAMOS_QUOTA_USER_INPUT)
			ck_assert_uint_eq(quota->goals[0].current_value, 12);
	}
}
END_TEST

/* Target values before and after; 0: no goal. */
static const uint64_t goals_vectors[][2] = { { 0, 123 }, { 234, 345 }, { 456, 0 } };

START_TEST(commit_quota_goals)
{
	const struct damos_quota_goal before = { .target_value = goals_vectors[_i][0] };
	const struct damos_quota_goal after = { .target_value = goals_vectors[_i][1] };
	CTX(ctx, 1, 1);
	DESC(desc, 1, 1);

	set_goal(&ctx->schemes[0].quota.desc, before.target_value ? &before : NULL);
	set_goal(&desc->schemes[0].quota, after.target_value ? &after : NULL);
	ck_assert_int_eq(damos_commit_goals(ctx, desc), 0);
	ck_assert_uint_eq(ctx->schemes[0].quota.desc.nr_goals, !!after.target_value);
	if (after.target_value)
		ck_assert_uint_eq(ctx->schemes[0].quota.desc.goals[0].target_value,
				  after.target_value);
}
END_TEST

START_TEST(commit_quota)
{
	CTX(ctx, 1, 1);
	DESC(desc, 1, 1);
	const struct damos_quota_desc before = { .reset_interval_ms = 1,
						 .ms = 2,
						 .sz = 3,
						 .weight_sz = 4,
						 .weight_nr_accesses = 5,
						 .weight_age = 6 };
	const struct damos_quota_desc after = { .reset_interval_ms = 7,
						.ms = 8,
						.sz = 9,
						.weight_sz = 10,
						.weight_nr_accesses = 11,
						.weight_age = 12 };
	struct damos_quota_desc now;

	ctx->schemes[0].quota.desc = before;
	desc->schemes[0].quota = after;
	ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
	now = ctx->schemes[0].quota.desc;
	/* Where its goals would be says nothing. */
	now.goals = NULL;
	ck_assert(!memcmp(&now, &after, sizeof(after)));
}
END_TEST

/* Ids and weights before and after, and their numbers. */
static const struct {
	struct damos_dest before[3], after[3];
	size_t nr_before, nr_after;
} dest_vectors[] = {
	{ { { 1, 2 }, { 2, 3 }, { 3, 4 } }, { { 4, 5 }, { 5, 6 }, { 6, 7 } }, 3, 3 },
	{ { { 1, 2 }, { 2, 3 } }, { { 4, 5 }, { 5, 6 }, { 6, 7 } }, 2, 3 },
	{ { { 0 } }, { { 4, 5 }, { 5, 6 }, { 6, 7 } }, 0, 3 },
	{ { { 1, 2 }, { 2, 3 }, { 3, 4 } }, { { 4, 5 }, { 5, 6 } }, 3, 2 },
	{ { { 1, 2 }, { 2, 3 }, { 3, 4 } }, { { 0 } }, 3, 0 },
};

static void set_dests(struct damos_desc *desc, const struct damos_dest *dests, size_t nr)
{
	free(desc->dests);
	desc->dests = calloc(nr + 1, sizeof(*dests));
	ck_assert_ptr_nonnull(desc->dests);
	memcpy(desc->dests, dests, nr * sizeof(*dests));
	desc->nr_dests = nr;
}

START_TEST(commit_dests)
{
	CTX(ctx, 1, 1);
	DESC(desc, 1, 1);
	const struct damos_desc *now;

	set_dests(&ctx->schemes[0].desc, dest_vectors[_i].before, dest_vectors[_i].nr_before);
	set_dests(&desc->schemes[0], dest_vectors[_i].after, dest_vectors[_i].nr_after);
	ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
	now = &ctx->schemes[0].desc;
	ck_assert_uint_eq(now->nr_dests, dest_vectors[_i].nr_after);
	for (size_t i = 0; i < now->nr_dests; i++) {
		ck_assert_uint_eq(now->dests[i].node, dest_vectors[_i].after[i].node);
		ck_assert_uint_eq(now->dests[i].weight, dest_vectors[_i].after[i].weight);
	}
}
END_TEST

/* ---- schemes and filters ---- */

static void set_filters(struct damos_desc *desc, const struct damos_filter *filters, size_t nr)
{
	free(desc->filters);
	desc->filters = calloc(nr + 1, sizeof(*filters));
	ck_assert_ptr_nonnull(desc->filters);
	memcpy(desc->filters, filters, nr * sizeof(*filters));
	desc->nr_filters = nr;
}

static const struct damos_filter filter_vectors[] = {
	{ .type = DAMOS_FILTER_TYPE_ANON, .matching = true, .allow = true },
	{ .type = DAMOS_FILTER_TYPE_MEMCG, .memcg_id = 123 },
	{ .type = DAMOS_FILTER_TYPE_YOUNG, .matching = true, .allow = true },
	{ .type = DAMOS_FILTER_TYPE_HUGEPAGE_SIZE, .min_sz = 234, .max_sz = 345 },
	{ .type = DAMOS_FILTER_TYPE_UNMAPPED, .matching = true, .allow = true },
	{ .type = DAMOS_FILTER_TYPE_ADDR, .addr_range = { 456, 567 } },
	{ .type = DAMOS_FILTER_TYPE_TARGET, .matching = true, .allow = true, .target_idx = 6 },
};

START_TEST(commit_filter)
{
	CTX(ctx, 1, 1);
	DESC(desc, 1, 1);

	set_filters(&ctx->schemes[0].desc,
		    &(struct damos_filter){ .type = DAMOS_FILTER_TYPE_ACTIVE }, 1);
	set_filters(&desc->schemes[0], &filter_vectors[_i], 1);
	ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
	ck_assert_uint_eq(ctx->schemes[0].desc.nr_filters, 1);
	ck_assert(!memcmp(&ctx->schemes[0].desc.filters[0], &filter_vectors[_i],
			  sizeof(filter_vectors[_i])));
}
END_TEST

static const struct damos_desc scheme_before = {
	.pattern = { 1, 2, 3, 4, 5, 6 },
	.action = DAMOS_PAGEOUT,
	.apply_interval = 1000000,
	.wmarks = { DAMOS_WMARK_FREE_MEM_RATE, 900, 100, 50, 0 },
};

/* commit_pageout, commit_migrate_hot */
static const struct damos_desc scheme_vectors[] = {
	{ .pattern = { 2, 3, 4, 5, 6, 7 },
	  .action = DAMOS_PAGEOUT,
	  .apply_interval = 2000000,
	  .wmarks = { DAMOS_WMARK_FREE_MEM_RATE, 800, 50, 30, 0 } },
	{ .pattern = { 2, 3, 4, 5, 6, 7 },
	  .action = DAMOS_MIGRATE_HOT,
	  .apply_interval = 2000000,
	  .target_nid = 5 },
};

START_TEST(commit_scheme)
{
	CTX(ctx, 1, 1);
	DESC(desc, 1, 1);
	const struct damos_desc *after = &scheme_vectors[_i], *now;

	ctx->schemes[0].desc = scheme_before;
	desc->schemes[0] = *after;
	ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
	now = &ctx->schemes[0].desc;
	ck_assert(!memcmp(&now->pattern, &after->pattern, sizeof(now->pattern)));
	ck_assert_int_eq(now->action, after->action);
	ck_assert_uint_eq(now->apply_interval, after->apply_interval);
	ck_assert_int_eq(now->target_nid, after->target_nid);
	ck_assert(!memcmp(&now->wmarks, &after->wmarks, sizeof(now->wmarks)));
}
END_TEST

#define TARGET(does)                                              \
	{                                                         \
		.type = DAMOS_FILTER_TYPE_TARGET, .allow = (does) \
	}
#define ANON(does)                                              \
	{                                                       \
		.type = DAMOS_FILTER_TYPE_ANON, .allow = (does) \
	}

static const struct {
	struct damos_filter filters[2];
	size_t nr;
	bool core, ops; /* what no filter matches is rejected */
} reject_vectors[] = {
	{ { { 0 } }, 0, false, false },
	{ { TARGET(true) }, 1, true, false },
	{ { TARGET(false) }, 1, false, false },
	{ { TARGET(false), ANON(true) }, 2, false, true },
	{ { TARGET(true), ANON(true) }, 2, false, true },
};

START_TEST(set_filters_default_reject)
{
	CTX(ctx, 1, 1);
	struct damos *scheme = &ctx->schemes[0];

	set_filters(&scheme->desc, reject_vectors[_i].filters, reject_vectors[_i].nr);
	damos_set_filter_defaults(scheme);
	ck_assert_int_eq(scheme->core_default_reject, reject_vectors[_i].core);
	ck_assert_int_eq(scheme->ops_default_reject, reject_vectors[_i].ops);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kunit");
	TCase *tcase = tcase_create("kunit");

	tcase_add_test(tcase, aggregate);
	tcase_add_test(tcase, split_at);
	tcase_add_test(tcase, merge_two);
	ADD_VECTORS(tcase, merge_regions_of, merge_vectors);
	tcase_add_test(tcase, split_regions_of);
	ADD_VECTORS(tcase, commit_target_regions, region_vectors);
	tcase_add_test(tcase, nr_accesses_to_accesses_bp);
	tcase_add_test(tcase, update_monitoring_result);
	ADD_VECTORS(tcase, set_attrs, attrs_vectors);
	tcase_add_test(tcase, feed_loop_next_input);
	tcase_add_test(tcase, commit_quota_goal);
	ADD_VECTORS(tcase, commit_quota_goals, goals_vectors);
	tcase_add_test(tcase, commit_quota);
	ADD_VECTORS(tcase, commit_dests, dest_vectors);
	ADD_VECTORS(tcase, commit_filter, filter_vectors);
	ADD_VECTORS(tcase, commit_scheme, scheme_vectors);
	ADD_VECTORS(tcase, set_filters_default_reject, reject_vectors);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
