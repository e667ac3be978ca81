// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The worker thread: its start and its ends, the commands in its mailbox, who is answered when, and
 * that it keeps time.  To be run with ThreadSanitizer too.
 */
#include "tests/unit/monitor.h"

/* ---- start and end ---- */

START_TEST(thread_has_the_number_in_its_name_and_ends_when_told)
{
	char path[64], name[32] = "";
	struct monitor m;
	FILE *file;

	start(&m, describe(getpid(), 0), 17);
	ck_assert(wait_for(&m, "s"));
	ck_assert_int_eq(m.result, 0);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", kdamond_tid(m.kdamond));
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(name, sizeof(name), file));
	fclose(file);
	ck_assert_str_eq(name, "kdamond.17\n");
	stop(&m, "se");
}
END_TEST

START_TEST(long_sleep_is_interrupted)
{
	struct damon_desc *desc = describe(getpid(), 0);
	uint64_t before = now_ms();
	struct monitor m;

	desc->attrs.sample_interval = desc->attrs.aggr_interval = 3600000000UL;
	start(&m, desc, 0);
	ck_assert(wait_for(&m, "s"));
	stop(&m, "se");
	ck_assert_uint_le(now_ms() - before, 2000);
}
END_TEST

static const char *const bad_methods[] = {
	"no such method",     "", "simulated", "simulated:/no/such/file", "simulated:/dev/stdin/x",
	"referenced:argument"
};

START_TEST(method_that_does_not_work_is_invalid)
{
	struct monitor m;
	struct request request;

	start_with(&m, describe(getpid(), 1), bad_methods[_i], 0);
	ck_assert(wait_for(&m, "se"));
	ck_assert_int_eq(m.result, -EINVAL);
	ck_assert_int_eq(send_request(&m, &request, DAMON_REPORT), -EINVAL);
	finish(&m);
	ck_assert(!request.done);
}
END_TEST

START_TEST(kdamond_without_targets_ends_by_itself)
{
	struct monitor m;

	start(&m, new_desc(DAMON_OPS_VADDR, 0, 0), 0);
	ck_assert(wait_for(&m, "se"));
	ck_assert_int_eq(m.result, 0);
	finish(&m);
}
END_TEST

/* With a scheme that is at work, or at rest because memory is free. */
static const struct {
	const char *method; /* NULL: the script */
	bool rests;
} death_vectors[] = { { NULL, false },	      { NULL, true },	  { "referenced", false },
		      { "referenced", true }, { "young", false }, { "young", true } };

START_TEST(kdamond_ends_with_its_last_process)
{
	struct damon_desc *desc;
	struct monitor m;
	pid_t child = start_child();
	bool ended;

	desc = describe(child, 1);
	if (death_vectors[_i].rests)
		desc->schemes[0].wmarks.metric = DAMOS_WMARK_FREE_MEM_RATE;
	desc->schemes[0].wmarks.interval = 10000;
	if (death_vectors[_i].method)
		start_with(&m, desc, death_vectors[_i].method, 0);
	else
		start(&m, desc, 0);
	wait_for(&m, "s");
	usleep(100000);
	/* It runs, unless the method is not for this machine. */
	ck_assert(wait_for(&m, m.result && death_vectors[_i].method ? "se" : "s"));
	end_child(child);
	ended = wait_for(&m, "se");
	kdamond_stop(m.kdamond);
	finish(&m);
	ck_assert_msg(ended, "it still ran %d s later", PATIENCE_S);
}
END_TEST

/* Each round of schemes takes seconds: as many regions, and as many schemes that look at them all. */
START_TEST(off_does_not_wait_for_schemes)
{
	struct damon_desc *desc = describe(getpid(), 4000);
	const size_t nr = 50000;
	uint64_t before;
	struct monitor m;

	free(desc->targets[0].ranges);
	desc->targets[0].ranges = calloc(nr, sizeof(struct damon_addr_range));
	ck_assert_ptr_nonnull(desc->targets[0].ranges);
	for (size_t i = 0; i < nr; i++)
		desc->targets[0].ranges[i] =
			(struct damon_addr_range){ 8192 * (i + 1), 8192 * (i + 1) + 4096 };
	desc->targets[0].nr_ranges = nr;
	desc->attrs.max_nr_regions = 2 * nr;
	start(&m, desc, 0);
	ck_assert(wait_for(&m, "s"));
	usleep(400000);
	before = now_ms();
	stop(&m, "se");
	ck_assert_uint_le(now_ms() - before, 200);
}
END_TEST

