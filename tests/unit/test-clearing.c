// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which pages of a batch are cleared: held answers, turns and the budget, with a process_madvise()
 * that clears what it is told and notes it.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "access/proc/idle_bitmap.h"
#include "access/proc/pagemap.h"
#include "access/young/clearing.h"
#include "tests/unit/unit.h"
#include "util/random.h"

#define N	  1000
#define SAMPLE_US 5000
#define CLEARS	  8 /* that fit in the budget of a round */
#define CLEAR_NS  (SAMPLE_US * 1000 / 50 / CLEARS) /* what one costs */

static struct access_probe probes[N];
static struct young_leaf leaf[N];
static unsigned int last_cleared[N], longest[N]; /* rounds */
static unsigned int round_number, nr_calls, nr_cleared, nr_wide;
static struct iovec wide; /* the last range that was more than a page */
static uint64_t refused; /* an address that process_madvise() refuses */
static useconds_t held_up; /* for how long, by a call for more than a page */
static struct clearing_room room;
static struct process process = { .pidfd = -1 };

/* Probe I is in page 2 I + 2, so that no two ranges touch. */
static void note_range(const struct iovec *range)
{
	size_t probe = (uintptr_t)range->iov_base / PAGE / 2 - 1;

	if (leaf[0].flags & YOUNG_HUGE) {
		nr_cleared += (unsigned int)(range->iov_len / HUGE_PAGE);
		return;
	}
	if (range->iov_len != PAGE) {
		wide = *range;
		nr_wide++;
		usleep(held_up);
		return;
	}
	ck_assert_uint_lt(probe, N);
	longest[probe] = (unsigned int)max_ul(longest[probe], round_number - last_cleared[probe]);
	last_cleared[probe] = round_number;
	nr_cleared++;
}

long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
	const struct iovec *range;
	va_list args;
	long bytes = 0;
	size_t nr;

	va_start(args, number);
	va_arg(args, int);
	range = va_arg(args, const struct iovec *);
	nr = va_arg(args, size_t);
	va_end(args);
	ck_assert_int_eq(number, SYS_process_madvise);
	nr_calls++;
	for (size_t i = 0; i < nr; i++) {
		if (refused - (uintptr_t)range[i].iov_base < range[i].iov_len) {
			errno = EINVAL;
			return bytes ? bytes : -1;
		}
		bytes += (long)range[i].iov_len;
		note_range(&range[i]);
	}
	return bytes;
}

static void start(struct clearing *clearing, size_t n)
{
	*clearing = (struct clearing){
		.process = &process,
		.bitmap = -1,
		.wide = true,
		.kpageflags = -1,
		.pagemap = -1,
		.refs = { .fd = -1, .stat_fd = -1 },
	};
	random_seed(clearing->clock.random, 5);
	memset(probes, 0, sizeof(probes));
	memset(last_cleared, 0, sizeof(last_cleared));
	memset(longest, 0, sizeof(longest));
	round_number = nr_calls = nr_cleared = nr_wide = 0;
	wide = (struct iovec){ 0 };
	refused = UINT64_MAX;
	held_up = 0;
	for (size_t i = 0; i < n; i++) {
		probes[i].next = (2 * i + 2) * PAGE;
		leaf[i] = (struct young_leaf){ .flags = YOUNG_PRESENT | YOUNG_YOUNG };
	}
}

/* A round over N probes, whose pages are in use with CHANCE (of 100) if they are looked at. */
static void do_round(struct clearing *clearing, size_t n, uint64_t random[4], unsigned int chance)
{
	round_number++;
	/* Measured, it would be next to nothing. */
	clearing->cost_ns = CLEAR_NS;
	clearing_next_round(clearing);
	ck_assert_int_eq(clearing_prepare(clearing, &room, leaf, probes, n, 0, 0, SAMPLE_US), 0);
	for (size_t i = 0; i < n; i++)
		estimate_check(&probes[i], random_range(random, 0, 100) < chance);
}

