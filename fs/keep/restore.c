// SPDX-License-Identifier: GPL-2.0-or-later
/* From the journal into the tree: see restore.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access/proc/process.h"
#include "access/rights/caller.h"
#include "fs/damonfs.h"
#include "fs/keep/measured.h"
#include "fs/keep/records.h"
#include "fs/keep/restore.h"
#include "fs/tree/answer.h"
#include "fs/tree/file.h"
#include "util/cleanup.h"
#include "util/log.h"

/* The longest text that a file takes that is no stream. */
#define MAX_TEXT 4096

/* The same of a stream: a number that was written in hexadecimal may have grown. */
#define MAX_STREAM (2 * STREAM_MAX)

/* The most kdamonds that are turned on again. */
#define MAX_RUNS 4096

/* The most directories that a file may have made. */
#define MAX_COUNT (1UL << 20)

/* The most that all may have made, before it takes too long. */
#define MAX_MADE (16UL << 20)

/* What was on: what follows its RECORD_ON, which is in the journal. */
struct resumed {
	uint64_t ino; /* of the file that turns it on */
	struct record record;
	const char *data;
	struct record found; /* the RECORD_FOUND that came since; all zeros if there is none */
	const char *found_data;
	struct damon_desc *desc;
	int result; /* of describing it */
};

struct restoring {
	struct tree *tree;
	struct restored result;
	uint64_t serial; /* the next one is at least this */
	size_t nr_files;
	size_t nr_made; /* directories, also those that are gone again */
	struct resumed *resumed;
	size_t nr_resumed;
};

/* The file INO.  Return: whether there is one. */
WITH_LOCK(tree_role) static bool find_file(struct tree *tree, uint64_t ino, struct node *out)
{
	return tree_find(tree, ino, out) && !node_is_dir(*out);
}

/* Stores TEXT in the file NODE.  Return: 0 or a negative errno. */
WITH_LOCK(tree_role)
static int restore_text(struct restoring *job, struct node node, const struct record *record,
			const char *text)
{
	struct write write = { .size = record->length };
	const struct file_type *file = node_row(node)->file;
	struct tree *tree = job->tree;
	int r = account_get(tree->accounts, record->uid, &write.account);

	if (r)
		return r;
	if (file->format == FILE_COUNT || file->makes) {
		size_t count = file->makes ? 1 : strtoul(text, NULL, 0);

		/* Those that are there give theirs back. */
		if (!file->makes)
			r = file_store(file, node.dir, &write, "0");
		job->nr_made += min_ul(count, MAX_COUNT);
		if (!r && (job->nr_made > MAX_MADE || count > MAX_COUNT ||
			   !tree_serials_are_free(tree, record->serial, count)))
			r = -EINVAL;
		if (!r && record->serial)
			tree->next_serial = record->serial;
	}
	if (!r)
		r = file->restore ? file->restore(node.dir, &write, text) :
				    file_store(file, node.dir, &write, text);
	job->serial = max_ul(job->serial, tree->next_serial);
	tree->next_serial = job->serial;
	account_put(write.account);
	return r;
}

WITH_LOCK(tree_role)
static int restore_write(struct restoring *job, const struct record *record, const char *data)
{
	_cleanup_free_ char *text = NULL;
	struct node node;
	int r;

	if (!find_file(job->tree, record->ino, &node) || !records_cover(node_row(node)->file) ||
	    record->length > (node_row(node)->file->stream ? MAX_STREAM : MAX_TEXT))
		return -EINVAL;
	text = malloc(record->length + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, data, record->length);
	text[record->length] = '\0';
	if (record->request) {
		job->result.request = record->request;
		job->result.size = record->mode;
	}
	r = restore_text(job, node, record, text);
	job->nr_files += !r;
	return r;
}

WITH_LOCK(tree_role)
static int restore_mode(struct restoring *job, const struct record *record, const char *data)
{
	struct node node;

	(void)data;
	if (!tree_find(job->tree, record->ino, &node))
		return -EINVAL;
	return node_change(node, NODE_SET_MODE | NODE_SET_UID | NODE_SET_GID, record->mode,
			   record->uid, record->gid);
}

