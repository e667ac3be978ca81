// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What becomes of time in which a kdamond did not run: deadlines by a hand-turned clock, and a
 * thread that is kept asleep.
 */
#include <poll.h>
#include <stdatomic.h>

#include "access/proc/clear_refs.h"
#include "engine/schedule.h"
#include "tests/unit/monitor.h"
#include "tests/unit/run.h"
#include "util/clock.h"

#define MS 1000UL
#define S  1000000UL

/* A context of such intervals, of which PASSED have passed. */
static struct damon_context context_of(uint64_t sample, uint64_t aggr, uint64_t passed)
{
	return (struct damon_context){ .attrs = { .sample_interval = sample,
						  .aggr_interval = aggr },
				       .passed = passed,
				       .next_aggr = aggr / max_ul(sample, 1),
				       .next_ops_update = UINT64_MAX };
}

static const struct {
	uint64_t sample, late, stood_still;
} standstill_vectors[] = {
	{ 5 * MS, 0, 0 },
	{ 5 * MS, 499 * MS, 0 },
	{ 5 * MS, 500 * MS, 500 * MS },
	{ 5 * MS, 3600 * S, 3600 * S },
	{ 0, 500 * MS, 500 * MS },
	/* Of long intervals, two. */
	{ 1 * S, 1999 * MS, 0 },
	{ 1 * S, 2 * S, 2 * S },
	{ UINT64_MAX, 3600 * S, 0 },
};

START_TEST(time_that_it_stood_still_does_not_count)
{
	struct damon_context ctx = context_of(standstill_vectors[_i].sample, 100 * MS, 0);
	struct schedule schedule = { .deadline = 9 * S, .began = 9 * S, .prepared = 9 * S };
	uint64_t due = 10 * S, now = due + standstill_vectors[_i].late;
	bool stood_still = standstill_vectors[_i].stood_still;

	ck_assert_uint_eq(schedule_stood_still(&schedule, &ctx, due, now),
			  standstill_vectors[_i].stood_still);
	ck_assert_uint_eq(schedule.deadline, stood_still ? now : 9 * S);
	ck_assert_uint_eq(schedule.began, stood_still ? now : 9 * S);
	/* Nor is anything missed. */
	if (stood_still)
		ck_assert_uint_eq(schedule_skip_missed(&schedule, &ctx, now), 0);
}
END_TEST

START_TEST(who_always_stands_still_looks_every_other_time)
{
	struct damon_context ctx = context_of(5 * MS, 100 * MS, 0);
	struct schedule schedule = { .deadline = 0 };

	for (uint64_t now = S, i = 0; i < 10; i++, now += S) {
		uint64_t late = schedule_stood_still(&schedule, &ctx, now - 900 * MS, now);

		ck_assert_uint_eq(late, i % 2 ? 0 : 900 * MS);
		if (late)
			continue;
		/* Then it counts to the end of the aggregation, and is in time again. */
		ck_assert_uint_eq(schedule_skip_missed(&schedule, &ctx, now), 19);
		ck_assert_uint_eq(schedule.deadline, now);
	}
}
END_TEST

static const struct {
	uint64_t late, passed, missed, deadline;
} missed_vectors[] = {
	{ 0, 0, 0, 0 },
	{ 4999, 0, 0, 0 },
	{ 5000, 0, 1, 5000 },
	{ 37 * MS, 3, 7, 35 * MS },
	/* As many as are left until the aggregation ends; the next one begins now. */
	{ 37 * MS, 15, 4, 37 * MS },
	{ 300 * MS, 0, 19, 300 * MS },
	{ 300 * MS, 19, 0, 300 * MS },
	{ 1200 * MS, 0, 19, 1200 * MS },
	/* One answer does not stand for a longer time. */
	{ 1201 * MS, 0, 0, 1201 * MS },
};

START_TEST(missed_intervals_end_with_the_aggregation)
{
	struct damon_context ctx = context_of(5 * MS, 100 * MS, missed_vectors[_i].passed);
	struct schedule schedule = { .deadline = S, .stood_still = true };

	ck_assert_uint_eq(schedule_skip_missed(&schedule, &ctx, S + missed_vectors[_i].late),
			  missed_vectors[_i].missed);
	ck_assert_uint_eq(schedule.deadline, S + missed_vectors[_i].deadline);
	ck_assert(!schedule.stood_still);
}
END_TEST

