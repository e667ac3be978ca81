// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libdamon as the program that uses it sees it: contexts that come and go, in whose thread calls
 * are made, and that nothing of the program's own - signals, children, descriptors - is disturbed.
 * To be run with sanitizers too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "engine/libdamon.h"
#include "tests/unit/failing.h"
#include "tests/unit/unit.h"
#include "util/sanitizer.h"

/* The first half of a megabyte is hot, the second cold. */
#define SCRIPT	 "map 0 1M\naccess 0 512K 100%\n"
#define MEGABYTE (1UL << 20)
#define HALF	 (MEGABYTE / 2)

#define PATIENCE_S 40

static char script[64], method[80];

static void setup(void)
{
	write_temporary(script, SCRIPT);
	snprintf(method, sizeof(method), "simulated:%s", script);
}

static void teardown(void)
{
	unlink(script);
}

/* Of a script's process. */
static struct damon_ctx *new_ctx(struct damon_target **target)
{
	struct damon_ctx *ctx;

	ck_assert_int_eq(damon_ctx_new(&ctx), 0);
	ck_assert_int_eq(damon_select_ops(ctx, DAMON_OPS_FVADDR), 0);
	ck_assert_int_eq(damon_select_method(ctx, method), 0);
	ck_assert_int_eq(damon_set_attr(ctx, DAMON_SAMPLE_US, 1000), 0);
	ck_assert_int_eq(damon_set_attr(ctx, DAMON_AGGR_US, 20000), 0);
	ck_assert_int_eq(damon_new_target_pid(ctx, getpid(), target), 0);
	ck_assert_int_eq(damon_target_add_region(*target, 0, MEGABYTE), 0);
	return ctx;
}

static bool wait_until(bool (*is)(void *argument), void *argument)
{
	for (int i = 0; i < 100 * PATIENCE_S; i++) {
		if (is(argument))
			return true;
		usleep(10000);
	}
	return false;
}

static bool has_ended(void *ctx)
{
	return !damon_is_running(ctx);
}

/* ---- snapshots ---- */

struct seen {
	atomic_uint calls, wrong;
	atomic_int tid; /* of the last caller */
};

static void see(const struct damon_snapshot *snapshot, void *data)
{
	unsigned int target, accesses, age;
	uint64_t start, end, last = 0;
	struct seen *seen = data;
	bool right = true;

	for (size_t i = 0; i < damon_snapshot_nr(snapshot); i++) {
		right = right &&
			!damon_snapshot_region(snapshot, i, &target, &start, &end, &accesses, &age);
		right = right && start == last && !target && (end > HALF || accesses == 20) &&
			(start < HALF || accesses == 0);
		last = end;
	}
	right = right && last == MEGABYTE &&
		damon_snapshot_region(snapshot, damon_snapshot_nr(snapshot), NULL, NULL, NULL, NULL,
				      NULL) == -EINVAL;
	atomic_fetch_add(&seen->wrong, !right);
	atomic_store(&seen->tid, gettid());
	atomic_fetch_add(&seen->calls, 1);
}

static bool is_called_often(void *seen)
{
	return atomic_load(&((struct seen *)seen)->calls) >= 5;
}

START_TEST(the_kdamond_calls_with_all_regions)
{
	struct seen seen = { 0 };
	struct damon_target *target;
	struct damon_ctx *ctx = new_ctx(&target);
	char name[32];

	ck_assert_int_eq(damon_on_aggregation(ctx, see, &seen), 0);
	ck_assert_int_eq(damon_target_method(target, name, sizeof(name)), -ECANCELED);
	ck_assert_int_eq(damon_start(ctx), 0);
	ck_assert_int_eq(damon_on_aggregation(ctx, NULL, NULL), -EBUSY);
	ck_assert_int_eq(damon_fd(ctx), -EBUSY);
	ck_assert(wait_until(is_called_often, &seen));
	ck_assert_int_eq(damon_target_method(target, name, sizeof(name)), 0);
	ck_assert_str_eq(name, "simulated");
	ck_assert_int_eq(damon_target_method(target, name, 9), -ERANGE);
	ck_assert_int_eq(damon_target_why(target, name, sizeof(name)), 0);
	ck_assert_str_eq(name, "");
	damon_ctx_destroy(ctx);
	ck_assert_uint_eq(atomic_load(&seen.wrong), 0);
	ck_assert_int_ne(atomic_load(&seen.tid), gettid());
}
END_TEST