/* Makes what a kdamond has found. */
WITH_LOCK(tree_role)
static int restore_measured(struct restoring *job, const struct record *record, const char *data)
{
	struct tree *tree = job->tree;
	struct node node;
	size_t before, room = before = MAX_MADE - min_ul(job->nr_made, MAX_MADE);
	int r;

	if (!tree_find(tree, record->ino, &node) || !measured_is(node.dir, node.row))
		return -EINVAL;
	r = measured_restore(node.dir, node.row, data, record->length, &room);
	job->nr_made += before - room;
	job->serial = max_ul(job->serial, tree->next_serial);
	tree->next_serial = job->serial;
	return r;
}

static int restore_serial(struct restoring *job, const struct record *record, const char *data)
{
	(void)data;
	if (record->serial >> INO_SERIAL_BITS)
		return -EINVAL;
	job->serial = max_ul(job->serial, record->serial);
	return 0;
}

WITH_LOCK(tree_role)
static int restore_opened(struct restoring *job, const struct record *record, const char *data)
{
	__attribute__((cleanup(caller_putp))) struct caller *caller = NULL;
	int r = caller_load(data, record->length, &caller);

	if (!r)
		save_opened(job->tree, record->ino, caller);
	return r;
}

WITH_LOCK(tree_role)
static int restore_closed(struct restoring *job, const struct record *record, const char *data)
{
	(void)data;
	save_closed(job->tree, record->ino);
	return 0;
}

static int restore_off(struct restoring *job, const struct record *record, const char *data)
{
	(void)data;
	for (size_t i = 0; i < job->nr_resumed; i++) {
		if (job->resumed[i].ino != record->ino)
			continue;
		job->resumed[i] = job->resumed[--job->nr_resumed];
		break;
	}
	return 0;
}

/* Notes what was on; it is started when all is restored. */
static int restore_on(struct restoring *job, const struct record *record, const char *data)
{
	const struct resumed resumed = { .ino = record->ino, .record = *record, .data = data };

	restore_off(job, record, data);
	if (job->nr_resumed == MAX_RUNS)
		return -ENOMEM;
	if (!job->resumed)
		job->resumed = malloc(MAX_RUNS * sizeof(*job->resumed));
	if (!job->resumed)
		return -ENOMEM;
	job->resumed[job->nr_resumed++] = resumed;
	return 0;
}

/* Notes what it has found, which has to fit to what was on. */
static int restore_found(struct restoring *job, const struct record *record, const char *data)
{
	if (record->length % sizeof(struct damon_found_region))
		return -EINVAL;
	for (size_t i = 0; i < job->nr_resumed; i++) {
		if (job->resumed[i].ino != record->ino)
			continue;
		job->resumed[i].found = *record;
		job->resumed[i].found_data = data;
		return 0;
	}
	return -EINVAL;
}

static int (*const restorers[])(struct restoring *job, const struct record *record,
				const char *data) = {
	[RECORD_SERIAL] = restore_serial,     [RECORD_WRITE] = restore_write,
	[RECORD_MODE] = restore_mode,	      [RECORD_ON] = restore_on,
	[RECORD_OPENED] = restore_opened,     [RECORD_CLOSED] = restore_closed,
	[RECORD_OFF] = restore_off,	      [RECORD_FOUND] = restore_found,
	[RECORD_MEASURED] = restore_measured,
};

WITH_LOCK(tree_role)
static void restore_record(struct restoring *job, const struct record *record, const char *data)
{
	bool known = record->kind < ARRAY_SIZE(restorers) && restorers[record->kind];
	int r = known ? restorers[record->kind](job, record, data) : -EINVAL;

	job->result.nr_failed += r != 0;
	if (r)
		log_debug("record of kind %u for %#llx is not restored: %s", record->kind,
			  (unsigned long long)record->ino, strerror(-r));
}

/* ---- what was on ---- */

/* What follows a RECORD_ON, taken apart. */
struct on {
	struct on_header header;
	const char *started; /* times, of each target */
	const char *caller;
	const char *records;
	size_t length; /* of the records */
};

