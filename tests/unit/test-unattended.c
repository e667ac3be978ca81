// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rounds without the worker: they see what those of the worker see, of a real process, and end when
 * it does.  They need root, the method young and a kernel with timers for BPF; without them that is
 * said and passed over.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "access/access.h"
#include "tests/unit/unit.h"
#include "util/clock.h"
#include "util/macros.h"
#include "util/random.h"

#define SAMPLE_US  5000UL
#define ROUNDS	   300
#define PART_PAGES 16UL
#define PART	   (PART_PAGES * PAGE)
#define TRIES	   5

/* Parts of the watched memory: touched all the time, every other interval, never again. */
enum { HOT, HALF, COLD, NR_PARTS };

static struct {
	volatile char *memory;
	pid_t pid;
	struct process *process;
	struct access_sessions *sessions;
	struct access_space *space;
	struct access_probe probes[NR_PARTS]; /* of the worker's rounds, and between others */
	uint64_t hits[NR_PARTS];
	uint64_t rng[4];
} watched;

static void touch(int part)
{
	for (size_t i = 0; i < PART_PAGES; i++)
		watched.memory[(size_t)part * PART + i * PAGE]++;
}

static void child_main(void)
{
	volatile char *others =
		mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t next = clock_us();

	/* Pages that the processor has handed out last are on no list: others than those watched. */
	for (size_t i = 0; others != MAP_FAILED && i < 64; i++)
		others[i * PAGE] = 1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_TIMERSLACK, 1000UL);
	for (;; usleep(500)) {
		touch(HOT);
		if (clock_us() < next)
			continue;
		touch(HALF);
		next += 2 * SAMPLE_US;
	}
}

/* What the rounds' regions are. */
static uint64_t start_of(int part)
{
	return (uint64_t)watched.memory + (uint64_t)part * PART;
}

static void set_up(void)
{
	watched.memory = mmap(NULL, NR_PARTS * PART, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(watched.memory != MAP_FAILED);
	madvise((void *)watched.memory, NR_PARTS * PART, MADV_NOHUGEPAGE);
	random_seed(watched.rng, clock_us());
	watched.pid = fork();
	ck_assert_int_ge(watched.pid, 0);
	if (!watched.pid) {
		for (int part = 0; part < NR_PARTS; part++)
			touch(part);
		child_main();
	}
	usleep(50000);
}

static void tear_down(void)
{
	kill(watched.pid, SIGKILL);
	waitpid(watched.pid, NULL, 0);
	access_space_close(watched.space);
	access_sessions_close(watched.sessions);
	process_put(watched.process);
}

static bool kernel_is_before(unsigned int major, unsigned int minor)
{
	unsigned int is_major = 0, is_minor = 0;
	struct utsname name;

	uname(&name);
	sscanf(name.release, "%u.%u", &is_major, &is_minor);
	return is_major < major || (is_major == major && is_minor < minor);
}

/* The room for the parts, also if ticks took long just now. */
static struct access_run *room(void)
{
	struct access_run *runs = NULL;

	for (int i = 0; i < 10000 && !runs; i++)
		runs = access_unattended_of(watched.space)->room(watched.space, NR_PARTS, SAMPLE_US);
	return runs;
}

/* Opens the space.  Return: whether rounds can be left. */
static bool can_leave(void)
{
	bool can = !geteuid() && !access_sessions_open("young", &watched.sessions);

	if (can) {
		ck_assert_int_eq(process_open(watched.pid, NULL, &watched.process), 0);
		ck_assert_int_eq(access_space_open(watched.sessions, watched.process, false,
						   &watched.space, NULL),
				 0);
		can = room();
		/* Since Linux 6.10, the kernel has what is needed. */
		ck_assert_msg(can || kernel_is_before(6, 10), "no rounds can be left");
	}
	if (!can)
		printf("SKIPPED: MISSING root, the method young and Linux 6.10\n");
	return can;
}

/* ---- rounds of the worker, and without it ---- */

/* A round of the worker, which prepares, and checks what was prepared before. */
static int attend(unsigned int what)
{
	int r;

	for (int part = 0; part < NR_PARTS; part++) {
		struct access_probe *probe = &watched.probes[part];

		probe->prepared = probe->next;
		if (what & ACCESS_PREPARE)
			probe->next = random_range(watched.rng, start_of(part), start_of(part + 1));
	}
	r = access_space_round(watched.space, watched.probes, NR_PARTS, what, clock_us(),
			       SAMPLE_US);
	for (int part = 0; part < NR_PARTS && !r && what & ACCESS_CHECK; part++)
		watched.hits[part] += watched.probes[part].accessed;
	return r;
}

static int leave(uint64_t rounds, int *wake)
{
	const struct access_unattended *unattended = access_unattended_of(watched.space);
	struct access_run *runs = room();
	uint64_t now = clock_us();

	ck_assert_ptr_nonnull(runs);
	for (int part = 0; part < NR_PARTS; part++)
		runs[part] = (struct access_run){ .probe = watched.probes[part],
						  .start = start_of(part),
						  .end = start_of(part + 1),
						  .hits = 1000 };
	return unattended->leave(watched.space, NR_PARTS, now, now + SAMPLE_US, SAMPLE_US, rounds,
				 wake);
}

/* Takes them back.  Return: of resume(), and *ROUNDS. */
static int resume(uint64_t *rounds)
{
	const struct access_run *runs;
	uint64_t prepared = 0;
	int r = access_unattended_of(watched.space)
			->resume(watched.space, clock_us(), &runs, rounds, &prepared);

	ck_assert_uint_le(prepared, clock_us());
	ck_assert(!*rounds == !prepared);
	for (int part = 0; part < NR_PARTS; part++) {
		ck_assert_uint_le(runs[part].hits, *rounds);
		ck_assert_uint_ge(runs[part].probe.next, start_of(part));
		ck_assert_uint_lt(runs[part].probe.next, start_of(part + 1));
		watched.probes[part] = runs[part].probe;
		watched.hits[part] += runs[part].hits;
	}
	return r;
}

/* Sleeps until the file WAKE is readable.  Return: whether it came to be. */
static bool sleep_until_readable(int wake, uint64_t ms)
{
	struct pollfd file = { .fd = wake, .events = POLLIN };

	return poll(&file, 1, (int)ms) == 1;
}

static bool near(uint64_t hits, uint64_t expected)
{
	return hits <= expected + ROUNDS / 6 && hits + ROUNDS / 6 >= expected;
}

/* What is seen is what the process does, within what a random sample may miss. */
static bool is_right(const char *how)
{
	const uint64_t *hits = watched.hits;
	bool right = near(hits[HOT], ROUNDS) && near(hits[HALF], ROUNDS / 2) && !hits[COLD];

	if (!right)
		printf("trying again: %s saw %lu, %lu and %lu of %d accesses\n", how, hits[HOT],
		       hits[HALF], hits[COLD], ROUNDS);
	memset(watched.hits, 0, sizeof(watched.hits));
	return right;
}

/* ROUNDS rounds of the worker. */
static bool worker_sees(void)
{
	uint64_t next = clock_us();

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t now = clock_us();

		next += SAMPLE_US;
		if (next > now)
			usleep((unsigned int)(next - now));
		ck_assert_int_eq(attend(ACCESS_CHECK | ACCESS_PREPARE), 0);
	}
	return is_right("the worker");
}

