// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Regions: even splitting, the three ranges of a process, fitting to ranges, cutting, and bounds at
 * the ends of the address space (docs/abi/engine.md sections 3 and 4, docs/abi/sysfs.md section 14).
 */
#include "engine/operations.h"
#include "engine/region.h"
#include "engine/target.h"
#include "tests/unit/fixture.h"

#define TARGET(name) __attribute__((cleanup(damon_target_clear))) struct damon_target name = { 0 }

/* ---- even pieces ---- */

static const struct {
	struct span whole;
	size_t pieces;
	struct span expected[MAX_SPANS];
} even_vectors[] = {
	{ { 0, 100 },
	  10,
	  { { 0, 10 },
	    { 10, 20 },
	    { 20, 30 },
	    { 30, 40 },
	    { 40, 50 },
	    { 50, 60 },
	    { 60, 70 },
	    { 70, 80 },
	    { 80, 90 },
	    { 90, 100 } } },
	{ { 5, 59 }, 5, { { 5, 15 }, { 15, 25 }, { 25, 35 }, { 35, 45 }, { 45, 59 } } },
	{ { 0, 3 }, 2, { { 0, 1 }, { 1, 3 } } },
	{ { 5, 6 }, 2, { { 5, 6 } } },
	{ { 5, 9 }, 5, { { 5, 9 } } },
	{ { 5, 9 }, 4, { { 5, 6 }, { 6, 7 }, { 7, 8 }, { 8, 9 } } },
	{ { 5, 9 }, 1, { { 5, 9 } } },
	{ { 5, 9 }, 0, { { 5, 9 } } },
	/* Up to the end of a process's, and of any, address space. */
	{ { (1UL << 35) - 11, (1UL << 35) - 1 },
	  3,
	  { { (1UL << 35) - 11, (1UL << 35) - 8 },
	    { (1UL << 35) - 8, (1UL << 35) - 5 },
	    { (1UL << 35) - 5, (1UL << 35) - 1 } } },
	{ { 0, (1UL << 52) - 1 },
	  2,
	  { { 0, (1UL << 51) - 1 }, { (1UL << 51) - 1, (1UL << 52) - 1 } } },
};

START_TEST(even_pieces_leave_the_remainder_to_the_last)
{
	TARGET(target);
	const struct span whole[] = { even_vectors[_i].whole, { 0 } };

	set_spans(&target, whole);
	ck_assert_int_eq(damon_evenly_split_region(&target, 0, even_vectors[_i].pieces), 0);
	assert_spans(&target, even_vectors[_i].expected);
	assert_sound(&target);
}
END_TEST

START_TEST(even_pieces_of_a_middle_region_leave_its_neighbours)
{
	TARGET(target);

	set_spans(&target, (struct span[]){ { 0, 4, 1 }, { 4, 8 }, { 9, 12, 3 }, { 0 } });
	ck_assert_int_eq(damon_evenly_split_region(&target, 1, 2), 0);
	assert_spans(&target,
		     (struct span[]){ { 0, 4, 1 }, { 4, 6 }, { 6, 8 }, { 9, 12, 3 }, { 0 } });
}
END_TEST

/* ---- three ranges ---- */

#define HIGH 0x7ffffffde000UL
#define TOP  0xfffffffffffff000UL

