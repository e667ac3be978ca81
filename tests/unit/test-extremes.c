// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The largest and the smallest numbers that the files take: what is to come in 2^64-1 microseconds
 * never comes, and no interval makes a kdamond spin.  To be run with UBSan too.
 */
#include <time.h>

#include "engine/apply.h"
#include "engine/attrs.h"
#include "engine/context.h"
#include "engine/operations.h"
#include "engine/region.h"
#include "engine/sampling.h"
#include "engine/tuning.h"
#include "tests/unit/monitor.h"
#include "tests/unit/run.h"
#include "util/saturate.h"

#define MAX UINT64_MAX

#define SCRIPT_BUSY               \
	"map 0x10000000 64M\n"    \
	"map 0x40000000 1M\n"     \
	"map 0x7ffff0000000 1M\n" \
	"access 0 0x7fffffffffff 100%\n"

/* Each of the numbers for each of the intervals. */
static const uint64_t numbers[] = { 0, 1, 5000, 1UL << 32, 1UL << 63, MAX };

#define NR_NUMBERS	ARRAY_SIZE(numbers)
#define NR_COMBINATIONS (NR_NUMBERS * NR_NUMBERS * NR_NUMBERS * NR_NUMBERS)

struct intervals {
	uint64_t sample, aggr, update, apply;
};

static struct intervals combination(size_t i)
{
	return (struct intervals){
		.sample = numbers[i % NR_NUMBERS],
		.aggr = numbers[i / NR_NUMBERS % NR_NUMBERS],
		.update = numbers[i / NR_NUMBERS / NR_NUMBERS % NR_NUMBERS],
		.apply = numbers[i / NR_NUMBERS / NR_NUMBERS / NR_NUMBERS],
	};
}

static unsigned int nr_updates; /* the operations have no argument */

static void count_update(struct damon_context *ctx)
{
	(void)ctx;
	nr_updates++;
}

static int count_merge(struct damon_context *ctx, void *argument)
{
	(void)ctx;
	++*(unsigned int *)argument;
	return 0;
}

/* How often something that comes each INTERVAL has come in so many samples. */
static uint64_t times(uint64_t interval, uint64_t sample, uint64_t samples)
{
	uint64_t each = interval / max_ul(sample, 1);

	return each ? samples / each : samples;
}

#define BEFORE 7 /* samples until all countdowns begin anew, as a commit has it */
#define STEPS  40

START_TEST(what_is_due_in_a_very_long_time_is_not_due)
{
	struct damon_operations ops = damon_fvaddr_ops;
	const struct intervals its = combination((size_t)_i);
	unsigned int merges = 0;
	struct damos *scheme;
	uint64_t tried;
	RUN(run);

	ops.update = count_update;
	run_open(&run, SCRIPT_BUSY, getpid(), DAMON_OPS_FVADDR, 1);
	set_spans(&run.ctx->targets[0], (struct span[]){ { 10, 11 }, { 0 } });
	scheme = &run.ctx->schemes[0];
	run.ctx->ops = &ops;
	run.ctx->attrs.sample_interval = its.sample;
	run.ctx->attrs.aggr_interval = its.aggr;
	run.ctx->attrs.ops_update_interval = its.update;
	scheme->desc.apply_interval = its.apply;
	run.ctx->after_merge = count_merge;
	run.ctx->argument = &merges;
	run_start(&run);
	for (unsigned int i = 0; i < BEFORE; i++)
		run_step(&run, 1);
	damon_restart_intervals(run.ctx);
	ck_assert_uint_ge(run.ctx->next_aggr, run.ctx->passed);
	ck_assert_uint_ge(run.ctx->next_ops_update, run.ctx->passed);
	ck_assert_uint_ge(scheme->next_apply, run.ctx->passed);
	merges = nr_updates = 0;
	tried = scheme->stat.nr_tried;
	for (unsigned int i = 0; i < STEPS; i++)
		run_step(&run, 1);
	ck_assert_uint_eq(merges, times(its.aggr, its.sample, STEPS));
	ck_assert_uint_eq(nr_updates, times(its.update, its.sample, STEPS));
	ck_assert_uint_eq(scheme->stat.nr_tried - tried,
			  times(its.apply ? its.apply : its.aggr, its.sample, STEPS));
}
END_TEST

