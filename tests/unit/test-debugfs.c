// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files of damon/: what each takes, refuses and shows, while nothing runs (docs/abi/debugfs.md
 * sections 1 to 8).  That things run is for tests/mount/test_debugfs.py.
 */
#include "tests/unit/tree.h"

#define LATEST DAMON_ABI(6, 12)

/* ---- names ---- */

static const struct {
	unsigned int abi;
	const char *name;
	bool is;
} name_vectors[] = {
	{ DAMON_ABI(6, 1), "monitor_on", true },
	{ DAMON_ABI(6, 1), "monitor_on_DEPRECATED", false },
	{ DAMON_ABI(6, 1), "DEPRECATED", false },
	{ DAMON_ABI(6, 12), "monitor_on", false },
	{ DAMON_ABI(6, 12), "monitor_on_DEPRECATED", true },
	{ DAMON_ABI(6, 12), "DEPRECATED", true },
	{ DAMON_ABI(6, 18), "monitor_on", true },
	{ DAMON_ABI(6, 18), "monitor_on_DEPRECATED", false },
	{ DAMON_ABI(6, 18), "DEPRECATED", false },
};

START_TEST(names_are_those_of_the_kernel)
{
	static const char *const always[] = { "attrs",	    "target_ids",  "init_regions",
					      "schemes",    "kdamond_pid", "mk_contexts",
					      "rm_contexts" };
	TREE(tree, name_vectors[_i].abi);
	char path[64];

	snprintf(path, sizeof(path), "damon/%s", name_vectors[_i].name);
	ck_assert_int_eq(exists(tree, path), name_vectors[_i].is);
	for (size_t i = 0; i < ARRAY_SIZE(always); i++) {
		struct node node;
		struct stat st;

		snprintf(path, sizeof(path), "damon/%s", always[i]);
		ck_assert(find(tree, path, &node));
		node_stat(node, &st);
		ck_assert_int_eq(st.st_mode, S_IFREG | 0600);
		ck_assert_int_eq(st.st_size, 0);
	}
}
END_TEST

/* ---- one file ---- */

