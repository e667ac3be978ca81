// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Schemes: patterns, the order of evaluation, apply intervals, statistics, core filters and
 * watermarks (docs/abi/engine.md sections 9, 10, 12, 13).  Quotas and tried regions have tests of
 * their own.
 */
#include "engine/apply.h"
#include "engine/attrs.h"
#include "engine/context.h"
#include "engine/filter.h"
#include "engine/operations.h"
#include "engine/region.h"
#include "engine/scheme.h"
#include "engine/watermark.h"
#include "tests/unit/fixture.h"

#define CTX(name, nr_targets, nr_schemes)                                          \
	__attribute__((cleanup(damon_context_freep))) struct damon_context *name = \
		new_ctx(DAMON_OPS_VADDR, nr_targets, nr_schemes)

/* A round in which every scheme is due. */
static void apply_all(struct damon_context *ctx)
{
	for (size_t s = 0; s < ctx->nr_schemes; s++)
		ctx->schemes[s].next_apply = ctx->passed;
	damos_apply_schemes(ctx, 0);
}

static void assert_tried(const struct damos *scheme, uint64_t nr, uint64_t pages)
{
	ck_assert_uint_eq(scheme->stat.nr_tried, nr);
	ck_assert_uint_eq(scheme->stat.sz_tried, pages * P);
}

/* ---- patterns ---- */

#define MAX32 UINT32_MAX
#define MAX64 UINT64_MAX

static const struct {
	uint64_t sz; /* bytes */
	uint32_t bp, age;
	struct damos_access_pattern pattern;
	bool matches;
} pattern_vectors[] = {
	{ P, 0, 0, { 0, MAX64, 0, MAX32, 0, MAX32 }, true },
	/* A fresh scheme matches nothing. */
	{ P, 0, 0, { 0, 0, 0, 0, 0, 0 }, false },
	/* All bounds are included. */
	{ 3 * P, 50000, 7, { 3 * P, 3 * P, 5, 5, 7, 7 }, true },
	{ 3 * P, 50000, 7, { 3 * P + 1, 9 * P, 5, 5, 7, 7 }, false },
	{ 3 * P, 50000, 7, { 0, 3 * P - 1, 5, 5, 7, 7 }, false },
	{ 3 * P, 50000, 7, { 0, MAX64, 6, 20, 7, 7 }, false },
	{ 3 * P, 50000, 7, { 0, MAX64, 0, 4, 7, 7 }, false },
	{ 3 * P, 50000, 7, { 0, MAX64, 5, 5, 8, 20 }, false },
	{ 3 * P, 50000, 7, { 0, MAX64, 5, 5, 0, 6 }, false },
	/* The moving sum counts, rounded down. */
	{ P, 59999, 0, { 0, MAX64, 5, 5, 0, 0 }, true },
	{ P, 60000, 0, { 0, MAX64, 5, 5, 0, 0 }, false },
	{ P, 9999, 0, { 0, MAX64, 1, MAX32, 0, 0 }, false },
	/* The ends of 32 and 64 bits. */
	{ P, 0, MAX32, { 0, MAX64, 0, MAX32, MAX32, MAX32 }, true },
	{ P, 0, MAX32, { 0, MAX64, 0, MAX32, 0, MAX32 - 1 }, false },
	{ P, MAX32, 0, { 0, MAX64, 429496, 429496, 0, 0 }, true },
	{ P, MAX32, 0, { 0, MAX64, 429497, MAX32, 0, 0 }, false },
	{ MAX64 - 4095, 0, 0, { MAX64 - 4095, MAX64, 0, 0, 0, 0 }, true },
	{ MAX64 - 4095, 0, 0, { 0, MAX64 - 4096, 0, 0, 0, 0 }, false },
	/* Bounds the wrong way round match nothing. */
	{ 3 * P, 50000, 7, { 4 * P, 2 * P, 0, MAX32, 0, MAX32 }, false },
	{ 3 * P, 50000, 7, { 0, MAX64, 6, 4, 0, MAX32 }, false },
	{ 3 * P, 50000, 7, { 0, MAX64, 0, MAX32, 8, 6 }, false },
};

START_TEST(pattern_is_a_box_of_size_frequency_and_age)
{
	/* What is counted in this aggregation does not matter. */
	const struct damon_region region = { .end = pattern_vectors[_i].sz,
					     .nr_accesses = 13,
					     .nr_accesses_bp = pattern_vectors[_i].bp,
					     .age = pattern_vectors[_i].age };

	ck_assert_int_eq(damos_pattern_matches(&pattern_vectors[_i].pattern, &region),
			 pattern_vectors[_i].matches);
}
END_TEST

