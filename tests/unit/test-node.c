// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tree as a file system sees it: which files each kernel has, their modes and sizes, lists of
 * directories that come and go, inode numbers, and what the kernel is to forget (docs/abi/sysfs.md
 * sections 1, 4, 5).  What the files hold is in test-file.c.
 */
#include "tests/unit/tree.h"

/* ---- which files there are ---- */

static const struct {
	const char *path;
	unsigned int since; /* minor of Linux 6 */
	mode_t mode;
} files[] = {
	{ "admin/kdamonds/nr_kdamonds", 1, 0600 },
	{ K "state", 1, 0600 },
	{ K "pid", 1, 0400 },
	{ K "contexts/nr_contexts", 1, 0600 },
	{ K "refresh_ms", 17, 0600 },
	{ C "avail_operations", 1, 0400 },
	{ C "operations", 1, 0600 },
	{ C "addr_unit", 18, 0600 },
	{ C "monitoring_attrs/intervals/sample_us", 1, 0600 },
	{ C "monitoring_attrs/intervals/aggr_us", 1, 0600 },
	{ C "monitoring_attrs/intervals/update_us", 1, 0600 },
	{ C "monitoring_attrs/intervals/intervals_goal/access_bp", 15, 0600 },
	{ C "monitoring_attrs/intervals/intervals_goal/aggrs", 15, 0600 },
	{ C "monitoring_attrs/intervals/intervals_goal/min_sample_us", 15, 0600 },
	{ C "monitoring_attrs/intervals/intervals_goal/max_sample_us", 15, 0600 },
	{ C "monitoring_attrs/nr_regions/min", 1, 0600 },
	{ C "monitoring_attrs/nr_regions/max", 1, 0600 },
	{ C "targets/nr_targets", 1, 0600 },
	{ T "pid_target", 1, 0600 },
	{ T "regions/nr_regions", 1, 0600 },
	{ T "regions/0/start", 1, 0600 },
	{ T "regions/0/end", 1, 0600 },
	{ C "schemes/nr_schemes", 1, 0600 },
	{ S "action", 1, 0600 },
	{ S "apply_interval_us", 7, 0600 },
	{ S "target_nid", 11, 0600 },
	{ S "dests/nr_dests", 17, 0600 },
	{ D "id", 17, 0600 },
	{ D "weight", 17, 0600 },
	{ S "access_pattern/sz/min", 1, 0600 },
	{ S "access_pattern/sz/max", 1, 0600 },
	{ S "access_pattern/nr_accesses/min", 1, 0600 },
	{ S "access_pattern/nr_accesses/max", 1, 0600 },
	{ S "access_pattern/age/min", 1, 0600 },
	{ S "access_pattern/age/max", 1, 0600 },
	{ S "quotas/ms", 1, 0600 },
	{ S "quotas/bytes", 1, 0600 },
	{ S "quotas/reset_interval_ms", 1, 0600 },
	{ S "quotas/effective_bytes", 9, 0400 },
	{ S "quotas/weights/sz_permil", 1, 0600 },
	{ S "quotas/weights/nr_accesses_permil", 1, 0600 },
	{ S "quotas/weights/age_permil", 1, 0600 },
	{ S "quotas/goals/nr_goals", 8, 0600 },
	{ G "target_metric", 9, 0600 },
	{ G "target_value", 8, 0600 },
	{ G "current_value", 8, 0600 },
	{ G "nid", 16, 0600 },
	{ S "watermarks/metric", 1, 0600 },
	{ S "watermarks/interval_us", 1, 0600 },
	{ S "watermarks/high", 1, 0600 },
	{ S "watermarks/mid", 1, 0600 },
	{ S "watermarks/low", 1, 0600 },
	{ S "filters/nr_filters", 3, 0600 },
	{ F "type", 3, 0600 },
	{ F "matching", 3, 0600 },
	{ F "allow", 14, 0600 },
	{ F "memcg_path", 3, 0600 },
	{ F "addr_start", 6, 0600 },
	{ F "addr_end", 6, 0600 },
	{ F "min", 15, 0600 },
	{ F "max", 15, 0600 },
	{ F "damon_target_idx", 6, 0600 },
	{ S "core_filters/nr_filters", 15, 0600 },
	{ CF "type", 15, 0600 },
	{ CF "matching", 15, 0600 },
	{ CF "allow", 15, 0600 },
	{ CF "memcg_path", 15, 0600 },
	{ CF "addr_start", 15, 0600 },
	{ CF "addr_end", 15, 0600 },
	{ CF "min", 15, 0600 },
	{ CF "max", 15, 0600 },
	{ CF "damon_target_idx", 15, 0600 },
	{ S "ops_filters/nr_filters", 15, 0600 },
	{ OF "type", 15, 0600 },
	{ OF "matching", 15, 0600 },
	{ OF "allow", 15, 0600 },
	{ OF "memcg_path", 15, 0600 },
	{ OF "addr_start", 15, 0600 },
	{ OF "addr_end", 15, 0600 },
	{ OF "min", 15, 0600 },
	{ OF "max", 15, 0600 },
	{ OF "damon_target_idx", 15, 0600 },
	{ S "stats/nr_tried", 1, 0400 },
	{ S "stats/sz_tried", 1, 0400 },
	{ S "stats/nr_applied", 1, 0400 },
	{ S "stats/sz_applied", 1, 0400 },
	{ S "stats/sz_ops_filter_passed", 14, 0400 },
	{ S "stats/qt_exceeds", 1, 0400 },
	{ S "tried_regions/total_bytes", 6, 0400 },
};

