// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each process is watched by the method that can see it; what cannot be seen is told, also when it
 * turns so later.  On real processes, so it needs root and the method young; without them that is
 * said and passed over.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/unit/forbid.h"
#include "tests/unit/monitor.h"

#define SIZE (1UL << 20)

static FILE *log_file;

static void setup_log(void)
{
	log_file = tmpfile();
	ck_assert_ptr_nonnull(log_file);
	ck_assert_int_ge(dup2(fileno(log_file), STDERR_FILENO), 0);
	log_setup(LOG_LEVEL_INFO, false);
}

static char lines[1 << 16];

static size_t count_in_log(const char *text)
{
	ssize_t length = pread(fileno(log_file), lines, sizeof(lines) - 1, 0);
	size_t nr = 0;

	lines[length > 0 ? length : 0] = '\0';
	for (const char *at = lines; (at = strstr(at, text)); at++)
		nr++;
	return nr;
}

/* Whether the log comes to say TEXT. */
static bool logs(const char *text)
{
	uint64_t end = now_ms() + 1000 * PATIENCE_S;

	while (!count_in_log(text) && now_ms() < end)
		usleep(20000);
	return count_in_log(text);
}

static bool can_use_young(void)
{
	struct access_sessions *sessions = NULL;
	bool can = !geteuid() && !access_sessions_open("young", &sessions);

	access_sessions_close(sessions);
	if (!can)
		printf("SKIPPED: MISSING root and the method young\n");
	return can;
}

/* All but NR of them, for the calling thread. */
static void drop_capabilities(const cap_value_t *kept, int nr)
{
	cap_t caps = cap_init();

	cap_set_flag(caps, CAP_PERMITTED, nr, kept, CAP_SET);
	cap_set_flag(caps, CAP_EFFECTIVE, nr, kept, CAP_SET);
	ck_assert_int_eq(cap_set_proc(caps), 0);
	cap_free(caps);
}

static void no_capabilities(void)
{
	cap_t caps = cap_init();

	cap_set_proc(caps);
	cap_free(caps);
}

static volatile char *map(int flags)
{
	volatile char *memory =
		mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	ck_assert(memory != MAP_FAILED);
	return memory;
}

static uint64_t victim_memory; /* where the last one's is */

/* What a victim and the test tell each other, in a page of both. */
enum { STARTING, READY, WEAKEN };

/*
 * A process that touches its memory, and gives its capabilities up at once, or when *MOOD becomes
 * WEAKEN.  Not at a signal: libcap allocates.
 */