/* ---- order, intervals, statistics ---- */

START_TEST(action_resets_the_age_that_later_schemes_see)
{
	CTX(ctx, 1, 3);

	for (size_t s = 0; s < 3; s++)
		ctx->schemes[s].desc.pattern.min_age_region = 1;
	ctx->schemes[1].desc.action = DAMOS_COLD;
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 2, 0, 0, 5 }, { 2, 9, 0, 0, 0 }, { 0 } });
	apply_all(ctx);
	assert_tried(&ctx->schemes[0], 1, 2); /* stat does not reset it */
	assert_tried(&ctx->schemes[1], 1, 2);
	assert_tried(&ctx->schemes[2], 0, 0);
	assert_spans(&ctx->targets[0], (struct span[]){ { 0, 2 }, { 2, 9 }, { 0 } });
}
END_TEST

static const struct {
	uint64_t sample, aggr, apply;
	size_t rounds; /* of 60 samples */
} interval_vectors[] = {
	{ 5000, 100000, 0, 3 }, /* none: the aggregation interval */
	{ 5000, 100000, 100000, 3 },
	{ 5000, 100000, 10000, 30 }, /* ten times as often */
	{ 5000, 100000, 5000, 60 },
	{ 5000, 100000, 14999, 30 },
	{ 5000, 100000, 4999, 60 }, /* less than a sample: each time */
	{ 5000, 100000, 200000, 1 },
	{ 5000, 100000, 305000, 0 },
	{ 0, 20, 0, 3 }, /* no sampling interval counts as one microsecond */
};

START_TEST(scheme_is_applied_once_an_interval)
{
	CTX(ctx, 1, 1);

	ctx->attrs.sample_interval = interval_vectors[_i].sample;
	ctx->attrs.aggr_interval = interval_vectors[_i].aggr;
	ctx->schemes[0].desc.apply_interval = interval_vectors[_i].apply;
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 2 }, { 0 } });
	ctx->passed = 1000;
	damos_set_next_apply(ctx, &ctx->schemes[0]);
	for (int i = 0; i < 60; i++) {
		ctx->passed++;
		damos_apply_schemes(ctx, 0);
	}
	assert_tried(&ctx->schemes[0], interval_vectors[_i].rounds,
		     2 * interval_vectors[_i].rounds);
}
END_TEST

START_TEST(schemes_have_intervals_of_their_own_and_inactive_ones_rest)
{
	CTX(ctx, 1, 3);

	ctx->schemes[1].desc.apply_interval = 10000;
	ctx->schemes[2].active = false;
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 2 }, { 0 } });
	damon_restart_intervals(ctx);
	for (int i = 0; i < 40; i++) {
		ctx->passed++;
		damos_apply_schemes(ctx, 0);
	}
	assert_tried(&ctx->schemes[0], 2, 4);
	assert_tried(&ctx->schemes[1], 20, 40);
	assert_tried(&ctx->schemes[2], 0, 0);
}
END_TEST

/* Regions of three pages succeed in part, others fail. */
static struct page_walk_result apply_to_three_pages(struct damon_context *ctx,
						    struct damon_target *target,
						    const struct damon_region *region,
						    const struct damos *scheme)
{
	(void)ctx;
	(void)target;
	(void)scheme;
	return (struct page_walk_result){ .applied = damon_sz_region(region) == 3 * P ? 2 * P : 0 };
}

START_TEST(statistics_tell_what_was_tried_and_what_applied)
{
	struct damon_operations ops = { .apply_scheme = apply_to_three_pages };
	CTX(ctx, 1, 2);

	ctx->ops = &ops;
	ctx->schemes[1].desc.action = DAMOS_PAGEOUT;
	set_spans(
		&ctx->targets[0],
		(struct span[]){ { 0, 3, 0, 0, 5 }, { 3, 7, 0, 0, 5 }, { 7, 10, 0, 0, 5 }, { 0 } });
	apply_all(ctx);
	assert_tried(&ctx->schemes[0], 3, 10);
	/* `stat' is never applied. */
	ck_assert_uint_eq(ctx->schemes[0].stat.nr_applied, 0);
	ck_assert_uint_eq(ctx->schemes[0].stat.sz_applied, 0);
	assert_tried(&ctx->schemes[1], 3, 10);
	ck_assert_uint_eq(ctx->schemes[1].stat.nr_applied, 2);
	ck_assert_uint_eq(ctx->schemes[1].stat.sz_applied, 4 * P);
	/* Also an action that failed makes a region young. */
	assert_spans(&ctx->targets[0], (struct span[]){ { 0, 3 }, { 3, 7 }, { 7, 10 }, { 0 } });
}
END_TEST

