// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Regions of a simulated process: where they begin, that they follow what is mapped and find what
 * is hot, and that a run can be repeated bit for bit (docs/abi/engine.md sections 3, 4 and 7, 8).
 */
#include "engine/region.h"
#include "tests/unit/run.h"

#define MIB   (1UL << 20)
#define SPACE 0x10000000UL

/* 100, 1000 and 33 pages, of which the pieces have 113.3 pages. */
#define SCRIPT_PAGES             \
	"map 0 400K\n"           \
	"map 0x10000000 4000K\n" \
	"map 0x20000000 132K\n"  \
	"at 200ms map 0x30000000 64K\n"

START_TEST(initial_regions_are_even_pieces_of_three_ranges)
{
	RUN(vaddr);
	RUN(fvaddr);
	RUN(given);
	const struct damon_region *regions;

	run_open(&vaddr, SCRIPT_PAGES, getpid(), DAMON_OPS_VADDR, 0);
	run_start(&vaddr);
	ck_assert_uint_eq(damon_nr_regions(vaddr.ctx), 10);
	regions = vaddr.ctx->targets[0].regions;
	ck_assert_uint_eq(regions[0].end, 100 * P);
	for (size_t i = 1; i < 9; i++) {
		ck_assert_uint_eq(regions[i].start, SPACE + (i - 1) * 125 * P);
		ck_assert_uint_eq(regions[i].end, SPACE + i * 125 * P);
	}
	ck_assert_uint_eq(regions[9].start, 0x20000000);
	ck_assert_uint_eq(damon_sz_region(&regions[9]), 33 * P);
	ck_assert_uint_eq(vaddr.ctx->sz_limit, 1133 * P / 10);
	/* fvaddr has the user's alone, and vaddr takes them where there are any. */
	run_open(&fvaddr, SCRIPT_PAGES, getpid(), DAMON_OPS_FVADDR, 0);
	run_start(&fvaddr);
	ck_assert_uint_eq(damon_nr_regions(fvaddr.ctx), 0);
	run_open(&given, SCRIPT_PAGES, getpid(), DAMON_OPS_VADDR, 0);
	set_spans(&given.ctx->targets[0], (struct span[]){ { 3, 9 }, { 0 } });
	run_start(&given);
	assert_bounds(&given.ctx->targets[0], (struct span[]){ { 3, 9 }, { 0 } });
}
END_TEST

#define SCRIPT_CHANGING                     \
	"map 0x10000000 1M\n"               \
	"map 0x20000000 1M\n"               \
	"map 0x30000000 1M\n"               \
	"at 150ms map 0x30100000 1M\n"      \
	"at 250ms unmap 0x10000000 1M\n"    \
	"at 250ms map 0x10080000 512K\n"    \
	"at 350ms map 0x7ffff0000000 64K\n" \
	"at 450ms unmap 0 0x7fffffffffff\n"

/* The three ranges at each 100 ms, when they are updated. */
static const uint64_t changes[][6] = {
	{ 0x10000000, 0x10100000, 0x20000000, 0x20100000, 0x30000000, 0x30100000 },
	{ 0x10000000, 0x10100000, 0x20000000, 0x20100000, 0x30000000, 0x30200000 },
	{ 0x10080000, 0x10100000, 0x20000000, 0x20100000, 0x30000000, 0x30200000 },
	/* The larger gap is elsewhere now; of the equal ones the first stays. */
	{ 0x10080000, 0x10100000, 0x20000000, 0x30200000, 0x7ffff0000000, 0x7ffff0010000 },
	/* Nothing is mapped: they stay as they are. */
	{ 0x10080000, 0x10100000, 0x20000000, 0x30200000, 0x7ffff0000000, 0x7ffff0010000 },
};

START_TEST(regions_follow_what_is_mapped_at_each_update)
{
	RUN(run);

	run_open(&run, SCRIPT_CHANGING, getpid(), DAMON_OPS_VADDR, 0);
	run.ctx->attrs.ops_update_interval = 100000;
	run_start(&run);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		const struct damon_target *target = &run.ctx->targets[0];
		uint64_t bounds[6];
		size_t nr = 0;

		for (int k = 0; k < 20; k++)
			run_step(&run, 1);
		assert_sound(target);
		/* Where regions do not touch there is a gap. */
		for (size_t k = 0; k < target->nr_regions; k++) {
			if (k && target->regions[k - 1].end == target->regions[k].start)
				nr--;
			else
				bounds[nr++] = target->regions[k].start;
			ck_assert_uint_lt(nr, 6);
			bounds[nr++] = target->regions[k].end;
		}
		ck_assert_uint_eq(nr, 6);
		ck_assert_mem_eq(bounds, changes[i], sizeof(bounds));
	}
}
END_TEST

