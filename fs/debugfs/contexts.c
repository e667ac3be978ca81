// SPDX-License-Identifier: GPL-2.0-or-later
/* mk_contexts and rm_contexts: contexts that come and go. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "fs/root.h"
#include "fs/tree/parse.h"
#include "util/cleanup.h"

/* The kernel's room for a word. */
#define MAX_WORD 32767

/* The name that TEXT begins with.  Return: 0, or a negative errno. */
WITH_LOCK(tree_role)
static int scan_name(const struct dir *dir, const char *text, char name[static MAX_WORD + 1])
{
	const char *word;
	size_t length = scan_word(text, &word);

	if (!*text)
		return -EINVAL;
	if (damonfs_of(dir)->nr_running)
		return -EBUSY;
	length = min_ul(length, MAX_WORD);
	memcpy(name, word, length);
	name[length] = '\0';
	return 0;
}

static const struct file_type *made_file(void)
{
	return dir_file(&root_kind, "damon");
}

static struct node damon_directory(struct dir *dir)
{
	struct node damon = { dir, 0 };

	node_lookup(damon, "damon", &damon);
	return damon;
}

static bool is_no_name(const char *name)
{
	return !*name || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/');
}

int debugfs_store_mk_contexts(struct dir *dir, struct write *write, const char *text)
{
	char name[MAX_WORD + 1];
	struct node found;
	int r = scan_name(dir, text, name);

	if (r)
		return r;
	if (is_no_name(name))
		return -EACCES;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	if (node_lookup(damon_directory(dir), name, &found))
		return -EEXIST;
	return dir_add_named(dir, made_file(), name, write->account) ? 0 : -ENOMEM;
}

int debugfs_store_rm_contexts(struct dir *dir, struct write *write, const char *text)
{
	char name[MAX_WORD + 1];
	struct node found;
	int r = scan_name(dir, text, name);

	(void)write;
	if (r)
		return r;
	if (is_no_name(name) || !node_lookup(damon_directory(dir), name, &found))
		return -ENOENT;
	if (!node_is_dir(found))
		return -EINVAL;
	dir_remove(found.dir);
	return 0;
}
