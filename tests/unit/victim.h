/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes that something is done to, and that must not notice.  A victim does what it is busy
 * with again and again, checks it, and says how often it failed.
 */
#ifndef DAMONFS_TESTS_VICTIM_H
#define DAMONFS_TESTS_VICTIM_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "access/proc/process.h"
#include "tests/unit/unit.h"

/* What a victim and the test share. */
struct victim {
	pid_t pid;
	struct process *process;
	_Atomic bool *stop;
	_Atomic uint64_t *rounds, *faults;
	int to[2], from[2]; /* pipes */
};

static struct victim victim;

static inline void require(bool condition)
{
	if (!condition)
		atomic_fetch_add(victim.faults, 1);
}

/* ---- what victims are busy with ---- */

static inline uint64_t mix(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^ x << 17;
}

/* Everything in registers, and the red zone below the stack. */
static inline void spin(void)
{
	uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, sum = 0;
	double x = 1.0;

	for (int i = 0; i < 1000; i++) {
		a = mix(a), b = mix(b), c = mix(c), d = mix(d), e = mix(e), f = mix(f);
		sum += a ^ b ^ c ^ d ^ e ^ f;
		x = x * 1.0000001 + 0.5;
	}
	static _Thread_local uint64_t expected;
	static _Thread_local double expected_x;

	if (!expected)
		expected = sum, expected_x = x;
	require(sum == expected && x == expected_x);
}

static inline void sleep_long(void)
{
	struct timespec nap = { .tv_nsec = 30000000 }, before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	require(!nanosleep(&nap, NULL));
	clock_gettime(CLOCK_MONOTONIC, &after);
	require((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >=
		nap.tv_nsec);
}

static inline void read_pipe(void)
{
	char byte = 0;

	/* The test writes now and then. */
	require(read(victim.to[0], &byte, 1) == 1 && byte == 'x');
	require(write(victim.from[1], "y", 1) == 1);
}

static inline void wait_futex(void)
{
	static uint32_t word = 7;
	struct timespec limit = { .tv_nsec = 20000000 };

	/* A spurious wake-up would be allowed, any other answer not. */
	require(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 7, &limit, NULL, 0) == -1 &&
		errno == ETIMEDOUT);
}

/* Of each thread: it raises its own. */
static _Thread_local volatile sig_atomic_t signals;

static inline void on_signal(int number)
{
	(void)number;
	signals++;
}

static inline void take_signals(void)
{
	sig_atomic_t before = signals;
	sigset_t pending;

	raise(SIGUSR1);
	require(signals == before + 1);
	require(!sigpending(&pending) && !sigismember(&pending, SIGUSR2));
}

static inline void map_and_unmap(void)
{
	char *memory =
		mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	require(memory != MAP_FAILED);
	memset(memory, 0x5a, 1 << 16);
	require(memory[12345] == 0x5a);
	require(!munmap(memory, 1 << 16));
}

static inline void fork_and_wait(void)
{
	int status;
	pid_t child = fork();

	if (!child)
		_exit(7);
	require(child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
}

static const struct {
	const char *name;
	void (*work)(void);
} works[] = {
	{ "spin", spin },
	{ "nanosleep", sleep_long },
	{ "a read that blocks", read_pipe },
	{ "a futex with a limit", wait_futex },
	{ "signals", take_signals },
	{ "mmap and munmap", map_and_unmap },
	{ "fork and wait", fork_and_wait },
};

static inline void *work_forever(void *argument)
{
	void (*work)(void) = *(void (**)(void))argument;

	while (!*victim.stop) {
		work();
		atomic_fetch_add(victim.rounds, 1);
	}
	return NULL;
}

/* ---- the test's side ---- */

static inline void set_up(void)
{
	char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert(shared != MAP_FAILED);
	victim = (struct victim){
		.stop = (void *)shared,
		.rounds = (void *)(shared + 8),
		.faults = (void *)(shared + 16),
	};
	ck_assert_int_eq(pipe(victim.to), 0);
	ck_assert_int_eq(pipe(victim.from), 0);
}

static inline void tear_down(void)
{
	process_put(victim.process);
	munmap(victim.stop, 4096);
	for (int i = 0; i < 2; i++) {
		close(victim.to[i]);
		close(victim.from[i]);
	}
}

/* Starts a victim with so many threads more, up to 8. */
static inline void start_victim(void (*work)(void), int threads)
{
	victim.pid = fork();
	ck_assert_int_ge(victim.pid, 0);
	if (!victim.pid) {
		pthread_t thread[8];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGUSR1, on_signal);
		for (int i = 0; i < threads; i++)
			pthread_create(&thread[i], NULL, work_forever, &work);
		work_forever(&work);
		for (int i = 0; i < threads; i++)
			pthread_join(thread[i], NULL);
		_exit(0);
	}
	ck_assert_int_eq(process_open(victim.pid, NULL, &victim.process), 0);
}

static inline void end_victim(void)
{
	int status;

	*victim.stop = true;
	ck_assert_int_eq(write(victim.to[1], "xxxxxxxx", 8), 8);
	ck_assert_int_eq(waitpid(victim.pid, &status, 0), victim.pid);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "it ended with %#x", status);
	ck_assert_uint_eq(atomic_load(victim.faults), 0);
}

/* ---- frozen victims ---- */

static inline void write_number(const char *path, int number)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fprintf(file, "%d", number);
	ck_assert_int_eq(fclose(file), 0);
}

/*
 * Puts the victim into a cgroup of its own that can be frozen.  Return: the directory, which
 * leave_cgroup() removes, or NULL: there is none to be had here.
 */
static inline char *enter_cgroup(void)
{
	static char group[96];
	char top[] = "/tmp/damonfs-cgroup.XXXXXX", path[128];

	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(group, sizeof(group), "%s/test-inject.%d", top, victim.pid);
	if (mount("none", top, "cgroup2", 0, NULL) || mkdir(group, 0755)) {
		printf("SKIPPED: a frozen process: MISSING a cgroup (v2) of our own: %s\n",
		       strerror(errno));
		umount(top);
		rmdir(top);
		return NULL;
	}
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	write_number(path, victim.pid);
	return group;
}

static inline void leave_cgroup(char *group)
{
	for (int i = 0; i < 100 && rmdir(group); i++)
		usleep(10000);
	*strrchr(group, '/') = '\0';
	umount(group);
	rmdir(group);
}

static inline void write_frozen(const char *group, int frozen)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/cgroup.freeze", group);
	write_number(path, frozen);
}

static inline void freeze(const char *group, int frozen)
{
	char path[128], text[64];

	write_frozen(group, frozen);
	snprintf(path, sizeof(path), "%s/cgroup.events", group);
	for (int i = 0; i < 1000; i++) {
		FILE *file = fopen(path, "r");
		bool is = false;

		while (fgets(text, sizeof(text), file))
			is |= !strcmp(text, "frozen 1\n");
		fclose(file);
		if (is == !!frozen)
			return;
		usleep(1000);
	}
	ck_abort_msg("%s is not frozen %d", group, frozen);
}

#endif