START_TEST(own_work_is_no_standstill)
{
	struct damon_context ctx = context_of(5 * MS, 100 * MS, 0);
	struct schedule schedule = { .deadline = S, .began = S, .prepared = 4 * S };
	uint64_t due = schedule_next_look(&ctx, &schedule);

	ck_assert(schedule_is_behind(&schedule, &ctx));
	ck_assert_uint_eq(due, 4 * S + 3750);
	ck_assert_uint_eq(schedule_stood_still(&schedule, &ctx, due, due), 0);
	schedule.prepared = S + 400 * MS;
	ck_assert(!schedule_is_behind(&schedule, &ctx));
	schedule.prepared = S - 1;
	ck_assert(!schedule_is_behind(&schedule, &ctx));
}
END_TEST

/* ---- a thread ---- */

/* How long the next sleep of a kdamond is longer than it wants, in us. */
static atomic_ulong oversleep;

int __real_ppoll(struct pollfd *files, nfds_t nr, const struct timespec *timeout,
		 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *files, nfds_t nr, const struct timespec *timeout,
		 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *files, nfds_t nr, const struct timespec *timeout,
		 const sigset_t *mask)
{
	int r = __real_ppoll(files, nr, timeout, mask);

	usleep((useconds_t)atomic_exchange(&oversleep, 0));
	return r;
}

/* The region's aggregations, and its nr_accesses in the last one. */
static uint64_t look(struct monitor *m, uint32_t *nr_accesses)
{
	struct request tried, stats;
	uint64_t nr;

	m->nr = 0;
	memset(m->order, 0, sizeof(m->order));
	ck_assert_int_eq(send_request(m, &tried, DAMON_COLLECT_TRIED), 0);
	ck_assert(wait_for(m, "c"));
	ck_assert_uint_eq(tried.command.nr_tried, 1);
	*nr_accesses = tried.command.tried[0].nr_accesses;
	damon_command_clear(&tried.command);
	ck_assert_int_eq(send_request(m, &stats, DAMON_REPORT), 0);
	ck_assert(wait_for(m, "cc"));
	nr = stats.command.report.stats[0].nr_tried;
	damon_command_clear(&stats.command);
	return nr;
}

static const unsigned int naps[] = { 60000, 300000, 900000, 2000000 };

START_TEST(no_burst_comes_after_a_nap)
{
	uint32_t nr_accesses;
	uint64_t before, after, began;
	struct monitor m;

	start(&m, describe(getpid(), 1), 0);
	ck_assert(wait_for(&m, "s"));
	before = look(&m, &nr_accesses);
	atomic_store(&oversleep, naps[_i]);
	while (atomic_load(&oversleep))
		usleep(1000);
	usleep(naps[_i]);
	began = clock_us();
	usleep(350000);
	after = look(&m, &nr_accesses);
	/* All of it is always touched. */
	ck_assert_uint_eq(nr_accesses, 20);
	/* The one under way, and one for each 100 ms. */
	ck_assert_uint_le(after - before, 2 + (clock_us() - began) / 100000);
	m.nr = 0;
	memset(m.order, 0, sizeof(m.order));
	stop(&m, "e");
}
END_TEST

/* ---- budgets ---- */

ssize_t __wrap_pwrite64(int fd, const void *buffer, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *buffer, size_t size, off_t offset)
{
	(void)fd;
	(void)buffer;
	(void)offset;
	usleep(200000);
	return (ssize_t)size;
}

START_TEST(a_clear_that_was_held_up_has_a_next_one_soon)
{
	struct clear_refs refs = { .fd = -1, .stat_fd = -1 };
	uint64_t now = 7 * S;

	ck_assert_int_eq(clear_refs_clear(&refs, CLEAR_REFS_ACCESSED, now), 0);
	ck_assert_uint_ge(refs.last_us, now + 200 * MS);
	/* Not 50 times as long later. */
	ck_assert_uint_le(clear_refs_next(&refs, 5 * MS), now + S);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("time");
	TCase *tcase = tcase_create("time");

	tcase_set_timeout(tcase, 6 * PATIENCE_S);
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_VECTORS(tcase, time_that_it_stood_still_does_not_count, standstill_vectors);
	tcase_add_test(tcase, who_always_stands_still_looks_every_other_time);
	ADD_VECTORS(tcase, missed_intervals_end_with_the_aggregation, missed_vectors);
	tcase_add_test(tcase, own_work_is_no_standstill);
	ADD_VECTORS(tcase, no_burst_comes_after_a_nap, naps);
	tcase_add_test(tcase, a_clear_that_was_held_up_has_a_next_one_soon);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
