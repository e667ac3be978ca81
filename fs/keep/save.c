// SPDX-License-Identifier: GPL-2.0-or-later
/* From the tree into the journal: see save.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "access/proc/process.h"
#include "access/rights/caller.h"
#include "fs/keep/measured.h"
#include "fs/keep/save.h"
#include "fs/run.h"
#include "fs/tree/file.h"
#include "util/cleanup.h"
#include "util/log.h"

/* The most that turns one kdamond on again (bytes): each has a copy of its own. */
#define MAX_KEPT (256UL << 10)

/* The most that is kept of its regions (bytes): 32768 of them. */
#define MAX_FOUND (1UL << 20)

/* The most of what a kdamond found for one scheme (bytes): some 70,000 regions. */
#define MAX_MEASURED (4UL << 20)

/* So many directories that a file makes are worth a new journal. */
#define MANY 1024

static struct saver *saver_of(const struct tree *tree)
{
	return damonfs_of_tree(tree)->saver;
}

bool save_is_on(const struct tree *tree)
{
	return saver_of(tree);
}

bool save_covers(const struct file_type *file)
{
	return file->kept ||
	       (file->mode & 0222 && !file->stream && !file->commands && file->format != FILE_LIST);
}

/* The file at PATH of DIR.  Return: whether there is one. */
static bool file_at(struct dir *dir, const char *path, struct node *out)
{
	for (unsigned int i = 0; i < dir->layout->nr_rows; i++) {
		const struct file_type *file = dir->layout->rows[i].file;

		*out = (struct node){ dir, i };
		if (file && !strcmp(file->path, path))
			return true;
	}
	return false;
}

/* ---- records into a text ---- */

static int put(struct text *out, const struct record *record, const void *data)
{
	int r = text_reserve(out, record_size(record->length));

	if (r)
		return r;
	record_put(out->data + out->length, record, data);
	out->length += record_size(record->length);
	return 0;
}

/* The list of directories that the file in row I of DIR counts, or NULL. */
static const struct dir_list *counted(struct dir *dir, const struct file_type *file)
{
	return file->format == FILE_COUNT ? dir_list_of(dir, file) : NULL;
}

/* Says that the file NODE holds TEXT, with the serial numbers and the account of what it made. */
static struct record store_record(struct node node, const struct text *text)
{
	const struct dir_list *list = counted(node.dir, node_row(node)->file);
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

static int put_file(struct text *out, struct node node, struct text *room)
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
	return put(out, &record, room->data);
}

static int put_mode(struct text *out, struct node node)
{
	struct record record = { .kind = RECORD_MODE, .ino = node_ino(node) };
	struct stat st;

	if (!node.dir->overrides || !node.dir->overrides[node.row].set)
		return 0;
	node_stat(node, &st);
	record.mode = st.st_mode & 07777;
	record.uid = st.st_uid;
	record.gid = st.st_gid;
	return put(out, &record, NULL);
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
		if (layout->rows[i].file && save_covers(layout->rows[i].file))
			r = put_file(out, node, room);
		if (!r)
			r = put_mode(out, node);
	}
	return r;
}

/* What a kdamond found, in row ROW of DIR. */
static int put_measured(struct text *out, struct dir *dir, unsigned int row, struct text *room)
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
	return put(out, &record, room->data);
}

/* The modes in DIR, which is in a list that put_measured() has put. */
static int put_modes(struct text *out, struct dir *dir)
{
	int r = 0;

	for (unsigned int i = 0; !r && i < dir->layout->nr_rows; i++) {
		const struct file_type *type = dir->layout->rows[i].list;
		const struct dir_list *list = type ? dir_list_of(dir, type) : NULL;

		r = put_mode(out, (struct node){ dir, i });
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
	r = put_measured(out, dir, row, room);
	for (size_t k = 0; !r && k < list->nr && room->length <= MAX_MEASURED; k++)
		r = put_modes(out, list->dirs[k]);
	return r;
}

/* How much: of one kdamond, to turn it on again; all that was written; and what was found, too. */
enum extent { OF_ONE, WRITTEN, ALL };

/* The list in row ROW of DIR that was written, or NULL. */
static const struct dir_list *kept_list(struct dir *dir, unsigned int row, enum extent extent)
{
	const struct file_type *list = dir->layout->rows[row].list;

	if (!list || list->measured)
		return NULL;
	return list->format == FILE_COUNT || extent >= WRITTEN ? dir_list_of(dir, list) : NULL;
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
	return put(out, &record, dir->name);
}

/* What is below TOP of DIR, and in the directories that its files made, to that EXTENT. */
static int put_dir(struct text *out, struct dir *dir, unsigned int top, enum extent extent,
		   struct text *room)
{
	int r = put_rows(out, dir, top, room);

	for (unsigned int i = 0; !r && i < dir->layout->nr_rows; i++) {
		const struct dir_list *list = kept_list(dir, i, extent);

		if (!is_below(dir->layout, i, top))
			continue;
		if (extent == ALL && measured_is(dir, i))
			r = put_found(out, dir, i, room);
		for (size_t k = 0; !r && list && k < list->nr; k++) {
			if (list->dirs[k]->name)
				r = put_made(out, list->dirs[k]);
			if (!r)
				r = put_dir(out, list->dirs[k], 0, extent, room);
		}
	}
	return r;
}

/* ---- the caller ---- */

/* Return: bytes that stand for CALLER, to be freed, and *SIZE; NULL and 0 if it cannot be saved. */
static char *caller_bytes(const struct caller *caller, uint32_t *size)
{
	size_t room = caller ? CALLER_SAVED_ROOM(caller) : 0;
	char *bytes = room ? malloc(room) : NULL;

	*size = bytes ? (uint32_t)caller_save(caller, bytes, room) : 0;
	if (*size)
		return bytes;
	free(bytes);
	return NULL;
}

/* ---- changes ---- */

static void journal_failed(int r)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&said))
		log_error("cannot keep the tree for a daemon that takes over: %s; if this one is "
			  "killed, parts of it are lost",
			  strerror(-r));
}

