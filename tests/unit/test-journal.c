// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What outlives a daemon: the list of records, the requests that are outstanding, and how a tree
 * comes back. The deaths themselves are in tests/mount/test_survival.py, hostile journals in
 * fuzz-journal.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/mman.h>

#include "fs/keep/records.h"
#include "fs/keep/restore.h"
#include "fs/keep/shared.h"
#include "fs/run.h"
#include "tests/unit/tree.h"

static struct shared *shared;
static int shared_fd;

static void begin(void)
{
	shared = shared_new(&shared_fd);
	ck_assert_ptr_nonnull(shared);
}

static void end(void)
{
	shared_free(shared);
	close(shared_fd);
}

/* Another version of damonfs finds its memory, or finds out that it is not. */
START_TEST(memory_of_another_layout_is_refused)
{
	struct shared *again = shared_open(shared_fd);
	int file;

	ck_assert_ptr_nonnull(again);
	shared->served = 5;
	ck_assert_uint_eq(again->served, 5);
	shared_free(again);
	shared->layout++;
	errno = 0;
	ck_assert_ptr_null(shared_open(shared_fd));
	ck_assert_int_eq(errno, EPROTO);
	file = memfd_create("test", MFD_ALLOW_SEALING);
	ck_assert_int_eq(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	ck_assert_ptr_null(shared_open(file));
	close(file);
	ck_assert_ptr_null(shared_open(0));
}
END_TEST

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3: also adds F_SEAL_EXEC */
#endif

/* With vm.memfd_noexec the kernel adds a seal; and what lacks ours is an error like any other. */
START_TEST(memory_has_our_seals)
{
	int file = memfd_create("test", MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	struct shared *again;

	if (file < 0)
		file = memfd_create("test", MFD_ALLOW_SEALING);
	ck_assert_int_eq(ftruncate(file, sizeof(*shared)), 0);
	ck_assert_int_eq(pwrite(file, &shared->layout, sizeof(shared->layout), 0),
			 sizeof(shared->layout));
	errno = 0;
	ck_assert_ptr_null(shared_open(file));
	ck_assert_int_eq(errno, EPROTO);
	ck_assert_int_eq(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	again = shared_open(file);
	ck_assert_ptr_nonnull(again);
	shared_free(again);
	close(file);
}
END_TEST

/* ---- the list ---- */

static int add(const char *text)
{
	const struct record record = { .kind = RECORD_WRITE,
				       .length = (uint32_t)strlen(text),
				       .ino = strlen(text) };

	return journal_add(&shared->journal, &record, text);
}

static void assert_next(size_t *position, const char *text)
{
	struct record record;
	const char *data;

	ck_assert(journal_next(&shared->journal, position, &record, &data));
	ck_assert_uint_eq(record.length, strlen(text));
	ck_assert_uint_eq(record.ino, strlen(text));
	ck_assert_mem_eq(data, text, strlen(text));
}

static void assert_end(size_t position)
{
	struct record record;
	const char *data;

	ck_assert(!journal_next(&shared->journal, &position, &record, &data));
}

START_TEST(records_come_in_order)
{
	size_t position = 0;

	assert_end(0);
	ck_assert_int_eq(add("one"), 0);
	ck_assert_int_eq(add(""), 0);
	ck_assert_int_eq(add("and eight"), 0);
	assert_next(&position, "one");
	assert_next(&position, "");
	assert_next(&position, "and eight");
	assert_end(position);
}
END_TEST

START_TEST(one_that_is_not_complete_does_not_count)
{
	struct journal *journal = &shared->journal;
	size_t position = 0;

	ck_assert_int_eq(add("one"), 0);
	/* The writer died before it said how long the list is. */
	memset(journal->half[0].data + journal->half[0].length, 0x5a, 1000);
	assert_next(&position, "one");
	assert_end(position);
}
END_TEST

START_TEST(replacing_begins_anew)
{
	char records[128];
	const struct record record = { .kind = RECORD_WRITE, .length = 3, .ino = 3 };
	size_t position = 0;

	ck_assert_int_eq(add("something"), 0);
	record_put(records, &record, "new");
	ck_assert_int_eq(journal_replace(&shared->journal, records, record_size(3)), 0);
	ck_assert_int_eq(add("more"), 0);
	assert_next(&position, "new");
	assert_next(&position, "more");
	assert_end(position);
}
END_TEST

START_TEST(a_full_list_says_so)
{
	static char text[16 << 20];
	size_t nr = 0, position = 0;

	memset(text, 'x', sizeof(text) - 1);
	while (!add(text))
		ck_assert_uint_lt(++nr, JOURNAL_HALF / sizeof(text) + 1);
	ck_assert_uint_gt(nr, JOURNAL_HALF / sizeof(text) - 2);
	ck_assert(journal_is_long(&shared->journal));
	ck_assert(atomic_load(&shared->journal.incomplete));
	assert_next(&position, text);
	ck_assert_int_eq(journal_replace(&shared->journal, "", 0), 0);
	ck_assert(!atomic_load(&shared->journal.incomplete));
	assert_end(0);
}
END_TEST

START_TEST(lengths_that_lie)
{
	static const uint32_t lengths[] = { 1, 8, 64, UINT32_MAX, UINT32_MAX - 7, INT32_MAX };
	struct journal *journal = &shared->journal;
	struct record record = { .kind = RECORD_WRITE };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		record.length = lengths[i];
		memcpy(journal->half[0].data, &record, sizeof(record));
		/* A header, and nothing behind it. */
		atomic_store(&journal->half[0].length, sizeof(record));
		assert_end(0);
	}
	assert_end(SIZE_MAX);
	assert_end(JOURNAL_HALF - 1);
	atomic_store(&journal->active, 77);
	atomic_store(&journal->half[1].length, UINT64_MAX);
	for (size_t position = JOURNAL_HALF - 4096;;) {
		const char *data;

		if (!journal_next(journal, &position, &record, &data))
			break;
		ck_assert_uint_le(position, JOURNAL_HALF);
	}
}
END_TEST

/* ---- the tree ---- */

/* A tree that is kept, and the one that comes back. */
static struct saver saver;

static struct tree *new_kept_tree(void)
{
	struct tree *tree = new_tree(DAMON_ABI(7, 2));

	saver = (struct saver){ .journal = &shared->journal };
	damonfs_of_tree(tree)->saver = &saver;
	return tree;
}

static void keep(struct tree *tree)
{
	tree_lock(tree);
	save_all(tree);
	tree_unlock(tree);
}

/* The records of TREE as it is, to be freed. */
static size_t all_records(struct tree *tree, char **out)
{
	struct journal *journal = &shared->journal;
	size_t length;

	keep(tree);
	length = atomic_load(&journal->half[atomic_load(&journal->active)].length);
	*out = malloc(length);
	ck_assert_ptr_nonnull(*out);
	memcpy(*out, journal->half[atomic_load(&journal->active)].data, length);
	return length;
}

static void come_back(struct tree *tree, size_t nr_failed)
{
	tree_lock(tree);
	ck_assert_uint_eq(restore(tree).nr_failed, nr_failed);
	tree_unlock(tree);
}

/* What TREE makes of itself is the LENGTH bytes BEFORE; frees both. */
static void assert_same_records(struct tree *tree, char *before, size_t length)
{
	char *after;

	ck_assert_uint_eq(all_records(tree, &after), length);
	ck_assert_mem_eq(before, after, length);
	free(before);
	free(after);
	tree_free(tree);
}

START_TEST(a_tree_comes_back)
{
	struct tree *tree = new_kept_tree();
	char *before;
	uint64_t serial;
	size_t length;

	populate(tree);
	populate(tree);
	ck_assert_int_eq(store(tree, C "operations", "paddr\n"), 0);
	ck_assert_int_eq(store(tree, S "action", "cold"), 0);
	ck_assert_int_eq(store(tree, OF "memcg_path", "/a\nb "), 0);
	ck_assert_int_eq(store(tree, OF "allow", "Y"), 0);
	ck_assert_int_eq(store(tree, S "quotas/bytes", "18446744073709551615"), 0);
	ck_assert_int_eq(store(tree, "modules/damon_reclaim/parameters/min_age", "5"), 0);
	length = all_records(tree, &before);
	serial = tree->next_serial;
	tree_free(tree);

	tree = new_kept_tree();
	come_back(tree, 0);
	assert_shows(tree, OF "memcg_path", "/a\nb \n");
	assert_shows(tree, S "action", "cold\n");
	ck_assert_uint_eq(tree->next_serial, serial);
	assert_same_records(tree, before, length);
}
END_TEST

/* Contexts with names, and the files of debugfs that are streams. */
START_TEST(debugfs_comes_back)
{
	static const struct {
		const char *path, *text;
	} writes[] = {
		{ "damon/mk_contexts", "foo" },
		{ "damon/mk_contexts", "bar" },
		{ "damon/rm_contexts", "foo" },
		{ "damon/mk_contexts", "foo" },
		{ "damon/attrs", "1000 2000 3000 20 30" },
		{ "damon/foo/init_regions", "0 4096 8192\n" },
		{ "damon/bar/schemes", "0 9 0 9 0 9 5 1 2 3 4 5 6 4294967290 7 9 8 7\n0 1 0 1 0 1 "
				       "2 0 0 0 0 0 0 0 0 0 0 0" },
	};
	struct tree *tree = new_kept_tree();
	char *before, ids[32];
	size_t length;

	snprintf(ids, sizeof(ids), "%d\n", start_child());
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		if (i == 4)
			ck_assert_int_eq(store(tree, "damon/foo/target_ids", ids), 0);
		ck_assert_int_eq(store(tree, writes[i].path, writes[i].text), 0);
	}
	length = all_records(tree, &before);
	tree_free(tree);
	tree = new_kept_tree();
	come_back(tree, 0);
	assert_shows(tree, "damon/foo/target_ids", ids);
	assert_shows(tree, "damon/foo/init_regions", "0 4096 8192\n");
	assert_shows(tree, "damon/attrs", "1000 2000 3000 20 30\n");
	assert_same_records(tree, before, length);
}
END_TEST

/* Names that mk_contexts does not take, or a number that is in use. */
START_TEST(a_context_may_be_called_anything)
{
	static const struct {
		const char *name;
		uint64_t serial;
		size_t nr_failed;
	} cases[] = {
		{ "foo", 900, 0 },   { "..", 900, 1 }, { "a/b", 900, 1 }, { "", 900, 1 },
		{ "attrs", 900, 1 }, { "foo", 0, 1 },  { "foo", 1, 1 },	  { "foo", UINT64_MAX, 1 },
	};
	struct tree *tree = new_kept_tree();
	struct record record = { .kind = RECORD_WRITE,
				 .length = (uint32_t)strlen(cases[_i].name),
				 .serial = cases[_i].serial };
	struct node node;

	ck_assert_int_eq(store(tree, "damon/mk_contexts", "there"), 0);
	keep(tree);
	ck_assert(find(tree, "damon/mk_contexts", &node));
	record.ino = node_ino(node);
	ck_assert_int_eq(journal_add(&shared->journal, &record, cases[_i].name), 0);
	tree_free(tree);
	tree = new_kept_tree();
	come_back(tree, cases[_i].nr_failed);
	ck_assert_int_eq(exists(tree, "damon/foo"), !cases[_i].nr_failed);
	tree_free(tree);
}
END_TEST

/* A context that is made just when all is saved again. */
START_TEST(what_is_saved_with_all_is_saved_once)
{
	const struct record filler = { .kind = RECORD_SERIAL };
	struct tree *tree = new_kept_tree();
	uint64_t serial = tree->next_serial;
	struct node node;

	keep(tree);
	while (!journal_is_long(&shared->journal))
		ck_assert_int_eq(journal_add(&shared->journal, &filler, NULL), 0);
	ck_assert_int_eq(store(tree, "damon/mk_contexts", "foo"), 0);
	ck_assert(find(tree, "damon/mk_contexts", &node));
	tree_lock(tree);
	save_store(tree, node, "foo", serial, NULL, 0, 0);
	tree_unlock(tree);
	ck_assert(!journal_is_long(&shared->journal));
	tree_free(tree);
	tree = new_kept_tree();
	come_back(tree, 0);
	ck_assert(exists(tree, "damon/foo"));
	tree_free(tree);
}
END_TEST

START_TEST(commands_and_what_is_measured_are_not_stored)
{
	static const char *const paths[] = {
		K "state",	    S "stats/nr_tried",	 "modules/damon_stat/parameters/enabled",
		"damon/monitor_on", "damon/kdamond_pid", C "avail_operations"
	};
	struct tree *tree = new_kept_tree();

	populate(tree);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct node node;

		ck_assert_msg(find(tree, paths[i], &node), "%s", paths[i]);
		ck_assert_msg(!records_cover(node_row(node)->file), "%s", paths[i]);
	}
	tree_free(tree);
}
END_TEST