static const struct {
	struct mapping mappings[8];
	size_t nr;
	int result;
	struct damon_addr_range ranges[3];
} three_vectors[] = {
	/* Those of docs/abi/engine.md. */
	{ { { 10, 20 }, { 20, 25 }, { 200, 210 }, { 210, 220 }, { 300, 305 }, { 307, 330 } },
	  6,
	  0,
	  { { 10, 25 }, { 200, 220 }, { 300, 330 } } },
	/* The larger gap may be the lower or the upper one. */
	{ { { 0, 1 }, { 50, 51 }, { 60, 61 } }, 3, 0, { { 0, 1 }, { 50, 51 }, { 60, 61 } } },
	{ { { 0, 1 }, { 10, 11 }, { 60, 61 } }, 3, 0, { { 0, 1 }, { 10, 11 }, { 60, 61 } } },
	/* Of equal gaps the first ones count. */
	{ { { 0, 1 }, { 11, 12 }, { 22, 23 }, { 33, 34 } },
	  4,
	  0,
	  { { 0, 1 }, { 11, 12 }, { 22, 34 } } },
	{ { { 0, 1 }, { 11, 12 }, { 32, 33 }, { 43, 44 } },
	  4,
	  0,
	  { { 0, 1 }, { 11, 12 }, { 32, 44 } } },
	{ { { 0, 1 }, { 6, 7 }, { 17, 18 }, { 28, 29 } },
	  4,
	  0,
	  { { 0, 7 }, { 17, 18 }, { 28, 29 } } },
	/* A largest gap that is beaten is still the second. */
	{ { { 0, 1 }, { 11, 12 }, { 13, 14 }, { 34, 35 }, { 36, 37 } },
	  5,
	  0,
	  { { 0, 1 }, { 11, 14 }, { 34, 37 } } },
	/* Fewer than two gaps. */
	{ { { 0 } }, 0, -EINVAL, { { 0 } } },
	{ { { 10, 20 } }, 1, -EINVAL, { { 0 } } },
	{ { { 10, 20 }, { 20, 30 }, { 30, 40 } }, 3, -EINVAL, { { 0 } } },
	{ { { 10, 20 }, { 20, 30 }, { 35, 40 } }, 3, -EINVAL, { { 0 } } },
	{ { { 10, 20 }, { 25, 30 }, { 30, 40 } }, 3, -EINVAL, { { 0 } } },
	{ { { 10, 20 }, { 25, 30 } }, 2, -EINVAL, { { 0 } } },
	/* The largest addresses; gaps beyond 2^63. */
	{ { { 0x400000, 0x500000 }, { 0x7f0000000000, 0x7f0000001000 }, { HIGH, HIGH + P } },
	  3,
	  0,
	  { { 0x400000, 0x500000 }, { 0x7f0000000000, 0x7f0000001000 }, { HIGH, HIGH + P } } },
	{ { { 0, P }, { 2 * P, 3 * P }, { TOP - P, TOP } },
	  3,
	  0,
	  { { 0, P }, { 2 * P, 3 * P }, { TOP - P, TOP } } },
};

START_TEST(three_ranges_leave_out_the_two_largest_gaps)
{
	struct mapping mappings[8];
	const struct maps maps = { mappings, three_vectors[_i].nr };
	struct damon_addr_range ranges[3] = { { 0 } };

	memcpy(mappings, three_vectors[_i].mappings, sizeof(mappings));
	ck_assert_int_eq(damon_three_regions(&maps, ranges), three_vectors[_i].result);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(ranges[i].start, three_vectors[_i].ranges[i].start);
		ck_assert_uint_eq(ranges[i].end, three_vectors[_i].ranges[i].end);
	}
}
END_TEST

/* ---- fitting to ranges ---- */

/* Counters of the old ones say which they are. */
#define OLD                                                                            \
	{                                                                              \
		{ 10, 20, 1, 1, 1 }, { 20, 30, 2, 2, 2 }, { 50, 55, 3, 3, 3 },         \
			{ 55, 57, 4, 4, 4 }, { 57, 59, 5, 5, 5 }, { 70, 80, 6, 6, 6 }, \
			{ 80, 90, 7, 7, 7 }, { 90, 100, 8, 8, 8 },                     \
	}

