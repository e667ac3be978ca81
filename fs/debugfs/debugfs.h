/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * damon/: the tree of <debugfs>/damon, rules in docs/abi/debugfs.md.
 *
 * Its root is a context, and each directory in it that mk_contexts made is another.  A context is a
 * struct damon_desc of the engine, which the files print and parse; `monitor_on' starts a kdamond
 * on a copy of each.
 */
#ifndef DAMONFS_FS_DEBUGFS_DEBUGFS_H
#define DAMONFS_FS_DEBUGFS_DEBUGFS_H

#include "engine/damon.h"
#include "fs/account.h"
#include "fs/run.h"
#include "fs/tree/node.h"

struct debugfs_context {
	/* Targets as written, without derived regions; of a daemon before us, without process. */
	struct damon_desc desc;
	struct damos_stat *stats; /* of each scheme: the kdamond adds to them */
	struct run *run; /* of the last `on'; NULL: never */
	/* Bytes of schemes and of regions, charged to who wrote them. */
	struct account_held schemes_held, regions_held;
};

/* A directory that mk_contexts made. */
struct debugfs_dir {
	struct dir base;
	struct debugfs_context context;
};

/* damon/ itself; part of the mount's root. */
struct debugfs_root {
	struct debugfs_context context;
	struct dir_list made; /* struct debugfs_dir */
	/* A held `on', and how many kdamonds have not said how it went. */
	struct held on;
	size_t nr_starting;
	/* A held `off', and the context whose end it waits for. */
	struct held off;
	size_t stopping;
};

extern const struct dir_kind debugfs_context_kind;

void debugfs_context_init(struct debugfs_context *context);
void debugfs_context_clear(struct debugfs_context *context);

/* The context whose files are in DIR, the mount's root or one that was made. */
struct debugfs_context *debugfs_context_of(struct dir *dir);

/* Whether the context has a kdamond with a thread. */
static inline bool debugfs_is_running(const struct debugfs_context *context)
{
	return run_has_thread(context->run);
}

/* Saves what the file NAME of the context in DIR holds now, which nobody wrote. */
WITH_LOCK(tree_role) void debugfs_save(struct dir *dir, const char *name);

/* Each context's kdamond is turned on again by itself: kdamond_pid stands for it. */
extern const struct resumption debugfs_resumption;

/* Room for the path of a context's file. */
#define DEBUGFS_PATH_ROOM 32
void debugfs_path(const struct dir *dir, const char *name, char out[static DEBUGFS_PATH_ROOM]);

/* Leaves the context as the kernel does when its kdamond has ended. */
void debugfs_context_ended(struct debugfs_context *context);

/* The files. */
int debugfs_show_attrs(struct dir *dir, const struct process_caller *reader, struct text *out);
int debugfs_store_attrs(struct dir *dir, struct write *write, const char *text);
int debugfs_show_target_ids(struct dir *dir, const struct process_caller *reader, struct text *out);
WITH_LOCK(tree_role)
int debugfs_store_target_ids(struct dir *dir, struct write *write, const char *text);
int debugfs_show_init_regions(struct dir *dir, const struct process_caller *reader,
			      struct text *out);
int debugfs_keep_target_ids(struct dir *dir, const struct process_caller *reader, struct text *out);
int debugfs_restore_target_ids(struct dir *dir, struct write *write, const char *text);
int debugfs_keep_init_regions(struct dir *dir, const struct process_caller *reader,
			      struct text *out);
int debugfs_keep_schemes(struct dir *dir, const struct process_caller *reader, struct text *out);
int debugfs_store_init_regions(struct dir *dir, struct write *write, const char *text);
int debugfs_show_schemes(struct dir *dir, const struct process_caller *reader, struct text *out);
int debugfs_store_schemes(struct dir *dir, struct write *write, const char *text);
int debugfs_show_kdamond_pid(struct dir *dir, const struct process_caller *reader,
			     struct text *out);
WITH_LOCK(tree_role)
int debugfs_show_monitor_on(struct dir *dir, const struct process_caller *reader, struct text *out);
WITH_LOCK(tree_role)
int debugfs_store_monitor_on(struct dir *dir, struct write *write, const char *text);
int debugfs_show_deprecated(struct dir *dir, const struct process_caller *reader, struct text *out);
WITH_LOCK(tree_role)
int debugfs_store_mk_contexts(struct dir *dir, struct write *write, const char *text);
WITH_LOCK(tree_role)
int debugfs_store_rm_contexts(struct dir *dir, struct write *write, const char *text);

/* Reading without SHOW or writing without STORE is EINVAL, whatever the mode. */
#define DEBUGFS(path, show, store, ...) OWN(path, 0600, show, store, .stream = true, __VA_ARGS__)

#define DEBUGFS_CONTEXT_FILES(dir)                                                                 \
	DEBUGFS(dir "attrs", debugfs_show_attrs, debugfs_store_attrs, .kept = true),               \
		DEBUGFS(dir "target_ids", debugfs_show_target_ids, debugfs_store_target_ids,       \
			.commands = true, .kept = true, .keep = debugfs_keep_target_ids,           \
			.restore = debugfs_restore_target_ids),                                    \
		DEBUGFS(dir "init_regions", debugfs_show_init_regions, debugfs_store_init_regions, \
			.kept = true, .keep = debugfs_keep_init_regions),                          \
		DEBUGFS(dir "schemes", debugfs_show_schemes, debugfs_store_schemes, .kept = true,  \
			.keep = debugfs_keep_schemes),                                             \
		DEBUGFS(dir "kdamond_pid", debugfs_show_kdamond_pid, NULL,                         \
			.resumption = &debugfs_resumption)

#endif
