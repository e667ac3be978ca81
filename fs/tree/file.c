// SPDX-License-Identifier: GPL-2.0-or-later
/* Printing and parsing by a file's row: see file.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/abi.h"
#include "fs/tree/answer.h"
#include "fs/tree/file.h"
#include "fs/tree/node.h"
#include "fs/tree/parse.h"
#include "util/cleanup.h"

const char *keyword_name(const struct keyword *words, int value)
{
	for (; words->name; words++)
		if (words->value == value)
			return words->name;
	return NULL;
}

static void *field_of(const struct file_type *file, struct dir *dir)
{
	return (char *)dir + file->offset;
}

static int show_number(const struct file_type *file, struct dir *dir, struct text *out)
{
	return text_add(out, "%" PRIu64 "\n", *(uint64_t *)field_of(file, dir));
}

static int store_number(const struct file_type *file, struct dir *dir, struct write *write,
			const char *text)
{
	uint64_t value;
	int r = parse_unsigned(text, UINT64_MAX, &value);

	(void)write;
	if (!r && !value && file->not_zero)
		r = -EINVAL;
	if (!r)
		*(uint64_t *)field_of(file, dir) = value;
	return r;
}

static int show_uint(const struct file_type *file, struct dir *dir, struct text *out)
{
	return text_add(out, "%" PRIu32 "\n", *(uint32_t *)field_of(file, dir));
}

static int store_uint(const struct file_type *file, struct dir *dir, struct write *write,
		      const char *text)
{
	uint64_t value;
	int r = parse_unsigned(text, UINT32_MAX, &value);

	(void)write;
	if (!r)
		*(uint32_t *)field_of(file, dir) = (uint32_t)value;
	return r;
}

static int show_int(const struct file_type *file, struct dir *dir, struct text *out)
{
	return text_add(out, "%d\n", *(int *)field_of(file, dir));
}

static int store_int(const struct file_type *file, struct dir *dir, struct write *write,
		     const char *text)
{
	(void)write;
	return parse_int(text, field_of(file, dir));
}

static int show_flag(const struct file_type *file, struct dir *dir, struct text *out)
{
	return text_add(out, "%c\n", *(bool *)field_of(file, dir) ? 'Y' : 'N');
}

static int store_flag(const struct file_type *file, struct dir *dir, struct write *write,
		      const char *text)
{
	(void)write;
	return parse_flag(text, abi_flags_are_words(dir->tree->abi), field_of(file, dir));
}

static int show_keyword(const struct file_type *file, struct dir *dir, struct text *out)
{
	return text_add(out, "%s\n", keyword_name(file->words, *(int *)field_of(file, dir)));
}

static int store_keyword(const struct file_type *file, struct dir *dir, struct write *write,
			 const char *text)
{
	(void)write;
	for (const struct keyword *word = file->words; word->name; word++) {
		if (word->since > dir->tree->abi || !parse_is_word(text, word->name))
			continue;
		*(int *)field_of(file, dir) = word->value;
		return 0;
	}
	return -EINVAL;
}

static int show_text(const struct file_type *file, struct dir *dir, struct text *out)
{
	const char *value = *(char **)field_of(file, dir);

	return text_add(out, "%s\n", value ? value : "");
}

static int file_store_text(const struct file_type *file, struct dir *dir, struct write *write,
			   const char *text)
{
	char **field = field_of(file, dir), *copy;
	uint64_t held = *field ? strlen(*field) + 1 : 0, needs = strlen(text) + 1;

	(void)write;
	if (account_charge(dir->account, ACCOUNT_BYTES, needs))
		return -ENOMEM;
	copy = strdup(text);
	account_refund(dir->account, ACCOUNT_BYTES, copy ? held : needs);
	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

void file_free_text(struct dir *dir, char *text)
{
	account_refund(dir->account, ACCOUNT_BYTES, text ? strlen(text) + 1 : 0);
	free(text);
}

static int show_count(const struct file_type *file, struct dir *dir, struct text *out)
{
	return text_add(out, "%zu\n", ((struct dir_list *)field_of(file, dir))->nr);
}

WITH_LOCK(tree_role)
static int store_count(const struct file_type *file, struct dir *dir, struct write *write,
		       const char *text)
{
	int count, r = parse_int(text, &count);

	if (r)
		return r;
	if (count < 0)
		return -EINVAL;
	r = file->check_count ? file->check_count(dir, count) : 0;
	return r ? r : dir_populate(dir, file, (size_t)count, write->account);
}

static int store_own(const struct file_type *file, struct dir *dir, struct write *write,
		     const char *text)
{
	return file->store ? file->store(dir, write, text) : -EINVAL;
}

static const struct {
	int (*show)(const struct file_type *file, struct dir *dir, struct text *out);
	int (*store)(const struct file_type *file, struct dir *dir, struct write *write,
		     const char *text);
} formats[] = {
	[FILE_NUMBER] = { show_number, store_number },
	[FILE_UINT] = { show_uint, store_uint },
	[FILE_INT] = { show_int, store_int },
	[FILE_FLAG] = { show_flag, store_flag },
	[FILE_KEYWORD] = { show_keyword, store_keyword },
	[FILE_TEXT] = { show_text, file_store_text },
	[FILE_COUNT] = { show_count, store_count },
	[FILE_OWN] = { NULL, store_own },
};

int file_show(const struct file_type *file, struct dir *dir, const struct process_caller *reader,
	      struct text *out)
{
	if (dir->layout->kind->refresh)
		dir->layout->kind->refresh(dir);
	if (file->format == FILE_OWN)
		return file->show ? file->show(dir, reader, out) : -EINVAL;
	return formats[file->format].show(file, dir, out);
}

int file_store(const struct file_type *file, struct dir *dir, struct write *write, const char *text)
{
	int r;

	/* A later refresh must not undo it. */
	if (dir->layout->kind->refresh)
		dir->layout->kind->refresh(dir);
	r = formats[file->format].store(file, dir, write, text);
	return r == -ERANGE && file->range_is_invalid ? -EINVAL : r;
}