/* N regions that never change are cleared in one round of eight, in which all of them are. */
static void check_instants(size_t n, unsigned int chance)
{
	uint64_t random[4];
	struct clearing clearing;

	random_seed(random, 6);
	start(&clearing, n);
	for (int i = 0; i < 16000; i++)
		do_round(&clearing, n, random, chance);
	nr_calls = nr_cleared = 0;
	for (int i = 0; i < 4000; i++)
		do_round(&clearing, n, random, chance);
	ck_assert_uint_eq(nr_calls, 500);
	ck_assert_uint_eq(nr_cleared, 500 * n);
}

START_TEST(held_regions_share_their_instants)
{
	check_instants(4, (unsigned int)_i);
}
END_TEST

/* More than a round pays for: the rounds before it left enough. */
START_TEST(what_rounds_leave_pays_for_an_instant)
{
	check_instants(24, (unsigned int)_i);
}
END_TEST

/* What many leave does not pay for more than eight of them. */
START_TEST(what_is_left_has_a_bound)
{
	uint64_t random[4];
	struct clearing clearing;

	random_seed(random, 9);
	start(&clearing, 200);
	for (size_t i = 0; i < 200; i++)
		leaf[i].flags = YOUNG_PRESENT;
	for (int i = 0; i < 100; i++)
		do_round(&clearing, 200, random, 0);
	for (size_t i = 0; i < 200; i++)
		leaf[i].flags = YOUNG_PRESENT | YOUNG_YOUNG;
	do_round(&clearing, 200, random, 100);
	ck_assert_uint_eq(nr_cleared, CLEARS * 8);
	do_round(&clearing, 200, random, 100);
	ck_assert_uint_le(nr_cleared, CLEARS * 9 + 1);
}
END_TEST

/* A thousand held regions do not wait for instants whose budget others use up. */
START_TEST(nobody_waits_longer_than_promised)
{
	uint64_t random[4];
	struct clearing clearing;

	random_seed(random, 7);
	start(&clearing, N);
	for (size_t i = 0; i < N; i++)
		probes[i].priv = ESTIMATE_KNOWN | ESTIMATE_HOT | ESTIMATE_STREAK_MAX |
				 3 * ESTIMATE_HOLD;
	for (int i = 0; i < 4000; i++)
		do_round(&clearing, N, random, 100);
	for (size_t i = 0; i < N; i++)
		ck_assert_msg(longest[i] && longest[i] <= CLEARING_CARRY_ROUNDS,
			      "probe %zu waited for %u rounds", i, longest[i]);
}
END_TEST

/* Regions of every kind, more than the budget pays for: what is told is right in the mean. */
START_TEST(a_short_budget_leans_nowhere)
{
	uint64_t random[4], accesses = 0;
	struct clearing clearing;

	random_seed(random, 8);
	start(&clearing, 100);
	for (int i = 0; i < 20000; i++) {
		do_round(&clearing, 100, random, (unsigned int)_i);
		for (size_t k = 0; i >= 2000 && k < 100; k++)
			accesses += probes[k].accessed;
	}
	ck_assert_double_eq_tol((double)accesses / 18000, _i, 0.5);
}
END_TEST

/* Regions that share huge pages share their clears, and the budget counts those. */
START_TEST(probes_of_a_page_share_its_clear)
{
	struct clearing clearing;
	uint64_t random[4];
	unsigned int nr = 0;

	random_seed(random, 12);
	start(&clearing, N);
	for (size_t i = 0; i < N; i++) {
		probes[i].next = i * 20 * HUGE_PAGE / N;
		leaf[i].flags |= YOUNG_HUGE;
	}
	clearing.cost_ns = CLEAR_NS;
	clearing_next_round(&clearing);
	ck_assert_int_eq(clearing_prepare(&clearing, &room, leaf, probes, N, 0, 0, SAMPLE_US), 0);
	for (size_t i = 0; i < N; i++)
		nr += probes[i].priv & ESTIMATE_CLEARED ? 1 : 0;
	ck_assert_uint_eq(nr, 8 * N / 20);
	ck_assert_uint_eq(nr_cleared, 8);
	ck_assert_uint_eq(nr_calls, 1);
}
END_TEST