WITH_LOCK(tree_role)
static void change(struct tree *tree, const struct record *record, const void *data)
{
	struct journal *journal = saver_of(tree)->journal;

	if (saver_of(tree)->restoring)
		return;
	/* That has the change already; storing it again makes the same. */
	if (journal_is_long(journal))
		save_all(tree);
	if (journal_add(journal, record, data))
		journal_failed(-ENOSPC);
}

/* The same of a change to what is on: if that is not known, nothing is turned on again. */
WITH_LOCK(tree_role)
static void change_runs(struct tree *tree, const struct record *record, const void *data)
{
	struct journal *journal = saver_of(tree)->journal;

	if (saver_of(tree)->restoring)
		return;
	if (journal_add(journal, record, data)) {
		atomic_store(&journal->unsure, true);
		save_all(tree);
	} else if (journal_is_long(journal)) {
		save_all(tree);
	}
}

static void was_carried_out(struct tree *tree, uint64_t request, size_t size)
{
	atomic_store(&saver_of(tree)->journal->last_size, (uint32_t)size);
	atomic_store(&saver_of(tree)->journal->last_request, request);
}

void save_store(struct tree *tree, struct node node, const char *text, uint64_t serial,
		struct account *account, uint64_t request, size_t size)
{
	struct record record = { .kind = RECORD_WRITE,
				 .length = (uint32_t)strlen(text),
				 .ino = node_ino(node),
				 .serial = serial,
				 .request = request,
				 .uid = account_uid(account),
				 .mode = (uint32_t)size };
	const struct dir_list *list = counted(node.dir, node_row(node)->file);

	if (!saver_of(tree) || !save_covers(node_row(node)->file))
		return;
	change(tree, &record, text);
	/* Else the next daemon might have to make them again and again. */
	if (list && list->nr > MANY)
		save_all(tree);
	was_carried_out(tree, request, size);
}

void save_held(struct tree *tree, struct node node, uint64_t request, size_t size)
{
	__attribute__((cleanup(text_clear))) struct text text = { 0 }, room = { 0 };
	struct record record;

	if (!saver_of(tree) || !save_covers(node_row(node)->file))
		return;
	if (put_file(&text, node, &room)) {
		journal_failed(-ENOMEM);
		return;
	}
	if (!text.length)
		return;
	memcpy(&record, text.data, sizeof(record));
	record.request = request;
	record.mode = (uint32_t)size;
	change(tree, &record, text.data + sizeof(record));
	if (request)
		was_carried_out(tree, request, size);
}

void save_file(struct dir *dir, const char *path)
{
	struct node node;

	if (file_at(dir, path, &node))
		save_held(dir->tree, node, 0, 0);
}

void save_serial(struct tree *tree)
{
	const struct record record = { .kind = RECORD_SERIAL, .serial = tree->next_serial };
	struct saver *saver = saver_of(tree);

	if (!saver || saver->serial == tree->next_serial)
		return;
	saver->serial = tree->next_serial;
	change(tree, &record, NULL);
}

void save_measured(struct dir *dir, const char *path)
{
	__attribute__((cleanup(text_clear))) struct text text = { 0 }, room = { 0 };
	int row = layout_find(dir->layout, 0, path, strlen(path));

	if (!saver_of(dir->tree) || row < 0)
		return;
	if (put_measured(&text, dir, (unsigned int)row, &room))
		journal_failed(-ENOMEM);
	else
		change(dir->tree, (const struct record *)text.data,
		       text.data + sizeof(struct record));
}

