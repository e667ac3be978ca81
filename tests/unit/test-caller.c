// SPDX-License-Identifier: GPL-2.0-or-later
/* In whose name something is asked: real processes of two users, whom the kernel tells apart. */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "access/proc/process.h"
#include "access/rights/agent.h"
#include "access/rights/status.h"
#include "tests/unit/unit.h"
#include "util/clock.h"

static void end(pid_t child)
{
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

/* A child that waits, as user and group ID if that is not 0. */
static pid_t start_as(unsigned int id)
{
	int ready[2];
	char byte;
	pid_t child;

	ck_assert_int_eq(pipe(ready), 0);
	child = fork();
	if (!child) {
		if (id && (setgroups(0, NULL) || setgid(id) || setuid(id)))
			_exit(1);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	ck_assert_int_ge(child, 0);
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

#define OTHER 65534U

/* A process of ours and one of somebody else, who is *OTHER.  Return: whether we may start one. */
static bool start_two(pid_t *own, pid_t *others, struct caller **other)
{
	if (geteuid()) {
		printf("SKIPPED: MISSING root, to be somebody else\n");
		return false;
	}
	*own = start_as(0);
	*others = start_as(OTHER);
	ck_assert_int_eq(caller_new(*others, OTHER, OTHER, other), 0);
	return true;
}

START_TEST(process_of_another_user_may_not_be_named)
{
	__attribute__((cleanup(caller_putp))) struct caller *root = NULL, *other = NULL;
	struct process *process = NULL;
	pid_t own, others;

	if (!start_two(&own, &others, &other))
		return;
	ck_assert_int_eq(caller_new(own, 0, 0, &root), 0);
	ck_assert_int_eq(process_open(own, other, &process), -EPERM);
	ck_assert_ptr_null(process);
	/* A process that changed its user cannot be dumped until it executes: ask for another one. */
	ck_assert_int_eq(process_open(others, root, &process), 0);
	ck_assert_int_eq(process->tid, others);
	process = process_put(process);
	ck_assert_int_eq(process_open(own, root, &process), 0);
	ck_assert_int_eq(process->tid, own);
	process_put(process);
	end(own);
	end(others);
}
END_TEST

START_TEST(caller_is_who_waits_or_nobody)
{
	__attribute__((cleanup(caller_putp))) struct caller *caller = NULL;
	pid_t child = start_as(0);

	ck_assert_int_eq(caller_new(0, getuid(), getgid(), &caller), -ESRCH);
	ck_assert_int_eq(caller_new(child, getuid() + 1, getgid(), &caller), -EPERM);
	ck_assert_int_eq(caller_new(child, getuid(), getgid() + 1, &caller), -EPERM);
	ck_assert_ptr_null(caller);
	ck_assert_int_eq(caller_new(child, getuid(), getgid(), &caller), 0);
	end(child);
	caller = caller_put(caller);
	ck_assert_int_eq(caller_new(child, getuid(), getgid(), &caller), -ESRCH);
}
END_TEST

/* What another daemon of ours loads may do what was saved, and nothing more. */
/* A child that says so at *ASKS, and soon afterwards, or never, waits for a byte from FD. */
static pid_t start_asking(atomic_bool *asks, int fd, bool waits)
{
	pid_t child = fork();
	uint64_t until;
	char byte;

	if (child)
		return child;
	until = clock_ns() + 300000;
	atomic_store(asks, true);
	while (!waits || clock_ns() < until)
		;
	_exit(read(fd, &byte, 1) != 1);
}

/* How many of 20 tasks that had just asked were seen to wait. */
static int count_waiting(bool waits)
{
	atomic_bool *asks = mmap(NULL, sizeof(*asks), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct stat st;
	int ends[2], seen = 0;

	ck_assert_ptr_ne(asks, MAP_FAILED);
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(fstat(ends[0], &st), 0);
	for (int i = 0; i < 20; i++) {
		pid_t child;

		atomic_store(asks, false);
		child = start_asking(asks, ends[0], waits);
		while (!atomic_load(asks))
			;
		seen += task_waits_for(child, st.st_ino);
		end(child);
	}
	close(ends[0]);
	close(ends[1]);
	munmap(asks, sizeof(*asks));
	return seen;
}

START_TEST(who_has_just_asked_is_looked_at_until_it_waits)
{
	/* Some may have to wait for a processor for longer. */
	ck_assert_int_ge(count_waiting(true), 12);
	ck_assert_int_eq(count_waiting(false), 0);
}
END_TEST

START_TEST(a_saved_caller_is_the_same)
{
	__attribute__((cleanup(caller_putp))) struct caller *other = NULL, *loaded = NULL;
	struct process *process = NULL;
	char bytes[4096];
	pid_t own, others;
	size_t size;

	if (!start_two(&own, &others, &other))
		return;
	size = caller_save(other, bytes, sizeof(bytes));
	ck_assert_uint_gt(size, 0);
	ck_assert_uint_eq(caller_save(other, bytes, size - 1), 0);
	/* Whoever it was may have ended. */
	end(others);
	ck_assert_int_eq(caller_load(bytes, size, &loaded), 0);
	ck_assert_uint_eq(loaded->uid, OTHER);
	ck_assert_uint_eq(loaded->capabilities, other->capabilities);
	ck_assert_uint_eq(loaded->pid_ns, other->pid_ns);
	ck_assert_uint_eq(loaded->pid_ns_depth, other->pid_ns_depth);
	ck_assert_int_eq(process_open(own, loaded, &process), -EPERM);
	end(own);
}
END_TEST

/* Whatever a process calls itself, in the file where its start is. */
START_TEST(a_process_is_known_by_its_start)
{
	pid_t child = fork();
	uint64_t started;
	char comm[64];

	if (!child) {
		prctl(PR_SET_NAME, ") R 1 1 (x) 1");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	snprintf(comm, sizeof(comm), "/proc/%d/comm", child);
	for (int i = 0; i < 1000; i++) {
		char name[32] = "";
		FILE *file = fopen(comm, "r");

		ck_assert_ptr_nonnull(file);
		if (!fgets(name, sizeof(name), file))
			name[0] = '\0';
		fclose(file);
		if (*name == ')')
			break;
		usleep(1000);
	}
	started = process_started(child);
	/* Not before us, and not 1, as its name has it. */
	ck_assert_uint_ge(started, process_started(getpid()));
	ck_assert_uint_gt(started, 1);
	end(child);
	ck_assert_uint_eq(process_started(child), 0);
}
END_TEST

START_TEST(bytes_that_are_no_caller)
{
	struct caller caller = { .uid = 7, .pid_ns_fd = -1, .user_ns_fd = -1 };
	gid_t groups[] = { 5, 3 };
	struct caller *loaded = NULL;
	char bytes[4096], none[4096] = { 0 };
	struct stat st;
	size_t size;

	ck_assert_int_eq(stat("/proc/self/ns/pid", &st), 0);
	caller.pid_ns = st.st_ino;
	size = caller_save(&caller, bytes, sizeof(bytes));
	ck_assert_uint_gt(size, 0);
	for (size_t wrong = 0; wrong < size; wrong++)
		ck_assert_int_eq(caller_load(bytes, wrong, &loaded), -EINVAL);
	ck_assert_int_eq(caller_load(bytes, size + sizeof(gid_t), &loaded), -EINVAL);
	/* Of another pid namespace. */
	ck_assert_int_eq(caller_load(none, size, &loaded), -EPERM);
	/* Groups are compared in their order. */
	caller.groups = groups;
	caller.nr_groups = 2;
	size = caller_save(&caller, bytes, sizeof(bytes));
	ck_assert_int_eq(caller_load(bytes, size, &loaded), -EINVAL);
	ck_assert_ptr_null(loaded);
	/* Another user namespace, another label, another pid namespace. */
	caller.user_ns_fd = 0;
	ck_assert_uint_eq(caller_save(&caller, bytes, sizeof(bytes)), 0);
	caller.user_ns_fd = -1;
	caller.label = (char *)"label";
	ck_assert_uint_eq(caller_save(&caller, bytes, sizeof(bytes)), 0);
	caller.label = NULL;
	caller.pid_ns++;
	ck_assert_uint_eq(caller_save(&caller, bytes, sizeof(bytes)), 0);
}
END_TEST

/* Findings 4 and 9: the lesser of opener and writer; no capability comes with a uid. */
static const struct {
	struct caller opener, writer;
	int result; /* 0: the opener's name counts, 1: the writer's, or an errno */
} lesser_vectors[] = {
	{ { .uid = 0, .capabilities = ~0ULL }, { .uid = 0, .capabilities = ~0ULL }, 1 },
	{ { .uid = 7, .gid = 7 }, { .uid = 7, .gid = 7 }, 1 },
	/* A setuid helper, */
	{ { .uid = 7, .gid = 7 }, { .uid = 0, .gid = 7, .capabilities = ~0ULL }, 0 },
	/* a descriptor that is passed down, */
	{ { .uid = 0, .capabilities = ~0ULL }, { .uid = 7, .gid = 7 }, 1 },
	/* two of whom neither may more. */
	{ { .uid = 7, .gid = 7 }, { .uid = 8, .gid = 8 }, -EPERM },
	{ { .uid = 7, .gid = 7 }, { .uid = 7, .gid = 8 }, -EPERM },
	{ { .uid = 7, .gid = 7 }, { .uid = 0, .gid = 0 }, -EPERM },
	{ { .uid = 7, .capabilities = 1 }, { .uid = 7, .capabilities = 2 }, -EPERM },
	{ { .uid = 7, .capabilities = 3 }, { .uid = 7, .capabilities = 2 }, 1 },
	{ { .uid = 7, .capabilities = 2 }, { .uid = 7, .capabilities = 3 }, 0 },
};

START_TEST(lesser_of_opener_and_writer_counts)
{
	struct caller opener = lesser_vectors[_i].opener, writer = lesser_vectors[_i].writer;
	struct caller *lesser = NULL;
	int result = lesser_vectors[_i].result;

	opener.refs = writer.refs = 1;
	opener.user_ns_fd = writer.user_ns_fd = -1;
	ck_assert_int_eq(caller_lesser(&opener, &writer, &lesser), result < 0 ? result : 0);
	ck_assert_ptr_eq(lesser, result < 0 ? NULL : result ? &writer : &opener);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("caller");
	TCase *tcase = tcase_create("caller");

	if (caller_prepare() || agents_start())
		return 1;
	tcase_add_test(tcase, process_of_another_user_may_not_be_named);
	tcase_add_test(tcase, caller_is_who_waits_or_nobody);
	tcase_add_test(tcase, who_has_just_asked_is_looked_at_until_it_waits);
	tcase_add_test(tcase, a_saved_caller_is_the_same);
	tcase_add_test(tcase, a_process_is_known_by_its_start);
	tcase_add_test(tcase, bytes_that_are_no_caller);
	ADD_VECTORS(tcase, lesser_of_opener_and_writer_counts, lesser_vectors);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