/* As many by the kernel, and some by the worker, as it is needed. */
static bool kernel_sees(void)
{
	uint64_t done = 0, left = 0;

	while (done < ROUNDS) {
		uint64_t rounds, asked = ROUNDS - done;
		int wake;

		ck_assert_int_eq(leave(asked, &wake), 0);
		sleep_until_readable(wake, asked * SAMPLE_US / 1000 + 20);
		ck_assert_int_eq(resume(&rounds), 0);
		ck_assert_uint_le(rounds, asked);
		done += rounds;
		left++;
	}
	printf("%d rounds of the kernel, left %lu times\n", ROUNDS, left);
	return is_right("the kernel");
}

START_TEST(both_see_the_same)
{
	bool by_worker = false, by_kernel = false;

	if (!can_leave())
		return;
	ck_assert_int_eq(attend(ACCESS_PREPARE), 0);
	for (int i = 0; i < TRIES && !(by_worker && by_kernel); i++) {
		by_worker = by_worker || worker_sees();
		by_kernel = by_kernel || kernel_sees();
	}
	ck_assert(by_worker);
	ck_assert(by_kernel);
}
END_TEST

/* ---- the end of them ---- */

/* What was taken back stays so: no timer counts on. */
START_TEST(they_stop_when_they_are_taken_back)
{
	uint64_t rounds;
	int wake;

	if (!can_leave())
		return;
	for (int i = 0; i < 200; i++) {
		const struct access_run *runs = room();
		struct access_run before[NR_PARTS];

		ck_assert_int_eq(attend(ACCESS_PREPARE), 0);
		ck_assert_int_eq(leave(1000, &wake), 0);
		usleep((unsigned int)(i * 97 % 11000));
		ck_assert_int_eq(resume(&rounds), 0);
		ck_assert(!sleep_until_readable(wake, 0));
		memcpy(before, runs, sizeof(before));
		if (i % 20 == 0)
			usleep(3 * SAMPLE_US);
		ck_assert_mem_eq(before, runs, sizeof(before));
	}
}
END_TEST