void save_mode(struct tree *tree, struct node node)
{
	__attribute__((cleanup(text_clear))) struct text text = { 0 };

	if (saver_of(tree) && !put_mode(&text, node) && text.length)
		change(tree, (const struct record *)text.data, NULL);
}

/* ---- who opened command files ---- */

static int put_opener(struct text *out, const struct opener *opener)
{
	struct record record = { .kind = RECORD_OPENED, .ino = opener->handle };
	_cleanup_free_ char *bytes = caller_bytes(opener->caller, &record.length);

	return bytes ? put(out, &record, bytes) : 0;
}

WITH_LOCK(tree_role)
static struct opener *find_opener(struct saver *saver, uint64_t handle)
{
	struct opener *opener = NULL;

	if (saver)
		HASH_FIND(hh, saver->openers, &handle, sizeof(handle), opener);
	return opener;
}

void save_opened(struct tree *tree, uint64_t handle, struct caller *caller)
{
	__attribute__((cleanup(text_clear))) struct text text = { 0 };
	struct saver *saver = saver_of(tree);
	struct opener *opener;

	if (!saver || find_opener(saver, handle))
		return;
	opener = calloc(1, sizeof(*opener));
	if (!opener)
		return;
	opener->handle = handle;
	opener->caller = caller_get(caller);
	HASH_ADD(hh, saver->openers, handle, sizeof(handle), opener);
	if (!opener->hh.tbl) {
		caller_put(opener->caller);
		free(opener);
		return;
	}
	if (!put_opener(&text, opener) && text.length)
		change(tree, (const struct record *)text.data, text.data + sizeof(struct record));
}

void save_closed(struct tree *tree, uint64_t handle)
{
	const struct record record = { .kind = RECORD_CLOSED, .ino = handle };
	struct saver *saver = saver_of(tree);
	struct opener *opener = find_opener(saver, handle);

	if (!opener)
		return;
	HASH_DEL(saver->openers, opener);
	caller_put(opener->caller);
	free(opener);
	change(tree, &record, NULL);
}

struct caller *save_opener(struct tree *tree, uint64_t handle)
{
	struct opener *opener = find_opener(saver_of(tree), handle);

	return opener ? caller_get(opener->caller) : NULL;
}

void saver_clear(struct saver *saver)
{
	struct opener *opener = saver->openers;

	/* Without its table, it is a list. */
	HASH_CLEAR(hh, saver->openers);
	while (opener) {
		struct opener *next = opener->hh.next;

		caller_put(opener->caller);
		free(opener);
		opener = next;
	}
}

/* ---- all of it ---- */

/* The files that made DIR and those above it. */
static int put_parents(struct text *out, struct dir *dir, struct text *room)
{
	struct dir *parent = dir->parent;
	const struct file_type *file;
	int r = parent ? put_parents(out, parent, room) : 0;

	if (r || !parent)
		return r;
	if (dir->name)
		return put_made(out, dir);
	file = parent->layout->rows[dir->parent_row].list;
	for (unsigned int i = 0; i < parent->layout->nr_rows; i++)
		if (parent->layout->rows[i].file == file)
			return put_file(out, (struct node){ parent, i }, room);
	return -EINVAL;
}

/* Puts SIZE bytes, and fills up to a multiple of 8. */
static int put_bytes(struct text *out, const void *bytes, size_t size)
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

/* What follows the RECORD_ON of a file.  Return: 0, -EOPNOTSUPP, or another negative errno. */
static int put_on(struct text *out, struct node file, const struct damon_desc *desc, bool committed)
{
	struct dir *dir = file.dir;
	__attribute__((cleanup(text_clear))) struct text room = { 0 };
	struct on_header header = { .nr_targets = (uint32_t)desc->nr_targets,
				    .committed = committed };
	_cleanup_free_ char *caller = caller_bytes(desc->caller, &header.caller_size);
	int r = caller ? put_bytes(out, &header, sizeof(header)) : -EOPNOTSUPP;

	for (size_t i = 0; !r && i < desc->nr_targets; i++) {
		const struct damon_target_desc *target = &desc->targets[i];
		uint64_t started = target->started ? target->started : process_started(target->pid);

		r = put_bytes(out, &started, sizeof(started));
	}
	if (!r)
		r = put_bytes(out, caller, header.caller_size);
	if (!r)
		r = put_parents(out, dir, &room);
	return r ? r : put_dir(out, dir, node_row(file)->parent, OF_ONE, &room);
}