/* ---- snapshots ---- */

/* Of three targets with two regions each, so many are left at most; how many rounds change it. */
static const struct {
	uint64_t max, rounds, snapshots, tried;
	bool matches;
} snapshot_vectors[] = {
	{ 0, 3, 9, 18, true }, { 0, 3, 9, 0, false }, { 4, 3, 4, 8, true },
	{ 4, 1, 3, 6, true },  { 3, 9, 3, 6, true },  { 1, 9, 1, 2, true },
};

/* They are counted for each target and round, whatever is tried, and stop a scheme in a round. */
START_TEST(snapshots_are_counted_and_limited)
{
	CTX(ctx, 3, 1);
	struct damos *scheme = &ctx->schemes[0];

	for (size_t t = 0; t < 3; t++)
		set_spans(&ctx->targets[t], (struct span[]){ { 0, 4 }, { 4, 9 }, { 0 } });
	scheme->desc.max_nr_snapshots = snapshot_vectors[_i].max;
	if (!snapshot_vectors[_i].matches)
		scheme->desc.pattern.min_nr_accesses = 1;
	for (uint64_t i = 0; i < snapshot_vectors[_i].rounds; i++)
		apply_all(ctx);
	ck_assert_uint_eq(scheme->stat.nr_snapshots, snapshot_vectors[_i].snapshots);
	ck_assert_uint_eq(scheme->stat.nr_tried, snapshot_vectors[_i].tried);
	/* Two more, and two more follow. */
	if (snapshot_vectors[_i].max && snapshot_vectors[_i].rounds > 1) {
		scheme->desc.max_nr_snapshots += 2;
		apply_all(ctx);
		apply_all(ctx);
		ck_assert_uint_eq(scheme->stat.nr_snapshots, snapshot_vectors[_i].max + 2);
	}
}
END_TEST

/* A quota that never gets to the end of a target leaves none. */
START_TEST(a_full_quota_leaves_no_snapshot)
{
	CTX(ctx, 1, 1);
	struct damos *scheme = &ctx->schemes[0];

	set_spans(&ctx->targets[0], (struct span[]){ { 0, 9 }, { 0 } });
	scheme->quota.desc.sz = P;
	scheme->quota.desc.reset_interval_ms = 1000000;
	for (int i = 0; i < 5; i++)
		apply_all(ctx);
	ck_assert_uint_eq(scheme->stat.nr_tried, 1);
	ck_assert_uint_eq(scheme->stat.nr_snapshots, 0);
}
END_TEST

/* Since 7.0, a target whose process is gone is passed over. */
static const unsigned int gone_vectors[] = { DAMON_ABI(6, 18), DAMON_ABI(7, 0) };

START_TEST(targets_that_are_gone)
{
	CTX(ctx, 1, 1);
	const struct damon_operations ops = { .has_process = true };

	ctx->ops = &ops;
	ctx->abi = gone_vectors[_i];
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 9 }, { 0 } });
	apply_all(ctx);
	ck_assert_uint_eq(ctx->schemes[0].stat.nr_tried, ctx->abi < DAMON_ABI(7, 0));
}
END_TEST

/* ---- filters ---- */

/* Address filters of 2-6; what is left after the filter looked at region 0, and its answer. */
static const struct {
	struct span region[2];
	bool matching;
	struct span after[4];
	bool out;
	uint64_t nr_tried, pages; /* by a whole round */
} addr_vectors[] = {
	{ { { 3, 5 } }, true, { { 3, 5 } }, true, 0, 0 },
	{ { { 2, 6 } }, true, { { 2, 6 } }, true, 0, 0 },
	{ { { 1, 2 } }, true, { { 1, 2 } }, false, 1, 1 },
	{ { { 6, 8 } }, true, { { 6, 8 } }, false, 1, 2 },
	{ { { 1, 4 } }, true, { { 1, 2 }, { 2, 4 } }, false, 1, 1 },
	{ { { 2, 8 } }, true, { { 2, 6 }, { 6, 8 } }, true, 1, 2 },
	{ { { 1, 8 } }, true, { { 1, 2 }, { 2, 8 } }, false, 2, 3 },
	{ { { 5, 7 } }, true, { { 5, 6 }, { 6, 7 } }, true, 1, 1 },
	{ { { 3, 5 } }, false, { { 3, 5 } }, false, 1, 2 },
	{ { { 1, 2 } }, false, { { 1, 2 } }, true, 0, 0 },
	{ { { 6, 8 } }, false, { { 6, 8 } }, true, 0, 0 },
	{ { { 1, 4 } }, false, { { 1, 2 }, { 2, 4 } }, true, 1, 2 },
	{ { { 2, 8 } }, false, { { 2, 6 }, { 6, 8 } }, false, 1, 4 },
	{ { { 1, 8 } }, false, { { 1, 2 }, { 2, 8 } }, true, 1, 4 },
};

