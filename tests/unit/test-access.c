// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What lies below the engine: scripts of simulated processes, the reading of maps, the naming of
 * processes, and when a clear of referenced bits can be afforded.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "access/access.h"
#include "access/methods/script.h"
#include "access/proc/clear_refs.h"
#include "access/proc/maps.h"
#include "access/proc/process.h"
#include "tests/unit/unit.h"

/* ---- scripts ---- */

static int read_script(const char *text, struct script *out, char why[static 256])
{
	FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int r;

	ck_assert_ptr_nonnull(file);
	*why = '\0';
	r = script_read(file, out, why, 256);
	fclose(file);
	return r;
}

static const struct {
	const char *line;
	struct script_event event;
} good_lines[] = {
	{ "map 0x10000000 256M", { SCRIPT_MAP, 0, 0x10000000, 0x20000000, 0 } },
	{ "map 0 4K\n", { SCRIPT_MAP, 0, 0, 4096, 0 } },
	{ "  map\t1G  1G\t# far up", { SCRIPT_MAP, 0, 1 << 30, 1UL << 31, 0 } },
	{ "map 010 1", { SCRIPT_MAP, 0, 8, 9, 0 } },
	{ "map 7 0", { SCRIPT_MAP, 0, 7, 7, 0 } },
	{ "unmap 1K 1K", { SCRIPT_UNMAP, 0, 1024, 2048, 0 } },
	{ "access 0 4096 0%", { SCRIPT_ACCESS, 0, 0, 4096, 0 } },
	{ "access 0 4096 100%", { SCRIPT_ACCESS, 0, 0, 4096, 100 } },
	{ "at 5s access 0 1 1%", { SCRIPT_ACCESS, 5000000, 0, 1, 1 } },
	{ "at 250ms map 0 1", { SCRIPT_MAP, 250000, 0, 1, 0 } },
	{ "at 7us unmap 0 1", { SCRIPT_UNMAP, 7, 0, 1, 0 } },
	{ "at 0us map 0 1", { SCRIPT_MAP, 0, 0, 1, 0 } },
	{ "map 0x10K 1", { SCRIPT_MAP, 0, 16384, 16385, 0 } },
	{ "map 0 18446744073709551615", { SCRIPT_MAP, 0, 0, UINT64_MAX, 0 } },
};

START_TEST(script_line_is_an_event)
{
	const struct script_event *event = &good_lines[_i].event;
	struct script script;
	char why[256];

	ck_assert_msg(!read_script(good_lines[_i].line, &script, why), "%s", why);
	ck_assert_uint_eq(script.nr, 1);
	ck_assert_int_eq(script.events[0].kind, event->kind);
	ck_assert_uint_eq(script.events[0].at, event->at);
	ck_assert_uint_eq(script.events[0].start, event->start);
	ck_assert_uint_eq(script.events[0].end, event->end);
	ck_assert_uint_eq(script.events[0].percent, event->percent);
	ck_assert_uint_eq(script.period, 0);
	script_free(&script);
}
END_TEST

static const char *const bad_lines[] = { "fly 0 4096",
					 "maps 0 4096",
					 "map",
					 "map 0",
					 "map 0 4096 1",
					 "map 0 4096 50%",
					 "map x 4096",
					 "map 0 4096B",
					 "map 0 4k",
					 "map -1 4096",
					 "map +1 4096",
					 "map 08 4096",
					 "map 0x 4096",
					 "map 18446744073709551616 1",
					 "map 18446744073709551615 1",
					 "map 0 17179869184G",
					 "unmap 0",
					 "access 0 4096",
					 "access 0 4096 50",
					 "access 0 4096 101%",
					 "access 0 4096 %",
					 "access 0 4096 -1%",
					 "access 0 4096 50% 1",
					 "at",
					 "at 5s",
					 "at 5 map 0 4096",
					 "at 5m map 0 4096",
					 "at s map 0 4096",
					 "at 18446744073709551615s map 0 4096",
					 "at 5s at 6s map 0 4096",
					 "repeat",
					 "at 0s repeat",
					 "at 5s repeat 3" };

START_TEST(bad_script_line_is_refused_by_its_number)
{
	struct script script;
	char text[256], why[256];

	snprintf(text, sizeof(text), "# one\nmap 0 4096\n%s\nmap 0 4096\n", bad_lines[_i]);
	ck_assert_int_eq(read_script(text, &script, why), -EINVAL);
	ck_assert_msg(strstr(why, "line 3 "), "%s", why);
}
END_TEST

START_TEST(events_are_in_the_order_of_time_and_then_of_lines)
{
	static const uint64_t starts[] = { 2, 5, 4, 1, 3 };
	struct script script;
	char why[256];

	ck_assert_int_eq(read_script("at 3us map 1 1\nmap 2 1\n\nat 3us map 3 1\n# x\n"
				     "at 9us repeat\nat 1us map 4 1\nmap 5 1\n",
				     &script, why),
			 0);
	ck_assert_uint_eq(script.nr, 5);
	for (size_t i = 0; i < 5; i++)
		ck_assert_uint_eq(script.events[i].start, starts[i]);
	ck_assert_uint_eq(script.period, 9);
	ck_assert_uint_eq(script_time(&script, 8), 8);
	ck_assert_uint_eq(script_time(&script, 9), 0);
	ck_assert_uint_eq(script_time(&script, 30), 3);
	script_free(&script);
	ck_assert_uint_eq(script_time(&script, 30), 30);
}
END_TEST

