// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Commits to a running context, index by index: what is replaced, what is kept of what was learnt,
 * and how counters are converted to new intervals (docs/abi/engine.md section 14, docs/abi/sysfs.md
 * section 7).
 */
#include "engine/apply.h"
#include "engine/attrs.h"
#include "engine/commit.h"
#include "engine/context.h"
#include "engine/operations.h"
#include "engine/quota.h"
#include "tests/unit/fixture.h"

#define CTX(name, ops, nr_targets, nr_schemes)                                     \
	__attribute__((cleanup(damon_context_freep))) struct damon_context *name = \
		new_ctx(ops, nr_targets, nr_schemes)

static void desc_freep(struct damon_desc **desc)
{
	damon_desc_free(*desc);
}

#define DESC(name, ops, nr_targets, nr_schemes)                        \
	__attribute__((cleanup(desc_freep))) struct damon_desc *name = \
		new_desc(ops, nr_targets, nr_schemes)

/* ---- attributes ---- */

static const struct {
	uint32_t nr_accesses, age;
	uint64_t sample, aggr, sample_after, aggr_after;
	uint32_t nr_accesses_after, age_after;
} rescale_vectors[] = {
	{ 15, 20, 10, 1000, 100, 10000, 15, 2 },
	{ 1, 7, 100, 300, 100, 300, 0, 7 }, /* 1 -> 3333 -> 0 */
	{ 2, 7, 100, 300, 100, 300, 1, 7 },
	{ 3, 7, 100, 300, 100, 300, 3, 7 },
	{ 7, 3, 5000, 100000, 5000, 200000, 14, 1 },
	{ 20, 10, 5000, 100000, 1000, 50000, 50, 20 },
	{ 0, 0, 5000, 100000, 1000, 50000, 0, 0 },
	{ 20, 1, 5000, 100000, 100000, 100000, 1, 1 },
};

START_TEST(counters_are_converted_to_new_intervals)
{
	const struct damon_attrs from = { .sample_interval = rescale_vectors[_i].sample,
					  .aggr_interval = rescale_vectors[_i].aggr };
	const struct damon_attrs to = { .sample_interval = rescale_vectors[_i].sample_after,
					.aggr_interval = rescale_vectors[_i].aggr_after };
	struct damon_region region = { .nr_accesses = rescale_vectors[_i].nr_accesses,
				       .nr_accesses_bp = 77,
				       .last_nr_accesses = 9,
				       .age = rescale_vectors[_i].age };

	damon_rescale_region(&region, &from, &to, false);
	ck_assert_uint_eq(region.nr_accesses, rescale_vectors[_i].nr_accesses_after);
	ck_assert_uint_eq(region.nr_accesses_bp, rescale_vectors[_i].nr_accesses_after * 10000);
	ck_assert_uint_eq(region.age, rescale_vectors[_i].age_after);
	ck_assert_uint_eq(region.last_nr_accesses, 9);
}
END_TEST

/* While any interval is zero, before or after, counters stay as they are. */
static const struct {
	uint64_t sample, aggr, sample_after, aggr_after;
} zero_vectors[] = {
	{ 0, 100000, 5000, 200000 },
	{ 5000, 0, 5000, 200000 },
	{ 5000, 100000, 0, 200000 },
	{ 5000, 100000, 5000, 0 },
	{ 0, 0, 0, 0 },
};

START_TEST(counters_stay_while_an_interval_is_zero)
{
	CTX(ctx, DAMON_OPS_PADDR, 1, 0);
	DESC(desc, DAMON_OPS_PADDR, 1, 0);

	ctx->attrs.sample_interval = zero_vectors[_i].sample;
	ctx->attrs.aggr_interval = zero_vectors[_i].aggr;
	desc->attrs.sample_interval = zero_vectors[_i].sample_after;
	desc->attrs.aggr_interval = zero_vectors[_i].aggr_after;
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 5, 7, 6, 5 }, { 0 } });
	ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
	assert_spans(&ctx->targets[0], (struct span[]){ { 0, 5, 7, 6, 5 }, { 0 } });
	ck_assert_uint_eq(ctx->targets[0].regions[0].nr_accesses_bp, 70000);
}
END_TEST