START_TEST(a_number_is_given_once)
{
	struct tree *tree = new_kept_tree();
	struct record record = { .kind = RECORD_WRITE, .length = 1 };
	struct node node;

	populate(tree);
	keep(tree);
	/* It claims the numbers of what is there. */
	ck_assert(find(tree, C "targets/nr_targets", &node));
	record.ino = node_ino(node);
	record.serial = 1;
	ck_assert_int_eq(journal_add(&shared->journal, &record, "2"), 0);
	tree_free(tree);
	tree = new_kept_tree();
	come_back(tree, 1);
	assert_shows(tree, C "targets/nr_targets", "0\n");
	tree_free(tree);
}
END_TEST

/* A kdamond found the NR regions of TRIED, with the hits of two probes. */
static void find_these(struct tree *tree, struct damos_tried_region *tried, size_t nr)
{
	const struct damon_command command = { .tried = tried, .nr_tried = nr, .nr_probes = 2 };
	struct node node;

	ck_assert(find(tree, C "operations", &node));
	tree_lock(tree);
	ck_assert_int_eq(tried_regions_take((struct context_dir *)node.dir, &command), 0);
	tree_unlock(tree);
}

/* Two schemes are tried on two regions. */
static void find_regions(struct tree *tree)
{
	static struct damos_tried_region tried[] = {
		{ 0, 0x1000, 0x3000, 5, 6, 0x800, { 1, 2 } },
		{ 1, 0x1000, 0x3000, 5, 6, 0, { 1, 2 } },
		{ 0, 0x4000, UINT64_MAX, UINT32_MAX, 9, 0, { 255, 0 } },
	};

	find_these(tree, tried, ARRAY_SIZE(tried));
}