/* Return: 0 and *OUT, or -EINVAL. */
static int take_apart(const struct resumed *resumed, struct on *out)
{
	size_t size = resumed->record.length, before;

	if (size < sizeof(out->header))
		return -EINVAL;
	memcpy(&out->header, resumed->data, sizeof(out->header));
	before = sizeof(out->header) + (size_t)out->header.nr_targets * sizeof(uint64_t) +
		 record_whole(out->header.caller_size);
	if (before > size)
		return -EINVAL;
	out->started = resumed->data + sizeof(out->header);
	out->caller = out->started + (size_t)out->header.nr_targets * sizeof(uint64_t);
	out->records = resumed->data + before;
	out->length = size - before;
	return 0;
}

/* Whether target I of DESC is there no more: a commit removed it. */
static bool is_removed(const struct damon_desc *desc, size_t i, const struct on *on)
{
	return on->header.committed && desc->targets[i].obsolete;
}

/*
 * Gives the targets of DESC what was found of them.  Those that were left out then have nothing, so
 * what comes next belongs to the next target with that pid.
 * Return: 0 or -ENOMEM.
 */
static int attach_found(struct damon_desc *desc, const struct resumed *resumed, const struct on *on)
{
	const struct damon_found_region *found = (const void *)resumed->found_data;
	size_t nr = resumed->found.length / sizeof(*found), at = 0;

	for (size_t i = 0; i < desc->nr_targets && at < nr; i++) {
		struct damon_target_desc *target = &desc->targets[i];
		pid_t pid = desc->ops == DAMON_OPS_PADDR ? 0 : target->pid;
		size_t end = at;

		if (found[at].pid != pid || is_removed(desc, i, on))
			continue;
		while (end < nr && found[end].target == found[at].target)
			end++;
		target->found = malloc((end - at) * sizeof(*found));
		if (!target->found)
			return -ENOMEM;
		target->nr_found = end - at;
		memcpy(target->found, found + at, target->nr_found * sizeof(*found));
		at = end;
	}
	return 0;
}

static bool filters_targets(const struct damon_desc *desc)
{
	for (size_t s = 0; s < desc->nr_schemes; s++)
		for (size_t i = 0; i < desc->schemes[s].nr_filters; i++)
			if (desc->schemes[s].filters[i].type == DAMOS_FILTER_TYPE_TARGET)
				return true;
	return false;
}

/* Whether target I of DESC is still the process that it was. */
static bool is_same(const struct damon_desc *desc, size_t i, const char *started)
{
	uint64_t then;

	if (desc->ops == DAMON_OPS_PADDR)
		return true;
	memcpy(&then, started + i * sizeof(then), sizeof(then));
	return then && process_started(desc->targets[i].pid) == then;
}

/*
 * Leaves out targets that the commit removed, whose process has ended, or whose pid is another's.
 * Return: 0, -ESRCH if none is left, or filters count on those that are gone; -EINVAL.
 */
static int leave_out_gone(struct damon_desc *desc, const struct on *on)
{
	size_t nr = 0, nr_gone = 0, before = desc->nr_targets;

	if (before != on->header.nr_targets)
		return -EINVAL;
	for (size_t i = 0; i < before; i++) {
		bool removed = is_removed(desc, i, on);

		if (!removed && is_same(desc, i, on->started)) {
			desc->targets[nr++] = desc->targets[i];
			continue;
		}
		nr_gone += !removed;
		damon_target_desc_clear(&desc->targets[i]);
	}
	desc->nr_targets = nr;
	return !nr_gone || (nr && !filters_targets(desc)) ? 0 : -ESRCH;
}

/* Makes the directories of ON in SCRATCH, a tree for that alone, and describes what they ask for. */
WITH_LOCK(tree_role)
static int describe_in(struct tree *scratch, const struct resumed *resumed, const struct on *on,
		       struct damon_desc **out)
{
	__attribute__((cleanup(caller_putp))) struct caller *caller = NULL;
	/* Each directory that is there has a record, at least. */
	struct restoring job = { .tree = scratch,
				 .nr_made = MAX_MADE - on->length / sizeof(struct record) };
	struct record record;
	struct node node;
	const char *data;
	size_t position = 0;
	int r = caller_load(on->caller, on->header.caller_size, &caller);