static const unsigned int minors[] = { 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18 };

struct walk {
	struct node dir;
	struct tree *tree;
	size_t nr_files, nr_dirs;
};

/* Counts what is below, and checks that listing, lookup and stat say the same of it. */
static bool visit_all(const char *name, uint64_t ino, void *argument)
{
	struct walk *walk = argument, below = { .tree = walk->tree };
	bool is_dir = ino_is_dir(ino);
	struct stat st;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return true;
	ck_assert_msg(node_lookup(walk->dir, name, &below.dir), "%s", name);
	node_stat(below.dir, &st);
	ck_assert_uint_eq(st.st_ino, ino);
	ck_assert_int_eq(S_ISDIR(st.st_mode), is_dir);
	walk->nr_files += !is_dir;
	walk->nr_dirs += is_dir;
	if (!is_dir)
		return true;
	ck_assert(node_list(below.dir, visit_all, &below));
	ck_assert_int_eq(st.st_mode, S_IFDIR | 0755);
	ck_assert_uint_eq(st.st_nlink, 2 + below.nr_dirs);
	ck_assert_int_eq(st.st_size, 0);
	walk->nr_files += below.nr_files;
	return true;
}

START_TEST(each_kernel_has_its_files_and_no_others)
{
	TREE(tree, DAMON_ABI(6, minors[_i]));
	struct walk walk = { .tree = tree };
	size_t expected = 0;

	populate(tree);
	ck_assert(find(tree, "admin", &walk.dir));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		bool has = files[i].since <= minors[_i];
		struct node node;
		struct stat st;

		ck_assert_msg(find(tree, files[i].path, &node) == has, "%s", files[i].path);
		expected += has;
		if (!has)
			continue;
		node_stat(node, &st);
		ck_assert_msg(st.st_mode == (S_IFREG | files[i].mode), "%s: %o", files[i].path,
			      st.st_mode);
		ck_assert_int_eq(st.st_size, 4096);
		ck_assert_uint_eq(st.st_nlink, 1);
		ck_assert_int_eq(st.st_blocks, 0);
		ck_assert_uint_eq(st.st_uid, 7);
		ck_assert_uint_eq(st.st_gid, 8);
	}
	node_list(walk.dir, visit_all, &walk);
	ck_assert_uint_eq(walk.nr_files, expected);
	ck_assert_int_eq(exists(tree, S "tried_regions"), minors[_i] >= 2);
	ck_assert_int_eq(exists(tree, S "filters"), minors[_i] >= 3);
	ck_assert_int_eq(exists(tree, S "quotas/goals"), minors[_i] >= 8);
}
END_TEST

/* ---- names ---- */

/* With 12 kdamonds. */
static const struct {
	const char *name;
	bool is;
} name_vectors[] = {
	{ "0", true },
	{ "9", true },
	{ "10", true },
	{ "11", true },
	{ "12", false },
	{ "00", false },
	{ "01", false },
	{ "+1", false },
	{ "-1", false },
	{ " 1", false },
	{ "1 ", false },
	{ "0x1", false },
	{ "1a", false },
	{ "", false },
	{ "nr_kdamonds", true },
	{ "nr_kdamond", false },
	{ "nr_kdamondss", false },
	{ "18446744073709551616", false },
	{ "4294967297", false },
	{ ".", false },
};