/* How many lists of what was found are in the journal. */
static size_t nr_measured(void)
{
	struct record record;
	const char *data;
	size_t position = 0, nr = 0;

	while (journal_next(&shared->journal, &position, &record, &data))
		nr += record.kind == RECORD_MEASURED;
	return nr;
}

START_TEST(what_was_found_comes_back)
{
	struct tree *tree = new_kept_tree();
	char *before;
	size_t length;

	populate(tree);
	ck_assert_int_eq(store(tree, C "schemes/nr_schemes", "2"), 0);
	keep(tree);
	/* By a record of its own, and by one of many. */
	find_regions(tree);
	if (_i)
		keep(tree);
	/* One of each scheme: that has the hits in it. */
	ck_assert_uint_eq(nr_measured(), 2);
	tree_free(tree);
	tree = new_kept_tree();
	come_back(tree, 0);
	assert_shows(tree, S "tried_regions/total_bytes", "18446744073709543423\n");
	assert_shows(tree, S "tried_regions/0/probes/1/hits", "2\n");
	assert_shows(tree, S "tried_regions/2/nr_accesses", "4294967295\n");
	length = all_records(tree, &before);
	tree_free(tree);
	tree = new_kept_tree();
	come_back(tree, 0);
	assert_same_records(tree, before, length);
}
END_TEST

