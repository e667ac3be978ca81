/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * admin/: the tree of /sys/kernel/mm/damon, one struct for each kind of directory of which there
 * can be many.  The files of each, and their names, are in the tables beside the functions.
 */
#ifndef DAMONFS_FS_SYSFS_SYSFS_H
#define DAMONFS_FS_SYSFS_SYSFS_H

#include "fs/run.h"
#include "fs/tree/node.h"

struct kdamond_dir {
	struct dir base;
	struct dir_list contexts;
	struct run *run; /* of the last `on'; NULL: never, or that failed */
	struct command_run *command; /* the one under way */
	uint32_t refresh_ms;
};

struct context_dir {
	struct dir base;
	int operations; /* enum damon_ops_id */
	uint64_t addr_unit;
	struct damon_attrs attrs;
	bool pause;
	struct dir_list probes;
	struct dir_list targets;
	struct dir_list schemes;
};

struct probe_dir {
	struct dir base;
	struct dir_list filters;
};

struct target_dir {
	struct dir base;
	int pid;
	bool obsolete; /* `commit' removes it */
	struct dir_list regions;
};

struct region_dir {
	struct dir base;
	uint64_t start, end;
};

struct range_files {
	uint64_t min, max;
};

struct scheme_dir {
	struct dir base;
	int action; /* enum damos_action */
	uint64_t apply_interval;
	int target_nid;
	struct dir_list dests;
	struct range_files sz, nr_accesses, age;
	struct {
		uint64_t ms, bytes, reset_interval_ms, effective_bytes;
		uint32_t sz_permil, nr_accesses_permil, age_permil;
		int goal_tuner; /* enum damos_quota_goal_tuner */
		uint32_t fail_charge_num, fail_charge_denom;
		struct dir_list goals;
	} quotas;
	struct {
		int metric; /* enum damos_wmark_metric */
		uint64_t interval, high, mid, low;
	} watermarks;
	struct dir_list filters, core_filters, ops_filters;
	struct damos_stat stats;
	uint64_t max_nr_snapshots;
	uint64_t tried_bytes;
	struct dir_list tried_regions;
};

struct goal_dir {
	struct dir base;
	int metric; /* enum damos_quota_goal_metric */
	uint64_t target_value, current_value;
	int nid;
	char *path; /* of a cgroup, as written */
};

struct dest_dir {
	struct dir base;
	uint32_t id, weight;
};

struct filter_dir {
	struct dir base;
	int type; /* enum damos_filter_type */
	bool matching, allow;
	char *memcg_path; /* as written */
	uint64_t addr_start, addr_end;
	uint64_t min, max;
	int target_idx;
};

struct tried_region_dir {
	struct dir base;
	uint64_t start, end;
	uint32_t nr_accesses, age;
	uint64_t sz_filter_passed;
	struct dir_list probes;
};

struct probe_hits_dir {
	struct dir base;
	uint32_t hits;
};

extern const struct dir_kind kdamond_kind, context_kind, target_kind, region_kind, scheme_kind,
	goal_kind, filter_kind, core_filter_kind, ops_filter_kind, dest_kind, tried_region_kind,
	probe_filter_kind, probe_kind;

/* The operations by their words in the files. */
extern const struct keyword operations_words[];

/* The context of a kdamond, of which there is one at most; or NULL. */
static inline struct context_dir *kdamond_context(const struct kdamond_dir *kdamond)
{
	return kdamond->contexts.nr ? (struct context_dir *)kdamond->contexts.dirs[0] : NULL;
}

/* Scheme number INDEX, or NULL. */
static inline struct scheme_dir *context_scheme(struct context_dir *context, size_t index)
{
	return index < context->schemes.nr ? (struct scheme_dir *)context->schemes.dirs[index] :
					     NULL;
}

/* The file `state': of file_type.show and store. */
int state_show(struct dir *base, const struct process_caller *reader, struct text *out);
WITH_LOCK(tree_role) int state_store(struct dir *base, struct write *write, const char *text);

/* Turns on what was on: of file_type.resumption. */
extern const struct resumption state_resumption;

/* Whether the kdamond has a thread or an unanswered command: then nr_kdamonds is EBUSY. */
bool kdamond_is_busy(const struct kdamond_dir *kdamond);

/*
 * Copies what the directories of CONTEXT hold into a description for the engine, and checks it in
 * the kernel's order: operations, attributes, targets, schemes.  Pids are the caller's.
 *
 * Return: 0 and *OUT, for describe_processes(), -EINVAL, or -EPERM for physical memory without
 * CAP_SYS_ADMIN.
 */
int describe_context(const struct context_dir *context, struct caller *caller,
		     struct damon_desc **out);

/*
 * The rest, which may take long: opens the processes of what was described.
 * Return: 0, -EINVAL, -EPERM for a process that the caller may not watch, or -ENOMEM, also for a
 * bad filter (as in the kernel).
 */
int describe_processes(struct damon_desc *desc);

/* Describes the goals alone. */
int describe_goals(const struct context_dir *context, struct damon_desc **out);

/*
 * Updates the files from the kdamond's own report, if there is a new one: call it before they are
 * read.
 */
void kdamond_refresh(struct kdamond_dir *dir);

/* Copy a part of a report into the files. */
void report_take_stats(struct context_dir *context, const struct damon_report *report);
void report_take_effective(struct context_dir *context, const struct damon_report *report);
void report_take_intervals(struct context_dir *context, const struct damon_report *report);

/* Removes the tried regions, and sets their bytes to 0. */
WITH_LOCK(tree_role) void tried_regions_clear(struct context_dir *context);

/*
 * Replaces the tried bytes, or the tried regions as well, by those of COMMAND.
 * Return: 0, or -ENOMEM and then there are no regions.
 */
WITH_LOCK(tree_role)
int tried_regions_take_bytes(struct context_dir *context, const struct damon_command *command);
WITH_LOCK(tree_role)
int tried_regions_take(struct context_dir *context, const struct damon_command *command);

#endif