/* What is refused in the middle of a joined range is told to its own probe. */
START_TEST(a_refused_page_leaves_its_neighbours)
{
	struct clearing clearing;

	start(&clearing, 5);
	for (size_t i = 1; i < 4; i++)
		probes[i].next = (i + 100) * PAGE;
	probes[4].next = 200 * PAGE;
	refused = probes[2].next;
	clearing.cost_ns = CLEAR_NS;
	clearing_next_round(&clearing);
	ck_assert_int_eq(clearing_prepare(&clearing, &room, leaf, probes, 5, 0, 0, SAMPLE_US), 0);
	for (size_t i = 0; i < 5; i++) {
		ck_assert_int_eq(!!(probes[i].priv & ESTIMATE_CLEARED), i != 2);
		ck_assert_int_eq(!!(probes[i].priv & ESTIMATE_MARK), i == 2);
	}
}
END_TEST

/* ---- old bits ---- */

#define ANONYMOUS PAGEMAP_PRESENT
#define FILES	  (PAGEMAP_PRESENT | PAGEMAP_FILE)

/* A pagemap whose pages are ANONYMOUS, but for ENTRY at page AT. */
static int make_pagemap(size_t at, uint64_t entry)
{
	uint64_t entries[2 * HUGE_PAGE / PAGE];
	int fd = memfd_create("pagemap", 0);

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		entries[i] = ANONYMOUS;
	entries[at] = entry;
	ck_assert_int_eq(write(fd, entries, sizeof(entries)), sizeof(entries));
	return fd;
}

/* Where a page is that is no private memory, and what is cleared with page 100 then. */
static const struct {
	size_t at;
	uint64_t entry, from, to;
	size_t neighbours[2]; /* pages of the probes before and after; 0: none */
} old_vectors[] = {
	{ 600, FILES, 0, 512, { 0 } }, /* not in the same 2 MiB */
	{ 50, FILES, 51, 512, { 0 } },
	{ 50, 0, 51, 512, { 0 } },
	{ 99, 0, 100, 512, { 0 } },
	{ 200, FILES, 0, 200, { 0 } },
	{ 511, 0, 0, 511, { 0 } },
	{ 100, FILES, 0, 0, { 0 } },
	/* The largest block that holds no neighbour's page. */
	{ 600, FILES, 0, 512, { 0, 513 } },
	{ 600, FILES, 0, 256, { 0, 256 } },
	{ 600, FILES, 0, 128, { 0, 255 } },
	{ 600, FILES, 64, 128, { 63, 300 } },
	{ 600, FILES, 96, 128, { 64, 300 } },
	{ 600, FILES, 100, 102, { 98, 102 } },
	{ 600, FILES, 0, 0, { 99, 101 } },
	{ 600, FILES, 0, 0, { 100, 101 } },
	{ 110, 0, 96, 110, { 64, 300 } },
};

/* A cold region takes the old bits around a page along, where nobody else has them. */
START_TEST(old_bits_go_together)
{
	const size_t *neighbours = old_vectors[_i].neighbours;
	size_t n = 1, at = 0;
	struct clearing clearing;
	uint64_t random[4];

	random_seed(random, 10);
	start(&clearing, 3);
	if (neighbours[0])
		probes[at++].next = neighbours[0] * PAGE;
	probes[at].next = 100 * PAGE + 123;
	if (neighbours[1])
		probes[at + 1].next = neighbours[1] * PAGE;
	n += at + !!neighbours[1];
	/* Only that one is cold for long. */
	for (size_t i = 0; i < n; i++)
		leaf[i].flags = i == at ? YOUNG_PRESENT | YOUNG_YOUNG : YOUNG_PRESENT;
	clearing.pagemap = make_pagemap(old_vectors[_i].at, old_vectors[_i].entry);
	for (int i = 0; i < 99; i++)
		do_round(&clearing, n, random, 0);
	ck_assert_uint_eq(nr_wide, 0);
	for (int i = 0; i < 20; i++)
		do_round(&clearing, n, random, 0);
	ck_assert_int_eq(nr_wide > 0, old_vectors[_i].to > 0);
	ck_assert_uint_eq((uintptr_t)wide.iov_base, old_vectors[_i].from * PAGE);
	ck_assert_uint_eq(wide.iov_len, (old_vectors[_i].to - old_vectors[_i].from) * PAGE);
	/* The page was cleared by itself, too. */
	ck_assert_uint_ge(nr_cleared, 100);
	close(clearing.pagemap);
}
END_TEST

