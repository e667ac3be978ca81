// SPDX-License-Identifier: GPL-2.0-or-later
/* What kdamonds found, into the journal and out of it: see measured.h. */
#include <errno.h>
#include <string.h>

#include "fs/keep/measured.h"
#include "util/macros.h"

/* Whether FILE, which may be NULL, shows a number that nobody can write. */
static bool shows_number(const struct file_type *file)
{
	return file && !(file->mode & 0222) &&
	       (file->format == FILE_NUMBER || file->format == FILE_UINT);
}

bool measured_is(const struct dir *dir, unsigned int row)
{
	const struct file_type *list = dir->layout->rows[row].list;

	return list && list->measured;
}

static struct dir_list *list_of(struct dir *dir, unsigned int row)
{
	return dir_list_of(dir, dir->layout->rows[row].list);
}

/* The next file from row *I of DIR in sub-directory ROW that shows a field, or NULL. */
static const struct file_type *next_field(const struct dir *dir, unsigned int row, unsigned int *i)
{
	for (; *i < dir->layout->nr_rows; (*i)++) {
		const struct row *at = &dir->layout->rows[*i];

		if (at->parent == row && shows_number(at->file)) {
			(*i)++;
			return at->file;
		}
	}
	return NULL;
}

static uint64_t value_of(const struct dir *dir, const struct file_type *file)
{
	const char *field = (const char *)dir + file->offset;
	uint32_t small;
	uint64_t value;

	if (file->format == FILE_UINT) {
		memcpy(&small, field, sizeof(small));
		return small;
	}
	memcpy(&value, field, sizeof(value));
	return value;
}

/* Return: 0, or -EINVAL if it does not fit. */
static int set_value(struct dir *dir, const struct file_type *file, uint64_t value)
{
	char *field = (char *)dir + file->offset;
	uint32_t small = (uint32_t)value;

	if (file->format == FILE_NUMBER)
		memcpy(field, &value, sizeof(value));
	else if (small == value)
		memcpy(field, &small, sizeof(small));
	else
		return -EINVAL;
	return 0;
}

bool measured_is_empty(struct dir *dir, unsigned int row)
{
	const struct file_type *file;
	unsigned int i = 0;

	while ((file = next_field(dir, row, &i)))
		if (value_of(dir, file))
			return false;
	return !list_of(dir, row)->nr;
}

/* ---- into words ---- */

static int put_word(struct text *out, uint64_t word)
{
	if (text_reserve(out, sizeof(word)))
		return -ENOMEM;
	memcpy(out->data + out->length, &word, sizeof(word));
	out->length += sizeof(word);
	return 0;
}

static int put_fields(struct text *out, const struct dir *dir, unsigned int row)
{
	const struct file_type *file;
	unsigned int i = 0;
	int r = 0;

	while (!r && (file = next_field(dir, row, &i)))
		r = put_word(out, value_of(dir, file));
	return r;
}

/* What is in DIR, which is in such a list. */
static int put_whole(struct text *out, struct dir *dir)
{
	int r = 0;

	for (unsigned int i = 0; !r && i < dir->layout->nr_rows; i++) {
		if (measured_is(dir, i))
			r = measured_put(out, dir, i);
		else if (!dir->layout->rows[i].file)
			r = put_fields(out, dir, i);
	}
	return r;
}

int measured_put(struct text *out, struct dir *dir, unsigned int row)
{
	const struct dir_list *list = list_of(dir, row);
	int r = put_fields(out, dir, row);

	if (!r)
		r = put_word(out, list->nr);
	for (size_t k = 0; !r && k < list->nr; k++) {
		r = put_word(out, list->dirs[k]->number);
		if (!r)
			r = put_word(out, list->dirs[k]->serial);
		if (!r)
			r = put_whole(out, list->dirs[k]);
	}
	return r;
}

/* ---- out of words ---- */

struct words {
	const char *at;
	size_t left; /* bytes */
	size_t *room; /* directories that may still be made */
};

static int take_word(struct words *words, uint64_t *out)
{
	if (words->left < sizeof(*out))
		return -EINVAL;
	memcpy(out, words->at, sizeof(*out));
	words->at += sizeof(*out);
	words->left -= sizeof(*out);
	return 0;
}

static int take_fields(struct words *words, struct dir *dir, unsigned int row)
{
	const struct file_type *file;
	unsigned int i = 0;
	uint64_t value;
	int r = 0;

	while (!r && (file = next_field(dir, row, &i))) {
		r = take_word(words, &value);
		if (!r)
			r = set_value(dir, file, value);
	}
	return r;
}

/* Makes a directory of the list in row ROW of DIR, charged as DIR is.  Return: 0 and *OUT. */
WITH_LOCK(tree_role)
static int take_dir(struct words *words, struct dir *dir, unsigned int row, struct dir **out)
{
	const struct dir_list *list = list_of(dir, row);
	struct tree *tree = dir->tree;
	uint64_t number, serial, next = tree->next_serial;
	int r = take_word(words, &number);

	if (!r)
		r = take_word(words, &serial);
	if (r || !*words->room || number > UINT32_MAX || !tree_serials_are_free(tree, serial, 1) ||
	    (list->nr && list->dirs[list->nr - 1]->number >= number))
		return -EINVAL;
	tree->next_serial = serial;
	*out = dir_add(dir, dir->layout->rows[row].list, (unsigned int)number, dir->account);
	tree->next_serial = max_ul(next, tree->next_serial);
	--*words->room;
	return *out ? 0 : -ENOMEM;
}

/* A list in a list is one level deeper; tables of files do not go any further. */
WITH_LOCK(tree_role)
static int take_list(struct words *words, struct dir *dir, unsigned int row)
{
	uint64_t nr;
	int r = take_fields(words, dir, row);

	if (!r)
		r = take_word(words, &nr);
	for (uint64_t k = 0; !r && k < nr; k++) {
		struct dir *made;

		r = take_dir(words, dir, row, &made);
		for (unsigned int i = 0; !r && i < made->layout->nr_rows; i++) {
			if (measured_is(made, i))
				r = take_list(words, made, i);
			else if (!made->layout->rows[i].file)
				r = take_fields(words, made, i);
		}
	}
	return r;
}

WITH_LOCK(tree_role) static void empty(struct dir *dir, unsigned int row)
{
	const struct file_type *file;
	unsigned int i = 0;

	dir_populate(dir, dir->layout->rows[row].list, 0, NULL);
	while ((file = next_field(dir, row, &i)))
		set_value(dir, file, 0);
}

int measured_restore(struct dir *dir, unsigned int row, const char *data, size_t length,
		     size_t *room)
{
	struct words words = { data, length, room };
	int r;

	empty(dir, row);
	if (!length)
		return 0;
	r = take_list(&words, dir, row);
	if (!r && words.left)
		r = -EINVAL;
	if (r)
		empty(dir, row);
	return r;
}
