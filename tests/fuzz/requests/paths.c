// SPDX-License-Identifier: GPL-2.0-or-later
/* The paths of a tree: see paths.h. */
#include <stdio.h>
#include <string.h>

#include "fs/root.h"
#include "fs/tree/file.h"
#include "tests/fuzz/requests/paths.h"
#include "tests/fuzz/requests/words.h"
#include "tests/fuzz/require.h"

#define MAX_PATHS 512

static char *paths[MAX_PATHS];
static size_t nr_paths;

/* Where collect() is. */
struct place {
	struct tree *tree;
	const char *path;
};

ALONE static bool collect(const char *name, uint64_t ino, void *argument)
{
	const struct place *above = argument;
	struct place place = { above->tree, NULL };
	struct node node;
	char path[512];

	if (*name == '.' || nr_paths == MAX_PATHS)
		return true;
	REQUIRE(tree_find(above->tree, ino, &node));
	snprintf(path, sizeof(path), "%s%s%s", above->path, *above->path ? "/" : "", name);
	paths[nr_paths++] = strdup(path);
	place.path = path;
	return !node_is_dir(node) || node_list(node, collect, &place);
}

/* Writes TEXT to the file PATH, if there is one in this tree. */
static void make(struct tree *tree, const char *path, const char *text)
{
	struct write write = { .size = strlen(text) };
	struct node node = { tree->root, 0 };
	char name[256];

	while (*path) {
		size_t length = strcspn(path, "/");

		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		if (!node_is_dir(node) || !node_lookup(node, name, &node))
			return;
		path += length + (path[length] == '/');
	}
	file_store(node_row(node)->file, node.dir, &write, text);
}

void paths_collect(unsigned int abi)
{
	static struct damonfs damonfs = { .method = "none" };
	struct place place = { tree_new(&root_kind, abi, 0, 0, &damonfs), "" };

	REQUIRE(place.tree);
	for (size_t i = 0; i < NR_MAKING; i++)
		make(place.tree, commands[i].path, commands[i].text);
	node_list((struct node){ place.tree->root, 0 }, collect, &place);
	tree_free(place.tree);
}

const char *path_of(size_t index)
{
	return paths[index % nr_paths];
}