static const struct {
	struct span old[MAX_SPANS];
	struct damon_addr_range ranges[4]; /* in P */
	size_t nr;
	struct span expected[MAX_SPANS];
} fit_vectors[] = {
	{ OLD,
	  { { 5, 27 }, { 45, 55 }, { 73, 104 } },
	  3,
	  { { 5, 20, 1, 1, 1 },
	    { 20, 27, 2, 2, 2 },
	    { 45, 55, 3, 3, 3 },
	    { 73, 80, 6, 6, 6 },
	    { 80, 90, 7, 7, 7 },
	    { 90, 104, 8, 8, 8 } } },
	{ OLD,
	  { { 5, 27 }, { 56, 57 }, { 65, 104 } },
	  3,
	  { { 5, 20, 1, 1, 1 },
	    { 20, 27, 2, 2, 2 },
	    { 56, 57, 4, 4, 4 },
	    { 65, 80, 6, 6, 6 },
	    { 80, 90, 7, 7, 7 },
	    { 90, 104, 8, 8, 8 } } },
	{ OLD,
	  { { 5, 27 }, { 61, 63 }, { 65, 104 } },
	  3,
	  { { 5, 20, 1, 1, 1 },
	    { 20, 27, 2, 2, 2 },
	    { 61, 63 },
	    { 65, 80, 6, 6, 6 },
	    { 80, 90, 7, 7, 7 },
	    { 90, 104, 8, 8, 8 } } },
	{ OLD, { { 5, 7 }, { 30, 32 }, { 65, 68 } }, 3, { { 5, 7 }, { 30, 32 }, { 65, 68 } } },
	/* A hole is filled with a region that has no history. */
	{ { { 4, 16, 1, 1, 1 }, { 24, 32, 2, 2, 2 } },
	  { { 8, 28 } },
	  1,
	  { { 8, 16, 1, 1, 1 }, { 16, 24 }, { 24, 28, 2, 2, 2 } } },
	/* A region that reaches into two ranges belongs to the first. */
	{ { { 0, 100, 9, 9, 9 } },
	  { { 10, 20 }, { 50, 60 } },
	  2,
	  { { 10, 20, 9, 9, 9 }, { 50, 60 } } },
	{ { { 0, 55, 9, 9, 9 }, { 55, 90, 8, 8, 8 } },
	  { { 10, 20 }, { 50, 60 } },
	  2,
	  { { 10, 20, 9, 9, 9 }, { 50, 60, 8, 8, 8 } } },
	/* Touching is not meeting. */
	{ { { 0, 10, 9, 9, 9 }, { 20, 30, 8, 8, 8 } },
	  { { 5, 20 }, { 20, 25 } },
	  2,
	  { { 5, 20, 9, 9, 9 }, { 20, 25, 8, 8, 8 } } },
	{ { { 0, 10, 9, 9, 9 }, { 20, 30, 8, 8, 8 } }, { { 10, 20 } }, 1, { { 10, 20 } } },
	/* The same again changes nothing; none removes all; none before is all new. */
	{ { { 1, 2, 1, 1, 1 }, { 2, 9, 2, 2, 2 } },
	  { { 1, 9 } },
	  1,
	  { { 1, 2, 1, 1, 1 }, { 2, 9, 2, 2, 2 } } },
	{ OLD, { { 0 } }, 0, { { 0 } } },
	{ { { 0 } }, { { 3, 4 }, { 4, 9 } }, 2, { { 3, 4 }, { 4, 9 } } },
	/* Around all, and in the middle of one. */
	{ { { 4, 5, 1, 1, 1 } }, { { 0, 100 } }, 1, { { 0, 100, 1, 1, 1 } } },
	{ { { 0, 100, 1, 1, 1 } }, { { 4, 5 } }, 1, { { 4, 5, 1, 1, 1 } } },
	/* The largest addresses. */
	{ { { 0, 1UL << 35, 1, 1, 1 } },
	  { { (1UL << 35) - 2, (1UL << 35) - 1 }, { (1UL << 52) - 2, (1UL << 52) - 1 } },
	  2,
	  { { (1UL << 35) - 2, (1UL << 35) - 1, 1, 1, 1 }, { (1UL << 52) - 2, (1UL << 52) - 1 } } },
};

START_TEST(regions_are_fitted_to_ranges_and_keep_their_history)
{
	TARGET(target);
	struct damon_addr_range ranges[4];

	for (size_t i = 0; i < 4; i++) {
		ranges[i].start = fit_vectors[_i].ranges[i].start * P;
		ranges[i].end = fit_vectors[_i].ranges[i].end * P;
	}
	set_spans(&target, fit_vectors[_i].old);
	ck_assert_int_eq(damon_set_regions(&target, ranges, fit_vectors[_i].nr, P, SIZE_MAX), 0);
	assert_spans(&target, fit_vectors[_i].expected);
	assert_sound(&target);
}
END_TEST

#define MAX UINT64_MAX

static const struct {
	struct damon_addr_range ranges[2]; /* bytes */
	size_t nr;
	int result;
	struct span expected[MAX_SPANS];
} check_vectors[] = {
	/* Bounds go outwards to whole pages. */
	{ { { 4097, 8191 } }, 1, 0, { { 1, 2 } } },
	{ { { 1, 4097 } }, 1, 0, { { 0, 2 } } },
	{ { { 4097, 4097 } }, 1, 0, { { 1, 2 } } },
	{ { { 5, 5 } }, 1, 0, { { 0, 1 } } },
	{ { { 4095, 4096 }, { 4096, 4097 } }, 2, 0, { { 0, 1 }, { 1, 2 } } },
	/* Empty, or the wrong way round. */
	{ { { 0, 0 } }, 1, -EINVAL, { { 7, 9, 1 } } },
	{ { { 4096, 4096 } }, 1, -EINVAL, { { 7, 9, 1 } } },
	{ { { 8192, 4096 } }, 1, -EINVAL, { { 7, 9, 1 } } },
	{ { { 8192, 4097 } }, 1, -EINVAL, { { 7, 9, 1 } } },
	{ { { 0, 4096 }, { 8192, 8192 } }, 2, -EINVAL, { { 7, 9, 1 } } },
	/* Overlapping, also when only so after alignment, or not ascending. */
	{ { { 4096, 8192 }, { 4096, 12288 } }, 2, -EINVAL, { { 7, 9, 1 } } },
	{ { { 0, 4097 }, { 4097, 8192 } }, 2, -EINVAL, { { 7, 9, 1 } } },
	{ { { 0, 8192 }, { 4096, 12288 } }, 2, -EINVAL, { { 7, 9, 1 } } },
	{ { { 8192, 12288 }, { 0, 4096 } }, 2, -EINVAL, { { 7, 9, 1 } } },
	/* The last page of all ends nowhere; the one before it does. */
	{ { { MAX - 8191, MAX - 4095 } }, 1, 0, { { (1UL << 52) - 2, (1UL << 52) - 1 } } },
	{ { { MAX - 8190, MAX - 4096 } }, 1, 0, { { (1UL << 52) - 2, (1UL << 52) - 1 } } },
	{ { { MAX - 8191, MAX } }, 1, -EINVAL, { { 7, 9, 1 } } },
	{ { { 0, MAX } }, 1, -EINVAL, { { 7, 9, 1 } } },
	{ { { 0, MAX - 4095 } }, 1, 0, { { 0, (1UL << 52) - 1, 1 } } },
};