/* "$" in a text is our pid, which exists. */
static const struct {
	const char *file, *text;
	int result;
	const char *shows; /* afterwards; NULL: what it showed before */
} vectors[] = {
	{ "attrs", "", -EINVAL, "5000 100000 60000000 10 1000\n" },
	{ "attrs", "1 2 3 4 5", 0, "1 2 3 4 5\n" },
	{ "attrs", "1 2 3 4", -EINVAL, NULL },
	{ "attrs", "1 2 3 5 4", -EINVAL, NULL },
	{ "attrs", "1 2 3 2 5", -EINVAL, NULL },
	{ "attrs", "1 2 3 4 5 junk", 0, "1 2 3 4 5\n" },
	{ "attrs", " 1\t2\n3\v4\f5x", 0, "1 2 3 4 5\n" },
	{ "attrs", "-1 2 3 4 5", -EINVAL, NULL },
	{ "attrs", "+1 2 3 4 5", -EINVAL, NULL },
	{ "attrs", "9 2 3 4 5", -EINVAL, NULL },
	{ "attrs", "0 0 0 3 3", 0, "0 0 0 3 3\n" },
	{ "attrs", "1 0 0 3 3", -EINVAL, NULL },
	/* 2^64 + 5 wraps around. */
	{ "attrs", "18446744073709551621 6 3 4 5", 0, "5 6 3 4 5\n" },
	{ "attrs", "1 2 3 4 18446744073709551615", 0, "1 2 3 4 18446744073709551615\n" },

	{ "target_ids", "$\n", 0, "$\n" },
	{ "target_ids", "$ $ $", 0, "$ $ $\n" },
	{ "target_ids", "$ abc $\n", 0, "$\n" },
	{ "target_ids", "$abc", 0, "$\n" },
	{ "target_ids", "abc $\n", 0, "\n" },
	{ "target_ids", "\n", 0, "\n" },
	{ "target_ids", "$ 999999999", -ENOMEM, NULL },
	{ "target_ids", "0", -ENOMEM, NULL },
	{ "target_ids", "-1", -ENOMEM, NULL },
	{ "target_ids", "p", 0, "42\n" },
	{ "target_ids", "padd", 0, "42\n" },
	{ "target_ids", "paddr", 0, "42\n" },
	{ "target_ids", "paddr\n", 0, "42\n" },
	{ "target_ids", "paddrx", 0, "\n" },
	{ "target_ids", "paddr ", 0, "\n" },
	{ "target_ids", "paddr\n ", 0, "\n" },
	{ "target_ids", " paddr\n", 0, "\n" },
	/* Of more than 32 the rest is ignored. */
	{ "target_ids", "$ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ 0", 0,
	  "$ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $ $\n" },

	{ "schemes", "1 2 3 4 5 6 4 0 0 0 1 2 3 1 100 3 2 1", 0,
	  "1 2 3 4 5 6 4 0 0 0 1 2 3 1 100 3 2 1 0 0 0 0 0\n" },
	{ "schemes", "1 2 3 4 5 6 3\n0 0 0 1 2 3 1 100 3 2 1 tail", 0,
	  "1 2 3 4 5 6 3 0 0 0 1 2 3 1 100 3 2 1 0 0 0 0 0\n" },
	{ "schemes", "1 2 3 4 5 6 4 0 0 0 1 2 3 1 100 3 2", 0, "" },
	{ "schemes", "1 2 3 4 5 6 4 0 0 0 1 2 3 1 100 3 2 -1", 0, "" },
	{ "schemes", "\n", 0, "" },
	{ "schemes", "2 1 2 1 10 1 3 10 1 1 1 1 1 1 1 1 2 3", -EINVAL, NULL },
	{ "schemes", "1 2 3 4 5 6 6 0 0 0 1 2 3 1 100 3 2 1", -EINVAL, NULL },
	{ "schemes", "1 2 3 4 5 6 4 0 0 0 1 2 3 1 100 3 2 1 1 2 3 4 5 6 6 0 0 0 1 2 3 1 100 3 2 1",
	  -EINVAL, NULL },
	{ "schemes", "1 2 3 4 5 6 4 0 0 0 1 2 3 1 100 3 2 1 1 2 3", 0,
	  "1 2 3 4 5 6 4 0 0 0 1 2 3 1 100 3 2 1 0 0 0 0 0\n" },
	{ "schemes", "1 2 3 4 5 6 4 0 0 0 1 2 3 1 100 1 2 1", -EINVAL, NULL },
	{ "schemes", "1 2 3 4 5 6 4 0 0 0 1 2 3 1 100 3 1 2", -EINVAL, NULL },
	/* Fields are cut to their width before they are looked at. */
	{ "schemes", "1 2 4294967297 4 5 6 4294967301 0 0 0 1 2 4294967296 4294967295 100 3 2 1", 0,
	  "1 2 1 4 5 6 5 0 0 0 1 2 0 -1 100 3 2 1 0 0 0 0 0\n" },
	{ "schemes", "1 18446744073709551615 0 4294967295 0 0 0 0 0 0 0 0 0 2 0 0 0 0", 0,
	  "1 18446744073709551615 0 4294967295 0 0 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0 0 0\n" },

	{ "kdamond_pid", "1", -EINVAL, "none\n" },
	{ "monitor_on_DEPRECATED", "", -EINVAL, "off\n" },
	{ "monitor_on_DEPRECATED", " ", -EINVAL, NULL },
	{ "monitor_on_DEPRECATED", "On", -EINVAL, NULL },
	{ "monitor_on_DEPRECATED", "onx", -EINVAL, NULL },
	{ "monitor_on_DEPRECATED", "1", -EINVAL, NULL },
	{ "monitor_on_DEPRECATED", "on", -EINVAL, NULL }, /* there are no targets */
	{ "monitor_on_DEPRECATED", "off", -EPERM, NULL },
	{ "monitor_on_DEPRECATED", "of", -EPERM, NULL },
	{ "monitor_on_DEPRECATED", "of\n", -EINVAL, NULL },
	{ "monitor_on_DEPRECATED", "off and more", -EPERM, NULL },
	{ "DEPRECATED", "1", -EINVAL, NULL },
};

/* One for all that is written and shown. */
static pid_t sleeper(void)
{
	static pid_t pid, owner;

	if (owner != getpid())
		pid = start_child();
	owner = getpid();
	return pid;
}

/* Puts its pid for "$". */
static void expand(char out[static 1024], const char *text)
{
	char *end = out;

	for (; *text; text++)
		end += *text == '$' ? sprintf(end, "%d", sleeper()) : sprintf(end, "%c", *text);
	*end = '\0';
}