/* ---- commands ---- */

START_TEST(commands_are_answered_in_turn)
{
	struct request stats, commit, goals, tried;
	struct monitor m;

	start(&m, describe(getpid(), 2), 0);
	ck_assert_int_eq(send_request(&m, &stats, DAMON_REPORT), 0);
	ck_assert(wait_for(&m, "sc"));
	ck_assert_uint_eq(stats.command.report.nr_schemes, 2);
	ck_assert_uint_eq(stats.command.report.effective_sz[1], 0);
	damon_command_clear(&stats.command);

	ck_assert_int_eq(send_desc(&m, &commit, DAMON_COMMIT, describe(getpid(), 1)), 0);
	ck_assert(wait_for(&m, "scc"));
	damon_command_clear(&commit.command);

	ck_assert_int_eq(send_desc(&m, &goals, DAMON_COMMIT_QUOTA_GOALS, damon_desc_new(0, 3)), 0);
	ck_assert(wait_for(&m, "sccc"));
	damon_command_clear(&goals.command);

	ck_assert_int_eq(send_request(&m, &tried, DAMON_COLLECT_TRIED), 0);
	ck_assert(wait_for(&m, "scccc"));
	ck_assert_uint_eq(tried.command.nr_tried, 1);
	ck_assert_uint_eq(tried.command.tried[0].start, 4096);
	ck_assert_uint_eq(tried.command.tried[0].nr_accesses, 20);
	damon_command_clear(&tried.command);
	/* The commit took the second scheme away. */
	ck_assert_int_eq(send_request(&m, &stats, DAMON_REPORT), 0);
	ck_assert(wait_for(&m, "sccccc"));
	ck_assert_uint_eq(stats.command.report.nr_schemes, 1);
	damon_command_clear(&stats.command);
	stop(&m, "sccccce");
}
END_TEST

START_TEST(failed_commit_ends_it_and_is_answered_last)
{
	struct request commit, stats;
	struct monitor m;

	start(&m, describe(getpid(), 1), 0);
	commit = (struct request){
		.monitor = &m,
		.command = { .kind = DAMON_COMMIT, .error = -EINVAL, .done = on_done }
	};
	ck_assert_int_eq(kdamond_call(m.kdamond, &commit.command), 0);
	ck_assert_msg(wait_for(&m, "sec"), "%s", m.order);
	ck_assert_int_eq(send_request(&m, &stats, DAMON_REPORT), -EINVAL);
	finish(&m);
	ck_assert(!stats.done);
}
END_TEST