START_TEST(ranges_are_checked_before_anything_changes)
{
	TARGET(target);
	const struct damon_addr_range *ranges = check_vectors[_i].ranges;

	set_spans(&target, (struct span[]){ { 7, 9, 1 }, { 0 } });
	ck_assert_int_eq(damon_check_ranges(ranges, check_vectors[_i].nr, P),
			 check_vectors[_i].result);
	ck_assert_int_eq(damon_set_regions(&target, ranges, check_vectors[_i].nr, P, SIZE_MAX),
			 check_vectors[_i].result);
	assert_spans(&target, check_vectors[_i].expected);
}
END_TEST

/* ---- cutting and inserting ---- */

START_TEST(cut_parts_both_have_the_history)
{
	TARGET(target);
	struct damon_region *region;

	set_spans(&target, (struct span[]){ { 0, 2 }, { 4, 9, 3, 4, 5 }, { 9, 10 }, { 0 } });
	region = &target.regions[1];
	region->nr_accesses_bp = 12345;
	region->priv = 77;
	ck_assert_int_eq(damon_split_region_at(&target, 1, 2 * P), 0);
	assert_spans(&target,
		     (struct span[]){
			     { 0, 2 }, { 4, 6, 3, 4, 5 }, { 6, 9, 3, 4, 5 }, { 9, 10 }, { 0 } });
	for (size_t i = 1; i < 3; i++) {
		ck_assert_uint_eq(target.regions[i].nr_accesses_bp, 12345);
		ck_assert_uint_eq(target.regions[i].priv, 77);
	}
}
END_TEST

START_TEST(cutting_makes_room_for_any_number)
{
	TARGET(target);

	set_spans(&target, (struct span[]){ { 0, 1001 }, { 0 } });
	for (size_t i = 0; i < 1000; i++)
		ck_assert_int_eq(damon_split_region_at(&target, i, P), 0);
	ck_assert_uint_eq(target.nr_regions, 1001);
	for (size_t i = 0; i < 1001; i++)
		ck_assert_uint_eq(target.regions[i].start, i * P);
	ck_assert_uint_eq(target.regions[1000].end, 1001 * P);
	assert_sound(&target);
}
END_TEST

START_TEST(inserted_regions_have_no_history)
{
	TARGET(target);

	set_spans(&target, (struct span[]){ { 4, 9, 3, 4, 5 }, { 0 } });
	ck_assert_int_eq(damon_insert_region(&target, 0, 0, P), 0);
	ck_assert_int_eq(damon_insert_region(&target, 2, 10 * P, 11 * P), 0);
	assert_spans(&target, (struct span[]){ { 0, 1 }, { 4, 9, 3, 4, 5 }, { 10, 11 }, { 0 } });
	ck_assert_uint_eq(target.regions[0].nr_accesses_bp, 0);
	ck_assert_uint_eq(target.regions[2].priv, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("region");
	TCase *tcase = tcase_create("region");

	ADD_VECTORS(tcase, even_pieces_leave_the_remainder_to_the_last, even_vectors);
	tcase_add_test(tcase, even_pieces_of_a_middle_region_leave_its_neighbours);
	ADD_VECTORS(tcase, three_ranges_leave_out_the_two_largest_gaps, three_vectors);
	ADD_VECTORS(tcase, regions_are_fitted_to_ranges_and_keep_their_history, fit_vectors);
	ADD_VECTORS(tcase, ranges_are_checked_before_anything_changes, check_vectors);
	tcase_add_test(tcase, cut_parts_both_have_the_history);
	tcase_add_test(tcase, cutting_makes_room_for_any_number);
	tcase_add_test(tcase, inserted_regions_have_no_history);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
