// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What must be measured from inside: CPU time of checks, and of reading a file.  Called by
 * tests/bench/run.
 *
 *     bench checks PID START END REGIONS SECONDS
 *         a round every 5 ms over REGIONS even regions of [START, END) of process PID: CPU time of
 * a check by the method young, and by a pagemap read, a process_madvise and a BPF call for each
 *         address, in turns; prints both in nanoseconds
 *     bench reads FILE FILE [TIMES]
 *         nanoseconds to open, read and close each file, in turns; prints the medians
 *     bench wakes SECONDS
 *         CPU time of a thread that does nothing but wake up every 5 ms: nanoseconds each
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "access/access.h"
#include "access/young/program.h"
#include "util/cleanup.h"
#include "util/random.h"

#define SAMPLE_US 5000

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void die(const char *what, int r)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(-r));
	exit(1);
}

struct checks {
	struct process *process;
	uint64_t start, end;
	size_t nr;
	struct access_probe *probes;
	uint64_t rng[4];
	/* The batched way. */
	struct access_sessions *sessions;
	struct access_space *space;
	/* One address at a time. */
	struct young_slot slot;
	struct young_task task;
	int pagemap;
};

static void new_addresses(struct checks *c)
{
	uint64_t size = (c->end - c->start) / c->nr;

	for (size_t i = 0; i < c->nr; i++) {
		c->probes[i].prepared = c->probes[i].next;
		c->probes[i].next =
			random_range(c->rng, c->start + i * size, c->start + (i + 1) * size);
	}
}

static void round_batched(struct checks *c)
{
	int r = access_space_round(c->space, c->probes, c->nr, ACCESS_CHECK | ACCESS_PREPARE,
				   clock_ns(CLOCK_MONOTONIC) / 1000, SAMPLE_US);

	if (r)
		die("round", r);
}

static void round_single(struct checks *c)
{
	for (size_t i = 0; i < c->nr; i++) {
		struct iovec page = { (void *)(c->probes[i].next & ~4095UL), 4096 };
		uint64_t entry;
		int r;

		c->slot.batch->nr_prepared = 1;
		c->slot.batch->nr_next = 0;
		c->slot.batch->prepared[0] = c->probes[i].prepared;
		r = young_walk(&c->slot, &c->task);
		if (r)
			die("walk", r);
		if (pread(c->pagemap, &entry, 8, (off_t)(c->probes[i].next / 4096 * 8)) != 8)
			die("pagemap", -errno);
		if (syscall(SYS_process_madvise, c->process->pidfd, &page, 1, MADV_COLD, 0) < 0)
			die("process_madvise", -errno);
	}
}

/* CPU nanoseconds of a check, over SECONDS of rounds at their time. */
static double run_rounds(struct checks *c, void (*round)(struct checks *c), double seconds)
{
	struct timespec pause = { 0, SAMPLE_US * 1000 };
	uint64_t spent = 0, rounds = 0, end;

	end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
	while (clock_ns(CLOCK_MONOTONIC) < end) {
		uint64_t start;

		new_addresses(c);
		start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		round(c);
		spent += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
		rounds++;
		nanosleep(&pause, NULL);
	}
	return (double)spent / (double)(rounds * c->nr);
}

static int checks(char **argv)
{
	struct checks c = { .start = strtoull(argv[1], NULL, 0),
			    .end = strtoull(argv[2], NULL, 0),
			    .nr = strtoull(argv[3], NULL, 0) };
	double seconds = strtod(argv[4], NULL), batched = 0, single = 0;
	int r = process_open((pid_t)strtol(argv[0], NULL, 10), NULL, &c.process);

	if (r)
		die("process", r);
	c.probes = calloc(c.nr, sizeof(*c.probes));
	random_seed(c.rng, 1);
	new_addresses(&c);
	new_addresses(&c);
	/* They share the thread's slot: one after the other. */
	for (int i = 0; i < 3; i++) {
		r = access_sessions_open("young", &c.sessions);
		if (!r)
			r = access_space_open(c.sessions, c.process, true, &c.space, NULL);
		if (r)
			die("young", r);
		run_rounds(&c, round_batched, seconds / 6);
		batched += run_rounds(&c, round_batched, seconds / 6) / 3;
		access_space_close(c.space);

		r = young_slot_take(&c.slot);
		if (!r)
			r = young_task_open(&c.slot, c.process->tid, &c.task);
		if (r)
			die("slot", r);
		c.pagemap = process_open_file(c.process, "pagemap", O_RDONLY);
		single += run_rounds(&c, round_single, seconds / 6) / 3;
		close(c.pagemap);
		young_task_close(&c.task);
		young_slot_leave(&c.slot);
		access_sessions_close(c.sessions);
	}
	printf("batched_ns=%.0f single_ns=%.0f\n", batched, single);
	free(c.probes);
	process_put(c.process);
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t read_once(const char *path)
{
	uint64_t start = clock_ns(CLOCK_MONOTONIC);
	char buffer[4096];
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, buffer, sizeof(buffer)) < 0)
		die(path, -errno);
	close(fd);
	return clock_ns(CLOCK_MONOTONIC) - start;
}

static int reads(char **argv, size_t times)
{
	uint64_t *ns[2] = { calloc(times, sizeof(uint64_t)), calloc(times, sizeof(uint64_t)) };

	for (size_t done = 0; done < times; done += 100)
		for (int f = 0; f < 2; f++)
			for (size_t i = done; i < done + 100 && i < times; i++)
				ns[f][i] = read_once(argv[f]);
	for (int f = 0; f < 2; f++)
		qsort(ns[f], times, sizeof(uint64_t), compare);
	printf("first_ns=%" PRIu64 " second_ns=%" PRIu64 "\n", ns[0][times / 2], ns[1][times / 2]);
	free(ns[0]);
	free(ns[1]);
	return 0;
}

static int wakes(double seconds)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
	struct timespec pause = { 0, SAMPLE_US * 1000 };
	uint64_t nr = 0;

	/* As the worker of a kdamond. */
	prctl(PR_SET_TIMERSLACK, 1000UL);
	for (; clock_ns(CLOCK_MONOTONIC) < end; nr++)
		ppoll(NULL, 0, &pause, NULL);
	printf("wake_ns=%.0f\n", (double)clock_ns(CLOCK_THREAD_CPUTIME_ID) / (double)nr);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 7 && !strcmp(argv[1], "checks"))
		return checks(argv + 2);
	if ((argc == 4 || argc == 5) && !strcmp(argv[1], "reads"))
		return reads(argv + 2, argc == 5 ? strtoull(argv[4], NULL, 0) : 20000);
	if (argc == 3 && !strcmp(argv[1], "wakes"))
		return wakes(strtod(argv[2], NULL));
	fprintf(stderr,
		"usage: bench checks PID START END REGIONS SECONDS | reads FILE FILE [TIMES] | "
		"wakes SECONDS\n");
	return 2;
}
