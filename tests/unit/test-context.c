// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The steps of a context on a simulated process: sampling intervals and what is due in them, and
 * when there is nothing left to monitor (docs/abi/engine.md sections 2 and 15).
 */
#include "engine/context.h"
#include "engine/operations.h"
#include "tests/unit/run.h"

/* Two gaps, so that there are three ranges; all of it always touched. */
#define SCRIPT_BUSY               \
	"map 0x10000000 64M\n"    \
	"map 0x40000000 1M\n"     \
	"map 0x7ffff0000000 1M\n" \
	"access 0 0x7fffffffffff 100%\n"

/* ---- intervals ---- */

struct merges {
	unsigned int nr;
	uint64_t last_passed;
	uint32_t lowest, highest; /* nr_accesses of all regions */
	int result;
};

static int count_merge(struct damon_context *ctx, void *argument)
{
	struct merges *merges = argument;

	merges->nr++;
	merges->last_passed = ctx->passed;
	merges->lowest = UINT32_MAX;
	merges->highest = 0;
	for (size_t i = 0; i < ctx->targets[0].nr_regions; i++) {
		uint32_t nr_accesses = ctx->targets[0].regions[i].nr_accesses;

		merges->lowest = (uint32_t)min_ul(merges->lowest, nr_accesses);
		merges->highest = (uint32_t)max_ul(merges->highest, nr_accesses);
	}
	return merges->result;
}

START_TEST(aggregation_is_of_exactly_its_samples)
{
	RUN(run);
	struct merges merges = { 0 };

	run_open(&run, SCRIPT_BUSY, getpid(), DAMON_OPS_VADDR, 0);
	run.ctx->after_merge = count_merge;
	run.ctx->argument = &merges;
	run_start(&run);
	for (unsigned int i = 1; i <= 100; i++) {
		run_step(&run, 1);
		ck_assert_uint_eq(run.ctx->passed, i);
		ck_assert_uint_eq(merges.nr, i / 20);
		ck_assert_uint_eq(run.ctx->next_aggr, (i / 20 + 1) * 20);
		if (i % 20)
			continue;
		/* Each region was hit each time, also those that were split in between. */
		ck_assert_uint_eq(merges.last_passed, i);
		ck_assert_uint_eq(merges.lowest, 20);
		ck_assert_uint_eq(merges.highest, 20);
		for (size_t k = 0; k < run.ctx->targets[0].nr_regions; k++) {
			ck_assert_uint_eq(run.ctx->targets[0].regions[k].last_nr_accesses, 20);
			ck_assert_uint_eq(run.ctx->targets[0].regions[k].nr_accesses, 0);
			ck_assert_uint_eq(run.ctx->targets[0].regions[k].nr_accesses_bp, 200000);
		}
	}
}
END_TEST

START_TEST(missed_intervals_count_with_the_answer_that_came)
{
	static const uint64_t rounds[] = { 1, 7, 3, 9, 19, 1, 20, 2, 2, 16 };
	struct merges merges = { 0 };
	RUN(run);

	run_open(&run, SCRIPT_BUSY, getpid(), DAMON_OPS_VADDR, 0);
	run.ctx->after_merge = count_merge;
	run.ctx->argument = &merges;
	run_start(&run);
	for (size_t i = 0; i < ARRAY_SIZE(rounds); i++) {
		ck_assert_uint_le(rounds[i], damon_ctx_until_due(run.ctx));
		run_step(&run, rounds[i]);
	}
	ck_assert_uint_eq(run.ctx->passed, 80);
	ck_assert_uint_eq(merges.nr, 4);
	ck_assert_uint_eq(merges.lowest, 20);
	ck_assert_uint_eq(merges.highest, 20);
}
END_TEST

static unsigned int nr_updates; /* the operations have no argument */

static void count_update(struct damon_context *ctx)
{
	(void)ctx;
	nr_updates++;
}

static const struct {
	uint64_t sample, aggr, update, apply;
	unsigned int steps, aggregations, updates;
	uint64_t rounds; /* of the scheme */
	uint64_t next_aggr, next_ops_update;
} interval_vectors[] = {
	{ 5000, 100000, 500000, 0, 300, 15, 3, 15, 320, 400 },
	{ 5000, 100000, 500000, 25000, 300, 15, 3, 60, 320, 400 },
	/* Quotients are rounded down. */
	{ 5000, 14999, 24999, 0, 120, 60, 30, 60, 122, 124 },
	/* Less than a sample: each time. */
	{ 5000, 4999, 500000, 0, 50, 50, 0, 50, 0, 100 },
	{ 5000, 100000, 4999, 0, 50, 2, 50, 2, 60, 0 },
	{ 5000, 0, 0, 0, 50, 50, 50, 50, 0, 0 },
	/* No sampling interval counts as one microsecond. */
	{ 0, 10, 20, 0, 50, 5, 2, 5, 60, 60 },
	{ 0, 0, 0, 0, 50, 50, 50, 50, 0, 0 },
};