START_TEST(directories_are_called_by_their_plain_number)
{
	TREE(tree, DAMON_ABI(6, 12));
	struct node list, node;

	ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "12"), 0);
	ck_assert(find(tree, "admin/kdamonds", &list));
	ck_assert_int_eq(node_lookup(list, name_vectors[_i].name, &node), name_vectors[_i].is);
}
END_TEST

struct names {
	char names[256];
	uint64_t inos[32];
	size_t nr, most;
};

static bool visit_names(const char *name, uint64_t ino, void *argument)
{
	struct names *listing = argument;

	snprintf(listing->names + strlen(listing->names),
		 sizeof(listing->names) - strlen(listing->names), "%s%s ", name,
		 ino_is_dir(ino) ? "/" : "");
	listing->inos[listing->nr++] = ino;
	return listing->nr < listing->most;
}

START_TEST(listing_is_in_order_and_stops_when_told)
{
	TREE(tree, DAMON_ABI(6, 12));
	struct names all = { .most = 32 }, some = { .most = 4 }, child = { .most = 32 };
	struct node list, admin, node;

	ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "11"), 0);
	ck_assert(find(tree, "admin", &admin));
	ck_assert(find(tree, "admin/kdamonds", &list));
	node_list(list, visit_names, &all);
	ck_assert_str_eq(all.names, "./ ../ nr_kdamonds 0/ 1/ 2/ 3/ 4/ 5/ 6/ 7/ 8/ 9/ 10/ ");
	ck_assert_uint_eq(all.inos[0], node_ino(list));
	ck_assert_uint_eq(all.inos[1], node_ino(admin));
	node_list(list, visit_names, &some);
	ck_assert_str_eq(some.names, "./ ../ nr_kdamonds 0/ ");
	ck_assert(find(tree, "admin/kdamonds/10", &node));
	ck_assert_uint_eq(all.inos[13], node_ino(node));
	node_list(node, visit_names, &child);
	ck_assert_str_eq(child.names, "./ ../ state pid contexts/ ");
	ck_assert_uint_eq(child.inos[1], node_ino(list));
}
END_TEST

/* ---- coming and going ---- */

START_TEST(inode_numbers_are_never_used_twice)
{
	TREE(tree, DAMON_ABI(6, 12));
	uint64_t inos[60], file;
	struct node node;
	size_t nr = 0;

	ck_assert_uint_eq(node_ino((struct node){ tree->root, 0 }), 1);
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "20"), 0);
		for (size_t i = 0; i < nr; i++)
			ck_assert(!tree_find(tree, inos[i], &node));
		for (unsigned int i = 0; i < 20; i++) {
			char path[64];

			snprintf(path, sizeof(path), "admin/kdamonds/%u", i);
			ck_assert(find(tree, path, &node));
			inos[nr] = node_ino(node);
			for (size_t k = 0; k < nr; k++)
				ck_assert_uint_ne(inos[k], inos[nr]);
			ck_assert(tree_find(tree, inos[nr++], &node));
			ck_assert_uint_eq(node.dir->number, i);
		}
	}
	ck_assert(find(tree, K "state", &node));
	file = node_ino(node);
	ck_assert(tree_find(tree, file, &node));
	ck_assert_str_eq(node_row(node)->name, "state");
	/* Another name for the same file, while a write to it is held. */
	node_hold(node);
	ck_assert_uint_ne(node_alias(node), file);
	ck_assert(tree_find(tree, node_alias(node), &node));
	ck_assert_uint_eq(node_ino(node), file);
	ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "0"), 0);
	ck_assert(!tree_find(tree, file, &node));
	/* What never was. */
	ck_assert(!tree_find(tree, 0, &node));
	ck_assert(!tree_find(tree, UINT64_MAX, &node));
	ck_assert(!tree_find(tree, 256, &node)); /* no such row */
	ck_assert(!tree_find(tree, 257, &node)); /* the root is no file */
	ck_assert(!tree_find(tree, 2 + 256 * 2, &node));
}
END_TEST

