// SPDX-License-Identifier: GPL-2.0-or-later
/* Advice for memory of others: that it is given, and that the memory stays what it was. */
#include "access/act/process_madvise.h"
#include "access/rights/agent.h"
#include "tests/unit/victim.h"

#define HUGE (2UL << 20)

/* The VmFlags of the mapping that begins at START in the child have FLAG. */
static bool has_flag(uint64_t start, const char *flag)
{
	char path[64], line[1024], begin[32];
	bool in = false, has = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", victim.pid);
	snprintf(begin, sizeof(begin), "%lx-", start);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' '))
			in = !strncmp(line, begin, strlen(begin));
		if (in && !strncmp(line, "VmFlags:", 8))
			has = strstr(line, flag);
	}
	fclose(file);
	return has;
}

START_TEST(advice_is_like_madvise)
{
	char *room =
		mmap(NULL, 16 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t at = ((uint64_t)room + HUGE - 1) & ~(HUGE - 1);

	ck_assert(room != MAP_FAILED);
	memset((void *)at, 1, 4 * HUGE);
	/* A hole behind the fourth huge page. */
	ck_assert_int_eq(munmap((void *)(at + 4 * HUGE), HUGE), 0);
	start_victim(spin, 0);
	ck_assert_int_eq(process_madvise_range(victim.process, ADVICE_HUGEPAGE, at, 2 * HUGE), 0);
	ck_assert(has_flag(at, " hg"));
	ck_assert_int_eq(process_madvise_range(victim.process, ADVICE_NOHUGEPAGE, at, 2 * HUGE), 0);
	ck_assert(has_flag(at, " nh"));
	/* What is to have no huge pages is not collapsed. */
	ck_assert_int_eq(process_madvise_range(victim.process, ADVICE_COLLAPSE, at, HUGE), -EINVAL);
	for (enum advice a = 0; a < ADVICE_COLLAPSE; a++) {
		/* What is mapped behind the hole is advised, too. */
		ck_assert_int_eq(process_madvise_range(victim.process, a, at, HUGE), 0);
		ck_assert_int_eq(process_madvise_range(victim.process, a, at, 8 * HUGE), -ENOMEM);
	}
	ck_assert(has_flag(at + 5 * HUGE, " nh"));
	end_victim();
	ck_assert_int_eq(process_madvise_range(victim.process, ADVICE_COLD, at, HUGE), -ESRCH);
	ck_assert_int_eq(process_madvise_range(victim.process, ADVICE_HUGEPAGE, at, HUGE), -ESRCH);
	munmap(room, 16 * HUGE);
}
END_TEST

/* A pattern that the victim looks after while it is advised about. */
#define WORDS (4 * HUGE / sizeof(uint64_t))

static uint64_t *kept;

static void keep_memory(void)
{
	static uint64_t generation;

	for (size_t i = 0; i < WORDS; i += 64) {
		require(kept[i] == (generation ? generation * i : 0));
		kept[i] = (generation + 1) * i;
	}
	generation++;
	require(kept[0] == 0 && kept[64] == generation * 64);
}

START_TEST(memory_stays_what_it_was)
{
	void *room =
		mmap(NULL, 6 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t at = ((uint64_t)room + HUGE - 1) & ~(HUGE - 1), given = 0;

	ck_assert(room != MAP_FAILED);
	kept = (uint64_t *)at;
	memset(kept, 0, 4 * HUGE);
	start_victim(keep_memory, 0);
	for (uint64_t i = 0; i < 1000; i++) {
		enum advice advice = i % NR_ADVICES;
		uint64_t start = at + mix(i * 2 + 1) % 512 * 4096;
		uint64_t length = (mix(i * 3 + 2) % 1024 + 1) * 4096;
		int r = process_madvise_range(victim.process, advice, start, length);

		ck_assert_msg(!r || r == -EBUSY || r == -EINVAL || r == -EAGAIN, "advice %d: %s",
			      advice, strerror(-r));
		/* Where other advice forbids huge pages, it fails. */
		given += !r || advice == ADVICE_COLLAPSE;
	}
	ck_assert_uint_ge(given, 900);
	/* It goes on, however slow the machine is. */
	for (int i = 0; i < 1000 && atomic_load(victim.rounds) < 2; i++)
		usleep(10000);
	ck_assert_uint_gt(atomic_load(victim.rounds), 1);
	end_victim();
	munmap(room, 6 * HUGE);
}
END_TEST

START_TEST(memory_of_a_frozen_process)
{
	void *room =
		mmap(NULL, 6 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t at = ((uint64_t)room + HUGE - 1) & ~(HUGE - 1), rounds;
	char *group;

	ck_assert(room != MAP_FAILED);
	kept = (uint64_t *)at;
	memset(kept, 0, 4 * HUGE);
	start_victim(keep_memory, 0);
	group = enter_cgroup();
	for (int i = 0; group && i < (getenv("LONG") ? 1000 : 10); i++) {
		/* In the middle of it, or before. */
		if (i % 2)
			freeze(group, 1);
		else
			write_frozen(group, 1);
		for (enum advice a = 0; a < NR_ADVICES; a++) {
			int r = process_madvise_range(victim.process, a, at, 4 * HUGE);

			ck_assert_msg(!r || r == -EBUSY || r == -EINVAL || r == -EAGAIN,
				      "advice %d: %s", a, strerror(-r));
		}
		rounds = atomic_load(victim.rounds);
		freeze(group, 0);
		for (int j = 0; j < 1000 && atomic_load(victim.rounds) < rounds + 2; j++)
			usleep(1000);
		ck_assert_uint_ge(atomic_load(victim.rounds), rounds + 2);
	}
	end_victim();
	if (group)
		leave_cgroup(group);
	munmap(room, 6 * HUGE);
}
END_TEST

/* Memory that comes and goes at one place all the time; what is there is what was put there. */
static void come_and_go(void)
{
	uint64_t *memory = mmap(kept, 4 * HUGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	require(memory == kept);
	for (size_t i = 0; i < WORDS; i += 4096)
		memory[i] = i + 1;
	for (size_t i = 0; i < WORDS; i += 4096)
		require(memory[i] == i + 1);
	require(!munmap(kept, 4 * HUGE));
}

START_TEST(memory_may_go_meanwhile)
{
	void *room = mmap(NULL, 6 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t at = ((uint64_t)room + HUGE - 1) & ~(HUGE - 1), given = 0;
	int times = getenv("LONG") ? 1000 : 100;

	ck_assert(room != MAP_FAILED);
	kept = (uint64_t *)at;
	start_victim(come_and_go, 0);
	for (int i = 0; i < times; i++) {
		for (enum advice a = 0; a < NR_ADVICES; a++) {
			int r = process_madvise_range(victim.process, a, at, 4 * HUGE);

			ck_assert_msg(!r || r == -EBUSY || r == -EINVAL || r == -EAGAIN ||
					      r == -ENOMEM,
				      "advice %d: %s", a, strerror(-r));
			given += !r;
		}
		usleep((unsigned int)(i * 13 % 400));
	}
	ck_assert_uint_gt(given, 0);
	end_victim();
	munmap(room, 6 * HUGE);
}
END_TEST

/* The program of meson.build that is for 32-bit processes: it looks after its memory, too. */
START_TEST(a_process_of_32_bits)
{
#ifdef VICTIM32
	static const uint64_t start = 1 << 21, length = (4ULL << 30) - (1 << 21);
	char word;
	int status;

	victim.pid = fork();
	if (!victim.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(victim.to[0], 0);
		dup2(victim.from[1], 1);
		execl(VICTIM32, VICTIM32, (char *)NULL);
		_exit(errno == ENOEXEC ? 77 : 1);
	}
	close(victim.from[1]);
	victim.from[1] = -1;
	if (read(victim.from[0], &word, 1) != 1) {
		ck_assert_int_eq(waitpid(victim.pid, &status, 0), victim.pid);
		ck_assert_int_eq(WEXITSTATUS(status), 77);
		printf("SKIPPED: a 32-bit process: MISSING a kernel that runs it\n");
		return;
	}
	ck_assert_int_eq(process_open(victim.pid, NULL, &victim.process), 0);
	for (int i = 0; i < 100; i++) {
		int r = agent_madvise(victim.process->caller, victim.process->procfd, 0, 0,
				      MADV_HUGEPAGE, &(int64_t){ 0 });

		ck_assert_msg(r == -EOPNOTSUPP || r == -EBUSY, "%s", strerror(-r));
		for (enum advice a = 0; a < NR_ADVICES; a++)
			ck_assert_int_le(process_madvise_range(victim.process, a, start, length),
					 0);
	}
	/* A byte is a round; it ends when it may not read on, with 0 if its memory was as it left
	 * it. */
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(read(victim.from[0], &word, 1), 1);
	ck_assert_int_eq(write(victim.to[1], "x", 1), 1);
	ck_assert_int_eq(waitpid(victim.pid, &status, 0), victim.pid);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "it ended with %#x", status);
#else
	printf("SKIPPED: a 32-bit process: MISSING a compiler that makes one\n");
#endif
}
END_TEST

/* What a process may become while it is advised about. */
static void become_another(int what)
{
	char *again = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(again, HUGE);
	if (what == 0)
		execl("/bin/true", "true", (char *)NULL);
	if (what == 1 && fork())
		_exit(0);
	if (what == 2)
		raise(SIGSTOP);
	_exit(0);
}

START_TEST(a_process_may_become_another)
{
	static const uint64_t start = 1 << 21, length = 1ULL << 46;

	int times = getenv("LONG") ? 1000 : 150;

	for (int i = 0; i < times; i++) {
		victim.pid = fork();
		if (!victim.pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			become_another(i % 4);
		}
		/* It may have ended before it could be named. */
		if (process_open(victim.pid, NULL, &victim.process)) {
			victim.process = NULL;
		} else {
			usleep((unsigned int)(i * 13 % 400));
			for (enum advice a = 0; a < NR_ADVICES; a++)
				if (a != ADVICE_PAGEOUT && a != ADVICE_WILLNEED)
					ck_assert_int_le(process_madvise_range(victim.process, a,
									       start, length),
							 0);
		}
		kill(victim.pid, SIGKILL);
		ck_assert_int_eq(waitpid(victim.pid, NULL, 0), victim.pid);
		victim.process = process_put(victim.process);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("advice");
	TCase *tcase = tcase_create("advice");

	if (caller_prepare() || agents_start())
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, getenv("LONG") ? 600 : 180);
	tcase_add_test(tcase, advice_is_like_madvise);
	tcase_add_test(tcase, memory_stays_what_it_was);
	tcase_add_test(tcase, memory_of_a_frozen_process);
	tcase_add_test(tcase, memory_may_go_meanwhile);
	tcase_add_test(tcase, a_process_of_32_bits);
	tcase_add_test(tcase, a_process_may_become_another);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