START_TEST(an_event_loop_calls_itself)
{
	struct seen seen = { 0 };
	struct damon_target *target;
	struct damon_ctx *ctx = new_ctx(&target);
	struct pollfd file = { .events = POLLIN };
	int calls = 0;

	ck_assert_int_eq(damon_dispatch(ctx), -EINVAL);
	ck_assert_int_eq(damon_on_aggregation(ctx, see, &seen), 0);
	file.fd = damon_fd(ctx);
	ck_assert_int_ge(file.fd, 0);
	ck_assert_int_eq(damon_start(ctx), 0);
	ck_assert_int_eq(damon_fd(ctx), file.fd);
	while (calls < 5) {
		int r;

		ck_assert_int_eq(poll(&file, 1, PATIENCE_S * 1000), 1);
		r = damon_dispatch(ctx);
		ck_assert_int_ge(r, 0);
		calls += r;
		ck_assert_uint_eq(atomic_load(&seen.calls), (unsigned int)calls);
	}
	ck_assert_int_eq(atomic_load(&seen.tid), gettid());
	ck_assert_uint_eq(atomic_load(&seen.wrong), 0);
	ck_assert_int_eq(damon_stop(ctx), 0);
	damon_dispatch(ctx);
	ck_assert_int_eq(poll(&file, 1, 0), 0);
	damon_ctx_destroy(ctx);
}
END_TEST

START_TEST(the_descriptor_says_that_it_has_ended)
{
	struct damon_target *target;
	struct damon_ctx *ctx;
	pid_t child = start_child();
	struct pollfd file = { .events = POLLIN };

	ck_assert_int_eq(damon_ctx_new(&ctx), 0);
	ck_assert_int_eq(damon_select_method(ctx, method), 0);
	ck_assert_int_eq(damon_select_ops(ctx, DAMON_OPS_FVADDR), 0);
	ck_assert_int_eq(damon_new_target_pid(ctx, child, &target), 0);
	ck_assert_int_eq(damon_target_add_region(target, 0, MEGABYTE), 0);
	file.fd = damon_fd(ctx);
	ck_assert_int_eq(damon_start(ctx), 0);
	ck_assert_int_eq(damon_start(ctx), -EBUSY);
	end_child(child);
	ck_assert_int_eq(poll(&file, 1, PATIENCE_S * 1000), 1);
	ck_assert(wait_until(has_ended, ctx));
	/* It may be started again, but its process is gone. */
	ck_assert_int_eq(damon_start(ctx), 0);
	ck_assert(wait_until(has_ended, ctx));
	ck_assert_int_eq(damon_stop(ctx), 0);
	damon_ctx_destroy(ctx);
}
END_TEST

/* ---- calls and commits ---- */

static int call_all(void *data)
{
	struct damon_ctx *ctx = data;
	bool right = damon_is_running(ctx) == 1 && damon_stop(ctx) == -EDEADLK &&
		     damon_start(ctx) == -EDEADLK && damon_commit(ctx) == -EDEADLK &&
		     damon_call(ctx, call_all, data) == -EDEADLK;

	return right ? gettid() : -1;
}

START_TEST(a_call_is_made_in_the_kdamonds_thread)
{
	struct damon_target *target;
	struct damon_ctx *ctx = new_ctx(&target);
	int r;

	ck_assert_int_eq(damon_call(ctx, call_all, ctx), -ECANCELED);
	ck_assert_int_eq(damon_start(ctx), 0);
	r = damon_call(ctx, call_all, ctx);
	ck_assert_int_gt(r, 0);
	ck_assert_int_ne(r, gettid());
	ck_assert_int_eq(damon_call(ctx, call_all, ctx), r);
	ck_assert_int_eq(damon_stop(ctx), 0);
	ck_assert_int_eq(damon_call(ctx, call_all, ctx), -ECANCELED);
	damon_ctx_destroy(ctx);
}
END_TEST

static int sum_up(const struct damos_tried_region *region, void *data)
{
	uint64_t start, end, *sum = data;
	unsigned int accesses;

	ck_assert_int_eq(damos_tried_fields(region, &start, &end, &accesses, NULL, NULL), 0);
	ck_assert_uint_ge(accesses, 15);
	*sum += end - start;
	return 0;
}

