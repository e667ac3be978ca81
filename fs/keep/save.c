// SPDX-License-Identifier: GPL-2.0-or-later
/* From the tree into the journal: see save.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "access/proc/process.h"
#include "access/rights/caller.h"
#include "fs/keep/records.h"
#include "fs/keep/save.h"
#include "fs/run.h"
#include "fs/tree/file.h"
#include "util/cleanup.h"
#include "util/log.h"

/* The most that turns one kdamond on again (bytes): each has a copy of its own. */
#define MAX_KEPT (256UL << 10)

/* The most that is kept of its regions (bytes): 32768 of them. */
#define MAX_FOUND (1UL << 20)

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

/* The write that REQUEST asked for, of SIZE bytes, was carried out. */
static void was_carried_out(struct journal *journal, uint64_t request, uint32_t size)
{
	atomic_store(&journal->last_size, size);
	atomic_store(&journal->last_request, request);
}

WITH_LOCK(tree_role)
static void change(struct tree *tree, const struct record *record, const void *data)
{
	struct journal *journal = saver_of(tree)->journal;

	if (saver_of(tree)->restoring)
		return;
	if (journal_add(journal, record, data))
		journal_failed(-ENOSPC);
	/* Else it would be carried out again, if we are killed when the record is gone. */
	if (record->request)
		was_carried_out(journal, record->request, record->mode);
	/* Not before: it has the change, and what was made cannot be made again. */
	if (journal_is_long(journal))
		save_all(tree);
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
	const struct dir_list *list = records_counted(node.dir, node_row(node)->file);

	if (!saver_of(tree) || !records_cover(node_row(node)->file))
		return;
	change(tree, &record, text);
	/* Else the next daemon might have to make them again and again. */
	if (list && list->nr > MANY)
		save_all(tree);
}

void save_held(struct tree *tree, struct node node, uint64_t request, size_t size)
{
	__attribute__((cleanup(text_clear))) struct text text = { 0 }, room = { 0 };
	struct record record;

	if (!saver_of(tree) || !records_cover(node_row(node)->file))
		return;
	if (records_put_file(&text, node, &room)) {
		journal_failed(-ENOMEM);
		return;
	}
	if (!text.length)
		return;
	memcpy(&record, text.data, sizeof(record));
	record.request = request;
	record.mode = (uint32_t)size;
	change(tree, &record, text.data + sizeof(record));
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
	if (records_put_measured(&text, dir, (unsigned int)row, &room))
		journal_failed(-ENOMEM);
	else
		change(dir->tree, (const struct record *)text.data,
		       text.data + sizeof(struct record));
}

void save_mode(struct tree *tree, struct node node)
{
	__attribute__((cleanup(text_clear))) struct text text = { 0 };

	if (saver_of(tree) && !records_put_mode(&text, node) && text.length)
		change(tree, (const struct record *)text.data, NULL);
}

/* ---- who opened command files ---- */

static int put_opener(struct text *out, const struct opener *opener)
{
	struct record record = { .kind = RECORD_OPENED, .ino = opener->handle };
	_cleanup_free_ char *bytes = caller_bytes(opener->caller, &record.length);

	return bytes ? records_put(out, &record, bytes) : 0;
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

/* What follows the RECORD_ON of a file.  Return: 0, -EOPNOTSUPP, or another negative errno. */
static int put_on(struct text *out, struct node file, const struct damon_desc *desc, bool committed)
{
	struct dir *dir = file.dir;
	__attribute__((cleanup(text_clear))) struct text room = { 0 };
	struct on_header header = { .nr_targets = (uint32_t)desc->nr_targets,
				    .committed = committed };
	_cleanup_free_ char *caller = caller_bytes(desc->caller, &header.caller_size);
	int r = caller ? records_put_bytes(out, &header, sizeof(header)) : -EOPNOTSUPP;

	for (size_t i = 0; !r && i < desc->nr_targets; i++) {
		const struct damon_target_desc *target = &desc->targets[i];
		uint64_t started = target->started ? target->started : process_started(target->pid);

		r = records_put_bytes(out, &started, sizeof(started));
	}
	if (!r)
		r = records_put_bytes(out, caller, header.caller_size);
	if (!r)
		r = records_put_parents(out, dir, &room);
	return r ? r : records_put_dir(out, dir, node_row(file)->parent, RECORDS_OF_ONE, &room);
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
		r = records_put(out, &record, on.data);
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
	if (!records_put(&run->kept, &record, found))
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
		r = run->kept.length ? records_put_bytes(out, run->kept.data, run->kept.length) :
				       records_put(out, &record, NULL);
	}
	return r;
}

WITH_LOCK(tree_role)
static int put_all(struct text *out, struct tree *tree, enum records_extent extent)
{
	__attribute__((cleanup(text_clear))) struct text room = { 0 };
	const struct record serial = { .kind = RECORD_SERIAL, .serial = tree->next_serial };
	struct opener *opener, *next;
	int r = put_runs(out, tree);

	if (!r)
		r = records_put_dir(out, tree->root, 0, extent, &room);
	if (!r)
		r = records_put(out, &serial, NULL);
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
	r = put_all(&text, tree, RECORDS_ALL);
	/* What was found can be found again; what was written cannot. */
	if (!r && text.length > JOURNAL_HALF) {
		text.length = 0;
		r = put_all(&text, tree, RECORDS_WRITTEN);
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