/* More than what is kept is as if it had been cleared. */
START_TEST(too_much_that_was_found_is_left)
{
	static struct damos_tried_region tried[50000];
	struct tree *tree = new_kept_tree();
	struct node node;

	populate(tree);
	for (size_t i = 0; i < ARRAY_SIZE(tried); i++)
		tried[i] = (struct damos_tried_region){ .start = i << 12, .end = (i + 1) << 12 };
	find_these(tree, tried, ARRAY_SIZE(tried));
	keep(tree);
	tree_free(tree);
	tree = new_kept_tree();
	come_back(tree, 0);
	assert_shows(tree, S "tried_regions/total_bytes", "0\n");
	ck_assert(!find(tree, S "tried_regions/0", &node));
	tree_free(tree);
}
END_TEST

/* It would go on with what it had found before. */
START_TEST(more_than_a_kdamond_can_keep_is_nothing)
{
	static struct damon_found_region found[100000];
	struct tree *tree = new_kept_tree();
	const struct record on = { .kind = RECORD_ON, .ino = 5 };
	struct run run = { .tree = tree, .state = RUN_ON };
	struct record record;
	const char *data;
	size_t position = 0;

	ck_assert_int_eq(text_reserve(&run.kept, sizeof(on)), 0);
	record_put(run.kept.data, &on, NULL);
	run.kept.length = sizeof(on);
	tree_lock(tree);
	save_found(&run, found, 2);
	save_found(&run, found, ARRAY_SIZE(found));
	tree_unlock(tree);
	ck_assert(journal_next(&shared->journal, &position, &record, &data));
	ck_assert_uint_eq(record.length, 2 * sizeof(*found));
	ck_assert(journal_next(&shared->journal, &position, &record, &data));
	ck_assert_uint_eq(record.kind, RECORD_FOUND);
	ck_assert_uint_eq(record.length, 0);
	text_clear(&run.kept);
	tree_free(tree);
}
END_TEST