static pid_t start_victim_with(volatile char *mood, bool weak)
{
	volatile char *memory = map(MAP_PRIVATE);
	pid_t child = fork();

	victim_memory = (uintptr_t)memory;
	ck_assert_int_ge(child, 0);
	if (child) {
		while (*mood == STARTING)
			usleep(1000);
		munmap((void *)memory, SIZE);
		return child;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (weak)
		no_capabilities();
	/* What somebody else forked may otherwise not be looked at. */
	prctl(PR_SET_DUMPABLE, 1);
	for (*mood = READY;; usleep(1000)) {
		if (*mood == WEAKEN) {
			no_capabilities();
			*mood = READY;
		}
		for (size_t i = 0; i < SIZE; i += 4096)
			memory[i]++;
	}
}

static pid_t start_victim(bool weak)
{
	volatile char *mood = map(MAP_SHARED);
	pid_t child = start_victim_with(mood, weak);

	munmap((void *)mood, SIZE);
	return child;
}

/*
 * Without CAP_SYS_PTRACE root sees those who can do no more than itself; CAP_PERFMON would do since
 * Linux 6.18, so this is without the method young.
 */
static void become_weak(void)
{
	static const cap_value_t kept[] = { CAP_SYS_NICE };

	drop_capabilities(kept, ARRAY_SIZE(kept));
}

static void set_target(struct damon_desc *desc, size_t t, pid_t pid)
{
	process_put(desc->targets[t].process);
	ck_assert_int_eq(process_open(pid, NULL, &desc->targets[t].process), 0);
}

static struct damon_desc *describe_two(pid_t first, pid_t second)
{
	struct damon_desc *desc = new_desc(DAMON_OPS_VADDR, 2, 0);

	desc->abi = DAMON_ABI(6, 18);
	set_target(desc, 0, first);
	set_target(desc, 1, second);
	return desc;
}

static void assert_logs_pid(pid_t pid, const char *text)
{
	char line[256];

	snprintf(line, sizeof(line), "pid %d %s", pid, text);
	ck_assert_msg(logs(line), "%s is not in the log:\n%s", line, lines);
}

static const char *const names[] = { "auto", "referenced", "young" };

START_TEST(maps_that_cannot_be_read_refuse_on)
{
	struct damon_desc *desc;
	struct monitor m;
	pid_t victim;

	if (!can_use_young())
		return;
	setup_log();
	victim = start_victim(false);
	become_weak();
	desc = describe(victim, 0);
	if (_i % 2)
		desc->ops = DAMON_OPS_VADDR;
	start_with(&m, desc, names[_i / 2], 0);
	ck_assert(wait_for(&m, "se"));
	ck_assert_int_eq(m.result, -EINVAL);
	finish(&m);
	ck_assert(logs("Permission denied; add CAP_SYS_PTRACE"));
	assert_logs_pid(victim, "cannot be watched");
	ck_assert(logs("no target can be watched: see the lines above"));
	end_child(victim);
}
END_TEST

START_TEST(one_that_can_be_seen_is_enough_and_the_other_may_come_later)
{
	volatile char *mood = map(MAP_SHARED);
	struct monitor m;
	pid_t strong, weak;

	if (!can_use_young())
		return;
	setup_log();
	strong = start_victim_with(mood, false);
	weak = start_victim(true);
	become_weak();
	start_with(&m, describe_two(strong, weak), "auto", 0);
	ck_assert(wait_for(&m, "s"));
	ck_assert_int_eq(m.result, 0);
	assert_logs_pid(strong, "cannot be watched: its regions will show no access");
	usleep(2500000);
	/* It is told once. */
	ck_assert_uint_eq(count_in_log("its regions will show no access"), 1);
	*mood = WEAKEN;
	/* Or by young, with what can_use_young() left behind in the kernel. */
	assert_logs_pid(strong, "can be watched now, by the method ");
	stop(&m, "se");
	end_child(strong);
	end_child(weak);
	munmap((void *)mood, SIZE);
}
END_TEST

START_TEST(a_commit_that_would_see_nothing_changes_nothing)
{
	struct request commit, stats;
	struct monitor m;
	pid_t strong, weak;

	if (!can_use_young())
		return;
	setup_log();
	strong = start_victim(false);
	weak = start_victim(true);
	become_weak();
	start_with(&m, describe_two(weak, weak), "auto", 0);
	ck_assert(wait_for(&m, "s"));
	ck_assert_int_eq(send_desc(&m, &commit, DAMON_COMMIT, describe_two(strong, strong)), 0);
	ck_assert(wait_for(&m, "sc"));
	ck_assert_int_eq(commit.command.error, -EINVAL);
	damon_command_clear(&commit.command);
	/* One of both is enough. */
	ck_assert_int_eq(send_desc(&m, &commit, DAMON_COMMIT, describe_two(strong, weak)), 0);
	ck_assert(wait_for(&m, "scc"));
	ck_assert_int_eq(commit.command.error, 0);
	damon_command_clear(&commit.command);
	ck_assert_int_eq(send_request(&m, &stats, DAMON_REPORT), 0);
	ck_assert(wait_for(&m, "sccc"));
	damon_command_clear(&stats.command);
	stop(&m, "sccce");
	end_child(strong);
	end_child(weak);
}
END_TEST

START_TEST(a_method_that_fails_later_is_told_and_gives_way)
{
	struct damon_desc *desc;
	struct monitor m;
	pid_t victim;

	if (!can_use_young())
		return;
	setup_log();
	victim = start_victim(true);
	desc = describe(victim, 0);
	desc->ops = DAMON_OPS_VADDR;
	desc->targets[0].ranges[0] =
		(struct damon_addr_range){ victim_memory, victim_memory + SIZE };
	start_with(&m, desc, _i ? "young" : "auto", 0);
	ck_assert(wait_for(&m, "s"));
	usleep(200000);
	ck_assert_uint_eq(count_in_log("cannot be watched"), 0);
	ck_assert(forbid(SYS_process_madvise, EPERM, SECCOMP_FILTER_FLAG_TSYNC));
	ck_assert(logs("the method young failed: Operation not permitted"));
	if (_i)
		assert_logs_pid(victim, "cannot be watched: its regions will show no access");
	else
		assert_logs_pid(victim, "is watched by the method referenced");
	usleep(2500000);
	ck_assert_uint_eq(count_in_log("the method young failed"), 1);
	stop(&m, "se");
	end_child(victim);
}
END_TEST

/* A file that stands for the bitmap of idle pages, in a mount namespace of the test's own. */
static void pretend_idle_bitmap(void)
{
	int fd;

	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("none", "/sys/kernel/mm", "tmpfs", 0, NULL), 0);
	ck_assert_int_eq(mkdir("/sys/kernel/mm/page_idle", 0755), 0);
	fd = open("/sys/kernel/mm/page_idle/bitmap", O_RDWR | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 64 << 20), 0);
	close(fd);
}

