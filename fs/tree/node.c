// SPDX-License-Identifier: GPL-2.0-or-later
/* The tree of directories and files: see node.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "fs/tree/node.h"
#include "util/array.h"
#include "util/cleanup.h"

/* How long the kernel may keep names and attributes of what is never removed, in seconds. */
#define FOREVER 86400.0

/* The kernel keeps a list's directories in one allocation of pointers, of at most 4 MiB. */
#define MAX_LIST (4UL * 1024 * 1024 / sizeof(void *))

struct dir_list *dir_list_of(struct dir *dir, const struct file_type *file)
{
	return (struct dir_list *)((char *)dir + file->offset);
}

static void dir_free(struct dir *dir);

static void list_free(struct dir_list *list)
{
	for (size_t i = 0; i < list->nr; i++)
		dir_free(list->dirs[i]);
	free(list->dirs);
	*list = (struct dir_list){ 0 };
}

/* Frees what DIR owns but itself. */
static void dir_clear(struct dir *dir)
{
	const struct layout *layout = dir->layout;

	for (unsigned int i = 0; i < layout->nr_rows; i++)
		if (layout->rows[i].list)
			list_free(dir_list_of(dir, layout->rows[i].list));
	if (layout->kind->clear)
		layout->kind->clear(dir);
	free(dir->overrides);
	free(dir->name);
}

WITH_LOCK(tree_role) static void dir_free(struct dir *dir)
{
	struct tree *tree = dir->tree;

	dir_clear(dir);
	if (dir->kept_until) {
		if (tree->settled < dir->kept_until)
			tree->settled = dir->kept_until;
		tree->nr_changes++;
	}
	if (dir->is_changed)
		DL_DELETE(tree->changed, dir);
	HASH_DEL(tree->dirs, dir);
	account_refund(dir->account, ACCOUNT_OBJECTS, 1);
	account_put(dir->account);
	free(dir);
}

WITH_LOCK(tree_role)
static struct dir *dir_new(struct tree *tree, const struct layout *layout, struct account *account)
{
	struct dir *dir;

	/* Half a million million were made: there are no more numbers. */
	if (tree->next_serial >> INO_SERIAL_BITS || account_charge(account, ACCOUNT_OBJECTS, 1))
		return NULL;
	dir = calloc(1, layout->kind->size);
	if (!dir) {
		account_refund(account, ACCOUNT_OBJECTS, 1);
		return NULL;
	}
	dir->account = account_ref(account);
	dir->tree = tree;
	dir->serial = tree->next_serial++;
	dir->layout = layout;
	if (layout->kind->init)
		layout->kind->init(dir);
	HASH_ADD(hh, tree->dirs, serial, sizeof(dir->serial), dir);
	if (!dir->hh.tbl) {
		dir_clear(dir);
		account_refund(account, ACCOUNT_OBJECTS, 1);
		account_put(account);
		free(dir);
		return NULL;
	}
	return dir;
}

/* The length of a tick of the kernel's clock; a long one if that is unknown. */
static uint64_t tick_length(void)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || tick.tv_sec)
		return 10000000;
	return (uint64_t)tick.tv_nsec;
}

struct tree *tree_new(const struct dir_kind *kind, unsigned int abi, uid_t uid, gid_t gid,
		      void *owner)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	const struct layout *layout;

	if (!tree)
		return NULL;
	pthread_mutex_init(&tree->lock, NULL);
	tree->abi = abi;
	tree->uid = uid;
	tree->gid = gid;
	tree->owner = owner;
	tree->tick = tick_length();
	clock_gettime(CLOCK_REALTIME, &tree->created);
	layout = layout_of(&tree->layouts, kind, abi);
	tree->root = layout ? dir_new(tree, layout, NULL) : NULL;
	return tree->root ? tree : tree_free(tree);
}

struct tree *tree_free(struct tree *tree)
{
	if (!tree)
		return NULL;
	if (tree->root)
		dir_free(tree->root);
	layouts_free(&tree->layouts);
	pthread_mutex_destroy(&tree->lock);
	free(tree);
	return NULL;
}