START_TEST(what_is_due_is_counted_in_samples)
{
	struct damon_operations ops = damon_fvaddr_ops;
	struct merges merges = { 0 };
	RUN(run);

	nr_updates = 0;
	ops.update = count_update;
	run_open(&run, SCRIPT_BUSY, getpid(), DAMON_OPS_FVADDR, 1);
	set_spans(&run.ctx->targets[0], (struct span[]){ { 10, 11 }, { 0 } });
	run.ctx->ops = &ops;
	run.ctx->attrs.sample_interval = interval_vectors[_i].sample;
	run.ctx->attrs.aggr_interval = interval_vectors[_i].aggr;
	run.ctx->attrs.ops_update_interval = interval_vectors[_i].update;
	run.ctx->schemes[0].desc.apply_interval = interval_vectors[_i].apply;
	run.ctx->after_merge = count_merge;
	run.ctx->argument = &merges;
	run_start(&run);
	for (unsigned int i = 0; i < interval_vectors[_i].steps; i++)
		run_step(&run, 1);
	ck_assert_uint_eq(merges.nr, interval_vectors[_i].aggregations);
	ck_assert_uint_eq(nr_updates, interval_vectors[_i].updates);
	ck_assert_uint_eq(run.ctx->schemes[0].stat.nr_tried, interval_vectors[_i].rounds);
	ck_assert_uint_eq(run.ctx->next_aggr, interval_vectors[_i].next_aggr);
	ck_assert_uint_eq(run.ctx->next_ops_update, interval_vectors[_i].next_ops_update);
}
END_TEST

START_TEST(failed_command_ends_the_step_before_schemes_are_applied)
{
	struct merges merges = { .result = -EINVAL };
	RUN(run);

	run_open(&run, SCRIPT_BUSY, getpid(), DAMON_OPS_VADDR, 1);
	run.ctx->after_merge = count_merge;
	run.ctx->argument = &merges;
	run_start(&run);
	for (int i = 0; i < 19; i++)
		run_step(&run, 1);
	ck_assert_int_eq(damon_context_step(run.ctx, run.now + 5000, 1), -EINVAL);
	ck_assert_uint_eq(run.ctx->schemes[0].stat.nr_tried, 0);
}
END_TEST

/* ---- the end ---- */

START_TEST(context_is_valid_until_its_process_is_reaped)
{
	pid_t child = start_child();
	siginfo_t info;
	RUN(run);

	run_open(&run, SCRIPT_BUSY, child, DAMON_OPS_VADDR, 0);
	ck_assert(damon_context_valid(run.ctx));
	run_start(&run);
	run_step(&run, 1);
	ck_assert(damon_context_valid(run.ctx));
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	run_step(&run, 1);
	ck_assert(damon_context_valid(run.ctx)); /* a zombie */
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	run_step(&run, 1);
	ck_assert(!damon_context_valid(run.ctx));
}
END_TEST

START_TEST(one_target_that_lives_is_enough)
{
	pid_t child = start_child();
	RUN(run);

	/* Without regions, so that only the process's existence counts. */
	run_open(&run, SCRIPT_BUSY, child, DAMON_OPS_FVADDR, 0);
	run_start(&run);
	ck_assert(damon_context_valid(run.ctx));
	end_child(child);
	ck_assert(!damon_context_valid(run.ctx));
	run.ctx->targets = reallocarray(run.ctx->targets, 2, sizeof(*run.ctx->targets));
	ck_assert_ptr_nonnull(run.ctx->targets);
	run.ctx->targets[1] = (struct damon_target){ .unsure = true };
	ck_assert_int_eq(process_open(getpid(), NULL, &run.ctx->targets[1].process), 0);
	run.ctx->nr_targets = 2;
	ck_assert(damon_context_valid(run.ctx));
}
END_TEST

START_TEST(physical_addresses_are_always_valid)
{
	__attribute__((cleanup(damon_context_freep))) struct damon_context *none =
		new_ctx(DAMON_OPS_PADDR, 0, 0);
	__attribute__((cleanup(damon_context_freep))) struct damon_context *vaddr =
		new_ctx(DAMON_OPS_VADDR, 0, 0);

	ck_assert(damon_context_valid(none));
	ck_assert(!damon_context_valid(vaddr));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("context");
	TCase *tcase = tcase_create("context");

	tcase_add_test(tcase, aggregation_is_of_exactly_its_samples);
	tcase_add_test(tcase, missed_intervals_count_with_the_answer_that_came);
	ADD_VECTORS(tcase, what_is_due_is_counted_in_samples, interval_vectors);
	tcase_add_test(tcase, failed_command_ends_the_step_before_schemes_are_applied);
	tcase_add_test(tcase, context_is_valid_until_its_process_is_reaped);
	tcase_add_test(tcase, one_target_that_lives_is_enough);
	tcase_add_test(tcase, physical_addresses_are_always_valid);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
