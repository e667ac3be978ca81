// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * System calls in the name of others: that they are made, and that whoever has to make them does
 * not notice.
 */
#include <sys/ptrace.h>

#include "access/rights/agent.h"
#include "tests/unit/forbid.h"
#include "tests/unit/victim.h"

/*
 * Like ck_assert_msg(), but Check hears of it only if it fails: each assertion that holds is a
 * message in its file, and here are a hundred thousand.
 */
#define EXPECT(condition, ...)                     \
	do {                                       \
		if (!(condition))                  \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

/* A call that does nothing. */
static int inject_nothing(void)
{
	int64_t result = -1;
	int r = agent_madvise(victim.process->caller, victim.process->procfd, 0, 0, MADV_HUGEPAGE,
			      &result);

	EXPECT(r || !result, "it answered %ld", (long)result);
	return r;
}

/*
 * The same again: an agent that was too late holds the victim until it has ended, which may take a
 * moment.  *HELD is whether the one before was.
 */
static int inject_again(bool *held)
{
	int r = inject_nothing();

	for (int i = 0; *held && r == -EPERM && i < 1000; i++) {
		usleep(1000);
		r = inject_nothing();
	}
	*held = r == -EBUSY;
	return r;
}

/*
 * Often, and the work goes on.  A victim that does not come to run in time, on a busy machine, is
 * asked again; so is one that cannot be held, once or twice.
 */
static void inject_often(int times)
{
	int busy = 0, refused = 0;
	bool held = false;

	for (int i = 0; i < times;) {
		struct timespec nap = { .tv_nsec = (i * 7919) % 100000 };
		int r = inject_again(&held);

		EXPECT(!r || (r == -EBUSY && ++busy <= times) || (r == -EPERM && ++refused <= 2),
		       "call %d of %d: %s, %d busy ones", i, times, strerror(-r), busy);
		i += !r;
		nanosleep(&nap, NULL);
	}
}

START_TEST(nobody_notices)
{
	uint64_t before;
	char byte;

	start_victim(works[_i].work, 0);
	if (works[_i].work == read_pipe) {
		/* It stays in one read all the time. */
		inject_often(300);
		ck_assert_uint_eq(atomic_load(victim.rounds), 0);
		ck_assert_int_eq(write(victim.to[1], "x", 1), 1);
		ck_assert_int_eq(read(victim.from[0], &byte, 1), 1);
		end_victim();
		return;
	}
	inject_often(300);
	before = atomic_load(victim.rounds);
	for (int i = 0; i < 1000 && atomic_load(victim.rounds) < before + 2; i++)
		usleep(10000);
	ck_assert_uint_ge(atomic_load(victim.rounds), before + 2);
	end_victim();
}
END_TEST

START_TEST(one_thread_of_many_is_enough)
{
	start_victim(works[_i].work, 3);
	inject_often(100);
	end_victim();
}
END_TEST

/* Sends a signal to a victim all the while. */
static void *send_signals(void *argument)
{
	(void)argument;
	while (!*victim.stop) {
		kill(victim.pid, SIGUSR1);
		usleep(200);
	}
	return NULL;
}

START_TEST(signals_come_through)
{
	pthread_t sender;

	start_victim(spin, 0);
	/* Its handler has to be there first. */
	while (!atomic_load(victim.rounds))
		usleep(1000);
	ck_assert_int_eq(pthread_create(&sender, NULL, send_signals, NULL), 0);
	inject_often(300);
	*victim.stop = true;
	pthread_join(sender, NULL);
	end_victim();
}
END_TEST

static char state_of_victim(void)
{
	char path[64], text[512] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", victim.pid);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	fclose(file);
	return strrchr(text, ')')[2];
}

static bool is_stopped(void)
{
	return state_of_victim() == 'T';
}

START_TEST(a_stopped_process_stays_stopped)
{
	uint64_t rounds;

	start_victim(spin, 0);
	ck_assert_int_eq(kill(victim.pid, SIGSTOP), 0);
	while (!is_stopped())
		usleep(1000);
	rounds = atomic_load(victim.rounds);
	inject_often(100);
	for (int i = 0; i < 100 && !is_stopped(); i++)
		usleep(1000);
	ck_assert(is_stopped());
	ck_assert_uint_eq(atomic_load(victim.rounds), rounds);
	ck_assert_int_eq(kill(victim.pid, SIGCONT), 0);
	for (int i = 0; i < 1000 && atomic_load(victim.rounds) == rounds; i++)
		usleep(10000);
	ck_assert_uint_gt(atomic_load(victim.rounds), rounds);
	end_victim();
}
END_TEST

START_TEST(a_frozen_process_stays_frozen)
{
	uint64_t rounds;
	bool held = false;
	char *group;

	start_victim(works[_i].work, 1);
	group = enter_cgroup();
	if (!group) {
		end_victim();
		return;
	}
	for (int i = 0; i < (getenv("LONG") ? 150 : 10); i++) {
		freeze(group, 1);
		rounds = atomic_load(victim.rounds);
		/* Whether it can be made to depends on where it was caught; it is unharmed. */
		for (int j = 0; j < 3; j++) {
			int r = inject_again(&held);

			EXPECT(!r || r == -EBUSY, "%s", strerror(-r));
		}
		usleep(10000);
		ck_assert_uint_eq(atomic_load(victim.rounds), rounds);
		freeze(group, 0);
		if (works[_i].work != read_pipe)
			for (int j = 0; j < 1000 && atomic_load(victim.rounds) < rounds + 3; j++)
				usleep(1000);
	}
	end_victim();
	leave_cgroup(group);
}
END_TEST

START_TEST(whoever_is_traced_is_left_alone)
{
	start_victim(spin, 0);
	ck_assert_int_eq(ptrace(PTRACE_SEIZE, victim.pid, 0, 0), 0);
	ck_assert_int_eq(inject_nothing(), -EPERM);
	ck_assert_int_eq(kill(victim.pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(victim.pid, NULL, 0), victim.pid);
	ck_assert_int_eq(inject_nothing(), -ESRCH);
}
END_TEST

/* The thread sanitizer has a thread of its own, which a process that may only exit(2) leaves
 * behind. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_A_THREAD_MORE 1
#endif
#endif

START_TEST(a_filter_of_system_calls_does_not_see_it)
{
#ifdef HAS_A_THREAD_MORE
	printf("SKIPPED: a filter of system calls: MISSING a process with one thread\n");
	return;
#endif

	victim.pid = fork();
	if (!victim.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* From now on anything but read, write and exit is its end. */
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
		char byte;

		syscall(SYS_write, victim.from[1], "y", 1);
		syscall(SYS_read, victim.to[0], &byte, 1);
		syscall(SYS_exit, 0);
	}
	ck_assert_int_eq(process_open(victim.pid, NULL, &victim.process), 0);
	char byte;

	ck_assert_int_eq(read(victim.from[0], &byte, 1), 1);
	for (int i = 0; i < 50; i++) {
		/* -EPERM where filters cannot be suspended. */
		int r = inject_nothing();

		EXPECT(!r || r == -EPERM, "%s", strerror(-r));
	}
	end_victim();
}
END_TEST