START_TEST(script_plays_its_events)
{
	struct script script;
	struct maps maps;
	char why[256];
	unsigned int half = 0;

	ck_assert_int_eq(read_script("map 64K 8K\nmap 0 8K\naccess 0 8K 100%\naccess 4K 4K 50%\n"
				     "at 2000us access 0 4K 0%\nat 3000us unmap 0 8K\n"
				     "at 3000us map 32K 4K\nat 4000us unmap 65K 8K\n",
				     &script, why),
			 0);
	ck_assert_int_eq(script_maps(&script, 2999, &maps), 0);
	ck_assert_uint_eq(maps.nr, 2);
	ck_assert_uint_eq(maps.mapping[0].end, 8192);
	ck_assert_uint_eq(maps.mapping[1].start, 65536);
	maps_free(&maps);
	/* Only what lies in the range goes. */
	ck_assert_int_eq(script_maps(&script, 4000, &maps), 0);
	ck_assert_uint_eq(maps.nr, 2);
	ck_assert_uint_eq(maps.mapping[0].start, 32768);
	ck_assert_uint_eq(maps.mapping[1].start, 65536);
	maps_free(&maps);
	for (uint64_t time = 0; time < 2000; time++) {
		ck_assert(script_accessed(&script, 4095, time));
		ck_assert(!script_accessed(&script, 8192, time));
		half += script_accessed(&script, 4096, time);
		/* A page is touched as a whole, and the same question has the same answer. */
		ck_assert_int_eq(script_accessed(&script, 4096, time),
				 script_accessed(&script, 8191, time));
	}
	ck_assert_uint_ge(half, 800);
	ck_assert_uint_le(half, 1200);
	for (uint64_t time = 2000; time < 2100; time++)
		ck_assert(!script_accessed(&script, 0, time));
	for (uint64_t time = 3000; time < 3100; time++)
		ck_assert(!script_accessed(&script, 4096, time));
	script_free(&script);
}
END_TEST

/* ---- maps ---- */

static const struct {
	const char *text;
	struct mapping mappings[3];
	size_t nr;
} maps_vectors[] = {
	{ "", { { 0 } }, 0 },
	{ "00400000-00401000 r-xp 00000000 08:01 131 /bin/x\n"
	  "7f0000000000-7f0000021000 rw-p 00000000 00:00 0 \n"
	  "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n",
	  { { 0x400000, 0x401000 }, { 0x7f0000000000, 0x7f0000021000 } },
	  2 },
	/* Only the kernel's own page has that name without a path. */
	{ "1000-2000 r--p 00000000 08:01 131 /tmp/[vsyscall]\n"
	  "7ffff7fc1000-7ffff7fc5000 r--p 00000000 00:00 0 [vvar]\n"
	  "7ffff7fc5000-7ffff7fc7000 r-xp 00000000 00:00 0 [vdso]\n",
	  { { 0x1000, 0x2000 },
	    { 0x7ffff7fc1000, 0x7ffff7fc5000 },
	    { 0x7ffff7fc5000, 0x7ffff7fc7000 } },
	  3 },
	{ "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n", { { 0 } }, 0 },
};

START_TEST(maps_are_read_without_vsyscall)
{
	struct maps maps = { 0 };
	char path[64];

	write_temporary(path, maps_vectors[_i].text);
	ck_assert_int_eq(maps_parse(open(path, O_RDONLY), &maps), 0);
	unlink(path);
	ck_assert_uint_eq(maps.nr, maps_vectors[_i].nr);
	for (size_t i = 0; i < maps.nr; i++) {
		ck_assert_uint_eq(maps.mapping[i].start, maps_vectors[_i].mappings[i].start);
		ck_assert_uint_eq(maps.mapping[i].end, maps_vectors[_i].mappings[i].end);
	}
	maps_free(&maps);
	ck_assert_uint_eq(maps.nr, 0);
}
END_TEST

START_TEST(address_is_found_in_its_half_open_mapping)
{
	struct mapping mappings[] = {
		{ 10, 20 }, { 20, 25 }, { 30, 31 }, { UINT64_MAX - 1, UINT64_MAX }
	};
	const struct maps maps = { mappings, ARRAY_SIZE(mappings) }, none = { 0 };
	static const struct {
		uint64_t address;
		int index;
	} vectors[] = { { 0, -1 },
			{ 9, -1 },
			{ 10, 0 },
			{ 19, 0 },
			{ 20, 1 },
			{ 24, 1 },
			{ 25, -1 },
			{ 29, -1 },
			{ 30, 2 },
			{ 31, -1 },
			{ UINT64_MAX - 1, 3 },
			{ UINT64_MAX, -1 } };

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		ck_assert_ptr_eq(maps_find(&maps, vectors[i].address),
				 vectors[i].index < 0 ? NULL : &mappings[vectors[i].index]);
		ck_assert_ptr_null(maps_find(&none, vectors[i].address));
	}
}
END_TEST

