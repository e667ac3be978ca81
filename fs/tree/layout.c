// SPDX-License-Identifier: GPL-2.0-or-later
/* From a kind's table to rows: see layout.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree/layout.h"
#include "util/array.h"

int layout_find(const struct layout *layout, unsigned int parent, const char *name, size_t length)
{
	for (unsigned int i = 1; i < layout->nr_rows; i++) {
		const struct row *row = &layout->rows[i];

		if (row->parent == parent && !strncmp(row->name, name, length) &&
		    !row->name[length])
			return (int)i;
	}
	return -1;
}

unsigned int layout_list_row(const struct layout *layout, const struct file_type *file)
{
	unsigned int row = 0;

	while (layout->rows[row].list != file)
		row++;
	return row;
}

/* Return: the row's number or -ENOMEM. */
static int add_row(struct layout *layout, unsigned int parent, const char *name, size_t length)
{
	struct row *row;

	if (layout->nr_rows == MAX_ROWS || array_more(layout->rows, layout->nr_rows))
		return -ENOMEM;
	row = &layout->rows[layout->nr_rows];
	*row = (struct row){ .name = strndup(name, length), .parent = parent };
	return row->name ? (int)layout->nr_rows++ : -ENOMEM;
}

/* Adds the rows of FILE's path that are missing.  Return: the last one's number or -ENOMEM. */
static int add_path(struct layout *layout, const struct file_type *file)
{
	const char *path = file->path;
	int row = 0;

	while (row >= 0 && *path) {
		size_t length = strcspn(path, "/");
		int next = layout_find(layout, (unsigned int)row, path, length);

		row = next >= 0 ? next : add_row(layout, (unsigned int)row, path, length);
		path += length + (path[length] == '/');
	}
	return row;
}

static int fill(struct layout **all, struct layout *layout, unsigned int abi)
{
	const struct dir_kind *kind = layout->kind;

	if (add_row(layout, 0, "", 0) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < kind->nr_files; i++) {
		const struct file_type *file = &kind->files[i];
		const struct layout *children = NULL;
		int row, list;

		if (file->since > abi || (file->until && file->until <= abi))
			continue;
		row = add_path(layout, file);
		if (row < 0)
			return row;
		if (file->children && !(children = layout_of(all, file->children, abi)))
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

static void layout_free(struct layout *layout)
{
	for (unsigned int i = 0; i < layout->nr_rows; i++)
		free(layout->rows[i].name);
	free(layout->rows);
	free(layout);
}

const struct layout *layout_of(struct layout **all, const struct dir_kind *kind, unsigned int abi)
{
	struct layout *layout;

	for (layout = *all; layout; layout = layout->next)
		if (layout->kind == kind)
			return layout;
	layout = calloc(1, sizeof(*layout));
	if (!layout)
		return NULL;
	layout->kind = kind;
	if (fill(all, layout, abi)) {
		layout_free(layout);
		return NULL;
	}
	layout->next = *all;
	*all = layout;
	return layout;
}

/* FNV-1a, 64 bits. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t length)
{
	const unsigned char *byte = data;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ byte[i]) * 0x100000001b3;
	return hash;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	return hash_bytes(hash, text, strlen(text) + 1);
}

uint64_t layouts_hash(const struct layout *all)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; all; all = all->next) {
		hash = hash_text(hash, all->kind->name);
		for (unsigned int i = 0; i < all->nr_rows; i++) {
			hash = hash_bytes(hash, &all->rows[i].parent, sizeof(all->rows[i].parent));
			hash = hash_text(hash, all->rows[i].name);
		}
	}
	return hash;
}

void layouts_free(struct layout **all)
{
	struct layout *layout;

	while ((layout = *all)) {
		*all = layout->next;
		layout_free(layout);
	}
}