START_TEST(too_many_leave_none)
{
	TREE(tree, DAMON_ABI(6, 12));

	populate(tree);
	ck_assert_int_eq(store(tree, C "schemes/nr_schemes", "3"), 0);
	/* What is not a number changes nothing. */
	ck_assert_int_eq(store(tree, C "schemes/nr_schemes", "-1"), -EINVAL);
	ck_assert_int_eq(store(tree, C "schemes/nr_schemes", "abc"), -EINVAL);
	ck_assert_int_eq(store(tree, C "schemes/nr_schemes", "99999999999"), -ERANGE);
	ck_assert_int_eq(store(tree, K "contexts/nr_contexts", "2"), -EINVAL);
	assert_shows(tree, C "schemes/nr_schemes", "3\n");
	ck_assert_int_eq(store(tree, C "schemes/nr_schemes", "1000000"), -ENOMEM);
	assert_shows(tree, C "schemes/nr_schemes", "0\n");
	ck_assert(!exists(tree, C "schemes/0"));
	ck_assert_int_eq(store(tree, C "schemes/nr_schemes", "2"), 0);
	ck_assert_int_eq(store(tree, C "schemes/nr_schemes", "524289"), -ENOMEM);
	assert_shows(tree, C "schemes/nr_schemes", "0\n");
	ck_assert(exists(tree, C "targets/0"));
}
END_TEST

START_TEST(same_number_again_makes_fresh_directories)
{
	TREE(tree, DAMON_ABI(6, 12));

	populate(tree);
	ck_assert_int_eq(store(tree, S "action", "pageout"), 0);
	ck_assert_int_eq(store(tree, C "schemes/nr_schemes", "1"), 0);
	assert_shows(tree, S "action", "stat\n");
	assert_shows(tree, S "filters/nr_filters", "0\n");
}
END_TEST

START_TEST(changed_modes_and_owners_last_as_long_as_the_directory)
{
	TREE(tree, DAMON_ABI(6, 12));
	struct node node, other;
	struct stat st;

	populate(tree);
	ck_assert(find(tree, K "state", &node));
	ck_assert_int_eq(node_change(node, NODE_SET_MODE, S_IFREG | 0644, 1, 2), 0);
	node_stat(node, &st);
	ck_assert_int_eq(st.st_mode, S_IFREG | 0644);
	ck_assert_uint_eq(st.st_uid, 7);
	ck_assert_uint_eq(st.st_gid, 8);
	ck_assert_int_eq(node_change(node, NODE_SET_UID, 0, 1, 2), 0);
	ck_assert_int_eq(node_change(node, NODE_SET_GID, 0, 1, 2), 0);
	node_stat(node, &st);
	ck_assert_int_eq(st.st_mode, S_IFREG | 0644);
	ck_assert_uint_eq(st.st_uid, 1);
	ck_assert_uint_eq(st.st_gid, 2);
	ck_assert_int_eq(st.st_size, 4096);
	/* Others stay, and so does the kind of a directory. */
	ck_assert(find(tree, K "pid", &other));
	node_stat(other, &st);
	ck_assert_int_eq(st.st_mode, S_IFREG | 0400);
	ck_assert(find(tree, K "contexts", &other));
	ck_assert_int_eq(node_change(other, NODE_SET_MODE, 0700, 0, 0), 0);
	node_stat(other, &st);
	ck_assert_int_eq(st.st_mode, S_IFDIR | 0700);
	ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "1"), 0);
	ck_assert(find(tree, K "state", &node));
	node_stat(node, &st);
	ck_assert_int_eq(st.st_mode, S_IFREG | 0600);
	ck_assert_uint_eq(st.st_uid, 7);
}
END_TEST

/* ---- what the kernel may believe ---- */

/* The inode numbers that the kernel is to be told of. */
static size_t take_changes(struct tree *tree, uint64_t inos[static MAX_ROWS])
{
	size_t nr = tree_take_changes(tree, inos, MAX_ROWS);
	uint64_t more[MAX_ROWS];

	ck_assert_uint_eq(tree_take_changes(tree, more, MAX_ROWS), 0);
	return nr;
}