/* ---- processes ---- */

START_TEST(process_that_does_not_exist_is_not_found)
{
	__attribute__((cleanup(caller_putp))) struct caller *self = NULL;
	struct process *process = NULL;
	pid_t dead = start_child();

	end_child(dead);
	ck_assert_int_eq(caller_new(getpid(), getuid(), getgid(), &self), 0);
	for (size_t i = 0; i < 5; i++) {
		const pid_t pids[] = { dead, 0, -1, INT_MIN, INT_MAX };

		ck_assert_int_eq(process_open(pids[i], NULL, &process), -ESRCH);
		ck_assert_int_eq(process_open(pids[i], self, &process), -ESRCH);
	}
	ck_assert_ptr_null(process);
}
END_TEST

static pid_t thread_id;
static pthread_barrier_t barrier;

static void *thread_main(void *argument)
{
	thread_id = gettid();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return argument;
}

START_TEST(thread_is_found_by_its_id)
{
	struct process *process = NULL;
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	ck_assert_int_eq(pthread_create(&thread, NULL, thread_main, NULL), 0);
	pthread_barrier_wait(&barrier);
	ck_assert_int_eq(process_open(thread_id, NULL, &process), 0);
	ck_assert_int_eq(process->tid, thread_id);
	ck_assert_int_eq(process->pid, getpid());
	ck_assert(process_exists(process));
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	/* It is the task that was named, not its process.  It goes a moment after the join. */
	for (int i = 0; i < 1000 && process_exists(process); i++)
		usleep(1000);
	ck_assert(!process_exists(process));
	process_put(process);
}
END_TEST

START_TEST(zombie_exists_until_it_is_reaped)
{
	pid_t child = start_child();
	struct process *process = NULL, *zombie = NULL;
	struct maps maps = { 0 };
	siginfo_t info;

	ck_assert_int_eq(process_open(child, NULL, &process), 0);
	ck_assert_ptr_eq(process_get(process), process);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	ck_assert(process_exists(process));
	ck_assert_int_eq(process_open(child, NULL, &zombie), 0);
	ck_assert_int_eq(maps_read(zombie, &maps), 0);
	ck_assert_uint_eq(maps.nr, 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(!process_exists(process));
	ck_assert(!process_exists(zombie));
	ck_assert_int_eq(process_open_file(process, "maps", O_RDONLY), -ESRCH);
	process_put(zombie);
	process_put(process);
	process_put(process);
}
END_TEST

/* ---- clearing within a budget ---- */

static const struct {
	uint64_t last_us, cost_ns, now, sample;
	bool due;
} due_vectors[] = {
	/* The first is always due. */
	{ 0, 0, 0, 5000, true },
	{ 0, UINT64_MAX / 50, 1, 5000, true },
	/* One in each sampling interval, */
	{ 1000, 0, 5999, 5000, false },
	{ 1000, 0, 6000, 5000, true },
	{ 1000, 100000, 5999, 5000, false },
	{ 1000, 100000, 6000, 5000, true },
	/* or one in fifty times what the last one cost, if that is longer. */
	{ 1000, 100020, 6000, 5000, false },
	{ 1000, 100020, 6001, 5000, true },
	{ 1000, 20000000, 1000999, 5000, false },
	{ 1000, 20000000, 1001000, 5000, true },
	{ 1000, 0, 1000, 0, true },
	{ 1000, 19, 1000, 0, true },
	{ 1000, 20, 1000, 0, false },
	{ 1000, 20, 1001, 0, true },
	/* It ended after the round began: not for the other batches of that round. */
	{ 1000, 20000, 999, 0, false },
	{ 1000, 0, 0, 5000, false },
};

START_TEST(clear_is_due_when_it_can_be_afforded)
{
	const struct clear_refs refs = { .last_us = due_vectors[_i].last_us,
					 .cost_ns = due_vectors[_i].cost_ns };

	ck_assert_int_eq(clear_refs_due(&refs, due_vectors[_i].now, due_vectors[_i].sample),
			 due_vectors[_i].due);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("access");
	TCase *tcase = tcase_create("access");

	ADD_VECTORS(tcase, script_line_is_an_event, good_lines);
	ADD_VECTORS(tcase, bad_script_line_is_refused_by_its_number, bad_lines);
	tcase_add_test(tcase, events_are_in_the_order_of_time_and_then_of_lines);
	tcase_add_test(tcase, script_plays_its_events);
	ADD_VECTORS(tcase, maps_are_read_without_vsyscall, maps_vectors);
	tcase_add_test(tcase, address_is_found_in_its_half_open_mapping);
	tcase_add_test(tcase, process_that_does_not_exist_is_not_found);
	tcase_add_test(tcase, thread_is_found_by_its_id);
	tcase_add_test(tcase, zombie_exists_until_it_is_reaped);
	ADD_VECTORS(tcase, clear_is_due_when_it_can_be_afforded, due_vectors);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