/* The words of a list: bytes, how many, and of one: number, serial, five values, no hits. */
START_TEST(what_was_found_may_be_anything)
{
	static const struct {
		uint64_t words[18];
		size_t nr;
		bool fails;
	} cases[] = {
		{ { 4096, 1, 0, 900, 4096, 8192, 1, 2, 3, 0 }, 10, false },
		{ { 0 }, 0, false }, /* emptied */
		{ { 4096, 1, 0, 900, 4096, 8192, 1, 2, 3 }, 9, true },
		{ { 4096, 1, 0, 900, 4096, 8192, 1, 2, 3, 0, 0 }, 11, true },
		{ { 4096 }, 1, true },
		{ { 4096, UINT64_MAX, 0, 900, 4096, 8192, 1, 2, 3, 0 }, 10, true },
		{ { 4096, 1, 1ULL << 32, 900, 4096, 8192, 1, 2, 3, 0 }, 10, true },
		{ { 4096, 1, 0, 0, 4096, 8192, 1, 2, 3, 0 }, 10, true }, /* the root's */
		{ { 4096, 1, 0, UINT64_MAX, 4096, 8192, 1, 2, 3, 0 }, 10, true },
		{ { 4096, 1, 0, 1ULL << INO_SERIAL_BITS, 0, 0, 1, 2, 3, 0 }, 10, true },
		{ { 4096, 1, 0, 900, 4096, 8192, 1ULL << 32, 2, 3, 0 }, 10, true },
		{ { 0, 2, 4, 900, 0, 0, 0, 0, 0, 0, 4, 901, 0, 0, 0, 0, 0, 0 }, 18, true },
		{ { 0, 2, 4, 900, 0, 0, 0, 0, 0, 0, 5, 900, 0, 0, 0, 0, 0, 0 }, 18, true },
	};
	struct tree *tree = new_kept_tree();
	struct record record = { .kind = RECORD_MEASURED };
	struct node node;

	populate(tree);
	find_regions(tree);
	keep(tree);
	ck_assert(find(tree, S "tried_regions", &node));
	record.ino = node_ino(node);
	record.length = (uint32_t)(cases[_i].nr * sizeof(uint64_t));
	ck_assert_int_eq(journal_add(&shared->journal, &record, cases[_i].words), 0);
	tree_free(tree);
	tree = new_kept_tree();
	come_back(tree, cases[_i].fails);
	assert_shows(tree, S "tried_regions/total_bytes", _i ? "0\n" : "4096\n");
	ck_assert(find(tree, S "tried_regions/0", &node) == !_i);
	ck_assert(!find(tree, S "tried_regions/4", &node));
	tree_free(tree);
}
END_TEST

/* ---- requests ---- */

/* The daemon was killed as it came. */
static void coming(uint64_t number, uint32_t size)
{
	const struct fuse_in_header header = { .len = size, .unique = number };

	memcpy(shared->outstanding.request, &header, sizeof(header));
}

static void at_hand(uint64_t number)
{
	coming(number, sizeof(struct fuse_in_header));
	outstanding_came(&shared->outstanding, sizeof(struct fuse_in_header));
}

/* The numbers and errors that were answered. */
static size_t read_answers(int fd, struct fuse_out_header *out, size_t room)
{
	size_t nr = 0;
	char bytes[4096];
	ssize_t length = pread(fd, bytes, sizeof(bytes), 0);

	for (ssize_t at = 0; at < length && nr < room; at += out[nr++].len)
		memcpy(&out[nr], bytes + at, sizeof(out[nr]));
	return nr;
}