/* A region whose page has old bits around it. */
static void start_with_old_bits(struct clearing *clearing)
{
	start(clearing, 1);
	probes[0].next = 100 * PAGE;
	clearing->pagemap = make_pagemap(50, 0);
}

/* What it costs is not how long the thread did not run meanwhile: then no bits would go for 10 s. */
START_TEST(old_bits_go_again_soon_after_a_standstill)
{
	struct clearing clearing;
	uint64_t random[4];

	random_seed(random, 10);
	start_with_old_bits(&clearing);
	held_up = 200000;
	for (int i = 0; i < 10000 && nr_wide < 2; i++) {
		do_round(&clearing, 1, random, 0);
		usleep(100);
	}
	ck_assert_uint_eq(nr_wide, 2);
	close(clearing.pagemap);
}
END_TEST

START_TEST(hot_regions_keep_old_bits)
{
	struct clearing clearing;
	uint64_t random[4];

	random_seed(random, 11);
	start_with_old_bits(&clearing);
	for (int i = 0; i < 1000; i++)
		do_round(&clearing, 1, random, 100);
	for (int i = 0; i < 1000; i++)
		do_round(&clearing, 1, random, 50);
	ck_assert_uint_eq(nr_wide, 0);
	/* Nor are they taken along with a huge page, or where that splits large folios. */
	leaf[0].flags |= YOUNG_HUGE;
	for (int i = 0; i < 1000; i++)
		do_round(&clearing, 1, random, 0);
	leaf[0].flags &= (uint8_t)~YOUNG_HUGE;
	clearing.wide = false;
	for (int i = 0; i < 1000; i++)
		do_round(&clearing, 1, random, 0);
	ck_assert_uint_eq(nr_wide, 0);
	clearing.wide = true;
	clearing.next_old = 0;
	for (int i = 0; i < 10; i++)
		do_round(&clearing, 1, random, 0);
	ck_assert_uint_gt(nr_wide, 0);
	close(clearing.pagemap);
}
END_TEST

/* Unknown regions go first, and a page that nobody touched is not cleared. */
START_TEST(unknown_regions_go_first)
{
	struct clearing clearing;
	uint64_t random[4];

	random_seed(random, 9);
	start(&clearing, N);
	for (int i = 0; i < 1000; i++)
		do_round(&clearing, N, random, 100);
	probes[700].priv = 0;
	leaf[1].flags = YOUNG_PRESENT;
	last_cleared[1] = 0;
	do_round(&clearing, N, random, 100);
	ck_assert_uint_eq(last_cleared[700], round_number);
	ck_assert_uint_eq(last_cleared[1], 0);
	ck_assert(probes[1].accessed);
}
END_TEST

/* ---- the idle bitmap ---- */

static uint64_t word_of(int bitmap, uint64_t number)
{
	uint64_t word = 0;

	ck_assert_int_ge(pread(bitmap, &word, sizeof(word), (off_t)(number * sizeof(word))), 0);
	return word;
}

/* Frames in any order, in words that follow one another, with a gap, and more than are kept. */
START_TEST(marks_are_all_written)
{
	static const uint64_t frames[] = { 5, 63, 64, 6, 130, 1000000, 192, 999999, 7 };
	struct idle_marks marks = { .bitmap = memfd_create("bitmap", 0) };

	for (size_t i = 0; i < ARRAY_SIZE(frames); i++)
		ck_assert_int_eq(idle_mark(&marks, frames[i]), 0);
	for (uint64_t i = 0; i < 4096; i += 64)
		ck_assert_int_eq(idle_mark(&marks, 64000 + i), 0);
	ck_assert_int_eq(idle_marks_write(&marks), 0);
	/* A later write to a word marks no more than was asked for: 0 leaves a frame as it is. */
	ck_assert_uint_eq(word_of(marks.bitmap, 0), 1 << 7);
	ck_assert_uint_eq(word_of(marks.bitmap, 1), 1);
	ck_assert_uint_eq(word_of(marks.bitmap, 2), 1 << 2);
	ck_assert_uint_eq(word_of(marks.bitmap, 3), 1);
	ck_assert_uint_eq(word_of(marks.bitmap, 999999 / 64), 1ULL << 999999 % 64);
	for (uint64_t i = 0; i < 64; i++)
		ck_assert_uint_eq(word_of(marks.bitmap, 1000 + i), 1);
	close(marks.bitmap);
	ck_assert_int_eq(idle_mark(&marks, 1), 0);
	ck_assert_int_eq(idle_marks_write(&marks), -EBADF);
}
END_TEST