START_TEST(text_is_taken_as_the_kernel_takes_it)
{
	TREE(tree, LATEST);
	struct text before = { 0 };
	char path[64], text[1024], shows[1024];
	struct node node;

	snprintf(path, sizeof(path), "damon/%s", vectors[_i].file);
	ck_assert(find(tree, path, &node));
	ck_assert_int_eq(text_add(&before, "%s", ""), 0);
	ck_assert_int_eq(file_show(node_row(node)->file, node.dir, NULL, &before), 0);
	expand(text, vectors[_i].text);
	ck_assert_int_eq(store(tree, path, text), vectors[_i].result);
	expand(shows, vectors[_i].shows ? vectors[_i].shows : before.data);
	assert_shows(tree, path, shows);
	free(before.data);
}
END_TEST

START_TEST(text_ends_at_a_nul)
{
	TREE(tree, LATEST);
	char padded[128] = "paddr\n";

	/* A prefix of a word, as strncmp() has it. */
	ck_assert_int_eq(store_bytes(tree, "damon/target_ids", padded, sizeof(padded) - 1), 0);
	assert_shows(tree, "damon/target_ids", "42\n");
	ck_assert_int_eq(store_bytes(tree, "damon/target_ids", "paddr\0", 6), 0);
	assert_shows(tree, "damon/target_ids", "\n");
	ck_assert_int_eq(store_bytes(tree, "damon/attrs", "1 2 3 4 5\0 6", 12), 0);
	ck_assert_int_eq(store_bytes(tree, "damon/attrs", "1 2 3\0 4 5", 10), -EINVAL);
	assert_shows(tree, "damon/attrs", "1 2 3 4 5\n");
}
END_TEST

START_TEST(old_kernels_take_any_intervals)
{
	TREE(tree, DAMON_ABI(6, 1));

	ck_assert_int_eq(store(tree, "damon/attrs", "9 2 3 4 5"), 0);
	assert_shows(tree, "damon/attrs", "9 2 3 4 5\n");
}
END_TEST

START_TEST(no_more_than_256_schemes)
{
	static char text[512 * 64];
	TREE(tree, LATEST);
	struct node node;
	struct text shown = { 0 };
	size_t lines = 0;

	for (int i = 0; i < 300; i++)
		strcat(text, "1 2 3 4 5 6 5 0 0 0 1 2 3 1 100 3 2 1\n");
	strcat(text, "1 2 3 4 5 6 99 0 0 0 1 2 3 1 100 3 2 1\n"); /* is not looked at */
	ck_assert_int_eq(store(tree, "damon/schemes", text), 0);
	ck_assert(find(tree, "damon/schemes", &node));
	ck_assert_int_eq(file_show(node_row(node)->file, node.dir, NULL, &shown), 0);
	for (size_t i = 0; i < shown.length; i++)
		lines += shown.data[i] == '\n';
	ck_assert_uint_eq(lines, 256);
	free(shown.data);
}
END_TEST

/* ---- init_regions, with three targets ---- */

static const struct {
	const char *text;
	int result;
	const char *shows;
} region_vectors[] = {
	{ "1 10 20\n0 39 59\n0 70 134\n  1  20 25\n", 0, "0 39 59\n0 70 134\n1 10 20\n1 20 25\n" },
	{ "0 10 20", 0, "0 10 20\n" },
	{ "3 10 20", -EINVAL, "" },
	{ "-1 10 20", -EINVAL, "" },
	{ "1 10 20 1 14 26", -EINVAL, "" },
	{ "0 10 20 1 30 40 0 5 8", -EINVAL, "" },
	{ "1 10 20 x", 0, "1 10 20\n" },
	{ "1 10 20 2 30", 0, "1 10 20\n" },
	{ "1 10 20 2 -30 40", 0, "1 10 20\n" },
	{ "1 20 20", -EINVAL, "" },
	{ "1 20 10", -EINVAL, "" },
	{ "\n", 0, "" },
	{ "garbage", 0, "" },
};

START_TEST(regions_replace_all_that_were_there)
{
	TREE(tree, LATEST);
	char pids[1024];

	ck_assert_int_eq(store(tree, "damon/init_regions", "0 1 2"), -EINVAL);
	expand(pids, "$ $ $");
	ck_assert_int_eq(store(tree, "damon/target_ids", pids), 0);
	ck_assert_int_eq(store(tree, "damon/init_regions", "2 7 9"), 0);
	ck_assert_int_eq(store(tree, "damon/init_regions", region_vectors[_i].text),
			 region_vectors[_i].result);
	assert_shows(tree, "damon/init_regions", region_vectors[_i].shows);
	/* New targets have none, also if they are the same. */
	ck_assert_int_eq(store(tree, "damon/target_ids", pids), 0);
	assert_shows(tree, "damon/init_regions", "");
}
END_TEST