START_TEST(what_was_held_is_answered)
{
	struct outstanding *outstanding = &shared->outstanding;
	int fd = memfd_create("answers", 0), interrupted, answered;
	struct fuse_out_header answers[4];

	at_hand(10);
	interrupted = outstanding_hold(outstanding, 3, OUTSTANDING_UNKNOWN);
	at_hand(11);
	ck_assert_int_ge(outstanding_hold(outstanding, 5, 0), 0);
	at_hand(12);
	answered = outstanding_hold(outstanding, 5, 0);
	ck_assert_int_ge(interrupted, 0);
	outstanding_release(outstanding, answered);
	at_hand(13);
	/* The one at hand was not carried out. */
	ck_assert_uint_eq(outstanding_answer(outstanding, fd, 0, 0), sizeof(struct fuse_in_header));
	ck_assert_uint_eq(read_answers(fd, answers, 4), 2);
	ck_assert_uint_eq(answers[0].unique, 10);
	ck_assert_int_eq(answers[0].error, -EINTR);
	ck_assert_uint_eq(answers[1].unique, 11);
	ck_assert_int_eq(answers[1].error, 0);
	ck_assert_uint_eq(answers[1].len,
			  sizeof(struct fuse_out_header) + sizeof(struct fuse_write_out));
	close(fd);
}
END_TEST

/* The request at hand, number NUMBER, is answered with ERROR; STORED is the one that was carried
 * out. */
static void assert_answered(uint64_t number, uint64_t stored, int error)
{
	int fd = memfd_create("answers", 0);
	struct fuse_out_header answers[4];

	ck_assert_uint_eq(outstanding_answer(&shared->outstanding, fd, stored, 4), 0);
	ck_assert_uint_eq(read_answers(fd, answers, 4), 1);
	ck_assert_uint_eq(answers[0].unique, number);
	ck_assert_int_eq(answers[0].error, error);
	ck_assert_uint_eq(outstanding_at_hand(&shared->outstanding), 0);
	close(fd);
}

START_TEST(what_was_carried_out_is_not_done_again)
{
	at_hand(20);
	assert_answered(20, 20, 0);
}
END_TEST

START_TEST(what_kills_is_not_tried_for_ever)
{
	at_hand(30);
	ck_assert_uint_gt(outstanding_answer(&shared->outstanding, -1, 0, 0), 0);
	assert_answered(30, 0, -EIO);
	/* Another one is tried again. */
	at_hand(31);
	ck_assert_uint_gt(outstanding_answer(&shared->outstanding, -1, 0, 0), 0);
}
END_TEST

START_TEST(what_had_just_come_is_handled)
{
	at_hand(40);
	outstanding_done(&shared->outstanding);
	coming(41, 100);
	ck_assert_uint_eq(outstanding_answer(&shared->outstanding, -1, 0, 0), 100);
	outstanding_done(&shared->outstanding);
	/* Of a long one there may be a part. */
	coming(42, 5000);
	assert_answered(42, 0, -EINTR);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("journal");
	TCase *list = tcase_create("list"), *tree = tcase_create("tree"),
	      *requests = tcase_create("requests");
	TCase *cases[] = { list, tree, requests };

	if (caller_prepare())
		return EXIT_FAILURE;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		tcase_add_checked_fixture(cases[i], begin, end);
		suite_add_tcase(suite, cases[i]);
	}
	tcase_set_timeout(list, 60);
	tcase_add_test(list, memory_of_another_layout_is_refused);
	tcase_add_test(list, memory_has_our_seals);
	tcase_add_test(list, records_come_in_order);
	tcase_add_test(list, one_that_is_not_complete_does_not_count);
	tcase_add_test(list, replacing_begins_anew);
	tcase_add_test(list, a_full_list_says_so);
	tcase_add_test(list, lengths_that_lie);
	tcase_add_test(tree, a_tree_comes_back);
	tcase_add_test(tree, debugfs_comes_back);
	tcase_add_loop_test(tree, a_context_may_be_called_anything, 0, 8);
	tcase_add_test(tree, what_is_saved_with_all_is_saved_once);
	tcase_add_test(tree, commands_and_what_is_measured_are_not_stored);
	tcase_add_test(tree, a_number_is_given_once);
	tcase_add_loop_test(tree, what_was_found_comes_back, 0, 2);
	tcase_add_test(tree, too_much_that_was_found_is_left);
	tcase_add_test(tree, more_than_a_kdamond_can_keep_is_nothing);
	tcase_add_loop_test(tree, what_was_found_may_be_anything, 0, 13);
	tcase_add_test(requests, what_was_held_is_answered);
	tcase_add_test(requests, what_was_carried_out_is_not_done_again);
	tcase_add_test(requests, what_kills_is_not_tried_for_ever);
	tcase_add_test(requests, what_had_just_come_is_handled);
	return unit_run(suite);
}
