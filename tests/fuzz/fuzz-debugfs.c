// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: what is written to attrs, target_ids, init_regions and schemes of damon/.  The
 * first byte chooses the file.  Each must answer with an errno of its own; what a refused write
 * leaves, and what an accepted one shows, must be taken again and show the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/root.h"
#include "fs/tree/file.h"
#include "tests/fuzz/require.h"
#include "util/log.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_setup(LOG_LEVEL_ERROR, false);
	return 0;
}

static const struct {
	const char *name;
	int error; /* all that it refuses with */
	size_t columns; /* of a line, in those that are written; 0: all */
} files[] = {
	{ "attrs", -EINVAL, 0 },
	{ "target_ids", -ENOMEM, 0 },
	{ "init_regions", -EINVAL, 0 },
	{ "schemes", -EINVAL, 18 },
};

static const struct file_type *file_of(struct tree *tree, const char *name, struct node *out)
{
	struct node damon = { tree->root, 0 };

	REQUIRE(node_lookup(damon, "damon", &damon) && node_lookup(damon, name, out));
	return node_row(*out)->file;
}

static int store(struct tree *tree, const char *name, const char *text, size_t size)
{
	struct write write = { .writer = { getpid(), geteuid(), getegid() }, .size = size };
	struct node node;
	const struct file_type *file = file_of(tree, name, &node);

	return file_store(file, node.dir, &write, text);
}

static struct text show(struct tree *tree, const char *name)
{
	struct text text = { 0 };
	struct node node;
	const struct file_type *file = file_of(tree, name, &node);

	REQUIRE(!text_add(&text, "%s", "") && !file_show(file, node.dir, NULL, &text));
	return text;
}

/* Cuts each line of TEXT behind so many columns. */
static void cut_lines(struct text *text, size_t columns)
{
	size_t to = 0, blanks = 0;

	for (size_t from = 0; from < text->length; from++) {
		char c = text->data[from];

		blanks = c == '\n' ? 0 : blanks + (c == ' ');
		if (!columns || blanks < columns)
			text->data[to++] = c;
	}
	text->data[to] = '\0';
	text->length = to;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct damonfs damonfs = { .method = "none" };
	struct tree *tree = tree_new(&root_kind, DAMON_ABI(6, 12), 0, 0, &damonfs);
	struct text before, first, second;
	size_t which = size ? data[0] % 4 : 0;
	char *text = malloc(size + 1);
	int r;

	REQUIRE(tree && text);
	if (!size)
		data = (const uint8_t *)" ", size = 1;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (which == 2)
		REQUIRE(!store(tree, "target_ids", "paddr", 5));
	before = show(tree, files[which].name);
	r = store(tree, files[which].name, text, size - 1);
	first = show(tree, files[which].name);
	REQUIRE(r == 0 || r == files[which].error || (which == 1 && r == -EPERM));
	if (r)
		REQUIRE(which == 2 ? !first.length : !strcmp(first.data, before.data));
	/*
	 * A name of a process may be gone by now, and a target of its own is called 42.  A
	 * watermark metric that is none may be shown as a negative number, which is not taken: as
	 * in the kernel.
	 */
	if (!r && which != 1 && !strchr(first.data, '-')) {
		cut_lines(&first, files[which].columns);
		REQUIRE(!store(tree, files[which].name, first.data, first.length));
		second = show(tree, files[which].name);
		cut_lines(&second, files[which].columns);
		REQUIRE(!strcmp(first.data, second.data));
		free(second.data);
	}
	free(before.data);
	free(first.data);
	free(text);
	tree_free(tree);
	return 0;
}
