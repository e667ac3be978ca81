// SPDX-License-Identifier: GPL-2.0-or-later
/* The tree of directories and files: see node.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "access/cleanup.h"
#include "fs/node.h"

/* The kernel keeps a list's directories in one allocation of pointers, of at most 4 MiB. */
#define MAX_LIST (4UL * 1024 * 1024 / sizeof(void *))

static int find_row(const struct layout *layout, unsigned int parent, const char *name,
		    size_t length)
{
	for (unsigned int i = 1; i < layout->nr_rows; i++) {
		const struct row *row = &layout->rows[i];

		if (row->parent == parent && !strncmp(row->name, name, length) &&
		    !row->name[length])
			return (int)i;
	}
	return -1;
}

/* Return: the row's number or -ENOMEM. */
static int add_row(struct layout *layout, unsigned int parent, const char *name, size_t length)
{
	struct row *more = reallocarray(layout->rows, layout->nr_rows + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	layout->rows = more;
	more[layout->nr_rows] = (struct row){ .name = strndup(name, length), .parent = parent };
	return more[layout->nr_rows].name ? (int)layout->nr_rows++ : -ENOMEM;
}

/* The sub-directory that PATH leads to, up to its last component where FILE is one; made on the
 * way. */
static int add_path(struct layout *layout, const struct file_type *file)
{
	const char *path = file->path;
	int row = 0;

	while (row >= 0 && *path) {
		size_t length = strcspn(path, "/");
		int next = find_row(layout, (unsigned int)row, path, length);

		row = next >= 0 ? next : add_row(layout, (unsigned int)row, path, length);
		path += length + (path[length] == '/');
	}
	return row;
}

static struct layout *layout_of(struct tree *tree, const struct dir_kind *kind);

static int layout_fill(struct tree *tree, struct layout *layout)
{
	const struct dir_kind *kind = layout->kind;

	if (add_row(layout, 0, "", 0) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < kind->nr_files; i++) {
		const struct file_type *file = &kind->files[i];
		struct layout *children = NULL;
		int row, list;

		if (file->since > tree->abi || (file->until && file->until <= tree->abi))
			continue;
		row = add_path(layout, file);
		if (row < 0)
			return row;
		if (file->children && !(children = layout_of(tree, file->children)))
			return -ENOMEM;
		if (file->format != FILE_LIST)
			layout->rows[row].file = file;
		if (!children)
			continue;
		list = file->format == FILE_LIST ? row : (int)layout->rows[row].parent;
		layout->rows[list].list = file;
		layout->rows[list].children = children;
	}
	return 0;
}

static struct layout *layout_of(struct tree *tree, const struct dir_kind *kind)
{
	struct layout *layout;

	for (layout = tree->layouts; layout; layout = layout->next)
		if (layout->kind == kind)
			return layout;
	layout = calloc(1, sizeof(*layout));
	if (!layout)
		return NULL;
	layout->kind = kind;
	layout->next = tree->layouts;
	tree->layouts = layout;
	return layout_fill(tree, layout) ? NULL : layout;
}

static struct dir *dir_new(struct tree *tree, const struct layout *layout)
{
	struct dir *dir = calloc(1, layout->kind->size);

	if (!dir)
		return NULL;
	dir->tree = tree;
	dir->serial = tree->next_serial++;
	dir->layout = layout;
	if (layout->kind->init)
		layout->kind->init(dir);
	HASH_ADD(hh, tree->dirs, serial, sizeof(dir->serial), dir);
	return dir;
}

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

static void dir_free(struct dir *dir)
{
	const struct layout *layout = dir->layout;

	for (unsigned int i = 0; i < layout->nr_rows; i++)
		if (layout->rows[i].list)
			list_free(dir_list_of(dir, layout->rows[i].list));
	if (layout->kind->clear)
		layout->kind->clear(dir);
	HASH_DEL(dir->tree->dirs, dir);
	free(dir->overrides);
	free(dir->name);
	free(dir);
}

struct tree *tree_new(const struct dir_kind *kind, unsigned int abi, uid_t uid, gid_t gid,
		      void *owner)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	struct layout *layout;

	if (!tree)
		return NULL;
	pthread_mutex_init(&tree->lock, NULL);
	tree->abi = abi;
	tree->uid = uid;
	tree->gid = gid;
	tree->owner = owner;
	clock_gettime(CLOCK_REALTIME, &tree->created);
	layout = layout_of(tree, kind);
	tree->root = layout ? dir_new(tree, layout) : NULL;
	return tree->root ? tree : tree_free(tree);
}

struct tree *tree_free(struct tree *tree)
{
	struct invalidation *change, *next;
	struct layout *layout;

	if (!tree)
		return NULL;
	if (tree->root)
		dir_free(tree->root);
	for (change = tree->changes; change; change = next) {
		next = change->next;
		free(change);
	}
	while ((layout = tree->layouts)) {
		tree->layouts = layout->next;
		for (unsigned int i = 0; i < layout->nr_rows; i++)
			free(layout->rows[i].name);
		free(layout->rows);
		free(layout);
	}
	pthread_mutex_destroy(&tree->lock);
	free(tree);
	return NULL;
}