START_TEST(a_collection_waits_for_the_longest_interval)
{
	struct damon_command command = { .kind = DAMON_COLLECT_TRIED };
	RUN(run);

	run_open(&run, SCRIPT_BUSY, getpid(), DAMON_OPS_FVADDR, 1);
	run.ctx->attrs.sample_interval = 1;
	run.ctx->schemes[0].desc.apply_interval = numbers[_i];
	run_start(&run);
	run_step(&run, 1);
	damos_collect_start(run.ctx, &command);
	ck_assert_uint_gt(run.ctx->collect_until, run.ctx->passed);
	ck_assert_uint_ge(run.ctx->collect_until, min_ul(MAX, add_sat(numbers[_i], numbers[_i])));
	ck_assert(!damos_collect_finished(run.ctx));
}
END_TEST

/* Missed intervals are counted at once, however many there are, as if it was one by one. */
START_TEST(many_missed_intervals_take_no_time)
{
	struct damon_region one = { .last_nr_accesses = 7, .nr_accesses_bp = 70000 }, all = one;
	uint64_t before = now_ms();

	for (int i = 0; i < 1000; i++)
		damon_update_region_access(&one, i < 500 ? 1 : 0, 20, 1);
	damon_update_region_access(&all, 500, 20, 500);
	damon_update_region_access(&all, 0, 20, 500);
	ck_assert_uint_eq(one.nr_accesses, all.nr_accesses);
	ck_assert_uint_eq(one.nr_accesses_bp, all.nr_accesses_bp);
	for (int i = 0; i < 1000; i++)
		damon_update_region_access(&all, MAX, 20, MAX);
	ck_assert_uint_lt(now_ms() - before, 1000);
}
END_TEST

/* ---- tuning ---- */

static const struct {
	uint64_t sample, max_sample, access_bp, aggrs;
} tuning_vectors[] = {
	{ 1, MAX, 400, 1 },	    { 1, MAX, MAX, MAX },	  { 1UL << 63, MAX, 400, 1 },
	{ MAX, MAX, 400, 1 },	    { MAX - 1, MAX, 10000, 1 },	  { MAX, MAX, MAX, MAX },
	{ 1UL << 32, MAX, MAX, 3 }, { 5000, 5000, 0, 1UL << 63 },
};

START_TEST(tuned_intervals_stay_in_their_bounds)
{
	__attribute__((cleanup(damon_context_freep))) struct damon_context *ctx =
		new_ctx(DAMON_OPS_PADDR, 1, 0);
	struct damon_attrs *attrs = &ctx->attrs;

	*attrs = (struct damon_attrs){
		.sample_interval = tuning_vectors[_i].sample,
		.aggr_interval = mul_sat(tuning_vectors[_i].sample, 20),
		.ops_update_interval = MAX,
		.intervals_goal = { .access_bp = tuning_vectors[_i].access_bp,
				    .aggrs = tuning_vectors[_i].aggrs,
				    .min_sample_us = 1,
				    .max_sample_us = tuning_vectors[_i].max_sample },
		.min_nr_regions = 10,
		.max_nr_regions = 1000,
	};
	ck_assert_int_eq(damon_insert_region(&ctx->targets[0], 0, 0, MAX - 4095), 0);
	damon_context_start(ctx, 0);
	for (int i = 0; i < 200; i++) {
		uint64_t was = ctx->next_tune;

		ctx->passed = add_sat(ctx->passed, 20);
		ctx->targets[0].regions[0].nr_accesses = i % 3 ? UINT32_MAX : 0;
		damon_tune_intervals(ctx);
		ck_assert_uint_ge(ctx->next_tune, was);
		ck_assert_uint_ge(attrs->sample_interval, 1);
		ck_assert_uint_le(attrs->sample_interval, tuning_vectors[_i].max_sample);
		ck_assert_uint_ge(attrs->aggr_interval, attrs->sample_interval);
	}
}
END_TEST

/* ---- quotas ---- */

static const struct {
	uint64_t sz, ms, reset;
} quota_vectors[] = { { MAX, 0, 0 },	       { MAX, 0, MAX },
		      { MAX, MAX, MAX },       { 0, MAX, 1 },
		      { 0, 1UL << 63, 0 },     { 1, 0, MAX },
		      { MAX - 1, MAX - 1, 1 }, { 1UL << 63, 1, 1UL << 63 } };

