/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tree of files for tests: no mount, and no access method, so that no kdamond starts in it. */
#ifndef DAMONFS_TESTS_TREE_H
#define DAMONFS_TESTS_TREE_H

#include <errno.h>
#include <string.h>

#include "fs/root.h"
#include "fs/sysfs/sysfs.h"
#include "fs/tree/file.h"
#include "tests/unit/unit.h"

/* Where the first of each kind is. */
#define K  "admin/kdamonds/0/"
#define C  K "contexts/0/"
#define T  C "targets/0/"
#define R  T "regions/0/"
#define S  C "schemes/0/"
#define F  S "filters/0/"
#define CF S "core_filters/0/"
#define OF S "ops_filters/0/"
#define D  S "dests/0/"
#define G  S "quotas/goals/0/"

static inline struct tree *new_tree(unsigned int abi)
{
	static struct damonfs damonfs;
	struct tree *tree;

	damonfs = (struct damonfs){ .method = "none", .ended = PTHREAD_COND_INITIALIZER };
	tree = tree_new(&root_kind, abi, 7, 8, &damonfs);
	ck_assert_ptr_nonnull(tree);
	return tree;
}

static inline void tree_freep(struct tree **tree)
{
	tree_free(*tree);
}

static inline void tell_nobody(uint64_t ino, void *argument)
{
	(void)ino;
	(void)argument;
}

#define TREE(name, abi) __attribute__((cleanup(tree_freep))) struct tree *name = new_tree(abi)

/* Finds what PATH leads to, as the kernel does: name by name. */
static inline bool find(struct tree *tree, const char *path, struct node *out)
{
	char name[64];

	*out = (struct node){ tree->root, 0 };
	while (*path) {
		size_t length = strcspn(path, "/");

		ck_assert_uint_lt(length, sizeof(name));
		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		if (!node_is_dir(*out) || !node_lookup(*out, name, out))
			return false;
		path += length + (path[length] == '/');
	}
	return true;
}

static inline bool exists(struct tree *tree, const char *path)
{
	struct node node;

	return find(tree, path, &node);
}

/* Writes SIZE bytes of TEXT, behind which there is a NUL, to a file, by the daemon itself. */
static inline int store_bytes(struct tree *tree, const char *path, const char *text, size_t size)
{
	struct write write = { .writer = { getpid(), getuid(), getgid() }, .size = size };
	struct node node;
	int r;

	ck_assert_msg(find(tree, path, &node) && !node_is_dir(node), "%s", path);
	tree_lock(tree);
	r = file_store(node_row(node)->file, node.dir, &write, text);
	tree_unlock(tree);
	return r;
}

static inline int store(struct tree *tree, const char *path, const char *text)
{
	return store_bytes(tree, path, text, strlen(text));
}

/* What `on' answers in the end. */
static inline int turn_on(struct tree *tree)
{
	struct damonfs *damonfs = tree->owner;
	const struct kdamond_dir *kdamond;
	struct node node;
	int r;

	ck_assert_int_eq(answerer_start(tree, tell_nobody, NULL, &damonfs->answerer), 0);
	r = store(tree, K "state", "on");
	ck_assert(find(tree, K "state", &node));
	kdamond = (const struct kdamond_dir *)node.dir;
	tree_lock(tree);
	while (r == STORE_HELD && kdamond->run->state != RUN_ENDED)
		pthread_cond_wait(&damonfs->ended, &tree->lock);
	if (r == STORE_HELD)
		r = kdamond->run->result;
	tree_unlock(tree);
	answerer_stop(damonfs->answerer);
	return r;
}

static inline void assert_shows(struct tree *tree, const char *path, const char *expected)
{
	struct text text = { 0 };
	struct node node;

	ck_assert_msg(find(tree, path, &node) && !node_is_dir(node), "%s", path);
	tree_lock(tree);
	ck_assert_int_eq(file_show(node_row(node)->file, node.dir, NULL, &text), 0);
	tree_unlock(tree);
	ck_assert_msg(text.length == strlen(expected), "%s holds %.*s", path, (int)text.length,
		      text.data);
	ck_assert_msg(!text.length || !memcmp(text.data, expected, text.length), "%s holds %.*s",
		      path, (int)text.length, text.data);
	free(text.data);
}

/* One of each kind of directory. */
static inline void populate(struct tree *tree)
{
	ck_assert_int_eq(store(tree, "admin/kdamonds/nr_kdamonds", "1"), 0);
	ck_assert_int_eq(store(tree, K "contexts/nr_contexts", "1"), 0);
	ck_assert_int_eq(store(tree, C "targets/nr_targets", "1"), 0);
	ck_assert_int_eq(store(tree, T "regions/nr_regions", "1"), 0);
	ck_assert_int_eq(store(tree, C "schemes/nr_schemes", "1"), 0);
	if (tree->abi >= DAMON_ABI(6, 3))
		ck_assert_int_eq(store(tree, S "filters/nr_filters", "1"), 0);
	if (tree->abi >= DAMON_ABI(6, 8))
		ck_assert_int_eq(store(tree, S "quotas/goals/nr_goals", "1"), 0);
	if (tree->abi >= DAMON_ABI(6, 15)) {
		ck_assert_int_eq(store(tree, S "core_filters/nr_filters", "1"), 0);
		ck_assert_int_eq(store(tree, S "ops_filters/nr_filters", "1"), 0);
	}
	if (tree->abi >= DAMON_ABI(6, 17))
		ck_assert_int_eq(store(tree, S "dests/nr_dests", "1"), 0);
}

#endif