static void set_filters(struct damos *scheme, const struct damos_filter *filters, size_t nr)
{
	free(scheme->desc.filters);
	scheme->desc.filters = calloc(nr, sizeof(*filters));
	ck_assert_ptr_nonnull(scheme->desc.filters);
	memcpy(scheme->desc.filters, filters, nr * sizeof(*filters));
	scheme->desc.nr_filters = nr;
}

START_TEST(address_filter_cuts_regions_at_its_bounds)
{
	/* Its own bounds are rounded down. */
	const struct damos_filter filter = { .type = DAMOS_FILTER_TYPE_ADDR,
					     .matching = addr_vectors[_i].matching,
					     .addr_range = { 2 * P + 5, 7 * P - 1 } };
	CTX(ctx, 1, 1);

	set_filters(&ctx->schemes[0], &filter, 1);
	set_spans(&ctx->targets[0], addr_vectors[_i].region);
	ck_assert_int_eq(damos_filtered_out(ctx, 0, 0, &ctx->schemes[0]), addr_vectors[_i].out);
	assert_bounds(&ctx->targets[0], addr_vectors[_i].after);
	/* What is cut off is visited next. */
	set_spans(&ctx->targets[0], addr_vectors[_i].region);
	apply_all(ctx);
	assert_tried(&ctx->schemes[0], addr_vectors[_i].nr_tried, addr_vectors[_i].pages);
}
END_TEST

#define TARGET_FILTER(idx, matching_)                                                        \
	{                                                                                    \
		.type = DAMOS_FILTER_TYPE_TARGET, .matching = matching_, .target_idx = (idx) \
	}
#define OPS_FILTER(kind)                                           \
	{                                                          \
		.type = DAMOS_FILTER_TYPE_##kind, .matching = true \
	}

static const struct {
	struct damos_filter filters[3];
	size_t nr;
	bool out[2]; /* of targets 0 and 1 */
} target_vectors[] = {
	{ { { 0 } }, 0, { false, false } },
	{ { TARGET_FILTER(0, true) }, 1, { true, false } },
	{ { TARGET_FILTER(1, true) }, 1, { false, true } },
	{ { TARGET_FILTER(1, false) }, 1, { true, false } },
	{ { TARGET_FILTER(2, true) }, 1, { false, false } },
	{ { TARGET_FILTER(-1, true) }, 1, { false, false } },
	{ { TARGET_FILTER(-1, false) }, 1, { true, true } },
	/* Any of them is enough. */
	{ { TARGET_FILTER(0, true), TARGET_FILTER(1, true) }, 2, { true, true } },
	{ { TARGET_FILTER(0, false), TARGET_FILTER(1, false) }, 2, { true, true } },
	/* The address space's are not for here. */
	{ { OPS_FILTER(ANON), OPS_FILTER(MEMCG), OPS_FILTER(YOUNG) }, 3, { false, false } },
	{ { { .type = DAMOS_FILTER_TYPE_ANON }, TARGET_FILTER(1, true) }, 2, { false, true } },
};

START_TEST(filters_leave_no_trace_on_what_they_exclude)
{
	CTX(ctx, 2, 1);
	uint64_t tried = 0;

	set_filters(&ctx->schemes[0], target_vectors[_i].filters, target_vectors[_i].nr);
	ctx->schemes[0].desc.action = DAMOS_COLD;
	for (size_t t = 0; t < 2; t++)
		set_spans(&ctx->targets[t], (struct span[]){ { 0, 2, 0, 0, 5 }, { 0 } });
	apply_all(ctx);
	for (size_t t = 0; t < 2; t++) {
		ck_assert_uint_eq(ctx->targets[t].regions[0].age,
				  target_vectors[_i].out[t] ? 5 : 0);
		tried += !target_vectors[_i].out[t];
	}
	assert_tried(&ctx->schemes[0], tried, 2 * tried);
	ck_assert_uint_eq(ctx->schemes[0].quota.charged_sz, 2 * tried * P);
}
END_TEST