START_TEST(quotas_of_any_size_are_kept)
{
	RUN(run);
	struct damos *scheme;

	run_open(&run, SCRIPT_BUSY, getpid(), DAMON_OPS_FVADDR, 1);
	scheme = &run.ctx->schemes[0];
	scheme->quota.desc.sz = quota_vectors[_i].sz;
	scheme->quota.desc.ms = quota_vectors[_i].ms;
	scheme->quota.desc.reset_interval_ms = quota_vectors[_i].reset;
	set_spans(&run.ctx->targets[0], (struct span[]){ { 0, 1UL << 51 }, { 0 } });
	ck_assert_int_eq(damon_insert_region(&run.ctx->targets[0], 1, 1UL << 63, MAX - 4095), 0);
	run_start(&run);
	for (int i = 0; i < 100; i++) {
		run_step(&run, 20);
		ck_assert_uint_le(scheme->quota.charged_sz, scheme->quota.esz);
	}
}
END_TEST

/* ---- addresses ---- */

static const uint64_t units[] = { 1, 4096, 1UL << 32, 1UL << 63, MAX };

START_TEST(addresses_times_their_unit_end_at_the_last)
{
	RUN(run);

	run_open(&run, SCRIPT_BUSY, getpid(), DAMON_OPS_PADDR, 1);
	run.ctx->addr_unit = units[_i];
	run.ctx->min_sz_region = damon_min_sz_region(DAMON_OPS_PADDR, units[_i]);
	ck_assert_int_eq(damon_insert_region(&run.ctx->targets[0], 0, 1UL << 62, MAX - 4095), 0);
	run_start(&run);
	for (int i = 0; i < 200; i++)
		run_step(&run, 1);
	/* Nothing is up there; an address that wrapped would be in the script's memory sometimes. */
	for (size_t i = 0; i < run.ctx->targets[0].nr_regions; i++)
		ck_assert_uint_eq(run.ctx->targets[0].regions[i].last_nr_accesses, 0);
}
END_TEST

/* ---- the thread ---- */

static const uint64_t thread_numbers[] = { 0, 1, MAX };

#define NR_THREAD_COMBINATIONS (3 * 3 * 3 * 2)

static double cpu_of(const struct monitor *m)
{
	char path[64];
	unsigned long ns = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", kdamond_tid(m->kdamond));
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%lu", &ns), 1);
	fclose(file);
	return (double)ns / 1e9;
}

START_TEST(no_interval_makes_it_spin)
{
	struct damon_desc *desc = describe(getpid(), 1);
	uint64_t sample = thread_numbers[_i % 3], aggr = thread_numbers[_i / 3 % 3];
	uint64_t other = thread_numbers[_i / 9 % 3];
	bool rests = _i / 27;
	struct monitor m;
	double cpu;

	desc->attrs.sample_interval = sample;
	desc->attrs.aggr_interval = aggr;
	desc->attrs.ops_update_interval = other;
	desc->schemes[0].apply_interval = other;
	desc->schemes[0].quota.sz = MAX;
	desc->schemes[0].quota.reset_interval_ms = other;
	desc->schemes[0].wmarks.metric = rests ? DAMOS_WMARK_FREE_MEM_RATE : DAMOS_WMARK_NONE;
	/* More is free than the highest mark: it rests, for its interval. */
	desc->schemes[0].wmarks.interval = max_ul(other, 1);
	start(&m, desc, 0);
	ck_assert(wait_for(&m, "s"));
	kdamond_set_refresh(m.kdamond, other);
	usleep(100000);
	cpu = cpu_of(&m);
	usleep(300000);
	cpu = cpu_of(&m) - cpu;
	stop(&m, "se");
	ck_assert_msg(cpu < 0.3 * 0.1, "%.1f ms of 300", cpu * 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("extremes");
	TCase *tcase = tcase_create("extremes");

	tcase_set_timeout(tcase, 6 * PATIENCE_S);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, what_is_due_in_a_very_long_time_is_not_due, 0,
			    (int)NR_COMBINATIONS);
	ADD_VECTORS(tcase, a_collection_waits_for_the_longest_interval, numbers);
	tcase_add_test(tcase, many_missed_intervals_take_no_time);
	ADD_VECTORS(tcase, tuned_intervals_stay_in_their_bounds, tuning_vectors);
	ADD_VECTORS(tcase, quotas_of_any_size_are_kept, quota_vectors);
	ADD_VECTORS(tcase, addresses_times_their_unit_end_at_the_last, units);
	tcase_add_loop_test(tcase, no_interval_makes_it_spin, 0, NR_THREAD_COMBINATIONS);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