START_TEST(target_without_regions_gets_them_at_a_later_update)
{
	RUN(run);

	run_open(&run,
		 "map 0x10000000 1M\nat 150ms map 0x20000000 1M\nat 150ms map 0x40000000 1M\n",
		 getpid(), DAMON_OPS_VADDR, 0);
	run.ctx->attrs.ops_update_interval = 100000;
	run_start(&run);
	for (int i = 0; i < 20; i++)
		run_step(&run, 1);
	ck_assert_uint_eq(damon_nr_regions(run.ctx), 0);
	for (int i = 0; i < 20; i++)
		run_step(&run, 1);
	ck_assert_uint_eq(damon_nr_regions(run.ctx), 3);
}
END_TEST

#define SCRIPT_HOT                \
	"map 0x10000000 256M\n"   \
	"map 0x40000000 1M\n"     \
	"map 0x7ffff0000000 1M\n" \
	"access 0x14000000 32M 100%\n"

struct hot {
	uint64_t inside, outside; /* bytes of regions with at least half of the accesses */
};

static int find_hot(struct damon_context *ctx, void *argument)
{
	const uint64_t start = 0x14000000, end = start + 32 * MIB;
	struct hot *hot = argument;

	*hot = (struct hot){ 0 };
	for (size_t i = 0; i < ctx->targets[0].nr_regions; i++) {
		const struct damon_region *region = &ctx->targets[0].regions[i];
		uint64_t low = max_ul(region->start, start), high = min_ul(region->end, end);
		uint64_t inside = low < high ? high - low : 0;

		if (region->nr_accesses < 10)
			continue;
		hot->inside += inside;
		hot->outside += damon_sz_region(region) - inside;
	}
	return 0;
}

START_TEST(hot_block_is_found_and_the_number_of_regions_bounded)
{
	struct hot hot = { 0 };
	RUN(run);

	run_open(&run, SCRIPT_HOT, getpid(), DAMON_OPS_VADDR, 0);
	run.ctx->after_merge = find_hot;
	run.ctx->argument = &hot;
	run.ctx->attrs.max_nr_regions = 100;
	run_start(&run);
	for (int i = 0; i < 60 * 20; i++) {
		run_step(&run, 1);
		ck_assert_uint_le(damon_nr_regions(run.ctx), 100);
		ck_assert_uint_ge(damon_nr_regions(run.ctx), 10);
	}
	assert_sound(&run.ctx->targets[0]);
	ck_assert_uint_ge(hot.inside, 29 * MIB);
	ck_assert_uint_le(hot.outside, 3 * MIB);
}
END_TEST

static void assert_same(const struct damon_region *a, const struct damon_region *b)
{
	ck_assert_uint_eq(a->start, b->start);
	ck_assert_uint_eq(a->end, b->end);
	ck_assert_uint_eq(a->sampling_addr, b->sampling_addr);
	ck_assert_uint_eq(a->nr_accesses, b->nr_accesses);
	ck_assert_uint_eq(a->last_nr_accesses, b->last_nr_accesses);
	ck_assert_uint_eq(a->nr_accesses_bp, b->nr_accesses_bp);
	ck_assert_uint_eq(a->age, b->age);
}

START_TEST(same_seed_and_script_are_the_same_run)
{
	struct run runs[2] = { 0 };

	for (int r = 0; r < 2; r++) {
		run_open(&runs[r], SCRIPT_HOT, getpid(), DAMON_OPS_VADDR, 1);
		run_start(&runs[r]);
		for (int i = 0; i < 10 * 20 + 7; i++)
			run_step(&runs[r], 1);
	}
	ck_assert_uint_eq(damon_nr_regions(runs[0].ctx), damon_nr_regions(runs[1].ctx));
	for (size_t i = 0; i < damon_nr_regions(runs[0].ctx); i++)
		assert_same(&runs[0].ctx->targets[0].regions[i],
			    &runs[1].ctx->targets[0].regions[i]);
	ck_assert_mem_eq(&runs[0].ctx->schemes[0].stat, &runs[1].ctx->schemes[0].stat,
			 sizeof(struct damos_stat));
	/* And another seed is another one. */
	random_seed(runs[1].ctx->rng, 43);
	for (int i = 0; i < 20; i++) {
		run_step(&runs[0], 1);
		run_step(&runs[1], 1);
	}
	ck_assert(memcmp(runs[0].ctx->rng, runs[1].ctx->rng, sizeof(runs[0].ctx->rng)));
	for (int r = 0; r < 2; r++)
		run_end(&runs[r]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("follow");
	TCase *tcase = tcase_create("follow");

	tcase_set_timeout(tcase, 60); /* valgrind is slow */
	tcase_add_test(tcase, initial_regions_are_even_pieces_of_three_ranges);
	tcase_add_test(tcase, regions_follow_what_is_mapped_at_each_update);
	tcase_add_test(tcase, target_without_regions_gets_them_at_a_later_update);
	tcase_add_test(tcase, hot_block_is_found_and_the_number_of_regions_bounded);
	tcase_add_test(tcase, same_seed_and_script_are_the_same_run);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