void save_block(struct dir *dir, const char *path, const struct damon_desc *desc, bool committed,
		struct text *out)
{
	__attribute__((cleanup(text_clear))) struct text on = { 0 };
	struct record record = { .kind = RECORD_ON };
	struct node node;
	int r;

	*out = (struct text){ 0 };
	if (!saver_of(dir->tree) || !file_at(dir, path, &node))
		return;
	r = put_on(&on, node, desc, committed);
	if (!r && on.length > MAX_KEPT)
		r = -E2BIG;
	record.ino = node_ino(node);
	record.length = (uint32_t)on.length;
	if (!r)
		r = put(out, &record, on.data);
	if (r == -E2BIG)
		log_info("a kdamond with so many schemes and regions stays off if damonfs is "
			 "killed: more than %lu KiB of files",
			 MAX_KEPT >> 10);
	else if (r == -EOPNOTSUPP)
		log_info("what user %u turns on, from another namespace or with another security "
			 "label, stays off if damonfs is killed",
			 desc->caller ? desc->caller->uid : 0);
	else if (r)
		journal_failed(r);
}

/* The record that RUN is on; one that cannot be turned on again is known by its address. */
static struct record run_record(const struct run *run)
{
	struct record record = { .kind = RECORD_ON, .ino = (uintptr_t)run };

	if (run->kept.length)
		memcpy(&record, run->kept.data, sizeof(record));
	return record;
}

static const void *run_data(const struct run *run)
{
	return run->kept.length ? run->kept.data + sizeof(struct record) : NULL;
}

void save_found(struct run *run, const struct damon_found_region *found, size_t nr)
{
	struct record record = run_record(run);
	size_t size = nr * sizeof(*found);

	if (!saver_of(run->tree) || run->state != RUN_ON || !run->kept.length)
		return;
	run->kept.length = record_size(record.length);
	record.kind = RECORD_FOUND;
	record.length = size <= MAX_FOUND ? (uint32_t)size : 0;
	/* Without them, it begins anew. */
	if (!put(&run->kept, &record, found))
		change(run->tree, &record, found);
}

void save_on(struct run *run)
{
	const struct record record = run_record(run);

	if (saver_of(run->tree))
		change_runs(run->tree, &record, run_data(run));
}

void save_on_anew(struct run *run, struct text *kept)
{
	/* It would be known by another name. */
	if (!run->kept.length != !kept->length)
		save_off(run);
	text_clear(&run->kept);
	run->kept = *kept;
	*kept = (struct text){ 0 };
	save_on(run);
}

void save_off(struct run *run)
{
	struct record record = run_record(run);

	record.kind = RECORD_OFF;
	record.length = 0;
	if (saver_of(run->tree) && !damonfs_of_tree(run->tree)->stopping)
		change_runs(run->tree, &record, NULL);
}

WITH_LOCK(tree_role)
static int put_runs(struct text *out, struct tree *tree)
{
	struct run *run;
	int r = 0;

	DL_FOREACH(damonfs_of_tree(tree)->runs, run) {
		const struct record record = run_record(run);

		/* One that is being turned on again was on. */
		if (r || !(run->state == RUN_ON || (run->state == RUN_STARTING && run->resumed)))
			continue;
		r = run->kept.length ? put_bytes(out, run->kept.data, run->kept.length) :
				       put(out, &record, NULL);
	}
	return r;
}

WITH_LOCK(tree_role) static int put_all(struct text *out, struct tree *tree, enum extent extent)
{
	__attribute__((cleanup(text_clear))) struct text room = { 0 };
	const struct record serial = { .kind = RECORD_SERIAL, .serial = tree->next_serial };
	struct opener *opener, *next;
	int r = put_runs(out, tree);

	if (!r)
		r = put_dir(out, tree->root, 0, extent, &room);
	if (!r)
		r = put(out, &serial, NULL);
	HASH_ITER(hh, saver_of(tree)->openers, opener, next)
		if (!r)
			r = put_opener(out, opener);
	return r;
}

int save_all(struct tree *tree)
{
	__attribute__((cleanup(text_clear))) struct text text = { 0 };
	struct saver *saver = saver_of(tree);
	int r;

	if (!saver || saver->restoring || damonfs_of_tree(tree)->stopping)
		return 0;
	r = put_all(&text, tree, ALL);
	/* What was found can be found again; what was written cannot. */
	if (!r && text.length > JOURNAL_HALF) {
		text.length = 0;
		r = put_all(&text, tree, WRITTEN);
	}
	if (!r)
		r = journal_replace(saver->journal, text.data, text.length);
	if (!r) {
		saver->serial = tree->next_serial;
		return 0;
	}
	journal_wait(saver->journal);
	journal_failed(r);
	return r;
}
