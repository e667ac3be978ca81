/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Saving: the tree, and what is on, go into the journal before anybody is told of a change.
 *
 * Saved is what can be written, and the tried regions that were last shown; not stats.  A kdamond
 * that is on works by what its directories held at `on' or the last `commit', which may differ from
 * what they hold now: so that is in a record of its own, with who did it and which processes they
 * named.
 *
 * Failures are not told to who writes: they are logged once, and the next daemon says what it could
 * not restore.
 */
#ifndef DAMONFS_FS_KEEP_SAVE_H
#define DAMONFS_FS_KEEP_SAVE_H

#include "fs/keep/journal.h"
#include "fs/tree/node.h"

/* Who opened a command file, and still has it open. */
struct opener {
	uint64_t handle;
	struct caller *caller; /* a reference, or NULL: may not give commands */
	UT_hash_handle hh;
};

struct run;

struct saver {
	struct journal *journal; /* in shared memory */
	struct opener *openers GUARDED_BY(tree_role); /* hash by handle */
	uint64_t serial GUARDED_BY(tree_role); /* that was saved */
	bool restoring GUARDED_BY(tree_role); /* from the journal: it must not change */
};

/* Frees what it has, at the end. */
ALONE void saver_clear(struct saver *saver);

/* Whether somebody keeps TREE. */
bool save_is_on(const struct tree *tree);

/* All of these do nothing if nobody keeps TREE. */

/* Saves that TEXT was stored in NODE: request number REQUEST asked for it, SIZE bytes of it. */
WITH_LOCK(tree_role)
void save_store(struct tree *tree, struct node node, const char *text, uint64_t serial,
		struct account *account, uint64_t request, size_t size);

/* Saves what the file NODE holds now: request number REQUEST, or none, asked for it by SIZE bytes. */
WITH_LOCK(tree_role)
void save_held(struct tree *tree, struct node node, uint64_t request, size_t size);

/* Saves what the file at PATH of DIR holds now, which nobody wrote; there may be no such file. */
WITH_LOCK(tree_role) void save_file(struct dir *dir, const char *path);

/* Saves what a kdamond has found: the list at PATH of DIR. */
WITH_LOCK(tree_role) void save_measured(struct dir *dir, const char *path);

/* Saves the mode and owner of NODE, which were changed. */
WITH_LOCK(tree_role) void save_mode(struct tree *tree, struct node node);

/* Saves that CALLER, or NULL, has opened a command file as HANDLE; that it was closed. */
WITH_LOCK(tree_role)
void save_opened(struct tree *tree, uint64_t handle, struct caller *caller);
WITH_LOCK(tree_role) void save_closed(struct tree *tree, uint64_t handle);

/* Who opened HANDLE.  Return: a reference, or NULL if that is not known. */
WITH_LOCK(tree_role) struct caller *save_opener(struct tree *tree, uint64_t handle);

/* Saves that serial numbers were given, if they were. */
WITH_LOCK(tree_role) void save_serial(struct tree *tree);

/*
 * What turns on again what the file at PATH of DIR turns on, as the directory that it is in is now
 * and is described by DESC, which is turned on, or COMMITTED to what is on.
 * *OUT stays empty if nobody keeps the tree, or the caller cannot be saved, which is logged.
 */
WITH_LOCK(tree_role)
void save_block(struct dir *dir, const char *path, const struct damon_desc *desc, bool committed,
		struct text *out);

/*
 * Saves the regions that RUN has found so far; they are gone on with if it is turned on again,
 * until it is committed to.
 */
WITH_LOCK(tree_role)
void save_found(struct run *run, const struct damon_found_region *found, size_t nr);

/* Saves that RUN is on, by run->kept, also again. */
WITH_LOCK(tree_role) void save_on(struct run *run);

/* Saves that RUN was committed to: from now on it is on by KEPT, which it takes over. */
WITH_LOCK(tree_role) void save_on_anew(struct run *run, struct text *kept);

/* Saves that RUN has ended. */
WITH_LOCK(tree_role) void save_off(struct run *run);

/* Saves all again, instead of what was saved.  Return: 0, or a negative errno, which is logged. */
WITH_LOCK(tree_role) int save_all(struct tree *tree);

#endif