	if (r)
		return r;
	while (record_next(on->records, on->length, &position, &record, &data))
		if (record.kind == RECORD_WRITE)
			restore_record(&job, &record, data);
	if (job.result.nr_failed || !find_file(scratch, resumed->ino, &node) ||
	    !node_row(node)->file->resumption)
		return -EINVAL;
	r = node_row(node)->file->resumption->describe(node.dir, caller, out);
	if (r)
		return r;
	r = attach_found(*out, resumed, on);
	if (!r)
		r = leave_out_gone(*out, on);
	if (r)
		*out = damon_desc_free(*out);
	return r;
}

WITH_LOCK(tree_role) static int describe(struct tree *tree, struct resumed *resumed)
{
	struct tree *scratch;
	struct on on;
	int r = take_apart(resumed, &on);

	if (r)
		return r;
	scratch = tree_new(tree->root->layout->kind, tree->abi, tree->uid, tree->gid, tree->owner);
	if (!scratch)
		return -ENOMEM;
	r = describe_in(scratch, resumed, &on, &resumed->desc);
	tree_free(scratch);
	return r;
}

WITH_LOCK(tree_role) static int start(struct tree *tree, struct resumed *resumed)
{
	__attribute__((cleanup(text_clear))) struct text kept = { 0 };
	struct node node;
	int r;

	if (!find_file(tree, resumed->ino, &node) || !node_row(node)->file->resumption)
		return -EINVAL;
	r = records_put(&kept, &resumed->record, resumed->data);
	if (!r && resumed->found.length)
		r = records_put(&kept, &resumed->found, resumed->found_data);
	if (r)
		return r;
	return node_row(node)->file->resumption->start(node.dir, steal_ptr(resumed->desc), &kept);
}

/* Return: how many were started. */
WITH_LOCK(tree_role) static size_t resume_all(struct restoring *job, bool sure)
{
	size_t nr = 0;

	/* While one runs, some of their files cannot be made. */
	for (size_t i = 0; i < job->nr_resumed; i++) {
		struct resumed *resumed = &job->resumed[i];

		resumed->result = !sure			  ? -ENOSPC :
				  !resumed->record.length ? -EOPNOTSUPP :
							    describe(job->tree, resumed);
	}
	for (size_t i = 0; i < job->nr_resumed; i++) {
		struct resumed *resumed = &job->resumed[i];
		int r = resumed->result;

		if (!r)
			r = start(job->tree, resumed);
		damon_desc_free(resumed->desc);
		nr += !r;
		if (r)
			log_error("a kdamond that was on stays off (%s): turn it on again",
				  r == -EOPNOTSUPP ? "of another namespace" : strerror(-r));
	}
	free(job->resumed);
	return nr;
}

struct restored restore(struct tree *tree)
{
	struct saver *saver = damonfs_of_tree(tree)->saver;
	struct journal *journal = saver->journal;
	struct restoring job = { .tree = tree };
	bool incomplete = atomic_load(&journal->incomplete), unsure = atomic_load(&journal->unsure);
	struct record record;
	const char *data;
	size_t position = 0, nr;

	journal_repair(journal);
	job.result.request = atomic_load(&journal->last_request);
	job.result.size = atomic_load(&journal->last_size);
	saver->restoring = true;
	while (journal_next(journal, &position, &record, &data))
		restore_record(&job, &record, data);
	tree->next_serial = max_ul(tree->next_serial, job.serial);
	nr = resume_all(&job, !unsure);
	saver->restoring = false;
	atomic_store(&journal->last_size, job.result.size);
	atomic_store(&journal->last_request, job.result.request);
	/* Else what stays off now would be on in the next one. */
	if (save_all(tree))
		atomic_store(&journal->unsure, true);
	log_info("took over: %zu texts of files restored, %zu of %zu kdamonds turned on again",
		 job.nr_files, nr, job.nr_resumed);
	if (job.result.nr_failed || incomplete)
		log_error("%zu parts of the tree could not be restored%s: look at it before you "
			  "go on",
			  job.result.nr_failed, incomplete ? ", and others were never kept" : "");
	return job.result;
}