START_TEST(a_process_may_end_meanwhile)
{
	for (int i = 0; i < 200; i++) {
		int r;

		start_victim(spin, i % 3);
		usleep((unsigned int)(i * 37 % 500));
		kill(victim.pid, SIGKILL);
		r = inject_nothing();
		EXPECT(!r || r == -ESRCH || r == -EBUSY || r == -EPERM, "%s", strerror(-r));
		ck_assert_int_eq(waitpid(victim.pid, NULL, 0), victim.pid);
		ck_assert_int_eq(inject_nothing(), -ESRCH);
		victim.process = process_put(victim.process);
	}
}
END_TEST

/* ---- a filter of system calls ---- */

/* From now on openat fails, whoever makes it. */
static void forbid_openat(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || !forbid(SYS_openat, EACCES, 0))
		_exit(1);
}

static void try_to_open(void)
{
	static _Thread_local bool filtered;

	/* Each thread its own: they must not be in each other's way. */
	if (!filtered)
		forbid_openat();
	filtered = true;
	for (int i = 0; i < 100; i++)
		require(open("/dev/null", O_RDONLY) == -1 && errno == EACCES);
}

/* Stops, continues and traces a victim until it is told to be CALM: it must not reap one that ends.
 */
static atomic_bool calm;

static void *disturb(void *argument)
{
	int status;

	(void)argument;
	while (!atomic_load(&calm)) {
		kill(victim.pid, SIGSTOP);
		usleep(100);
		kill(victim.pid, SIGCONT);
		usleep(2000);
		if (ptrace(PTRACE_SEIZE, victim.pid, 0, 0))
			continue;
		ptrace(PTRACE_INTERRUPT, victim.pid, 0, 0);
		while (waitpid(victim.pid, &status, __WALL) == victim.pid && WIFSTOPPED(status) &&
		       status >> 16 != PTRACE_EVENT_STOP)
			ptrace(PTRACE_CONT, victim.pid, 0, WSTOPSIG(status));
		ptrace(PTRACE_DETACH, victim.pid, 0, 0);
		usleep(2000);
	}
	kill(victim.pid, SIGCONT);
	return NULL;
}

/* The sanitizers' processes are slow to start and to end. */
#if defined(__SANITIZE_ADDRESS__) || defined(HAS_A_THREAD_MORE)
#define TRIES 10000
#else
#define TRIES 100000
#endif

/*
 * Issue 11, finding 1: with a filter that was suspended for as long as the thread was seized, it
 * opened a file a thousand times in five seconds.
 */