bool tree_find(struct tree *tree, uint64_t ino, struct node *out)
{
	/* The upper bits are of node_alias(). */
	uint64_t serial = ((ino - 1) & ((1ULL << 48) - 1)) >> 8;
	struct dir *dir;

	HASH_FIND(hh, tree->dirs, &serial, sizeof(serial), dir);
	if (!dir || ((ino - 1) & 255) >= dir->layout->nr_rows)
		return false;
	*out = (struct node){ dir, (ino - 1) & 255 };
	return true;
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

bool node_lookup(struct node parent, const char *name, struct node *out)
{
	const struct row *row = node_row(parent);
	int found = find_row(parent.dir->layout, parent.row, name, strlen(name));

	if (found > 0) {
		*out = (struct node){ parent.dir, (unsigned int)found };
		return true;
	}
	if (!row->list)
		return false;
	*out = (struct node){ list_find(dir_list_of(parent.dir, row->list), name), 0 };
	if (!out->dir)
		return false;
	out->dir->known = true;
	return true;
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
static const char *name_of(const struct dir *dir, char room[static 16])
{
	if (dir->name)
		return dir->name;
	snprintf(room, 16, "%u", dir->number);
	return room;
}

void node_list(struct node node,
	       bool (*visit)(const char *name, uint64_t ino, bool is_dir, void *argument),
	       void *argument)
{
	const struct layout *layout = node.dir->layout;
	const struct row *row = node_row(node);
	const struct dir_list *list = row->list ? dir_list_of(node.dir, row->list) : NULL;

	if (!visit(".", node_ino(node), true, argument) ||
	    !visit("..", parent_ino(node), true, argument))
		return;
	for (unsigned int i = 1; i < layout->nr_rows; i++) {
		struct node child = { node.dir, i };

		if (layout->rows[i].parent == node.row &&
		    !visit(layout->rows[i].name, node_ino(child), node_is_dir(child), argument))
			return;
	}
	for (size_t i = 0; list && i < list->nr; i++) {
		struct node child = { list->dirs[i], 0 };
		char room[16];

		if (!visit(name_of(child.dir, room), node_ino(child), true, argument))
			return;
	}
}

/* Notes that NAME in the directory with number INO is not what it was; "": its attributes. */
static void note_change(struct tree *tree, uint64_t ino, const char *name)
{
	struct invalidation *change = malloc(sizeof(*change) + strlen(name) + 1);

	if (!change)
		return; /* stale names are then found out by ESTALE at the next use */
	change->parent_ino = ino;
	strcpy(change->name, name);
	change->next = tree->changes;
	tree->changes = change;
}

/* The same for a directory that is going, if the kernel may know it. */
static void note_gone(struct dir *dir)
{
	char room[16];

	if (dir->known)
		note_change(dir->tree, parent_ino((struct node){ dir, 0 }), name_of(dir, room));
}

void node_hold(struct node node)
{
	node.dir->nr_held++;
	note_change(node.dir->tree, parent_ino(node), node_row(node)->name);
}

/* The row of DIR in which the directories of FILE's list are. */
static unsigned int list_row(const struct dir *dir, const struct file_type *file)
{
	unsigned int row = 0;

	while (dir->layout->rows[row].list != file)
		row++;
	return row;
}

static void list_empty(struct dir *dir, const struct file_type *file)
{
	struct dir_list *list = dir_list_of(dir, file);
	uint64_t ino = node_ino((struct node){ dir, list_row(dir, file) });

	for (size_t i = 0; i < list->nr; i++)
		note_gone(list->dirs[i]);
	list_free(list);
	note_change(dir->tree, ino, "");
}

struct dir *dir_add(struct dir *dir, const struct file_type *file, unsigned int number)
{
	unsigned int row = list_row(dir, file);
	struct dir_list *list = dir_list_of(dir, file);
	struct dir *child;

	/* Room is doubled when the number is a power of two. */
	if (!(list->nr & (list->nr - 1))) {
		void *more =
			reallocarray(list->dirs, list->nr ? list->nr * 2 : 1, sizeof(*list->dirs));

		if (!more)
			return NULL;
		list->dirs = more;
	}
	child = dir_new(dir->tree, dir->layout->rows[row].children);
	if (!child)
		return NULL;
	child->parent = dir;
	child->parent_row = row;
	child->number = number;
	list->dirs[list->nr++] = child;
	return child;
}

struct dir *dir_add_named(struct dir *dir, const struct file_type *file, const char *name)
{
	char *copy = strdup(name);
	struct dir *child = copy ? dir_add(dir, file, 0) : NULL;

	if (!child) {
		free(copy);
		return NULL;
	}
	child->name = copy;
	note_change(dir->tree, node_ino((struct node){ dir, child->parent_row }), "");
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
	note_gone(dir);
	note_change(dir->tree, parent_ino((struct node){ dir, 0 }), "");
	dir_free(dir);
}

int dir_populate(struct dir *dir, const struct file_type *file, size_t count)
{
	list_empty(dir, file);
	if (count > MAX_LIST)
		return -ENOMEM;
	for (unsigned int i = 0; i < count; i++) {
		if (!dir_add(dir, file, i)) {
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

struct invalidation *tree_take_changes(struct tree *tree)
{
	return steal_ptr(tree->changes);
}
