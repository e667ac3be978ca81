// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Out of memory: each allocation of a session on the tree fails once.  The answer is ENOMEM and
 * nothing is half done; a count alone loses its directories, as in the kernel.
 */
#include "fs/fuse/listing.h"
#include "tests/unit/failing.h"
#include "tests/unit/tree.h"

/* What is written, in this order. */
static const struct {
	const char *path, *text;
	const char *count; /* what it counts, if it counts something */
} steps[] = {
	{ "admin/kdamonds/nr_kdamonds", "3", "admin/kdamonds" },
	{ K "contexts/nr_contexts", "1", K "contexts" },
	{ C "targets/nr_targets", "400", C "targets" },
	{ T "regions/nr_regions", "2", T "regions" },
	{ C "schemes/nr_schemes", "3", C "schemes" },
	{ S "filters/nr_filters", "2", S "filters" },
	{ S "core_filters/nr_filters", "2", S "core_filters" },
	{ S "quotas/goals/nr_goals", "1", S "quotas/goals" },
	{ S "dests/nr_dests", "1", S "dests" },
	{ F "memcg_path", "/a/path", NULL },
	{ F "memcg_path", "/another/path", NULL },
	{ C "operations", "paddr", NULL },
	{ R "end", "8192", NULL },
	{ "damon/attrs", "1 2 3 4 5", NULL },
	{ "damon/schemes", "0 9 0 9 0 9 5 0 0 0 0 0 0 0 0 0 0 0", NULL },
	{ "damon/target_ids", "paddr\n", NULL },
	{ "damon/init_regions", "0 1 2\n0 3 4\n0 5 6", NULL },
	{ "damon/mk_contexts", "one", "damon" },
	{ "damon/mk_contexts", "two", "damon" },
	{ "damon/rm_contexts", "one", "damon" },
	{ C "schemes/nr_schemes", "5", C "schemes" },
	{ "admin/kdamonds/nr_kdamonds", "2", "admin/kdamonds" },
};

struct walk {
	struct node dir;
	size_t nr;
};

/* All directories below DIR; each has to be found by its name. */
static size_t count_dirs(struct node dir);

static bool count_entry(const char *name, uint64_t ino, void *argument)
{
	struct walk *walk = argument;
	struct node node;

	if (!ino_is_dir(ino) || *name == '.')
		return true;
	ck_assert(node_lookup(walk->dir, name, &node));
	ck_assert_uint_eq(node_ino(node), ino);
	walk->nr += 1 + count_dirs(node);
	return true;
}

static size_t count_dirs(struct node dir)
{
	struct walk walk = { dir, 0 };

	ck_assert(node_list(dir, count_entry, &walk));
	return walk.nr;
}

static size_t count_children(struct tree *tree, const char *path)
{
	struct node node;

	return find(tree, path, &node) && node_row(node)->list ?
		       dir_list_of(node.dir, node_row(node)->list)->nr :
		       0;
}

/* What the file shows, to be freed; all allocations succeed. */
static char *shown(struct tree *tree, const char *path)
{
	struct text text = { 0 };
	struct node node;
	int r;

	ck_assert(find(tree, path, &node));
	r = file_show(node_row(node)->file, node.dir, NULL, &text);
	ck_assert(!r || r == -EINVAL);
	ck_assert_int_eq(text_add(&text, "%s", ""), 0);
	return text.data;
}

/* Writes, and allocation NTH fails; *FAILED says whether there was one. */
static int store_failing(struct tree *tree, size_t step, long nth, bool *failed)
{
	struct write write = { .writer = { getpid(), getuid(), getgid() },
			       .size = strlen(steps[step].text) };
	struct node node;
	int r;

	ck_assert(find(tree, steps[step].path, &node));
	fail_at(nth, false);
	r = file_store(node_row(node)->file, node.dir, &write, steps[step].text);
	*failed = no_more_failures();
	return r;
}

/* One step of which allocation NTH fails.  Return: whether there was such a one. */
static bool try_step(struct tree *tree, size_t step, long nth)
{
	_cleanup_free_ char *before = shown(tree, steps[step].path), *after = NULL;
	size_t nr = steps[step].count ? count_children(tree, steps[step].count) : 0;
	bool failed;
	int r;

	r = store_failing(tree, step, nth, &failed);
	if (!failed) {
		ck_assert_msg(!r, "%s: %d", steps[step].path, r);
		return false;
	}
	ck_assert_msg(r == -ENOMEM, "%s: %d", steps[step].path, r);
	count_dirs((struct node){ tree->root, 0 });
	if (!steps[step].count) {
		after = shown(tree, steps[step].path);
		ck_assert_msg(!strcmp(before, after) ||
				      !strcmp(steps[step].path, "damon/init_regions"),
			      "%s: %s", steps[step].path, after);
		ck_assert_msg(!strstr(steps[step].path, "init_regions") || !*after, "%s", after);
	} else if (strncmp(steps[step].path, "damon/", 6)) {
		ck_assert_uint_eq(count_children(tree, steps[step].count), 0);
	} else {
		ck_assert_uint_eq(count_children(tree, steps[step].count), nr);
	}
	return true;
}

/* The tree after so many steps. */
static struct tree *tree_after(size_t nr)
{
	struct tree *tree = new_tree(DAMON_ABI(6, 18));

	for (size_t i = 0; i < nr; i++)
		ck_assert_int_eq(store(tree, steps[i].path, steps[i].text), 0);
	return tree;
}