static int stop_at_first(const struct damos_tried_region *region, void *data)
{
	(void)region;
	++*(int *)data;
	return 77;
}

START_TEST(a_commit_takes_over_what_was_set_or_nothing)
{
	struct damon_target *target;
	struct damon_ctx *ctx = new_ctx(&target);
	uint64_t value = 1, sum = 0;
	struct damos *hot;
	int visited = 0;

	ck_assert_int_eq(damon_commit(ctx), -ECANCELED);
	ck_assert_int_eq(damon_start(ctx), 0);
	ck_assert_int_eq(damos_new(ctx, DAMOS_STAT, &hot), 0);
	ck_assert_int_eq(damos_set(hot, DAMOS_MIN_NR_ACCESSES, 15), 0);
	ck_assert_int_eq(damon_set_attr(ctx, DAMON_MIN_NR_REGIONS, 1001), 0);
	ck_assert_int_eq(damon_commit(ctx), -EINVAL);
	usleep(100000);
	ck_assert_int_eq(damos_stat(hot, DAMOS_NR_TRIED, &value), 0);
	ck_assert_uint_eq(value, 0);
	ck_assert_int_eq(damon_set_attr(ctx, DAMON_MIN_NR_REGIONS, 10), 0);
	ck_assert_int_eq(damon_commit(ctx), 0);
	/* Not in the aggregation that has just begun; then as exact as regions of a tenth are. */
	for (int i = 0; i < 100 && sum < HALF / 2; i++) {
		sum = 0;
		ck_assert_int_eq(damos_walk(hot, sum_up, &sum), 0);
	}
	ck_assert_uint_ge(sum, HALF / 2);
	ck_assert_uint_le(sum, HALF + HALF / 2);
	ck_assert_int_eq(damos_walk(hot, stop_at_first, &visited), 77);
	ck_assert_int_eq(visited, 1);
	ck_assert_int_eq(damos_stat(hot, DAMOS_SZ_TRIED_BYTES, &value), 0);
	ck_assert_uint_ge(value, sum);
	damon_ctx_destroy(ctx);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(words_and_numbers_that_do_not_fit_are_refused)
{
	struct damon_target *target, *other;
	struct damon_ctx *ctx = new_ctx(&target);
	struct damos *scheme;
	uint64_t value;

	ck_assert_int_eq(damon_set_attr(ctx, DAMON_PAUSED + 1, 0), -EINVAL);
	ck_assert_int_eq(damon_set_attr(ctx, DAMON_PAUSED, 2), -ERANGE);
	ck_assert_int_eq(damon_select_ops(ctx, DAMON_OPS_PADDR + 1), -EINVAL);
	ck_assert_int_eq(damon_select_method(ctx, "kernel"), -EINVAL);
	ck_assert_int_eq(damon_new_target_pid(ctx, -1, &other), -ESRCH);
	ck_assert_int_eq(damon_new_target_pid(ctx, 0, &other), -ESRCH);
	ck_assert_int_eq(damon_target_add_region(target, 4096, 4096), -EINVAL);
	ck_assert_int_eq(damon_target_add_region(target, MEGABYTE - 4096, 2 * MEGABYTE), -EINVAL);
	ck_assert_int_eq(damos_new(ctx, DAMOS_COLLAPSE + 1, &scheme), -EINVAL);
	ck_assert_int_eq(damos_new(ctx, DAMOS_PAGEOUT, &scheme), 0);
	ck_assert_int_eq(damos_set(scheme, DAMOS_MAX_NR_SNAPSHOTS + 1, 0), -EINVAL);
	ck_assert_int_eq(damos_set(scheme, DAMOS_MIN_AGE_AGGRS, 1UL << 32), -ERANGE);
	ck_assert_int_eq(damos_set(scheme, DAMOS_WMARK_METRIC, 2), -ERANGE);
	ck_assert_int_eq(damos_stat(scheme, DAMOS_NR_SNAPSHOTS + 1, &value), -EINVAL);
	ck_assert_int_eq(damos_set_user_input(scheme, 1), -ENOENT);
	ck_assert_int_eq(damos_add_goal(scheme, DAMOS_QUOTA_NODE_MEM_USED_BP, 1), -EINVAL);
	ck_assert_int_eq(damos_add_goal(scheme, DAMOS_QUOTA_USER_INPUT, 0), -EINVAL);
	ck_assert_int_eq(damos_add_goal(scheme, DAMOS_QUOTA_USER_INPUT, 1), 0);
	ck_assert_int_eq(damos_set_user_input(scheme, 1), 0);
	ck_assert_int_eq(damos_add_goal_memcg(scheme, DAMOS_QUOTA_NODE_MEMCG_USED_BP, 0,
					      "/no/such/cgroup", 1),
			 -EINVAL);
	ck_assert_int_eq(damos_add_filter(scheme, DAMOS_FILTER_TYPE_ADDR, 0), -EINVAL);
	ck_assert_int_eq(damos_add_filter(scheme, DAMOS_FILTER_TYPE_ANON, 4), -EINVAL);
	ck_assert_int_eq(damos_add_filter(scheme, DAMOS_FILTER_TYPE_ANON, DAMOS_FILTER_ALLOW), 0);
	ck_assert_int_eq(damos_add_filter_addr(scheme, 5, 5, 0), -EINVAL);
	ck_assert_int_eq(damos_add_filter_hugepage(scheme, 2, 1, 0), -EINVAL);
	ck_assert_int_eq(damos_add_filter_target(scheme, target, 0), 0);
	/* Physical memory has no process. */
	ck_assert_int_eq(damon_select_ops(ctx, DAMON_OPS_PADDR), 0);
	ck_assert_int_eq(damon_start(ctx), -EINVAL);
	damon_ctx_destroy(ctx);
	ck_assert_int_eq(damon_ctx_new(&ctx), 0);
	/* There is nothing to watch. */
	ck_assert_int_eq(damon_start(ctx), -EINVAL);
	damon_ctx_destroy(ctx);
	damon_ctx_destroy(NULL);
}
END_TEST

START_TEST(a_pidfd_is_its_process)
{
	struct damon_target *target;
	pid_t child = start_child();
	struct damon_ctx *ctx;
	int fd = (int)syscall(SYS_pidfd_open, child, 0);

	if (fd < 0 && errno == ENOSYS) {
		printf("SKIPPED: MISSING pidfd_open (an emulator?)\n");
		end_child(child);
		return;
	}
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(damon_ctx_new(&ctx), 0);
	ck_assert_int_eq(damon_new_target_pidfd(ctx, fd, &target), 0);
	ck_assert_int_eq(damon_new_target_pidfd(ctx, 0, &target), -EBADF);
	ck_assert_int_eq(damon_new_target_pidfd(ctx, -1, &target), -EBADF);
	end_child(child);
	ck_assert_int_eq(damon_new_target_pidfd(ctx, fd, &target), -ESRCH);
	close(fd);
	damon_ctx_destroy(ctx);
}
END_TEST

static void keep_line(enum damon_log_level level, const char *line, void *data)
{
	if (level == DAMON_LOG_ERROR)
		snprintf(data, 256, "%s", line);
}

START_TEST(the_log_is_told_to_whom_it_was_asked)
{
	struct damon_target *target;
	struct damon_ctx *ctx = new_ctx(&target);
	char line[256] = "";

	ck_assert_int_eq(damon_set_log(DAMON_LOG_DEBUG + 1, keep_line, line), -EINVAL);
	ck_assert_int_eq(damon_set_log(DAMON_LOG_INFO, keep_line, line), 0);
	ck_assert_int_eq(damon_select_method(ctx, "simulated:/no/such/file"), 0);
	ck_assert_int_eq(damon_start(ctx), -EINVAL);
	ck_assert_ptr_nonnull(strstr(line, "no access method works"));
	*line = '\0';
	ck_assert_int_eq(damon_set_log(DAMON_LOG_INFO, NULL, NULL), 0);
	ck_assert_int_eq(damon_start(ctx), -EINVAL);
	ck_assert_str_eq(line, "");
	damon_ctx_destroy(ctx);
}
END_TEST

static int ignore(const struct damos_tried_region *region, void *data)
{
	(void)region;
	(void)data;
	return 0;
}

/* Describes a context.  Return: 0 or the first error. */
static int describe_all(struct damon_ctx *ctx, struct damos **scheme)
{
	struct damon_target *target;
	int r = damon_select_ops(ctx, DAMON_OPS_FVADDR);

	if (!r)
		r = damon_select_method(ctx, method);
	if (!r)
		r = damon_new_target_pid(ctx, getpid(), &target);
	if (!r)
		r = damon_target_add_region(target, 0, MEGABYTE);
	if (!r)
		r = damos_new(ctx, DAMOS_STAT, scheme);
	if (!r)
		r = damos_set(*scheme, DAMOS_APPLY_US, 10000);
	if (!r)
		r = damos_add_goal(*scheme, DAMOS_QUOTA_USER_INPUT, 1);
	if (!r)
		r = damos_add_filter(*scheme, DAMOS_FILTER_TYPE_ANON, 0);
	return r;
}

static int use_all(void)
{
	struct seen seen = { 0 };
	struct damon_ctx *ctx = NULL;
	struct damos *scheme;
	int r = damon_ctx_new(&ctx);

	if (!r)
		r = describe_all(ctx, &scheme);
	if (!r)
		r = damon_on_aggregation(ctx, see, &seen);
	if (!r)
		r = damon_start(ctx);
	if (!r)
		r = damon_commit(ctx);
	if (!r)
		r = damos_walk(scheme, ignore, NULL);
	damon_ctx_destroy(ctx);
	return r;
}

/* Each allocation in turn, by itself, and with all after it. */
START_TEST(without_memory_it_says_so_and_leaves_nothing)
{
	unsigned int refused = 0;
	bool any = true;

	for (long n = 1; any; n++) {
		int r;

		fail_at(n, _i);
		r = use_all();
		any = no_more_failures();
		/* A kdamond that runs does without a status, or a snapshot. */
		ck_assert_msg(r == -ENOMEM || !r, "allocation %ld: %d", n, r);
		refused += r == -ENOMEM;
	}
	ck_assert_uint_ge(refused, 20);
	ck_assert_int_eq(use_all(), 0);
}
END_TEST

/* ---- the program's own ---- */

static size_t count_entries(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	size_t nr = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		nr++;
	return nr;
}

/* A thread that was joined may be listed for a moment. */
static bool is_alone(void *nr)
{
	return count_entries("/proc/self/task") == *(size_t *)nr;
}

static void start_and_stop(size_t times)
{
	for (size_t i = 0; i < times; i++) {
		struct damon_target *target;
		struct damon_ctx *a = new_ctx(&target), *b = new_ctx(&target);
		struct seen seen = { 0 };

		ck_assert_int_eq(damon_on_aggregation(a, see, &seen), 0);
		ck_assert_int_ge(damon_fd(b), 0);
		ck_assert_int_eq(damon_start(a), 0);
		ck_assert_int_eq(damon_start(b), 0);
		ck_assert_int_eq(damon_stop(a), 0);
		ck_assert_int_eq(damon_start(a), 0);
		damon_ctx_destroy(a);
		damon_ctx_destroy(b);
	}
}

/* Sanitizers make it slow, and have a list of what is left themselves. */
#if HAS_ADDRESS_SANITIZER || HAS_THREAD_SANITIZER
#define TIMES 100
#else
#define TIMES 1000
#endif

START_TEST(nothing_is_left_of_a_thousand_kdamonds)
{
	size_t threads, files;

	start_and_stop(10);
	threads = count_entries("/proc/self/task");
	files = count_entries("/proc/self/fd");
#if TIMES == 1000
	{
		size_t bytes = mallinfo2().uordblks, more;

		start_and_stop(TIMES);
		more = mallinfo2().uordblks;
		/* Less than the smallest piece for each. */
		ck_assert_uint_le(more, bytes + (size_t)TIMES * 16);
	}
#else
	start_and_stop(TIMES);
#endif
	ck_assert(wait_until(is_alone, &threads));
	ck_assert_uint_eq(count_entries("/proc/self/fd"), files);
}
END_TEST

static atomic_int nr_alarms, elsewhere, main_tid;

static void on_alarm(int number)
{
	(void)number;
	atomic_fetch_add(&nr_alarms, 1);
	if (gettid() != atomic_load(&main_tid))
		atomic_fetch_add(&elsewhere, 1);
}

static bool is_alarmed(void *argument)
{
	(void)argument;
	return atomic_load(&nr_alarms) >= 100;
}

START_TEST(signals_are_the_programs)
{
	const struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, never = { 0 };
	const struct sigaction action = { .sa_handler = on_alarm };
	struct damon_target *target;
	struct damon_ctx *ctx = new_ctx(&target);
	sigset_t alarm;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	atomic_store(&main_tid, gettid());
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(damon_start(ctx), 0);
		ck_assert_int_gt(damon_call(ctx, call_all, ctx), 0);
		ck_assert_int_eq(damon_commit(ctx), 0);
		ck_assert_int_eq(damon_stop(ctx), 0);
	}
	ck_assert_int_eq(damon_start(ctx), 0);
	/* Nor are they the kdamond's while this thread does not take them. */
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	usleep(200000);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	ck_assert(wait_until(is_alarmed, NULL));
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	damon_ctx_destroy(ctx);
	ck_assert_int_eq(atomic_load(&elsewhere), 0);
}
END_TEST