/* ---- contexts ---- */

static const struct {
	const char *name;
	int made, removed;
} context_vectors[] = {
	{ "foo\n", 0, 0 },
	{ "  foo and more\n", 0, 0 },
	{ "f.o-o\x01", 0, 0 },
	{ "", -EINVAL, -EINVAL },
	{ " \n", -EACCES, -ENOENT },
	{ ".", -EACCES, -ENOENT },
	{ "..", -EACCES, -ENOENT },
	{ "../x", -EACCES, -ENOENT },
	{ "a/b", -EACCES, -ENOENT },
	{ "attrs", -EEXIST, -EINVAL },
	{ "rm_contexts", -EEXIST, -EINVAL },
	{ "old", -EEXIST, 0 },
};

START_TEST(contexts_are_made_and_removed_by_name)
{
	TREE(tree, LATEST);
	int made = context_vectors[_i].made, removed = context_vectors[_i].removed;

	ck_assert_int_eq(store(tree, "damon/mk_contexts", "old"), 0);
	ck_assert_int_eq(store(tree, "damon/mk_contexts", context_vectors[_i].name), made);
	if (!made)
		ck_assert_int_eq(store(tree, "damon/mk_contexts", context_vectors[_i].name),
				 -EEXIST);
	ck_assert_int_eq(store(tree, "damon/rm_contexts", context_vectors[_i].name), removed);
	if (!made)
		ck_assert_int_eq(store(tree, "damon/rm_contexts", context_vectors[_i].name),
				 -ENOENT);
}
END_TEST

START_TEST(names_have_a_length)
{
	TREE(tree, LATEST);
	char name[300];

	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	ck_assert_int_eq(store(tree, "damon/mk_contexts", name), -ENAMETOOLONG);
	ck_assert_int_eq(store(tree, "damon/rm_contexts", name), -ENOENT);
	name[255] = '\0';
	ck_assert_int_eq(store(tree, "damon/mk_contexts", name), 0);
	ck_assert_int_eq(store(tree, "damon/rm_contexts", name), 0);
}
END_TEST

START_TEST(a_context_is_on_its_own)
{
	TREE(tree, LATEST);
	struct node stale, node;

	ck_assert_int_eq(store(tree, "damon/mk_contexts", "foo"), 0);
	ck_assert_int_eq(store(tree, "damon/mk_contexts", "bar"), 0);
	assert_shows(tree, "damon/foo/attrs", "5000 100000 60000000 10 1000\n");
	ck_assert_int_eq(store(tree, "damon/foo/attrs", "1 2 3 4 5"), 0);
	ck_assert_int_eq(store(tree, "damon/foo/target_ids", "paddr"), 0);
	assert_shows(tree, "damon/attrs", "5000 100000 60000000 10 1000\n");
	assert_shows(tree, "damon/bar/attrs", "5000 100000 60000000 10 1000\n");
	assert_shows(tree, "damon/target_ids", "\n");
	assert_shows(tree, "damon/foo/kdamond_pid", "none\n");
	ck_assert(!exists(tree, "damon/foo/mk_contexts"));
	ck_assert(find(tree, "damon/foo/attrs", &stale));
	uint64_t ino = node_ino(stale);

	ck_assert_int_eq(store(tree, "damon/rm_contexts", "foo"), 0);
	ck_assert(!exists(tree, "damon/foo"));
	ck_assert(exists(tree, "damon/bar/attrs"));
	ck_assert(!tree_find(tree, ino, &node));
	/* The same name is another one. */
	ck_assert_int_eq(store(tree, "damon/mk_contexts", "foo"), 0);
	assert_shows(tree, "damon/foo/attrs", "5000 100000 60000000 10 1000\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("debugfs");
	TCase *tcase = tcase_create("debugfs");

	if (caller_prepare())
		return EXIT_FAILURE;
	ADD_VECTORS(tcase, names_are_those_of_the_kernel, name_vectors);
	ADD_VECTORS(tcase, text_is_taken_as_the_kernel_takes_it, vectors);
	ADD_VECTORS(tcase, regions_replace_all_that_were_there, region_vectors);
	ADD_VECTORS(tcase, contexts_are_made_and_removed_by_name, context_vectors);
	tcase_add_test(tcase, text_ends_at_a_nul);
	tcase_add_test(tcase, old_kernels_take_any_intervals);
	tcase_add_test(tcase, no_more_than_256_schemes);
	tcase_add_test(tcase, names_have_a_length);
	tcase_add_test(tcase, a_context_is_on_its_own);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
