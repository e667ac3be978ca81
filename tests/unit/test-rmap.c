// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The reverse map of frames, against the pagemap of those who own them, and its keeper.  Needs
 * root: without it all frames are number 0, which is said and passed over.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "access/proc/pagemap.h"
#include "access/proc/rmap.h"
#include "access/rights/privileges.h"
#include "tests/unit/unit.h"
#include "util/clock.h"

#define NR 512

/* How long the next map takes longer, in us. */
static atomic_ulong held_up;

DIR *__real_opendir(const char *name);
DIR *__wrap_opendir(const char *name);
DIR *__wrap_opendir(const char *name)
{
	usleep((useconds_t)atomic_exchange(&held_up, 0));
	return __real_opendir(name);
}

static uint64_t frame_of(const void *address)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	ck_assert_int_eq(pread(fd, &entry, 8, (off_t)((uint64_t)address / PAGE * 8)), 8);
	close(fd);
	return entry & PAGEMAP_PRESENT ? entry & PAGEMAP_FRAME : 0;
}

static bool may_see_frames(void)
{
	if (!capable_of(CAP_SYS_ADMIN))
		printf("SKIPPED: MISSING CAP_SYS_ADMIN\n");
	return capable_of(CAP_SYS_ADMIN);
}

static char *touched_memory(int flags)
{
	char *memory = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	ck_assert(memory != MAP_FAILED);
	memset(memory, 1, NR * PAGE);
	return memory;
}

/* Whether MAP says that PID has FRAME at ADDRESS. */
static bool says(const struct rmap *map, uint64_t frame, pid_t pid, const void *address)
{
	struct rmap_mapping found[64];
	size_t nr = rmap_find(map, frame, found, ARRAY_SIZE(found));

	for (size_t i = 0; i < nr; i++)
		if (map->owners[found[i].owner]->pid == pid &&
		    found[i].page == (uint64_t)address / PAGE)
			return true;
	return false;
}

START_TEST(each_frame_is_where_it_is_mapped)
{
	char *own, *shared;
	struct rmap *map;
	pid_t child;

	if (!may_see_frames())
		return;
	own = touched_memory(MAP_PRIVATE);
	shared = touched_memory(MAP_SHARED);
	child = start_child();
	/* The child has them mapped once it has read them; what is private is shared by the fork. */
	ck_assert_int_eq(rmap_build(0, UINT64_MAX, &map), 0);
	for (size_t i = 0; i < NR; i++) {
		ck_assert(says(map, frame_of(own + i * PAGE), getpid(), own + i * PAGE));
		ck_assert(says(map, frame_of(shared + i * PAGE), getpid(), shared + i * PAGE));
		ck_assert(says(map, frame_of(own + i * PAGE), child, own + i * PAGE));
	}
	map = rmap_put(map);
	end_child(child);
	munmap(own, NR * PAGE);
	munmap(shared, NR * PAGE);
}
END_TEST

START_TEST(only_what_was_asked_for_is_in_it)
{
	struct rmap_mapping found[4];
	struct rmap *map;
	uint64_t frame;
	char *own;

	if (!may_see_frames())
		return;
	own = touched_memory(MAP_PRIVATE);
	frame = frame_of(own + 7 * PAGE);
	ck_assert_int_eq(rmap_build(frame, frame + 1, &map), 0);
	ck_assert(says(map, frame, getpid(), own + 7 * PAGE));
	ck_assert_uint_eq(rmap_find(map, frame - 1, found, 4), 0);
	ck_assert_uint_eq(rmap_find(map, frame + 1, found, 4), 0);
	ck_assert_uint_eq(map->nr_owners, 1);
	rmap_put(map);
	munmap(own, NR * PAGE);
}
END_TEST