/* Executes a program that succeeds, if all is right. */
static void child_of_fork(struct damon_ctx *ctx, struct damon_target *target)
{
	struct damon_ctx *another;
	char name[32];
	bool right = damon_stop(ctx) == -ECHILD && damon_is_running(ctx) == -ECHILD &&
		     damon_call(ctx, call_all, ctx) == -ECHILD && damon_commit(ctx) == -ECHILD &&
		     damon_target_method(target, name, sizeof(name)) == -ECHILD &&
		     damon_set_log(DAMON_LOG_INFO, NULL, NULL) == -ECHILD &&
		     damon_ctx_new(&another) == -ECHILD;

	damon_ctx_destroy(ctx);
	if (right)
		execlp("true", "true", NULL);
	_exit(1);
}

START_TEST(a_forked_child_has_no_kdamonds_and_harms_none)
{
	struct damon_target *target;
	struct damon_ctx *ctx = new_ctx(&target);
	struct seen seen = { 0 };

	ck_assert_int_eq(damon_on_aggregation(ctx, see, &seen), 0);
	ck_assert_int_eq(damon_start(ctx), 0);
	for (int i = 0; i < 20; i++) {
		int status;
		pid_t child = fork();

		if (!child)
			child_of_fork(ctx, target);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	}
	atomic_store(&seen.calls, 0);
	ck_assert(wait_until(is_called_often, &seen));
	ck_assert_uint_eq(atomic_load(&seen.wrong), 0);
	damon_ctx_destroy(ctx);
}
END_TEST