START_TEST(directories_that_changed_are_told)
{
	TREE(tree, DAMON_ABI(6, 12));
	struct node list, kdamond, context, node;
	uint64_t inos[MAX_ROWS], changes;

	ck_assert_uint_eq(take_changes(tree, inos), 0);
	ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "4"), 0);
	ck_assert(find(tree, "admin/kdamonds", &list));
	ck_assert_uint_eq(take_changes(tree, inos), 1);
	ck_assert_uint_eq(inos[0], node_ino(list));
	/* Of what it never heard of the kernel is told nothing. */
	changes = tree->nr_changes;
	populate(tree);
	ck_assert_uint_eq(take_changes(tree, inos), 1);
	ck_assert_int_eq(store(tree, K "contexts/nr_contexts", "1"), 0);
	ck_assert_int_eq(store(tree, C "schemes/nr_schemes", "1"), 0);
	ck_assert_uint_eq(take_changes(tree, inos), 0);
	ck_assert_uint_eq(tree->nr_changes, changes + 1);
	/* Two lists of one directory. */
	ck_assert(find(tree, K "contexts/0", &context));
	node_keep(context);
	ck_assert_int_eq(store(tree, C "targets/nr_targets", "2"), 0);
	ck_assert_int_eq(store(tree, C "schemes/nr_schemes", "2"), 0);
	ck_assert_uint_eq(take_changes(tree, inos), 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert(tree_find(tree, inos[i], &node));
		ck_assert_ptr_eq(node.dir, context.dir);
		ck_assert_ptr_nonnull(node_row(node)->list);
	}
	ck_assert_uint_ne(inos[0], inos[1]);
	/* What changed and went is no more. */
	ck_assert(find(tree, "admin/kdamonds/0", &kdamond));
	node_keep(kdamond);
	ck_assert_int_eq(store(tree, K "contexts/nr_contexts", "0"), 0);
	ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "0"), 0);
	ck_assert_uint_eq(take_changes(tree, inos), 1);
	ck_assert_uint_eq(inos[0], node_ino(list));
}
END_TEST

START_TEST(names_that_can_go_are_kept_for_a_moment)
{
	TREE(tree, DAMON_ABI(6, 12));
	uint64_t changes, now = tree_now();
	struct node node;

	/* What is never removed is kept. */
	ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "2"), 0);
	ck_assert(find(tree, "admin/kdamonds", &node));
	ck_assert(node_keep(node) > 3600);
	ck_assert(find(tree, "damon/monitor_on_DEPRECATED", &node));
	ck_assert(node_keep(node) > 3600);
	ck_assert(!node_can_be_held(node));
	/* What the kernel does not know can go at once. */
	ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "2"), 0);
	ck_assert_uint_eq(tree->settled, 0);
	/* What it knows can go when it has forgotten it: a part of it is enough. */
	ck_assert(find(tree, K "contexts", &node));
	ck_assert(node_keep(node) > 0);
	ck_assert(node_keep(node) * 1e9 <= (double)tree->tick);
	ck_assert(find(tree, K "state", &node));
	ck_assert(node_can_be_held(node));
	changes = tree->nr_changes;
	ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "2"), 0);
	ck_assert_uint_gt(tree->nr_changes, changes);
	ck_assert_uint_gt(tree->settled, now + 2 * tree->tick);
	ck_assert_uint_le(tree->settled, tree_now() + 3 * tree->tick);
	/* The same of what is in it. */
	populate(tree);
	tree->settled = 0;
	ck_assert(find(tree, S "access_pattern/sz/min", &node));
	node_keep(node);
	ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "0"), 0);
	ck_assert_uint_gt(tree->settled, now);
}
END_TEST

START_TEST(what_is_gone_has_attributes)
{
	TREE(tree, DAMON_ABI(6, 12));
	struct node dir, file;
	uint64_t dir_ino, file_ino;
	struct stat st;

	populate(tree);
	ck_assert(find(tree, K "contexts", &dir));
	ck_assert(find(tree, K "state", &file));
	dir_ino = node_ino(dir);
	node_hold(file);
	file_ino = node_alias(file);
	ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "0"), 0);
	node_stat_gone(tree, dir_ino, &st);
	ck_assert(S_ISDIR(st.st_mode));
	ck_assert_uint_eq(st.st_ino, dir_ino);
	ck_assert_uint_eq(st.st_uid, 7);
	node_stat_gone(tree, file_ino, &st);
	ck_assert(S_ISREG(st.st_mode));
	ck_assert_uint_eq(st.st_ino, node_real_ino(file_ino));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node");
	TCase *tcase = tcase_create("node");

	ADD_VECTORS(tcase, each_kernel_has_its_files_and_no_others, minors);
	ADD_VECTORS(tcase, directories_are_called_by_their_plain_number, name_vectors);
	tcase_add_test(tcase, listing_is_in_order_and_stops_when_told);
	tcase_add_test(tcase, inode_numbers_are_never_used_twice);
	tcase_add_test(tcase, too_many_leave_none);
	tcase_add_test(tcase, same_number_again_makes_fresh_directories);
	tcase_add_test(tcase, changed_modes_and_owners_last_as_long_as_the_directory);
	tcase_add_test(tcase, directories_that_changed_are_told);
	tcase_add_test(tcase, names_that_can_go_are_kept_for_a_moment);
	tcase_add_test(tcase, what_is_gone_has_attributes);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
