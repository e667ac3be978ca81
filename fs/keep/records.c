// SPDX-License-Identifier: GPL-2.0-or-later
/* The journal's records of a tree: see records.h. */
#include <errno.h>
#include <string.h>

#include "fs/keep/measured.h"
#include "fs/keep/records.h"
#include "fs/tree/file.h"
#include "util/log.h"

/* The most of what a kdamond found for one scheme (bytes): some 70,000 regions. */
#define MAX_MEASURED (4UL << 20)

bool records_cover(const struct file_type *file)
{
	return file->kept ||
	       (file->mode & 0222 && !file->stream && !file->commands && file->format != FILE_LIST);
}

int records_put(struct text *out, const struct record *record, const void *data)
{
	int r = text_reserve(out, record_size(record->length));

	if (r)
		return r;
	record_put(out->data + out->length, record, data);
	out->length += record_size(record->length);
	return 0;
}

const struct dir_list *records_counted(struct dir *dir, const struct file_type *file)
{
	return file->format == FILE_COUNT ? dir_list_of(dir, file) : NULL;
}

/* Says that the file NODE holds TEXT, with the serial numbers and the account of what it made. */
static struct record store_record(struct node node, const struct text *text)
{
	const struct dir_list *list = records_counted(node.dir, node_row(node)->file);
	struct record record = { .kind = RECORD_WRITE,
				 .length = (uint32_t)text->length,
				 .ino = node_ino(node),
				 .uid = account_uid(node.dir->account) };

	if (!list || !list->nr)
		return record;
	record.serial = list->dirs[0]->serial;
	record.uid = account_uid(list->dirs[0]->account);
	return record;
}

/* Whether a word is shown that nobody can write: it is there from the beginning. */
static bool is_shown_only(const struct file_type *file, struct dir *dir)
{
	const struct keyword *word = file->words;
	int value;

	if (file->format != FILE_KEYWORD)
		return false;
	memcpy(&value, (char *)dir + file->offset, sizeof(value));
	while (word->name && word->value != value)
		word++;
	return !word->name || word->since > dir->tree->abi;
}

int records_put_file(struct text *out, struct node node, struct text *room)
{
	const struct process_caller nobody = { 0 };
	const struct file_type *file = node_row(node)->file;
	struct record record;
	int r;

	room->length = 0;
	/* What others made shows what was written to these. */
	if (is_shown_only(file, node.dir) || (file->format == FILE_OWN && !file->show))
		return 0;
	r = file->keep ? file->keep(node.dir, &nobody, room) :
			 file_show(file, node.dir, &nobody, room);
	if (r)
		return r;
	/* Texts are shown with a newline of ours; one that was never written is empty. */
	if (file->format == FILE_TEXT && !--room->length)
		return 0;
	record = store_record(node, room);
	return records_put(out, &record, room->data);
}

int records_put_mode(struct text *out, struct node node)
{
	struct record record = { .kind = RECORD_MODE, .ino = node_ino(node) };
	struct stat st;

	if (!node.dir->overrides || !node.dir->overrides[node.row].set)
		return 0;
	node_stat(node, &st);
	record.mode = st.st_mode & 07777;
	record.uid = st.st_uid;
	record.gid = st.st_gid;
	return records_put(out, &record, NULL);
}

/* Whether row I of LAYOUT is the sub-directory TOP or below it; all is below row 0. */
static bool is_below(const struct layout *layout, unsigned int i, unsigned int top)
{
	while (i && i != top)
		i = layout->rows[i].parent;
	return i == top;
}

static int put_rows(struct text *out, struct dir *dir, unsigned int top, struct text *room)
{
	const struct layout *layout = dir->layout;
	int r = 0;

	for (unsigned int i = 0; !r && i < layout->nr_rows; i++) {
		struct node node = { dir, i };

		if (!is_below(layout, i, top))
			continue;
		if (layout->rows[i].file && records_cover(layout->rows[i].file))
			r = records_put_file(out, node, room);
		if (!r)
			r = records_put_mode(out, node);
	}
	return r;
}

int records_put_measured(struct text *out, struct dir *dir, unsigned int row, struct text *room)
{
	struct record record = { .kind = RECORD_MEASURED,
				 .ino = node_ino((struct node){ dir, row }) };
	int r;

	room->length = 0;
	r = measured_put(room, dir, row);
	if (r)
		return r;
	if (room->length <= MAX_MEASURED)
		record.length = (uint32_t)room->length;
	else
		log_info("the %zu regions of a scheme are more than what is kept for a daemon that "
			 "takes over",
			 dir_list_of(dir, dir->layout->rows[row].list)->nr);
	return records_put(out, &record, room->data);
}