START_TEST(attributes_are_replaced_and_all_countdowns_begin_anew)
{
	CTX(ctx, DAMON_OPS_PADDR, 1, 2);
	DESC(desc, DAMON_OPS_FVADDR, 1, 3);
	const struct damon_attrs attrs = { .sample_interval = 1000,
					   .aggr_interval = 50000,
					   .ops_update_interval = 2000000,
					   .min_nr_regions = 20,
					   .max_nr_regions = 200 };

	set_spans(&ctx->targets[0], (struct span[]){ { 0, 100, 20, 19, 10 }, { 0 } });
	damon_update_size_limit(ctx);
	damon_restart_intervals(ctx);
	ctx->passed = 17;
	desc->attrs = attrs;
	desc->schemes[1].apply_interval = 7000;
	ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
	ck_assert_ptr_eq(ctx->ops, &damon_fvaddr_ops); /* the regions are those of before */
	ck_assert(!memcmp(&ctx->attrs, &attrs, sizeof(attrs)));
	assert_spans(&ctx->targets[0], (struct span[]){ { 0, 100, 50, 19, 20 }, { 0 } });
	ck_assert_uint_eq(ctx->passed, 17);
	ck_assert_uint_eq(ctx->next_aggr, 17 + 50);
	ck_assert_uint_eq(ctx->next_ops_update, 17 + 2000);
	ck_assert_uint_eq(ctx->schemes[0].next_apply, 17 + 50);
	ck_assert_uint_eq(ctx->schemes[1].next_apply, 17 + 7);
	ck_assert_uint_eq(ctx->schemes[2].next_apply, 17 + 50);
	/* The size limit is found at the next update only. */
	ck_assert_uint_eq(ctx->sz_limit, 10 * P);
}
END_TEST

/* ---- targets ---- */

START_TEST(targets_are_kept_appended_and_removed_by_index)
{
	CTX(ctx, DAMON_OPS_VADDR, 2, 0);
	DESC(more, DAMON_OPS_VADDR, 4, 0);
	DESC(less, DAMON_OPS_VADDR, 1, 0);
	DESC(none, DAMON_OPS_VADDR, 0, 0);

	set_spans(&ctx->targets[0],
		  (struct span[]){ { 0, 9, 20, 20, 3 }, { 9, 12, 0, 0, 4 }, { 0 } });
	set_spans(&ctx->targets[1], (struct span[]){ { 4, 8, 20, 20, 5 }, { 0 } });
	/* None given: kept.  Some given: fitted to them.  New ones have what they are given. */
	set_ranges(&more->targets[1], (struct span[]){ { 2, 6 }, { 20, 30 }, { 0 } });
	set_ranges(&more->targets[3], (struct span[]){ { 1, 3 }, { 0 } });
	ck_assert_int_eq(damon_context_commit(ctx, more), 0);
	ck_assert_uint_eq(ctx->nr_targets, 4);
	assert_spans(&ctx->targets[0],
		     (struct span[]){ { 0, 9, 20, 20, 3 }, { 9, 12, 0, 0, 4 }, { 0 } });
	assert_spans(&ctx->targets[1], (struct span[]){ { 2, 6, 20, 20, 5 }, { 20, 30 }, { 0 } });
	ck_assert_uint_eq(ctx->targets[2].nr_regions, 0);
	assert_spans(&ctx->targets[3], (struct span[]){ { 1, 3 }, { 0 } });

	ck_assert_int_eq(damon_context_commit(ctx, less), 0);
	ck_assert_uint_eq(ctx->nr_targets, 1);
	ck_assert_uint_eq(ctx->targets[0].nr_regions, 2);
	ck_assert_int_eq(damon_context_commit(ctx, none), 0);
	ck_assert_uint_eq(ctx->nr_targets, 0);
	/* And then there is nothing to monitor. */
	ck_assert(!damon_context_valid(ctx));
}
END_TEST

START_TEST(another_process_takes_the_regions_over)
{
	struct access_sessions *sessions = open_playing("map 0x10000 64K\n");
	DESC(before, DAMON_OPS_FVADDR, 1, 0);
	DESC(same, DAMON_OPS_FVADDR, 1, 0);
	DESC(other, DAMON_OPS_FVADDR, 1, 0);
	struct damon_context *ctx = NULL;
	struct access_space *space;

	ck_assert_int_eq(process_open(getpid(), NULL, &before->targets[0].process), 0);
	ck_assert_int_eq(process_open(getpid(), NULL, &same->targets[0].process), 0);
	ck_assert_int_eq(process_open(getppid(), NULL, &other->targets[0].process), 0);
	ck_assert_int_eq(damon_context_new(before, sessions, &ctx), 0);
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 9, 20, 20, 3 }, { 0 } });
	space = ctx->targets[0].space;
	ck_assert_ptr_nonnull(space);

	ck_assert_int_eq(damon_context_commit(ctx, same), 0);
	ck_assert_ptr_eq(ctx->targets[0].space, space);
	assert_spans(&ctx->targets[0], (struct span[]){ { 0, 9, 20, 20, 3 }, { 0 } });

	ck_assert_int_eq(damon_context_commit(ctx, other), 0);
	ck_assert_int_eq(ctx->targets[0].process->tid, getppid());
	ck_assert_int_eq(ctx->targets[0].space->process->tid, getppid());
	assert_spans(&ctx->targets[0], (struct span[]){ { 0, 9, 20, 20, 3 }, { 0 } });
	damon_context_free(ctx);
	access_sessions_close(sessions);
}
END_TEST