START_TEST(they_end_by_themselves)
{
	uint64_t rounds = 0;
	int wake;

	if (!can_leave())
		return;
	/* Nothing of this process is looked at that has to be cleared. */
	kill(watched.pid, SIGSTOP);
	for (int i = 0; i < 1000 && rounds < 10; i++) {
		ck_assert_int_eq(attend(ACCESS_PREPARE), 0);
		ck_assert_int_eq(leave(10, &wake), 0);
		sleep_until_readable(wake, 20 * SAMPLE_US / 1000);
		ck_assert_int_eq(resume(&rounds), 0);
		ck_assert_uint_le(rounds, 10);
	}
	ck_assert_uint_eq(rounds, 10);
}
END_TEST

static const int ends[] = { 0, 1 };

START_TEST(they_notice_that_the_process_is_gone)
{
	uint64_t rounds = 0;
	int wake, r = 0;

	if (!can_leave())
		return;
	ck_assert_int_eq(attend(ACCESS_PREPARE), 0);
	if (ends[_i]) {
		kill(watched.pid, SIGKILL);
		ck_assert_int_eq(waitpid(watched.pid, NULL, 0), watched.pid);
	}
	for (int i = 0; !r && i < 10; i++) {
		ck_assert_int_eq(leave(1000, &wake), 0);
		if (!ends[_i] && i == 1) {
			kill(watched.pid, SIGKILL);
			ck_assert_int_eq(waitpid(watched.pid, NULL, 0), watched.pid);
		}
		ck_assert(sleep_until_readable(wake, 10000));
		r = resume(&rounds);
	}
	ck_assert_int_eq(r, -ESRCH);
}
END_TEST

START_TEST(too_many_regions_need_the_worker)
{
	if (!can_leave())
		return;
	ck_assert_ptr_null(
		access_unattended_of(watched.space)->room(watched.space, 100000, SAMPLE_US));
	ck_assert_ptr_null(access_unattended_of(watched.space)->room(watched.space, NR_PARTS, 1));
	ck_assert_ptr_nonnull(room());
}
END_TEST

/* ---- all together ---- */

#define MANY	 40
#define SHORT_US 1000UL
/* Each takes at least a hundredth of a processor, and all of them a quarter at most. */
#define MOST_AT_ONCE 25

static pthread_barrier_t all_left;
static atomic_int nr_left;

/* A kdamond of its own, which leaves rounds if it may, until all have tried. */
static void *leave_besides(void *argument)
{
	struct access_sessions *sessions = NULL;
	struct access_space *space = NULL;
	const struct access_unattended *unattended;
	const struct access_run *taken;
	struct access_run *runs;
	uint64_t rounds, prepared, now;
	bool left;
	int wake;

	if (access_sessions_open("young", &sessions) ||
	    access_space_open(sessions, watched.process, false, &space, NULL))
		abort();
	unattended = access_unattended_of(space);
	runs = unattended->room(space, 1, SHORT_US);
	now = clock_us();
	if (runs)
		runs[0] = (struct access_run){ .probe.next = start_of(COLD),
					       .start = start_of(COLD),
					       .end = start_of(COLD + 1) };
	left = runs && !unattended->leave(space, 1, now, now + SHORT_US, SHORT_US, 10000, &wake);
	atomic_fetch_add(&nr_left, left);
	pthread_barrier_wait(&all_left);
	if (left)
		unattended->resume(space, clock_us(), &taken, &rounds, &prepared);
	access_space_close(space);
	access_sessions_close(sessions);
	return argument;
}

static int leave_many(void)
{
	pthread_t threads[MANY];

	atomic_store(&nr_left, 0);
	pthread_barrier_init(&all_left, NULL, MANY);
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, leave_besides, NULL), 0);
	for (int i = 0; i < MANY; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&all_left);
	return atomic_load(&nr_left);
}

/* Interrupts are bounded, however many kdamonds there are; what is taken back is there again. */
START_TEST(all_together_are_bounded)
{
	if (!can_leave())
		return;
	for (int i = 0; i < 3; i++) {
		int nr = leave_many();

		ck_assert_int_ge(nr, MOST_AT_ONCE / 2);
		ck_assert_int_le(nr, MOST_AT_ONCE);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unattended");
	TCase *tcase = tcase_create("unattended");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, both_see_the_same);
	tcase_add_test(tcase, they_stop_when_they_are_taken_back);
	tcase_add_test(tcase, they_end_by_themselves);
	ADD_VECTORS(tcase, they_notice_that_the_process_is_gone, ends);
	tcase_add_test(tcase, too_many_regions_need_the_worker);
	tcase_add_test(tcase, all_together_are_bounded);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