bool tree_find(struct tree *tree, uint64_t ino, struct node *out)
{
	/* The upper bits are of node_alias(). */
	uint64_t index = node_real_ino(ino - 1), serial = index >> (INO_ROW_BITS + 1);
	unsigned int row = index & ((1U << INO_ROW_BITS) - 1);
	struct dir *dir;

	HASH_FIND(hh, tree->dirs, &serial, sizeof(serial), dir);
	if (!dir || row >= dir->layout->nr_rows)
		return false;
	*out = (struct node){ dir, row };
	return node_is_dir(*out) == ino_is_dir(ino);
}

static struct dir *list_find_named(const struct dir_list *list, const char *name)
{
	for (size_t i = 0; i < list->nr; i++)
		if (!strcmp(list->dirs[i]->name, name))
			return list->dirs[i];
	return NULL;
}

/* The directory that is called NAME in LIST, if that is how a number is written. */
static struct dir *list_find(const struct dir_list *list, const char *name)
{
	size_t low = 0, high = list->nr;
	unsigned long number;
	char *end;

	if (list->nr && list->dirs[0]->name)
		return list_find_named(list, name);
	if (*name < '0' || *name > '9' || (*name == '0' && name[1]))
		return NULL;
	number = strtoul(name, &end, 10);
	if (*end)
		return NULL;
	while (low < high) {
		size_t middle = (low + high) / 2;
		struct dir *dir = list->dirs[middle];

		if (dir->number == number)
			return dir;
		if (dir->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

bool tree_serials_are_free(struct tree *tree, uint64_t serial, uint64_t count)
{
	uint64_t end;

	if (__builtin_add_overflow(serial, count, &end) || end >> INO_SERIAL_BITS)
		return false;
	for (struct dir *dir; serial < end; serial++) {
		HASH_FIND(hh, tree->dirs, &serial, sizeof(serial), dir);
		if (dir)
			return false;
	}
	return true;
}

bool node_lookup(struct node parent, const char *name, struct node *out)
{
	const struct row *row = node_row(parent);
	int found = layout_find(parent.dir->layout, parent.row, name, strlen(name));

	if (found > 0) {
		*out = (struct node){ parent.dir, (unsigned int)found };
		return true;
	}
	if (!row->list)
		return false;
	*out = (struct node){ list_find(dir_list_of(parent.dir, row->list), name), 0 };
	return out->dir;
}

static nlink_t count_links(struct node node)
{
	const struct layout *layout = node.dir->layout;
	const struct row *row = node_row(node);
	nlink_t links = 2;

	for (unsigned int i = 1; i < layout->nr_rows; i++)
		links += layout->rows[i].parent == node.row && !layout->rows[i].file;
	return links + (row->list ? dir_list_of(node.dir, row->list)->nr : 0);
}

void node_stat(struct node node, struct stat *out)
{
	const struct tree *tree = node.dir->tree;
	const struct row *row = node_row(node);
	const struct row_override *override = node.dir->overrides ? &node.dir->overrides[node.row] :
								    NULL;
	mode_t mode = row->file ? row->file->mode : 0755;

	*out = (struct stat){
		.st_ino = node_ino(node),
		.st_mode = (row->file ? S_IFREG : S_IFDIR) | mode,
		.st_nlink = row->file ? 1 : count_links(node),
		.st_uid = tree->uid,
		.st_gid = tree->gid,
		/* As in sysfs, whatever is in it. */
		.st_size = row->file && !row->file->stream ? 4096 : 0,
		.st_blksize = 4096,
		.st_atim = tree->created,
		.st_mtim = tree->created,
		.st_ctim = tree->created,
	};
	if (override && override->set) {
		out->st_mode = (out->st_mode & S_IFMT) | override->mode;
		out->st_uid = override->uid;
		out->st_gid = override->gid;
	}
}

void node_stat_gone(const struct tree *tree, uint64_t ino, struct stat *out)
{
	bool is_dir = ino_is_dir(ino);

	*out = (struct stat){
		.st_ino = node_real_ino(ino),
		.st_mode = is_dir ? S_IFDIR | 0755 : S_IFREG | 0400,
		.st_uid = tree->uid,
		.st_gid = tree->gid,
		.st_size = is_dir ? 0 : 4096,
		.st_blksize = 4096,
		.st_atim = tree->created,
		.st_mtim = tree->created,
		.st_ctim = tree->created,
	};
}

int node_change(struct node node, unsigned int mask, mode_t mode, uid_t uid, gid_t gid)
{
	struct row_override *override;
	struct stat st;

	node_stat(node, &st);
	if (!node.dir->overrides)
		node.dir->overrides =
			calloc(node.dir->layout->nr_rows, sizeof(*node.dir->overrides));
	if (!node.dir->overrides)
		return -ENOMEM;
	override = &node.dir->overrides[node.row];
	*override = (struct row_override){
		.set = true,
		.mode = (mask & NODE_SET_MODE ? mode : st.st_mode) & 07777,
		.uid = mask & NODE_SET_UID ? uid : st.st_uid,
		.gid = mask & NODE_SET_GID ? gid : st.st_gid,
	};
	return 0;
}

static uint64_t parent_ino(struct node node)
{
	struct dir *dir = node.dir;

	if (node.row)
		return node_ino((struct node){ dir, dir->layout->rows[node.row].parent });
	return dir->parent ? node_ino((struct node){ dir->parent, dir->parent_row }) :
			     node_ino(node);
}

/* What DIR is called where it is listed; ROOM is for a number. */
static const char *dir_name(const struct dir *dir, char room[static 16])
{
	if (dir->name)
		return dir->name;
	snprintf(room, 16, "%u", dir->number);
	return room;
}

bool node_list(struct node node, bool (*visit)(const char *name, uint64_t ino, void *argument),
	       void *argument)
{
	const struct layout *layout = node.dir->layout;
	const struct row *row = node_row(node);
	const struct dir_list *list = row->list ? dir_list_of(node.dir, row->list) : NULL;

	if (!visit(".", node_ino(node), argument) || !visit("..", parent_ino(node), argument))
		return false;
	for (unsigned int i = 1; i < layout->nr_rows; i++)
		if (layout->rows[i].parent == node.row &&
		    !visit(layout->rows[i].name, node_ino((struct node){ node.dir, i }), argument))
			return false;
	for (size_t i = 0; list && i < list->nr; i++) {
		struct dir *child = list->dirs[i];
		char room[16];

		if (!visit(dir_name(child, room), node_ino((struct node){ child, 0 }), argument))
			return false;
	}
	return true;
}

/* ---- what the kernel knows ---- */

uint64_t tree_now(void)
{
	struct timespec now;

	/* It goes with the kernel's ticks, also where these are late. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

double node_keep(struct node node)
{
	const struct tree *tree = node.dir->tree;

	if (!node.dir->parent)
		return FOREVER;
	/*
	 * The kernel counts from when it gets the answer, and rounds up to a tick: that ends with
	 * the second tick from then, the third from now at the latest.  Half a tick for drift.
	 */
	node.dir->kept_until = tree_now() + 5 * tree->tick / 2;
	return 1e-6;
}

/* The attributes of more than one row changed. */
#define ALL_ROWS 0

/* Notes that the sub-directory ROW of DIR has other entries, and so other attributes. */
WITH_LOCK(tree_role) static void note_change(struct dir *dir, unsigned int row)
{
	struct tree *tree = dir->tree;

	/* The kernel knows nothing of what it never looked up. */
	if (dir->parent && !dir->kept_until)
		return;
	tree->nr_changes++;
	dir->changed_row = dir->is_changed && dir->changed_row != row ? ALL_ROWS : (uint8_t)row;
	if (!dir->is_changed)
		DL_APPEND(tree->changed, dir);
	dir->is_changed = true;
}

size_t tree_take_changes(struct tree *tree, uint64_t *inos, size_t room)
{
	size_t nr = 0;

	while (tree->changed && nr + tree->changed->layout->nr_rows <= room) {
		struct dir *dir = tree->changed;

		for (unsigned int i = 0; i < dir->layout->nr_rows; i++)
			if (dir->layout->rows[i].list &&
			    (dir->changed_row == ALL_ROWS || dir->changed_row == i))
				inos[nr++] = node_ino((struct node){ dir, i });
		DL_DELETE(tree->changed, dir);
		dir->is_changed = false;
	}
	return nr;
}

void node_hold(struct node node)
{
	node.dir->nr_held++;
}

/* ---- lists ---- */

WITH_LOCK(tree_role) static void list_empty(struct dir *dir, const struct file_type *file)
{
	list_free(dir_list_of(dir, file));
	note_change(dir, layout_list_row(dir->layout, file));
}

struct dir *dir_add(struct dir *dir, const struct file_type *file, unsigned int number,
		    struct account *account)
{
	unsigned int row = layout_list_row(dir->layout, file);
	struct dir_list *list = dir_list_of(dir, file);
	struct dir *child;

	if (array_more(list->dirs, list->nr))
		return NULL;
	child = dir_new(dir->tree, dir->layout->rows[row].children, account);
	if (!child)
		return NULL;
	child->parent = dir;
	child->parent_row = (uint8_t)row;
	child->number = number;
	list->dirs[list->nr++] = child;
	return child;
}

struct dir *dir_add_named(struct dir *dir, const struct file_type *file, const char *name,
			  struct account *account)
{
	char *copy = strdup(name);
	struct dir *child = copy ? dir_add(dir, file, 0, account) : NULL;

	if (!child) {
		free(copy);
		return NULL;
	}
	child->name = copy;
	note_change(dir, child->parent_row);
	return child;
}

void dir_remove(struct dir *dir)
{
	struct dir *parent = dir->parent;
	struct dir_list *list = dir_list_of(parent, parent->layout->rows[dir->parent_row].list);
	size_t i = 0;

	while (list->dirs[i] != dir)
		i++;
	list->nr--;
	memmove(&list->dirs[i], &list->dirs[i + 1], (list->nr - i) * sizeof(*list->dirs));
	note_change(parent, dir->parent_row);
	dir_free(dir);
}

/* How many directories of ACCOUNT's are in the list that FILE of DIR counts, with what is in them. */
static uint64_t count_objects(struct dir *dir, const struct file_type *file,
			      const struct account *account)
{
	const struct dir_list *list = dir_list_of(dir, file);
	uint64_t nr = 0;

	for (size_t k = 0; k < list->nr; k++) {
		struct dir *child = list->dirs[k];

		nr += child->account == account;
		for (unsigned int i = 0; i < child->layout->nr_rows; i++)
			if (child->layout->rows[i].list)
				nr += count_objects(child, child->layout->rows[i].list, account);
	}
	return nr;
}

/* Whether COUNT directories instead of those in a list are too many for ACCOUNT. */
static bool are_too_many(struct dir *dir, const struct file_type *file, size_t count,
			 struct account *account)
{
	uint64_t left = account ? account_left(account, ACCOUNT_OBJECTS) : UINT64_MAX;

	return count > left && count - left > count_objects(dir, file, account);
}

int dir_populate(struct dir *dir, const struct file_type *file, size_t count,
		 struct account *account)
{
	/* Too many for ACCOUNT, even with the old ones given back: nothing changes. */
	if (are_too_many(dir, file, count, account))
		return account_charge(account, ACCOUNT_OBJECTS, count);
	list_empty(dir, file);
	if (count > MAX_LIST)
		return -ENOMEM;
	for (unsigned int i = 0; i < count; i++) {
		if (!dir_add(dir, file, i, account)) {
			list_free(dir_list_of(dir, file));
			return -ENOMEM;
		}
	}
	return 0;
}

const struct file_type *dir_file(const struct dir_kind *kind, const char *path)
{
	for (size_t i = 0; i < kind->nr_files; i++)
		if (!strcmp(kind->files[i].path, path))
			return &kind->files[i];
	return NULL;
}