START_TEST(each_process_has_the_best_method_that_can_see_it)
{
	struct access_space *own = NULL, *others = NULL;
	struct access_sessions *sessions;
	struct process *roots, *owners;
	struct caller *caller;
	pid_t victim;

	if (!can_use_young())
		return;
	setup_log();
	pretend_idle_bitmap();
	victim = start_victim(true);
	/* In the name of one without capabilities. */
	ck_assert_int_eq(caller_new(victim, 0, 0, &caller), 0);
	ck_assert_int_eq(process_open(victim, NULL, &roots), 0);
	ck_assert_int_eq(process_open(victim, NULL, &owners), 0);
	owners->caller = caller;
	ck_assert_int_eq(access_sessions_open("auto", &sessions), 0);
	ck_assert_int_eq(access_space_open(sessions, roots, true, &own, NULL), 0);
	ck_assert_int_eq(access_space_open(sessions, owners, true, &others, NULL), 0);
	ck_assert_str_eq(own->session->method->name, "idle");
	ck_assert_str_eq(others->session->method->name, "young");
	assert_logs_pid(victim, "cannot be watched by the method idle: it would show user 0");
	assert_logs_pid(victim, "is watched by the method young");
	access_space_close(own);
	access_space_close(others);
	/* Nothing is said where nothing is to be. */
	ck_assert_int_eq(access_space_open(sessions, owners, false, &others, NULL), 0);
	ck_assert_uint_eq(count_in_log("is watched by"), 1);
	access_space_close(others);
	access_sessions_close(sessions);
	ck_assert_int_eq(access_sessions_open("idle", &sessions), 0);
	ck_assert_int_eq(access_space_open(sessions, owners, true, &others, NULL), -EPERM);
	access_sessions_close(sessions);
	process_put(roots);
	process_put(owners);
	end_child(victim);
}
END_TEST

START_TEST(who_has_no_memory_is_no_error)
{
	struct access_sessions *sessions;
	struct access_space *space;
	struct process *process;
	siginfo_t info;
	pid_t child;

	if (!can_use_young())
		return;
	child = start_child();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int r;

		ck_assert_int_eq(access_sessions_open(names[i], &sessions), 0);
		ck_assert_int_eq(process_open(child, NULL, &process), 0);
		ck_assert_int_eq(kill(child, SIGKILL), 0);
		ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
		r = access_space_open(sessions, process, true, &space, NULL);
		ck_assert_msg(!r || r == -ESRCH, "%s: %d", names[i], r);
		if (!r)
			access_space_close(space);
		access_sessions_close(sessions);
		process_put(process);
	}
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sight");
	TCase *tcase = tcase_create("sight");

	tcase_set_timeout(tcase, 6 * PATIENCE_S);
	tcase_add_loop_test(tcase, maps_that_cannot_be_read_refuse_on, 0, 4);
	tcase_add_test(tcase, one_that_can_be_seen_is_enough_and_the_other_may_come_later);
	tcase_add_test(tcase, a_commit_that_would_see_nothing_changes_nothing);
	tcase_add_loop_test(tcase, a_method_that_fails_later_is_told_and_gives_way, 0, 2);
	tcase_add_test(tcase, each_process_has_the_best_method_that_can_see_it);
	tcase_add_test(tcase, who_has_no_memory_is_no_error);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