/* ---- watermarks ---- */

/* High 600, middle 400, low 200, interval 7. */
static const struct {
	bool active;
	uint64_t metric;
	bool active_after;
} watermark_vectors[] = {
	{ true, 1000, false },	{ true, 601, false },  { true, 600, true },   { true, 400, true },
	{ true, 399, true },	{ true, 200, true },   { true, 199, false },  { true, 0, false },
	{ false, 1000, false }, { false, 601, false }, { false, 600, false }, { false, 400, false },
	{ false, 399, true },	{ false, 200, true },  { false, 199, false }, { false, 0, false },
};

START_TEST(watermarks_switch_with_a_hysteresis)
{
	struct damos scheme = {
		.active = watermark_vectors[_i].active,
		.desc.wmarks = { DAMOS_WMARK_FREE_MEM_RATE, 7, 600, 400, 200 },
	};

	ck_assert_uint_eq(damos_watermark_wait(&scheme, watermark_vectors[_i].metric),
			  watermark_vectors[_i].active_after ? 0 : 7);
	ck_assert_int_eq(scheme.active, watermark_vectors[_i].active_after);
}
END_TEST

/* Marks that the system's free memory is above, or between, whatever it is. */
#define ABOVE(interval)                                      \
	{                                                    \
		DAMOS_WMARK_FREE_MEM_RATE, interval, 0, 0, 0 \
	}
#define BETWEEN(interval)                                       \
	{                                                       \
		DAMOS_WMARK_FREE_MEM_RATE, interval, 1000, 0, 0 \
	}
#define NO_MARKS(interval)                          \
	{                                           \
		DAMOS_WMARK_NONE, interval, 0, 0, 0 \
	}

static const struct {
	size_t nr;
	struct damos_watermarks wmarks[3];
	uint64_t rest;
	bool active[3];
} rest_vectors[] = {
	{ 0, { { 0 } }, 0, { 0 } },
	{ 1, { NO_MARKS(7) }, 0, { true } },
	{ 1, { ABOVE(7) }, 7, { false } },
	{ 1, { BETWEEN(7) }, 0, { true } },
	/* The shortest rest, and none while any is active. */
	{ 3, { ABOVE(9), ABOVE(7), ABOVE(8) }, 7, { false, false, false } },
	{ 3, { ABOVE(9), BETWEEN(7), ABOVE(8) }, 0, { false, true, false } },
	{ 2, { ABOVE(9), NO_MARKS(5) }, 0, { false, true } },
	/* An interval of zero does not rest. */
	{ 2, { ABOVE(9), ABOVE(0) }, 0, { false, false } },
};

START_TEST(monitoring_rests_while_no_scheme_is_active)
{
	CTX(ctx, 0, rest_vectors[_i].nr);

	for (size_t s = 0; s < ctx->nr_schemes; s++)
		ctx->schemes[s].desc.wmarks = rest_vectors[_i].wmarks[s];
	ck_assert_uint_eq(damos_check_watermarks(ctx), rest_vectors[_i].rest);
	for (size_t s = 0; s < ctx->nr_schemes; s++)
		ck_assert_int_eq(ctx->schemes[s].active, rest_vectors[_i].active[s]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scheme");
	TCase *tcase = tcase_create("scheme");

	ADD_VECTORS(tcase, pattern_is_a_box_of_size_frequency_and_age, pattern_vectors);
	tcase_add_test(tcase, action_resets_the_age_that_later_schemes_see);
	ADD_VECTORS(tcase, scheme_is_applied_once_an_interval, interval_vectors);
	tcase_add_test(tcase, schemes_have_intervals_of_their_own_and_inactive_ones_rest);
	tcase_add_test(tcase, statistics_tell_what_was_tried_and_what_applied);
	ADD_VECTORS(tcase, snapshots_are_counted_and_limited, snapshot_vectors);
	tcase_add_test(tcase, a_full_quota_leaves_no_snapshot);
	ADD_VECTORS(tcase, targets_that_are_gone, gone_vectors);
	ADD_VECTORS(tcase, address_filter_cuts_regions_at_its_bounds, addr_vectors);
	ADD_VECTORS(tcase, filters_leave_no_trace_on_what_they_exclude, target_vectors);
	ADD_VECTORS(tcase, watermarks_switch_with_a_hysteresis, watermark_vectors);
	ADD_VECTORS(tcase, monitoring_rests_while_no_scheme_is_active, rest_vectors);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