START_TEST(a_filter_stays_closed)
{
	int worked = 0, done = 0;

	if (geteuid()) {
		printf("SKIPPED: a filter that stays closed: MISSING root, to suspend it\n");
		return;
	}
	while (done < TRIES) {
		pthread_t disturber;
		bool killed = done / (TRIES / 10) % 2;

		*victim.stop = false;
		atomic_store(&calm, false);
		start_victim(try_to_open, done / (TRIES / 10) % 3);
		ck_assert_int_eq(pthread_create(&disturber, NULL, disturb, NULL), 0);
		for (int i = 0; i < TRIES / 10; i++) {
			int r = inject_nothing();

			EXPECT(!r || r == -EBUSY || r == -EPERM, "%s", strerror(-r));
			worked += !r;
			done++;
		}
		if (killed)
			kill(victim.pid, SIGKILL);
		atomic_store(&calm, true);
		pthread_join(disturber, NULL);
		/* The disturber may have waited for its end. */
		if (killed)
			waitpid(victim.pid, NULL, 0);
		else
			end_victim();
		ck_assert_uint_eq(atomic_load(victim.faults), 0);
		victim.process = process_put(victim.process);
	}
	ck_assert_uint_gt(atomic_load(victim.rounds), 100);
	ck_assert_int_ge(worked, TRIES / 4);
}
END_TEST

/* ---- the death of a daemon ---- */

/* A daemon with agents of its own that does nothing but inject. */
static pid_t start_daemon(void)
{
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		agents_stop();
		if (agents_start())
			_exit(1);
		/* Without Check, which hears from it by a file: it may be killed in the middle. */
		for (int64_t result;;)
			agent_madvise(victim.process->caller, victim.process->procfd, 0, 0,
				      MADV_HUGEPAGE, &result);
	}
	return child;
}

/* Whether the victim still runs; what was under way may come to its end before. */
static bool goes_on(void)
{
	uint64_t rounds = atomic_load(victim.rounds);

	for (int i = 0; i < 2000; i++) {
		/* A thread that stays where it is makes no round. */
		if (atomic_load(victim.rounds) > rounds + 20 && strchr("RS", state_of_victim()))
			return true;
		usleep(1000);
	}
	return false;
}

/*
 * Issue 11, finding 11: 14 of 36 died when the daemon was killed, 4 of 10 stayed stopped when it
 * was stopped.
 */
static const int ends_of_daemons[] = { SIGKILL, SIGSTOP };

START_TEST(a_daemon_may_end_in_the_middle)
{
	start_victim(spin, 1);
	for (int i = 0; i < 200; i++) {
		pid_t child = start_daemon();

		usleep(2000U + (unsigned int)(mix((uint64_t)i + 1) % 3000));
		kill(child, ends_of_daemons[_i]);
		ck_assert_msg(goes_on(), "it stays stopped in round %d", i);
		kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
	}
	end_victim();
}
END_TEST

/* ---- programs ---- */

#define EXECUTIONS 200

/* The main program, for one that executes itself again and again. */
static int execute_again(const char *program, int left)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", left - 1);
	if (left)
		execl(program, program, "again", number, (char *)NULL);
	return left;
}

/* Issue 11, finding 19: one died within some ten times. */
START_TEST(a_process_executes_programs)
{
	int status = 0, worked = 0;

	victim.pid = fork();
	ck_assert_int_ge(victim.pid, 0);
	if (!victim.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(execute_again("/proc/self/exe", EXECUTIONS));
	}
	ck_assert_int_eq(process_open(victim.pid, NULL, &victim.process), 0);
	while (!waitpid(victim.pid, &status, WNOHANG)) {
		int r = inject_nothing();

		EXPECT(!r || r == -EBUSY || r == -EPERM || r == -ESRCH, "%s", strerror(-r));
		worked += !r;
	}
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "it ended with %#x", status);
	ck_assert_int_gt(worked, EXECUTIONS / 2);
}
END_TEST

/* ---- what is injected ---- */

START_TEST(nothing_else_is_injected)
{
	int64_t result;

	start_victim(spin, 0);
	ck_assert_int_eq(agent_madvise(victim.process->caller, victim.process->procfd, 0, 0,
				       MADV_DONTNEED, &result),
			 -EPERM);
	inject_often(10);
	end_victim();
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *tcase;

	if (argc == 3 && !strcmp(argv[1], "again"))
		_exit(execute_again("/proc/self/exe", atoi(argv[2])));
	suite = suite_create("inject");
	tcase = tcase_create("inject");
	if (caller_prepare() || agents_start())
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 600);
	ADD_VECTORS(tcase, nobody_notices, works);
	ADD_VECTORS(tcase, one_thread_of_many_is_enough, works);
	tcase_add_test(tcase, signals_come_through);
	tcase_add_test(tcase, a_stopped_process_stays_stopped);
	ADD_VECTORS(tcase, a_frozen_process_stays_frozen, works);
	tcase_add_test(tcase, whoever_is_traced_is_left_alone);
	tcase_add_test(tcase, a_filter_of_system_calls_does_not_see_it);
	tcase_add_test(tcase, a_filter_stays_closed);
	ADD_VECTORS(tcase, a_daemon_may_end_in_the_middle, ends_of_daemons);
	tcase_add_test(tcase, a_process_executes_programs);
	tcase_add_test(tcase, nothing_else_is_injected);
	tcase_add_test(tcase, a_process_may_end_meanwhile);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