START_TEST(what_waits_at_the_end_is_answered)
{
	struct damon_desc *desc = describe(getpid(), 1);
	struct request commits[2], tried;
	struct monitor m;

	/* No aggregation ends, so nothing of this is carried out. */
	desc->attrs.aggr_interval = 3600000000UL;
	start(&m, desc, 0);
	ck_assert(wait_for(&m, "s"));
	ck_assert_int_eq(send_request(&m, &tried, DAMON_COLLECT_TRIED), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(send_desc(&m, &commits[i], DAMON_COMMIT, describe(getpid(), 1)),
				 0);
	usleep(50000);
	stop(&m, "seccc");
	for (int i = 0; i < 2; i++)
		damon_command_clear(&commits[i].command);
	damon_command_clear(&tried.command);
}
END_TEST

START_TEST(two_collections_at_once_are_both_answered)
{
	struct request tried[2];
	struct monitor m;
	bool both;

	start(&m, describe(getpid(), 1), 0);
	ck_assert(wait_for(&m, "s"));
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(send_request(&m, &tried[i], DAMON_COLLECT_TRIED), 0);
	both = wait_for(&m, "scc");
	kdamond_stop(m.kdamond);
	finish(&m);
	for (int i = 0; i < 2; i++)
		damon_command_clear(&tried[i].command);
	ck_assert_msg(both, "first %d, second %d", tried[0].done, tried[1].done);
}
END_TEST

struct seen {
	struct request request;
	char name[16]; /* of the thread that called it */
};

static int see_thread(void *data)
{
	struct seen *seen = data;

	prctl(PR_GET_NAME, seen->name);
	return -ENOMSG;
}

static atomic_uint nr_shown;

static void count_shown(void *argument, const struct damon_found_region *regions, size_t nr)
{
	(void)argument;
	(void)regions;
	(void)nr;
	atomic_fetch_add(&nr_shown, 1);
}

static const struct {
	bool pauses, rests;
} run_vectors[] = { { false, false }, { true, false }, { false, true } };

START_TEST(run_is_called_in_its_thread_even_at_rest_and_its_result_ends_nothing)
{
	struct damon_desc *desc = describe(getpid(), 1);
	struct seen seen[2] = { 0 };
	char method[80];
	struct monitor m;

	desc->paused = run_vectors[_i].pauses;
	if (run_vectors[_i].rests)
		desc->schemes[0].wmarks =
			(struct damos_watermarks){ .metric = DAMOS_WMARK_FREE_MEM_RATE,
						   .interval = 3600000000UL };
	atomic_store(&nr_shown, 0);
	snprintf(method, sizeof(method), "simulated:%s", script);
	start_shown(&m, desc, method, 23, count_shown);
	ck_assert(wait_for(&m, "s"));
	usleep(300000);
	for (int i = 0; i < 2; i++) {
		seen[i].request = (struct request){ .monitor = &m,
						    .command = { .kind = DAMON_RUN,
								 .run = see_thread,
								 .data = &seen[i],
								 .done = on_done } };
		ck_assert_int_eq(kdamond_call(m.kdamond, &seen[i].request.command), 0);
		ck_assert(wait_for(&m, i ? "scc" : "sc"));
		ck_assert_str_eq(seen[i].name, "kdamond.23");
		ck_assert_int_eq(seen[i].request.command.error, -ENOMSG);
	}
	/* An aggregation ends only where one began. */
	ck_assert_int_eq(atomic_load(&nr_shown) == 0,
			 run_vectors[_i].pauses || run_vectors[_i].rests);
	stop(&m, "scce");
}
END_TEST

/* The first half of the script's megabyte is hot, the second cold. */
#define HALF_SCRIPT "map 0 1M\naccess 0 512K 100%\n"
#define HALF	    (512UL << 10)

static atomic_uint nr_wrong;

static void check_shown(void *argument, const struct damon_found_region *regions, size_t nr)
{
	uint64_t end = 0;
	bool right = nr > 0;

	(void)argument;
	for (size_t i = 0; i < nr; i++) {
		uint32_t accesses = regions[i].nr_accesses;

		right = right && regions[i].start == end && !regions[i].target &&
			regions[i].pid == getpid();
		right = right && (regions[i].end > HALF || accesses == 20);
		right = right && (regions[i].start < HALF || accesses == 0);
		end = regions[i].end;
	}
	atomic_fetch_add(&nr_wrong, !right || end != 2 * HALF);
	atomic_fetch_add(&nr_shown, 1);
}

START_TEST(each_aggregation_shows_all_regions_and_what_was_accessed_in_it)
{
	struct damon_desc *desc = describe(getpid(), 0);
	uint64_t until = now_ms() + 1000UL * PATIENCE_S;
	char path[64], method[80];
	struct monitor m;

	set_ranges(&desc->targets[0], (struct span[]){ { 0, 256 }, { 0 } });
	atomic_store(&nr_shown, 0);
	atomic_store(&nr_wrong, 0);
	write_temporary(path, HALF_SCRIPT);
	snprintf(method, sizeof(method), "simulated:%s", path);
	start_shown(&m, desc, method, 0, check_shown);
	ck_assert(wait_for(&m, "s"));
	unlink(path);
	while (atomic_load(&nr_shown) < 5 && now_ms() < until)
		usleep(20000);
	stop(&m, "se");
	ck_assert_uint_ge(atomic_load(&nr_shown), 5);
	ck_assert_uint_eq(atomic_load(&nr_wrong), 0);
}
END_TEST

/* ---- many, and time ---- */

#define MANY 64

START_TEST(many_kdamonds_run_at_once)
{
	static struct monitor monitors[MANY];
	static struct request requests[MANY];

	for (unsigned int i = 0; i < MANY; i++)
		start(&monitors[i], describe(getpid(), 1), i);
	for (unsigned int i = 0; i < MANY; i++)
		ck_assert_int_eq(send_request(&monitors[i], &requests[i], DAMON_COLLECT_TRIED), 0);
	for (unsigned int i = 0; i < MANY; i++) {
		ck_assert(wait_for(&monitors[i], "sc"));
		ck_assert_uint_eq(requests[i].command.nr_tried, 1);
		damon_command_clear(&requests[i].command);
	}
	for (unsigned int i = 0; i < MANY; i++)
		kdamond_stop(monitors[i].kdamond);
	for (unsigned int i = 0; i < MANY; i++)
		stop(&monitors[i], "sce");
}
END_TEST

static uint64_t applications(struct monitor *m, const char *order)
{
	struct request stats;
	uint64_t nr;

	ck_assert_int_eq(send_request(m, &stats, DAMON_REPORT), 0);
	ck_assert(wait_for(m, order));
	nr = stats.command.report.stats[0].nr_tried;
	ck_assert_uint_eq(stats.command.report.stats[0].sz_tried, nr * 4096);
	damon_command_clear(&stats.command);
	return nr;
}

/* How many aggregations of 100 ms there were in some MS, until the kdamond answers ORDER. */
static uint64_t count_aggregations(struct monitor *m, const char *before, const char *order,
				   uint64_t *ms)
{
	uint64_t start_ms = now_ms(), start_nr = applications(m, before), nr;

	usleep(2050000);
	nr = applications(m, order) - start_nr;
	*ms = now_ms() - start_ms;
	return nr;
}

/* What drifts, drifts whenever it is looked at; what a busy machine keeps waiting does not. */
START_TEST(aggregations_keep_time)
{
	static const char answers[] = "scccccccccc";
	char before[sizeof(answers) + 1] = "s", after[sizeof(answers) + 1] = "s";
	struct monitor m;
	bool kept = false;

	start(&m, describe(getpid(), 1), 0);
	ck_assert(wait_for(&m, "s"));
	for (size_t seen = 1; !kept && seen < sizeof(answers) - 1; seen += 2) {
		uint64_t ms, nr;

		memcpy(before, answers, seen + 1);
		memcpy(after, answers, seen + 2);
		nr = count_aggregations(&m, before, after, &ms);
		/* 20 of 100 ms each, and 5 %. */
		kept = nr * 100 <= ms + 100 && nr * 105 + 50 >= ms;
		if (!kept)
			printf("trying again: %" PRIu64 " aggregations in %" PRIu64 " ms\n", nr,
			       ms);
	}
	ck_assert_msg(kept, "never 20 in 2 s");
	strcat(after, "e");
	stop(&m, after);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kdamond");
	TCase *tcase = tcase_create("kdamond");

	tcase_set_timeout(tcase, 6 * PATIENCE_S);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, thread_has_the_number_in_its_name_and_ends_when_told);
	tcase_add_test(tcase, long_sleep_is_interrupted);
	ADD_VECTORS(tcase, method_that_does_not_work_is_invalid, bad_methods);
	tcase_add_test(tcase, kdamond_without_targets_ends_by_itself);
	ADD_VECTORS(tcase, kdamond_ends_with_its_last_process, death_vectors);
	tcase_add_test(tcase, off_does_not_wait_for_schemes);
	tcase_add_test(tcase, commands_are_answered_in_turn);
	tcase_add_test(tcase, failed_commit_ends_it_and_is_answered_last);
	tcase_add_test(tcase, what_waits_at_the_end_is_answered);
	tcase_add_test(tcase, two_collections_at_once_are_both_answered);
	ADD_VECTORS(tcase, run_is_called_in_its_thread_even_at_rest_and_its_result_ends_nothing,
		    run_vectors);
	tcase_add_test(tcase, each_aggregation_shows_all_regions_and_what_was_accessed_in_it);
	tcase_add_test(tcase, many_kdamonds_run_at_once);
	tcase_add_test(tcase, aggregations_keep_time);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
