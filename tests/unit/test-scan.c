// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finding the pages that a process has, by asking the kernel and entry by entry, against what was
 * touched; and that it is quick where next to nothing is.  Needs root: without it all frames are
 * number 0, which is said and passed over.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "access/proc/pagemap.h"
#include "access/proc/scan.h"
#include "access/rights/privileges.h"
#include "tests/unit/unit.h"
#include "util/clock.h"

#define TIB (1UL << 40)

/* PAGEMAP_SCAN, as older kernels know it. */
#define SCAN_IOCTL 0xc0606610U

static bool may_see_frames(void)
{
	if (!capable_of(CAP_SYS_ADMIN))
		printf("SKIPPED: MISSING CAP_SYS_ADMIN\n");
	return capable_of(CAP_SYS_ADMIN);
}

/* From here on the kernel is one before 6.7. */
static void forbid_asking(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SCAN_IOCTL, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static struct scan scan;
static int pagemap = -1;

static void scan_self(bool by_entry)
{
	struct process *self;

	if (by_entry)
		forbid_asking();
	ck_assert_int_eq(process_open(getpid(), NULL, &self), 0);
	pagemap = process_open_file(self, "pagemap", O_RDONLY);
	ck_assert_int_ge(pagemap, 0);
	scan_init(&scan, pagemap);
	ck_assert_int_eq(scan_renew(&scan, self, 1UL << 24), 0);
	if (by_entry)
		ck_assert(scan.by_entry);
	process_put(self);
}

static void scan_end(void)
{
	scan_free(&scan);
	close(pagemap);
}

static uint64_t entry_of(uint64_t page)
{
	uint64_t entry = 0;

	ck_assert_int_eq(pread(pagemap, &entry, 8, (off_t)(page * 8)), 8);
	return entry;
}

/* Scans from FIRST to LAST, ROOM at a time, and checks each.  Return: how many. */
static uint64_t check_range(uint64_t first, uint64_t last, size_t room)
{
	struct scan_page found[512];
	uint64_t at = first, total = 0, next = first;

	while (at < last) {
		uint64_t was = at;
		size_t nr = scan_next(&scan, &at, last, found, room);

		ck_assert_uint_gt(at, was);
		ck_assert_uint_le(at, last);
		ck_assert_uint_le(nr, room);
		for (size_t i = 0; i < nr; i++) {
			ck_assert_uint_ge(found[i].page, next);
			ck_assert_uint_lt(found[i].page, at);
			ck_assert_uint_eq(entry_of(found[i].page) & PAGEMAP_FRAME, found[i].frame);
			next = found[i].page + 1;
		}
		total += nr;
	}
	return total;
}

static char *reserve(uint64_t size, int protection)
{
	char *memory =
		mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert(memory != MAP_FAILED);
	madvise(memory, size, MADV_NOHUGEPAGE);
	return memory;
}

/* Pages that are touched, one in so many, of so many. */
static const struct {
	uint64_t each, of;
	size_t room;
} vectors[] = { { 1, 5000, 512 },     { 1, 5000, 1 },	 { 2, 5000, 512 },
		{ 3, 9000, 7 },	      { 7, 70000, 512 }, { 600, 600000, 512 },
		{ 5000, 500000, 64 }, { 1, 512, 512 },	 { 1, 513, 512 } };

static void pages_that_were_touched_are_found(int i, bool by_entry)
{
	uint64_t nr = vectors[i].of, touched = 0, first;
	char *memory;

	if (!may_see_frames())
		return;
	memory = reserve((nr + 2) * PAGE, PROT_READ | PROT_WRITE) + PAGE;
	first = (uint64_t)memory / PAGE;
	for (uint64_t k = 0; k < nr; k += vectors[i].each, touched++)
		memory[k * PAGE] = 1;
	scan_self(by_entry);
	ck_assert_uint_eq(check_range(first, first + nr, vectors[i].room), touched);
	/* From the middle, to the middle. */
	ck_assert_uint_eq(check_range(first + 1, first + 1 + vectors[i].each, 512), 1);
	ck_assert_uint_eq(check_range(first, first, 512), 0);
	scan_end();
}

START_TEST(what_was_touched_is_found_by_asking)
{
	pages_that_were_touched_are_found(_i, false);
}
END_TEST

START_TEST(what_was_touched_is_found_by_entry)
{
	pages_that_were_touched_are_found(_i, true);
}
END_TEST

/* A sanitizer has reserved much itself. */
static char *reserve_much(int protection)
{
	for (uint64_t size = 64 * TIB; size > TIB / 64; size /= 2) {
		char *memory = mmap(NULL, size, protection,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (memory != MAP_FAILED)
			return memory;
	}
	return reserve(TIB / 64, protection);
}

/* All of the address space, with as much reserved as there is room for and little of it touched. */
static void what_is_reserved_costs_nothing(int protection, bool by_entry)
{
	uint64_t began, took, found;
	char *memory;

	if (!may_see_frames())
		return;
	memory = reserve_much(protection);
	mprotect(memory, 64 * PAGE, PROT_READ | PROT_WRITE);
	memset(memory, 1, 64 * PAGE);
	mprotect(memory, 64 * PAGE, protection);
	scan_self(by_entry);
	began = clock_ns();
	found = check_range(0, SCAN_END, 512);
	took = clock_ns() - began;
	ck_assert_uint_ge(found, by_entry ? 10 : 64 + 10);
	ck_assert_msg(took < 1000000000, "%lu us", took / 1000);
	scan_end();
}

static const int protections[] = { PROT_NONE, PROT_READ | PROT_WRITE };

START_TEST(reserved_memory_is_passed_over_by_asking)
{
	what_is_reserved_costs_nothing(protections[_i], false);
}
END_TEST

START_TEST(reserved_memory_is_passed_over_by_entry)
{
	what_is_reserved_costs_nothing(protections[_i], true);
}
END_TEST

START_TEST(nothing_is_found_where_no_memory_is)
{
	if (!may_see_frames())
		return;
	scan_self(_i);
	ck_assert_uint_eq(check_range(0, 1, 512), 0);
	ck_assert_uint_eq(check_range(1UL << 35, SCAN_END, 512), 0);
	scan_end();
}
END_TEST

START_TEST(nothing_is_found_of_a_process_that_has_ended)
{
	pid_t child = start_child();
	struct process *process;
	struct scan_page found[8];
	uint64_t at = 0;

	ck_assert_int_eq(process_open(child, NULL, &process), 0);
	pagemap = process_open_file(process, "pagemap", O_RDONLY);
	scan_init(&scan, pagemap);
	ck_assert_int_eq(scan_renew(&scan, process, 0), 0);
	end_child(child);
	while (at < SCAN_END)
		ck_assert_uint_eq(scan_next(&scan, &at, SCAN_END, found, 8), 0);
	process_put(process);
	scan_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scan");
	TCase *tcase = tcase_create("scan");

	tcase_set_timeout(tcase, 60);
	ADD_VECTORS(tcase, what_was_touched_is_found_by_asking, vectors);
	ADD_VECTORS(tcase, what_was_touched_is_found_by_entry, vectors);
	ADD_VECTORS(tcase, reserved_memory_is_passed_over_by_asking, protections);
	ADD_VECTORS(tcase, reserved_memory_is_passed_over_by_entry, protections);
	tcase_add_loop_test(tcase, nothing_is_found_where_no_memory_is, 0, 2);
	tcase_add_test(tcase, nothing_is_found_of_a_process_that_has_ended);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