START_TEST(descriptors_are_closed_when_a_program_is_executed)
{
	struct damon_target *target;
	struct damon_ctx *ctx = new_ctx(&target);
	_cleanup_closedir_ DIR *dir = NULL;
	bool there[1024] = { false };
	struct dirent *entry;

	for (int fd = 0; fd < 1024; fd++)
		there[fd] = fcntl(fd, F_GETFD) >= 0;
	damon_ctx_destroy(ctx);
	ctx = new_ctx(&target);
	ck_assert_int_ge(damon_fd(ctx), 0);
	ck_assert_int_eq(damon_start(ctx), 0);
	dir = opendir("/proc/self/fd");
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		ck_assert_msg(fd >= 1024 || there[fd] || fcntl(fd, F_GETFD) == FD_CLOEXEC,
			      "descriptor %d stays open", fd);
	}
	damon_ctx_destroy(ctx);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libdamon");
	TCase *tcase = tcase_create("libdamon");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_kdamond_calls_with_all_regions);
	tcase_add_test(tcase, an_event_loop_calls_itself);
	tcase_add_test(tcase, the_descriptor_says_that_it_has_ended);
	tcase_add_test(tcase, a_call_is_made_in_the_kdamonds_thread);
	tcase_add_test(tcase, a_commit_takes_over_what_was_set_or_nothing);
	tcase_add_test(tcase, words_and_numbers_that_do_not_fit_are_refused);
	tcase_add_test(tcase, a_pidfd_is_its_process);
	tcase_add_test(tcase, the_log_is_told_to_whom_it_was_asked);
	tcase_add_loop_test(tcase, without_memory_it_says_so_and_leaves_nothing, 0, 2);
	tcase_add_test(tcase, nothing_is_left_of_a_thousand_kdamonds);
	tcase_add_test(tcase, signals_are_the_programs);
	tcase_add_test(tcase, a_forked_child_has_no_kdamonds_and_harms_none);
	tcase_add_test(tcase, descriptors_are_closed_when_a_program_is_executed);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