/* The modes in DIR, which is in a list that records_put_measured() has put. */
static int put_modes(struct text *out, struct dir *dir)
{
	int r = 0;

	for (unsigned int i = 0; !r && i < dir->layout->nr_rows; i++) {
		const struct file_type *type = dir->layout->rows[i].list;
		const struct dir_list *list = type ? dir_list_of(dir, type) : NULL;

		r = records_put_mode(out, (struct node){ dir, i });
		for (size_t k = 0; !r && list && k < list->nr; k++)
			r = put_modes(out, list->dirs[k]);
	}
	return r;
}

/* What a kdamond found, in row ROW of DIR, with the modes. */
static int put_found(struct text *out, struct dir *dir, unsigned int row, struct text *room)
{
	const struct dir_list *list = dir_list_of(dir, dir->layout->rows[row].list);
	int r;

	if (measured_is_empty(dir, row))
		return 0;
	r = records_put_measured(out, dir, row, room);
	for (size_t k = 0; !r && k < list->nr && room->length <= MAX_MEASURED; k++)
		r = put_modes(out, list->dirs[k]);
	return r;
}

/* The list in row ROW of DIR that was written, or NULL. */
static const struct dir_list *kept_list(struct dir *dir, unsigned int row,
					enum records_extent extent)
{
	const struct file_type *list = dir->layout->rows[row].list;

	if (!list || list->measured)
		return NULL;
	return list->format == FILE_COUNT || extent >= RECORDS_WRITTEN ? dir_list_of(dir, list) :
									 NULL;
}

/* The file of DIR that makes directories with names.  Return: whether there is one. */
static bool file_that_makes(struct dir *dir, struct node *out)
{
	for (unsigned int i = 0; i < dir->layout->nr_rows; i++) {
		*out = (struct node){ dir, i };
		if (dir->layout->rows[i].file && dir->layout->rows[i].file->makes)
			return true;
	}
	return false;
}

/* Says that DIR, which has a name, was made. */
static int put_made(struct text *out, const struct dir *dir)
{
	struct record record = { .kind = RECORD_WRITE,
				 .length = (uint32_t)strlen(dir->name),
				 .serial = dir->serial,
				 .uid = account_uid(dir->account) };
	struct node file;

	if (!file_that_makes(dir->parent, &file))
		return -EINVAL;
	record.ino = node_ino(file);
	return records_put(out, &record, dir->name);
}

int records_put_dir(struct text *out, struct dir *dir, unsigned int top, enum records_extent extent,
		    struct text *room)
{
	int r = put_rows(out, dir, top, room);

	for (unsigned int i = 0; !r && i < dir->layout->nr_rows; i++) {
		const struct dir_list *list = kept_list(dir, i, extent);

		if (!is_below(dir->layout, i, top))
			continue;
		if (extent == RECORDS_ALL && measured_is(dir, i))
			r = put_found(out, dir, i, room);
		for (size_t k = 0; !r && list && k < list->nr; k++) {
			if (list->dirs[k]->name)
				r = put_made(out, list->dirs[k]);
			if (!r)
				r = records_put_dir(out, list->dirs[k], 0, extent, room);
		}
	}
	return r;
}

int records_put_parents(struct text *out, struct dir *dir, struct text *room)
{
	struct dir *parent = dir->parent;
	const struct file_type *file;
	int r = parent ? records_put_parents(out, parent, room) : 0;

	if (r || !parent)
		return r;
	if (dir->name)
		return put_made(out, dir);
	file = parent->layout->rows[dir->parent_row].list;
	for (unsigned int i = 0; i < parent->layout->nr_rows; i++)
		if (parent->layout->rows[i].file == file)
			return records_put_file(out, (struct node){ parent, i }, room);
	return -EINVAL;
}

int records_put_bytes(struct text *out, const void *bytes, size_t size)
{
	size_t whole = record_whole(size);

	if (text_reserve(out, whole))
		return -ENOMEM;
	memset(out->data + out->length, 0, whole);
	if (size)
		memcpy(out->data + out->length, bytes, size);
	out->length += whole;
	return 0;
}
