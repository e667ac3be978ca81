// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process whose hot memory is known: what tests, benchmarks and the quickstart watch.
 *
 * It maps memory, touches all of it once, and then touches one part of it, page by page and without
 * pause.  It says on stdout, a line each time it changes,
 *
 *     pid=N start=ADDRESS end=ADDRESS hot_start=ADDRESS hot_end=ADDRESS
 *
 * and, when it ends, how many pages a second it has touched.  With --check it says "harmed", and
 * where, and ends with status 3, as soon as a page does not have what was written to it last.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define HUGE (2UL << 20)

struct workload {
	uint64_t size, hot, at; /* bytes; where in the memory the hot part begins */
	uint64_t step; /* bytes that the hot part moves by each time */
	double move_after; /* seconds; 0: never */
	double seconds; /* 0: until it is killed */
	unsigned int pause_us; /* after each pass over the hot part */
	bool write, idle, check;
	const char *kind, *file;
	volatile char *memory;
};

static volatile sig_atomic_t move_asked, stop_asked;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		move_asked = 1;
	else
		stop_asked = 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Address space with room to align, so that huge pages fit. */
static char *map(const struct workload *w, int flags, int fd)
{
	char *room = mmap(NULL, w->size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *start = (char *)(((uintptr_t)room + HUGE - 1) & ~(HUGE - 1));

	if (room == MAP_FAILED)
		die("mmap");
	if (mmap(start, w->size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) == MAP_FAILED)
		die("mmap");
	return start;
}

static void touch_all(const struct workload *w)
{
	for (uint64_t i = 0; i < w->size; i += PAGE)
		w->memory[i] = 1;
}

/* Another process that has all of the memory mapped and does nothing with it. */
static void start_sharer(const struct workload *w)
{
	volatile char sum = 0;

	(void)sum;
	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint64_t i = 0; i < w->size; i += PAGE)
		sum += w->memory[i];
	for (;;)
		pause();
}

static int open_file(const struct workload *w)
{
	char name[] = "/var/tmp/damonfs-workload-XXXXXX";
	int fd = w->file ? open(w->file, O_RDWR | O_CREAT, 0600) : mkstemp(name);

	if (fd < 0)
		die("file");
	if (!w->file)
		unlink(name);
	if (ftruncate(fd, (off_t)w->size))
		die("ftruncate");
	return fd;
}