/* Pages are marked by the frame that stands for them, and nothing is advised. */
START_TEST(the_bitmap_clears)
{
	struct clearing clearing;

	start(&clearing, 4);
	clearing.bitmap = memfd_create("bitmap", 0);
	for (size_t i = 0; i < 4; i++)
		leaf[i].frame = 100 + (i & 3);
	/* Nobody touched it; it is on no list. */
	leaf[1].flags = YOUNG_PRESENT;
	leaf[2].flags |= YOUNG_SHARED;
	clearing.cost_ns = CLEAR_NS;
	clearing_next_round(&clearing);
	ck_assert_int_eq(clearing_prepare(&clearing, &room, leaf, probes, 4, 0, 0, SAMPLE_US), 0);
	ck_assert_uint_eq(word_of(clearing.bitmap, 1), 1ULL << 36 | 1ULL << 39);
	ck_assert_uint_eq(nr_calls, 0);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(!!(probes[i].priv & ESTIMATE_CLEARED), i == 0 || i == 3);
	ck_assert(probes[1].priv & ESTIMATE_PREPARED);
	ck_assert(!(probes[2].priv & (ESTIMATE_PREPARED | ESTIMATE_ANSWER)));
	close(clearing.bitmap);
	ck_assert_int_eq(clearing_prepare(&clearing, &room, leaf, probes, 4, 0, 0, SAMPLE_US),
			 -EBADF);
}
END_TEST

/* Old bits are those of anonymous pages around: marked by the frames that pagemap tells. */
START_TEST(the_bitmap_clears_old_bits)
{
	struct clearing clearing;
	uint64_t random[4];

	random_seed(random, 13);
	start(&clearing, 1);
	clearing.bitmap = memfd_create("bitmap", 0);
	probes[0].next = 100 * PAGE;
	leaf[0].frame = 6400;
	clearing.pagemap = make_pagemap(150, 0);
	ck_assert_int_eq(pwrite(clearing.pagemap, &(uint64_t){ ANONYMOUS | 1234 }, 8, 149 * 8), 8);
	for (int i = 0; i < 200; i++)
		do_round(&clearing, 1, random, 0);
	ck_assert_uint_eq(word_of(clearing.bitmap, 1234 / 64), 1ULL << 1234 % 64);
	ck_assert_uint_eq(word_of(clearing.bitmap, 100), 1);
	/* Frame 0 is what a pagemap tells that hides frames. */
	ck_assert_uint_eq(word_of(clearing.bitmap, 0), 0);
	ck_assert_uint_eq(nr_calls, 0);
	close(clearing.bitmap);
	close(clearing.pagemap);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clearing");
	TCase *tcase = tcase_create("clearing");

	tcase_add_loop_test(tcase, held_regions_share_their_instants, 0, 1);
	tcase_add_loop_test(tcase, held_regions_share_their_instants, 100, 101);
	tcase_add_loop_test(tcase, what_rounds_leave_pays_for_an_instant, 0, 1);
	tcase_add_loop_test(tcase, what_rounds_leave_pays_for_an_instant, 100, 101);
	tcase_add_test(tcase, what_is_left_has_a_bound);
	tcase_add_test(tcase, nobody_waits_longer_than_promised);
	for (int chance = 1; chance < 100; chance += 14)
		tcase_add_loop_test(tcase, a_short_budget_leans_nowhere, chance, chance + 1);
	tcase_add_test(tcase, unknown_regions_go_first);
	tcase_add_test(tcase, probes_of_a_page_share_its_clear);
	tcase_add_test(tcase, a_refused_page_leaves_its_neighbours);
	ADD_VECTORS(tcase, old_bits_go_together, old_vectors);
	tcase_add_test(tcase, old_bits_go_again_soon_after_a_standstill);
	tcase_add_test(tcase, hot_regions_keep_old_bits);
	tcase_add_test(tcase, marks_are_all_written);
	tcase_add_test(tcase, the_bitmap_clears);
	tcase_add_test(tcase, the_bitmap_clears_old_bits);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