START_TEST(a_write_fails_and_leaves_nothing_half_done)
{
	size_t nr = 0;

	for (long nth = 1;; nth++) {
		__attribute__((cleanup(tree_freep))) struct tree *tree = tree_after((size_t)_i);

		if (!try_step(tree, (size_t)_i, nth))
			break;
		nr++;
		/* With memory it goes on. */
		ck_assert_int_eq(store(tree, steps[_i].path, steps[_i].text), 0);
	}
	ck_assert_uint_lt(nr, 1000);
}
END_TEST

START_TEST(nobody_is_charged_for_what_fails)
{
	struct accounts *accounts = accounts_new(NULL, 7);
	const struct file_type *file = dir_file(&root_kind, "admin/kdamonds/nr_kdamonds");
	struct account *account;
	uint64_t all;

	ck_assert_int_eq(account_get(accounts, 7, &account), 0);
	all = account_left(account, ACCOUNT_OBJECTS);
	for (long nth = 1;; nth++) {
		TREE(tree, DAMON_ABI(6, 18));
		bool failed;
		int r;

		fail_at(nth, false);
		r = dir_populate(tree->root, file, 3, account);
		failed = no_more_failures();
		ck_assert_int_eq(r, failed ? -ENOMEM : 0);
		ck_assert_uint_eq(account_left(account, ACCOUNT_OBJECTS), failed ? all : all - 3);
		ck_assert_int_eq(dir_populate(tree->root, file, 0, account), 0);
		ck_assert_uint_eq(account_left(account, ACCOUNT_OBJECTS), all);
		if (!failed)
			break;
	}
	account_put(account);
	accounts_free(accounts);
}
END_TEST

START_TEST(a_tree_without_memory_is_none)
{
	long nth;

	for (nth = 1;; nth++) {
		static struct damonfs damonfs = { .method = "none" };
		struct tree *tree;
		bool failed;

		fail_at(nth, false);
		tree = tree_new(&root_kind, DAMON_ABI(6, 18), 7, 8, &damonfs);
		failed = no_more_failures();
		if (tree)
			tree_free(tree);
		if (!failed)
			break;
		ck_assert_ptr_null(tree);
	}
	ck_assert_int_gt(nth, 101);
}
END_TEST

START_TEST(what_is_read_fails_and_leaves_nothing)
{
	static const char *const paths[] = { "admin/kdamonds/nr_kdamonds", F "memcg_path",
					     "damon/schemes", "damon/init_regions" };
	TREE(tree, DAMON_ABI(6, 18));

	for (size_t i = 0; i < ARRAY_SIZE(steps) - 5; i++)
		ck_assert_int_eq(store(tree, steps[i].path, steps[i].text), 0);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct node node;

		ck_assert(find(tree, paths[i], &node));
		for (long nth = 1;; nth++) {
			struct text text = { 0 };
			bool failed;
			int r;

			fail_at(nth, false);
			r = file_show(node_row(node)->file, node.dir, NULL, &text);
			failed = no_more_failures();
			free(text.data);
			ck_assert_int_eq(r, failed ? -ENOMEM : 0);
			if (!failed)
				break;
		}
	}
}
END_TEST

START_TEST(a_listing_fails_and_leaves_nothing)
{
	TREE(tree, DAMON_ABI(6, 18));
	struct listing listing = { 0 };
	struct node node;

	ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "500"), 0);
	ck_assert(find(tree, "admin/kdamonds", &node));
	for (long nth = 1;; nth++) {
		bool failed;
		int r;

		fail_at(nth, false);
		r = listing_fill(&listing, node);
		failed = no_more_failures();
		ck_assert_int_eq(r, failed ? -ENOMEM : 0);
		ck_assert_uint_eq(listing.nr, failed ? 0 : 503);
		if (!failed)
			break;
	}
	listing_clear(&listing);
}
END_TEST

START_TEST(a_changed_mode_fails)
{
	TREE(tree, DAMON_ABI(6, 18));
	struct node node;
	struct stat st;
	int r;

	ck_assert(find(tree, "admin", &node));
	fail_at(1, false);
	r = node_change(node, NODE_SET_MODE, 0700, 0, 0);
	no_more_failures();
	ck_assert_int_eq(r, -ENOMEM);
	node_stat(node, &st);
	ck_assert_int_eq(st.st_mode, S_IFDIR | 0755);
}
END_TEST

START_TEST(listing_needs_no_room_to_say_nothing)
{
	TREE(tree, DAMON_ABI(6, 18));
	struct listing listing = { 0 };

	ck_assert_int_eq(listing_fill(&listing, (struct node){ tree->root, 0 }), 0);
	/* UBSan sees what was done with the address. */
	ck_assert_uint_eq(listing_put(&listing, NULL, 0, NULL, 0, NULL), 0);
	listing_clear(&listing);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory");
	TCase *tcase = tcase_create("memory");

	tcase_set_timeout(tcase, 60);
	ADD_VECTORS(tcase, a_write_fails_and_leaves_nothing_half_done, steps);
	tcase_add_test(tcase, nobody_is_charged_for_what_fails);
	tcase_add_test(tcase, a_tree_without_memory_is_none);
	tcase_add_test(tcase, what_is_read_fails_and_leaves_nothing);
	tcase_add_test(tcase, a_listing_fails_and_leaves_nothing);
	tcase_add_test(tcase, listing_needs_no_room_to_say_nothing);
	tcase_add_test(tcase, a_changed_mode_fails);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