/* ---- obsolete targets ---- */

/* Which of five targets are obsolete, how many there are before, and which are left, by number. */
static const struct {
	const char *marks;
	size_t before;
	int r;
	const char *left;
} obsolete_vectors[] = {
	{ "-o-", 3, 0, "02" },	 { "o--", 3, 0, "12" },		{ "--o", 3, 0, "01" },
	{ "ooo", 3, 0, "" },	 { "o-o", 3, 0, "1" },		{ "-o", 3, 0, "0" },
	{ "-o--", 3, 0, "02+" }, { "---o", 3, -EINVAL, "012" }, { "o--o", 3, -EINVAL, "012" },
	{ "o", 0, -EINVAL, "" }, { "-o---", 3, 0, "02++" },
};

/* Targets go by number; those that are left keep what they have learnt. */
START_TEST(obsolete_targets_are_removed)
{
	const char *marks = obsolete_vectors[_i].marks, *left = obsolete_vectors[_i].left;
	CTX(ctx, DAMON_OPS_VADDR, obsolete_vectors[_i].before, 0);
	DESC(desc, DAMON_OPS_VADDR, strlen(marks), 0);

	for (size_t t = 0; t < ctx->nr_targets; t++)
		set_spans(&ctx->targets[t],
			  (struct span[]){ { t * 10, t * 10 + 5, 20, 20, 3 }, { 0 } });
	for (size_t t = 0; t < desc->nr_targets; t++)
		desc->targets[t].obsolete = marks[t] == 'o';
	ck_assert_int_eq(damon_context_commit(ctx, desc), obsolete_vectors[_i].r);
	ck_assert_uint_eq(ctx->nr_targets, strlen(left));
	for (size_t t = 0; t < ctx->nr_targets; t++) {
		uint64_t was = (uint64_t)(left[t] - '0');

		if (left[t] == '+')
			ck_assert_uint_eq(ctx->targets[t].nr_regions, 0);
		else
			assert_spans(&ctx->targets[t],
				     (struct span[]){ { was * 10, was * 10 + 5, 20, 20, 3 },
						      { 0 } });
	}
	ck_assert_int_eq(damon_context_valid(ctx), false);
}
END_TEST

/* Where the window stopped of three targets, which one is removed; where the next one begins. */
static const struct {
	size_t stopped, removed, begins;
	bool resumes;
} moved_vectors[] = {
	{ 2, 0, 1, true },  { 2, 1, 1, true },	{ 0, 1, 0, true },
	{ 0, 0, 0, false }, { 1, 1, 0, false },
};

START_TEST(resume_point_follows_its_target)
{
	CTX(ctx, DAMON_OPS_VADDR, 3, 1);
	DESC(desc, DAMON_OPS_VADDR, 3, 1);
	struct damos_quota *quota = &ctx->schemes[0].quota;

	quota->resumes = true;
	quota->resume_target = moved_vectors[_i].stopped;
	desc->targets[moved_vectors[_i].removed].obsolete = true;
	ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
	quota = &ctx->schemes[0].quota;
	ck_assert_int_eq(quota->resumes, moved_vectors[_i].resumes);
	if (quota->resumes)
		ck_assert_uint_eq(quota->resume_target, moved_vectors[_i].begins);
}
END_TEST

/* ---- schemes ---- */