static void map_anon(struct workload *w)
{
	w->memory = map(w, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	madvise((void *)w->memory, w->size, MADV_NOHUGEPAGE);
	touch_all(w);
}

/* The hot part is a mapping of its own, as it has another flag. */
static void map_apart(struct workload *w)
{
	map_anon(w);
	if (madvise((void *)(w->memory + w->at), w->hot, MADV_DONTDUMP))
		die("madvise");
}

static void map_huge(struct workload *w)
{
	w->memory = map(w, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (madvise((void *)w->memory, w->size, MADV_HUGEPAGE))
		die("madvise(MADV_HUGEPAGE)");
	touch_all(w);
}

static void map_file(struct workload *w)
{
	w->memory = map(w, MAP_SHARED, open_file(w));
	touch_all(w);
}

static void map_shared(struct workload *w)
{
	int fd = memfd_create("workload", 0);

	if (fd < 0 || ftruncate(fd, (off_t)w->size))
		die("memfd");
	w->memory = map(w, MAP_SHARED, fd);
	touch_all(w);
	start_sharer(w);
}

static void map_fork(struct workload *w)
{
	map_anon(w);
	start_sharer(w);
}

static void map_locked(struct workload *w)
{
	map_anon(w);
	if (mlock((void *)w->memory, w->size))
		die("mlock");
}

static void map_hugetlb(struct workload *w)
{
	w->memory = map(w, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	touch_all(w);
}

static const struct {
	const char *name;
	void (*map)(struct workload *w);
	const char *help;
} kinds[] = {
	{ "anon", map_anon, "private anonymous memory in 4 KiB pages" },
	{ "apart", map_apart, "the same, the hot part in a mapping of its own" },
	{ "huge", map_huge, "private anonymous memory in huge pages" },
	{ "file", map_file, "a file, mapped shared" },
	{ "shared", map_shared, "memory that another process has mapped too" },
	{ "fork", map_fork, "memory shared with a child since a fork (use --access read)" },
	{ "locked", map_locked, "anon, locked by mlock" },
	{ "hugetlb", map_hugetlb, "reserved huge pages" },
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void report(const struct workload *w)
{
	uintptr_t start = (uintptr_t)w->memory;

	printf("pid=%d start=%lu end=%lu hot_start=%lu hot_end=%lu\n", getpid(), start,
	       start + w->size, start + w->at, start + w->at + w->hot);
	fflush(stdout);
}

/* With --check: how often each page was written. */
static uint64_t *versions;

static volatile uint64_t *word_at(const struct workload *w, uint64_t page)
{
	return (volatile uint64_t *)(uintptr_t)(w->memory + page * PAGE);
}

/* What the page must begin with: nothing that it, or another page, had before. */
static uint64_t word_of(uint64_t page)
{
	return (page + 1) * 0x9e3779b97f4a7c15 ^ versions[page];
}

static void mark_all(const struct workload *w)
{
	versions = calloc(w->size / PAGE, sizeof(*versions));
	if (!versions)
		die("calloc");
	for (uint64_t page = 0; page < w->size / PAGE; page++)
		*word_at(w, page) = word_of(page);
}

static void check_page(const struct workload *w, uint64_t page)
{
	uint64_t word = *word_at(w, page);

	if (word == word_of(page))
		return;
	printf("harmed: page %lu has %lx, not %lx\n", page, word, word_of(page));
	exit(3);
}

/* So few pages of all, in turn, that the cold part stays cold. */
static void check_some(const struct workload *w)
{
	static uint64_t turn;

	for (int i = 0; i < 8; i++)
		check_page(w, turn++ % (w->size / PAGE));
}

static uint64_t check_hot(const struct workload *w)
{
	for (uint64_t page = w->at / PAGE; page < (w->at + w->hot) / PAGE; page++) {
		check_page(w, page);
		if (!w->write)
			continue;
		versions[page]++;
		*word_at(w, page) = word_of(page);
	}
	check_some(w);
	return w->hot / PAGE;
}

static uint64_t touch_hot(const struct workload *w)
{
	volatile char *hot = w->memory + w->at;
	volatile char sum = 0;

	(void)sum;
	for (uint64_t i = 0; i < w->hot; i += PAGE) {
		if (w->write)
			hot[i]++;
		else
			sum += hot[i];
	}
	return w->hot / PAGE;
}

static void run(struct workload *w)
{
	double start = now(), moved = start, t = start;
	uint64_t touched = 0;

	report(w);
	while (!stop_asked && (w->seconds == 0 || t - start < w->seconds)) {
		if (move_asked || (w->move_after > 0 && t - moved >= w->move_after)) {
			move_asked = 0;
			moved = t;
			w->at = (w->at + w->step) % (w->size - w->hot + PAGE);
			report(w);
		}
		if (w->idle)
			usleep(10000);
		else
			touched += w->check ? check_hot(w) : touch_hot(w);
		if (w->pause_us)
			usleep(w->pause_us);
		t = now();
	}
	for (uint64_t page = 0; w->check && page < w->size / PAGE; page++)
		check_page(w, page);
	printf("pages_per_second=%.0f\n", (double)touched / (t - start));
}

static uint64_t parse_size(const char *text)
{
	char *end;
	uint64_t size = strtoull(text, &end, 0);

	switch (*end) {
	case 'G':
		size <<= 10; /* fall through */
	case 'M':
		size <<= 10; /* fall through */
	case 'K':
		size <<= 10;
	}
	return size & ~(PAGE - 1);
}

static void usage(void)
{
	puts("Usage: workload [options]\n"
	     "  --size BYTES     of the memory, with K, M or G (1G)\n"
	     "  --hot BYTES      of its hot part (64M)\n"
	     "  --at BYTES       where the hot part begins (256M)\n"
	     "  --step BYTES     how far it moves (512M)\n"
	     "  --move SECONDS   moves after so long; on SIGUSR1 in any case\n"
	     "  --seconds N      ends after so long\n"
	     "  --pause US       rests after each pass over the hot part\n"
	     "  --access KIND    read, write (write) or none\n"
	     "  --check          that its memory has what was written to it\n"
	     "  --file PATH      for --kind file: this file, which is kept\n"
	     "  --kind KIND      of memory:");
	for (size_t i = 0; i < NR_KINDS; i++)
		printf("                     %-8s %s\n", kinds[i].name, kinds[i].help);
}

static void parse(int argc, char **argv, struct workload *w)
{
	static const struct option options[] = {
		{ "size", 1, NULL, 's' },
		{ "hot", 1, NULL, 'h' },
		{ "at", 1, NULL, 'a' },
		{ "step", 1, NULL, 't' },
		{ "move", 1, NULL, 'm' },
		{ "seconds", 1, NULL, 'n' },
		{ "pause", 1, NULL, 'p' },
		{ "access", 1, NULL, 'c' },
		{ "file", 1, NULL, 'f' },
		{ "kind", 1, NULL, 'k' },
		{ "check", 0, NULL, 'v' },
		{ "help", 0, NULL, '?' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			w->size = parse_size(optarg);
			break;
		case 'h':
			w->hot = parse_size(optarg);
			break;
		case 'a':
			w->at = parse_size(optarg);
			break;
		case 't':
			w->step = parse_size(optarg);
			break;
		case 'm':
			w->move_after = strtod(optarg, NULL);
			break;
		case 'n':
			w->seconds = strtod(optarg, NULL);
			break;
		case 'p':
			w->pause_us = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'c':
			w->write = !strcmp(optarg, "write");
			w->idle = !strcmp(optarg, "none");
			break;
		case 'v':
			w->check = true;
			break;
		case 'f':
			w->file = optarg;
			break;
		case 'k':
			w->kind = optarg;
			break;
		default:
			usage();
			exit(c != '?' || optopt);
		}
	}
	if (w->at + w->hot > w->size) {
		fprintf(stderr, "workload: the hot part is not inside the memory\n");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct workload w = { .size = 1UL << 30,
			      .hot = 64UL << 20,
			      .at = 256UL << 20,
			      .step = 512UL << 20,
			      .write = true,
			      .kind = "anon" };
	size_t kind = 0;

	parse(argc, argv, &w);
	while (kind < NR_KINDS && strcmp(kinds[kind].name, w.kind))
		kind++;
	if (kind == NR_KINDS) {
		fprintf(stderr, "workload: no kind %s\n", w.kind);
		return 1;
	}
	signal(SIGUSR1, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	kinds[kind].map(&w);
	if (w.check)
		mark_all(&w);
	run(&w);
	return 0;
}