START_TEST(runs_that_overlap_are_all_found)
{
	struct rmap_run runs[] = { { 10, 100, 50, 0, 60 },
				   { 20, 200, 5, 1, 60 },
				   { 22, 300, 1, 2, 60 },
				   { 30, 400, 1, 3, 60 },
				   { 70, 500, 2, 4, 72 } };
	struct rmap map = { .runs = runs, .nr = ARRAY_SIZE(runs) };
	struct rmap_mapping found[4];

	ck_assert_uint_eq(rmap_find(&map, 9, found, 4), 0);
	ck_assert_uint_eq(rmap_find(&map, 22, found, 4), 3);
	ck_assert_uint_eq(found[0].page, 300);
	ck_assert_uint_eq(found[1].page, 202);
	ck_assert_uint_eq(found[2].page, 112);
	ck_assert_uint_eq(rmap_find(&map, 22, found, 2), 2);
	ck_assert_uint_eq(rmap_find(&map, 59, found, 4), 1);
	ck_assert_uint_eq(rmap_find(&map, 60, found, 4), 0);
	ck_assert_uint_eq(rmap_find(&map, 71, found, 4), 1);
	ck_assert_uint_eq(found[0].page, 501);
	ck_assert_uint_eq(rmap_find(&map, 72, found, 4), 0);
}
END_TEST

START_TEST(the_keeper_makes_maps_while_it_has_users)
{
	struct rmap_user a = { 0 }, b = { 0 };
	struct rmap *map = NULL;
	uint64_t frame, before;
	char *own;

	if (!may_see_frames()) {
		ck_assert_int_eq(rmap_join(&a), -EPERM);
		return;
	}
	own = touched_memory(MAP_PRIVATE);
	frame = frame_of(own);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(rmap_join(&a), 0);
		ck_assert_int_eq(rmap_join(&b), 0);
		before = rmap_generation();
		rmap_want(&b, frame, frame + 1);
		for (int k = 0; k < 1000 && rmap_generation() == before; k++)
			usleep(10000);
		map = rmap_newest();
		ck_assert_ptr_nonnull(map);
		ck_assert(says(map, frame, getpid(), own));
		rmap_leave(&a);
		rmap_leave(&b);
		ck_assert_ptr_null(rmap_newest());
		/* A reference outlives it. */
		ck_assert(says(map, frame, getpid(), own));
		map = rmap_put(map);
	}
	munmap(own, NR * PAGE);
}
END_TEST

START_TEST(having_been_idle_delays_nothing)
{
	struct rmap_user user = { 0 };
	uint64_t frame, before, took, limit, end;
	struct rmap *map = NULL;
	char *own;

	if (!may_see_frames())
		return;
	own = touched_memory(MAP_PRIVATE);
	frame = frame_of(own);
	took = clock_us();
	ck_assert_int_eq(rmap_build(frame, frame + 1, &map), 0);
	took = clock_us() - took;
	map = rmap_put(map);
	/* It rests for 25 times what a map takes; when that was 25 times what it was idle, too: */
	limit = 20000000 + 60 * took;
	ck_assert_int_eq(rmap_prepare(), 0);
	usleep((useconds_t)(limit / 20));
	/* It leaves and comes back at once as well, which may be in the middle of a map. */
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(rmap_join(&user), 0);
		rmap_want(&user, frame, frame + 1);
		usleep((useconds_t)(1000 * i));
		rmap_leave(&user);
		user = (struct rmap_user){ 0 };
	}
	ck_assert_int_eq(rmap_join(&user), 0);
	rmap_want(&user, frame, frame + 1);
	before = rmap_generation();
	for (end = clock_us() + limit; rmap_generation() < before + 2 && clock_us() < end;)
		usleep(10000);
	ck_assert_uint_ge(rmap_generation(), before + 2);
	rmap_leave(&user);
	munmap(own, NR * PAGE);
}
END_TEST

/* How long a map took is not how long its maker did not run: it would rest for 25 s. */
START_TEST(a_standstill_is_no_work)
{
	struct rmap_user user = { .first = 0, .last = 1 };
	uint64_t before = rmap_generation(), end;

	if (!may_see_frames())
		return;
	atomic_store(&held_up, 1000000);
	ck_assert_int_eq(rmap_join(&user), 0);
	for (end = clock_us() + 15000000; rmap_generation() < before + 2 && clock_us() < end;)
		usleep(10000);
	ck_assert_uint_ge(rmap_generation(), before + 2);
	rmap_leave(&user);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rmap");
	TCase *tcase = tcase_create("rmap");

	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, each_frame_is_where_it_is_mapped);
	tcase_add_test(tcase, only_what_was_asked_for_is_in_it);
	tcase_add_test(tcase, runs_that_overlap_are_all_found);
	tcase_add_test(tcase, the_keeper_makes_maps_while_it_has_users);
	tcase_add_test(tcase, having_been_idle_delays_nothing);
	tcase_add_test(tcase, a_standstill_is_no_work);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