START_TEST(schemes_keep_their_state_and_take_the_rest)
{
	CTX(ctx, DAMON_OPS_PADDR, 1, 2);
	DESC(desc, DAMON_OPS_PADDR, 1, 1);
	const struct damos_stat stat = { 1, 2, 3, 4, 5 };
	struct damos *scheme = &ctx->schemes[0];
	struct damos_desc *new = &desc->schemes[0];

	scheme->stat = stat;
	scheme->active = false;
	scheme->quota.desc.sz = 10 * P;
	scheme->quota.esz = 10 * P;
	scheme->quota.charged_sz = 4 * P;
	scheme->quota.charged_from = 1000;
	scheme->quota.has_window = true;
	scheme->quota.total_charged_sz = 99;
	scheme->quota.total_charged_ns = 98;
	scheme->quota.esz_bp = 97;
	new->action = DAMOS_COLD;
	new->pattern.max_age_region = 5;
	new->apply_interval = 10000;
	new->target_nid = 3;
	new->quota.sz = 20 * P;
	new->quota.reset_interval_ms = 500;
	new->quota.weight_age = 6;
	new->wmarks = (struct damos_watermarks){ DAMOS_WMARK_NONE, 1, 2, 3, 4 };
	new->filters = calloc(1, sizeof(*new->filters));
	ck_assert_ptr_nonnull(new->filters);
	new->filters[0].target_idx = 7;
	new->nr_filters = 1;
	ck_assert_int_eq(damon_context_commit(ctx, desc), 0);

	ck_assert_uint_eq(ctx->nr_schemes, 1);
	scheme = &ctx->schemes[0];
	ck_assert(!memcmp(&scheme->stat, &stat, sizeof(stat)));
	ck_assert(scheme->active);
	ck_assert_int_eq(scheme->desc.action, DAMOS_COLD);
	ck_assert_uint_eq(scheme->desc.pattern.max_age_region, 5);
	ck_assert_int_eq(scheme->desc.target_nid, 3);
	ck_assert_uint_eq(scheme->desc.wmarks.low, 4);
	ck_assert_uint_eq(scheme->desc.nr_filters, 1);
	ck_assert_int_eq(scheme->desc.filters[0].target_idx, 7);
	ck_assert_uint_eq(scheme->quota.desc.sz, 20 * P);
	ck_assert_uint_eq(scheme->quota.desc.weight_age, 6);
	ck_assert_uint_eq(scheme->quota.charged_sz, 4 * P);
	ck_assert_uint_eq(scheme->quota.total_charged_sz, 99);
	ck_assert_uint_eq(scheme->quota.total_charged_ns, 98);
	ck_assert_uint_eq(scheme->quota.esz_bp, 97);
	/* The new size is of the next window. */
	damos_adjust_quota(ctx, scheme, 1499 * 1000);
	ck_assert_uint_eq(scheme->quota.esz, 10 * P);
	damos_adjust_quota(ctx, scheme, 1500 * 1000);
	ck_assert_uint_eq(scheme->quota.esz, 20 * P);
}
END_TEST

START_TEST(appended_schemes_are_new_and_work)
{
	CTX(ctx, DAMON_OPS_PADDR, 1, 1);
	DESC(desc, DAMON_OPS_PADDR, 1, 3);

	ctx->schemes[0].stat.nr_tried = 5;
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 9 }, { 0 } });
	ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
	ck_assert_uint_eq(ctx->nr_schemes, 3);
	ctx->passed += 20;
	damos_apply_schemes(ctx, 0);
	ck_assert_uint_eq(ctx->schemes[0].stat.nr_tried, 6);
	for (size_t s = 1; s < 3; s++) {
		ck_assert(ctx->schemes[s].active);
		ck_assert_uint_eq(ctx->schemes[s].stat.nr_tried, 1);
	}
}
END_TEST

/* Where a window stopped is forgotten with the target that it stopped in. */
START_TEST(resume_point_goes_with_its_target)
{
	CTX(ctx, DAMON_OPS_VADDR, 2, 1);
	DESC(desc, DAMON_OPS_VADDR, 1, 1);
	struct damos_quota *quota = &ctx->schemes[0].quota;

	for (size_t t = 0; t < 2; t++)
		set_spans(&ctx->targets[t], (struct span[]){ { 0, 9 }, { 0 } });
	quota->desc.sz = desc->schemes[0].quota.sz = 100 * P;
	quota->resumes = true;
	quota->resume_target = 1;
	quota->resume_addr = 4 * P;
	ck_assert_int_eq(damon_context_commit(ctx, desc), 0);
	for (int i = 0; i < 3; i++) {
		ctx->passed += 20;
		damos_apply_schemes(ctx, 0);
	}
	ck_assert_uint_eq(ctx->schemes[0].stat.nr_tried, 3);
}
END_TEST

/* ---- goals ---- */

static void set_goals(struct damos_quota_desc *quota, size_t nr, uint64_t value)
{
	free(quota->goals);
	quota->goals = calloc(nr + 1, sizeof(*quota->goals));
	ck_assert_ptr_nonnull(quota->goals);
	quota->nr_goals = nr;
	for (size_t i = 0; i < nr; i++) {
		quota->goals[i].target_value = 100;
		quota->goals[i].current_value = value + i;
	}
}

/* How many goals a scheme has before and after; with a whole commit, or one of goals only. */
static const struct {
	size_t before, after;
	bool goals_only;
} goal_vectors[] = {
	{ 0, 2, false }, { 2, 2, false }, { 3, 1, false }, { 1, 0, false },
	{ 0, 2, true },	 { 2, 2, true },  { 3, 1, true },  { 1, 0, true },
};

START_TEST(goals_are_replaced_and_the_tuner_goes_on)
{
	CTX(ctx, DAMON_OPS_PADDR, 1, 1);
	DESC(desc, DAMON_OPS_PADDR, 1, 1);
	bool goals_only = goal_vectors[_i].goals_only;
	struct damos_quota *quota;

	set_goals(&ctx->schemes[0].quota.desc, goal_vectors[_i].before, 10);
	for (size_t i = 0; i < goal_vectors[_i].before; i++)
		ctx->schemes[0].quota.desc.goals[i].last_psi_total = 1000 + i;
	ctx->schemes[0].quota.esz_bp = 7777;
	ctx->schemes[0].quota.desc.ms = 5;
	set_goals(&desc->schemes[0].quota, goal_vectors[_i].after, 50);
	desc->schemes[0].quota.ms = 6;
	ck_assert_int_eq(
		goals_only ? damos_commit_goals(ctx, desc) : damon_context_commit(ctx, desc), 0);
	quota = &ctx->schemes[0].quota;
	ck_assert_uint_eq(quota->desc.ms, goals_only ? 5 : 6);
	ck_assert_uint_eq(quota->esz_bp, 7777);
	ck_assert_uint_eq(quota->desc.nr_goals, goal_vectors[_i].after);
	for (size_t i = 0; i < quota->desc.nr_goals; i++) {
		ck_assert_uint_eq(quota->desc.goals[i].current_value, 50 + i);
		ck_assert_uint_eq(quota->desc.goals[i].last_psi_total,
				  i < goal_vectors[_i].before ? 1000 + i : 0);
	}
}
END_TEST

START_TEST(goals_of_schemes_on_one_side_only_are_passed_over)
{
	CTX(ctx, DAMON_OPS_PADDR, 1, 2);
	DESC(less, DAMON_OPS_PADDR, 0, 1);
	DESC(more, DAMON_OPS_PADDR, 0, 3);

	set_goals(&ctx->schemes[1].quota.desc, 1, 10);
	set_goals(&less->schemes[0].quota, 1, 20);
	for (size_t s = 0; s < 3; s++)
		set_goals(&more->schemes[s].quota, 1, 30);
	ck_assert_int_eq(damos_commit_goals(ctx, less), 0);
	ck_assert_uint_eq(ctx->schemes[0].quota.desc.goals[0].current_value, 20);
	ck_assert_uint_eq(ctx->schemes[1].quota.desc.goals[0].current_value, 10);
	ck_assert_int_eq(damos_commit_goals(ctx, more), 0);
	ck_assert_uint_eq(ctx->nr_schemes, 2);
	for (size_t s = 0; s < 2; s++)
		ck_assert_uint_eq(ctx->schemes[s].quota.desc.goals[0].current_value, 30);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("commit");
	TCase *tcase = tcase_create("commit");

	ADD_VECTORS(tcase, counters_are_converted_to_new_intervals, rescale_vectors);
	ADD_VECTORS(tcase, counters_stay_while_an_interval_is_zero, zero_vectors);
	tcase_add_test(tcase, attributes_are_replaced_and_all_countdowns_begin_anew);
	tcase_add_test(tcase, targets_are_kept_appended_and_removed_by_index);
	tcase_add_test(tcase, another_process_takes_the_regions_over);
	ADD_VECTORS(tcase, obsolete_targets_are_removed, obsolete_vectors);
	ADD_VECTORS(tcase, resume_point_follows_its_target, moved_vectors);
	tcase_add_test(tcase, schemes_keep_their_state_and_take_the_rest);
	tcase_add_test(tcase, appended_schemes_are_new_and_work);
	tcase_add_test(tcase, resume_point_goes_with_its_target);
	ADD_VECTORS(tcase, goals_are_replaced_and_the_tuner_goes_on, goal_vectors);
	tcase_add_test(tcase, goals_of_schemes_on_one_side_only_are_passed_over);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
