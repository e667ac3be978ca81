/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * modules/: the parameters of the kernel's modules damon_reclaim, damon_lru_sort and damon_stat, as
 * /sys/module has them.  A module is a kdamond on physical memory with schemes that follow from its
 * parameters; it reads them when it is enabled, and at commit_inputs (docs/kernel-modules.md).
 */
#ifndef DAMONFS_FS_MODULES_MODULES_H
#define DAMONFS_FS_MODULES_MODULES_H

#include "fs/run.h"
#include "fs/tree/node.h"

struct module_commit;

/* What every module has. */
struct module {
	struct run *run; /* of the last time that it was enabled, or NULL */
	bool commits; /* `commit_inputs' was written while it was off */
	struct module_commit *commit; /* the one under way */
};

/* How and what is monitored, by files of damon_reclaim and damon_lru_sort. */
struct module_monitoring {
	uint64_t sample_interval, aggr_interval, min_nr_regions, max_nr_regions;
	uint64_t start, end, addr_unit;
	bool autotune;
	bool everywhere; /* by default all of memory, not its largest block */
};

struct module_wmarks {
	uint64_t interval, high, mid, low;
};

struct module_reclaim {
	struct module module;
	struct module_monitoring monitoring;
	struct module_wmarks wmarks;
	uint64_t min_age;
	uint64_t quota_ms, quota_sz, quota_reset_interval_ms;
	uint64_t quota_mem_pressure_us, quota_autotune_feedback;
	bool skip_anon;
	struct damos_stat stat, shown; /* which the kdamond updates; a copy */
};

struct module_lru_sort {
	struct module module;
	struct module_monitoring monitoring;
	struct module_wmarks wmarks;
	uint64_t hot_thres_access_freq; /* thousandths */
	uint64_t cold_min_age;
	uint64_t quota_ms, quota_reset_interval_ms;
	uint64_t active_mem_bp;
	bool filter_young_pages;
	struct damos_stat hot, cold; /* which the kdamond updates */
	struct damos_stat shown_hot, shown_cold; /* copies */
};

struct module_stat {
	struct module module;
	struct damon_summary summary; /* the last one */
};

struct modules {
	struct module_reclaim reclaim;
	struct module_lru_sort lru_sort;
	struct module_stat stat;
};

/* What is particular to a module. */
struct module_type {
	const char *name;
	struct module *(*of)(struct modules *modules);
	/*
	 * Describes what its parameters ask for, and fills in those that are left to it.
	 * Return: 0 and *OUT, or a negative errno.
	 */
	int (*describe)(struct modules *modules, unsigned int abi, struct damon_desc **out);
	/* Has the schemes of DESC count in what the files show.  May be NULL. */
	void (*count)(struct modules *modules, struct damon_desc *desc);
	/* Before it starts anew.  May be NULL. */
	void (*reset)(struct modules *modules, unsigned int abi);
	uint64_t report_ms; /* how often its kdamond reports; 0: never */
};

extern const struct module_type module_reclaim_type, module_lru_sort_type, module_stat_type;

void modules_init(struct modules *modules);
void modules_clear(struct modules *modules);

/* Takes over what the kdamonds tell, before files are read. */
void modules_refresh(struct modules *modules);

/* The modules of the mount that DIR, which is its root, belongs to: in fs/root.c. */
struct modules *modules_of(struct dir *dir);

/* The files that every module has: of file_type.show and store, for TYPE. */
int module_show_enabled(struct dir *dir, const struct module_type *type, struct text *out);
WITH_LOCK(tree_role)
int module_store_enabled(struct dir *dir, const struct module_type *type, struct write *write,
			 const char *text);
int module_show_commit(struct dir *dir, const struct module_type *type, struct text *out);
WITH_LOCK(tree_role)
int module_store_commit(struct dir *dir, const struct module_type *type, struct write *write,
			const char *text);
int module_show_pid(struct dir *dir, const struct module_type *type, struct text *out);

/* How `enabled' of TYPE turns it on again: of struct resumption. */
int module_describe_again(struct dir *dir, const struct module_type *type, struct caller *caller,
			  struct damon_desc **out);
WITH_LOCK(tree_role)
int module_start_again(struct dir *dir, const struct module_type *type, struct damon_desc *desc,
		       struct text *kept);

/* The same as functions of their own, by the module's NAME. */
#define MODULE_FUNCTIONS(name)                                                            \
	int name##_show_enabled(struct dir *dir, const struct process_caller *reader,     \
				struct text *out);                                        \
	WITH_LOCK(tree_role)                                                              \
	int name##_store_enabled(struct dir *dir, struct write *write, const char *text); \
	int name##_show_commit(struct dir *dir, const struct process_caller *reader,      \
			       struct text *out);                                         \
	WITH_LOCK(tree_role)                                                              \
	int name##_store_commit(struct dir *dir, struct write *write, const char *text);  \
	extern const struct resumption name##_resumption;                                 \
	int name##_show_pid(struct dir *dir, const struct process_caller *reader, struct text *out)

MODULE_FUNCTIONS(reclaim);
MODULE_FUNCTIONS(lru_sort);
MODULE_FUNCTIONS(stat);

#define MODULE_DEFINE(name)                                                                        \
	int name##_show_enabled(struct dir *dir, const struct process_caller *reader,              \
				struct text *out)                                                  \
	{                                                                                          \
		(void)reader;                                                                      \
		return module_show_enabled(dir, &module_##name##_type, out);                       \
	}                                                                                          \
	int name##_store_enabled(struct dir *dir, struct write *write, const char *text)           \
	{                                                                                          \
		return module_store_enabled(dir, &module_##name##_type, write, text);              \
	}                                                                                          \
	int name##_show_commit(struct dir *dir, const struct process_caller *reader,               \
			       struct text *out)                                                   \
	{                                                                                          \
		(void)reader;                                                                      \
		return module_show_commit(dir, &module_##name##_type, out);                        \
	}                                                                                          \
	int name##_store_commit(struct dir *dir, struct write *write, const char *text)            \
	{                                                                                          \
		return module_store_commit(dir, &module_##name##_type, write, text);               \
	}                                                                                          \
	int name##_show_pid(struct dir *dir, const struct process_caller *reader,                  \
			    struct text *out)                                                      \
	{                                                                                          \
		(void)reader;                                                                      \
		return module_show_pid(dir, &module_##name##_type, out);                           \
	}                                                                                          \
	static int name##_describe_again(struct dir *dir, struct caller *caller,                   \
					 struct damon_desc **out)                                  \
	{                                                                                          \
		return module_describe_again(dir, &module_##name##_type, caller, out);             \
	}                                                                                          \
	WITH_LOCK(tree_role)                                                                       \
	static int name##_start_again(struct dir *dir, struct damon_desc *desc, struct text *kept) \
	{                                                                                          \
		return module_start_again(dir, &module_##name##_type, desc, kept);                 \
	}                                                                                          \
	const struct resumption name##_resumption = { name##_describe_again, name##_start_again };

/* The file memory_idle_ms_percentiles: of file_type.show. */
int stat_show_percentiles(struct dir *dir, const struct process_caller *reader, struct text *out);

/* ---- for the modules ---- */

/*
 * Makes a description of physical memory with NR_SCHEMES.  AUTOTUNE sets intervals of its own. Fills
 * the default region into MONITORING if none is given.
 * Return: 0 and *OUT, or a negative errno.
 */
int module_describe(struct module_monitoring *monitoring, unsigned int abi, size_t nr_schemes,
		    struct damon_desc **out);

/* Watermarks of free memory. */
struct damos_watermarks module_wmarks(const struct module_wmarks *wmarks);

/* Adds to SCHEME a goal, or a filter.  Return: 0 or -ENOMEM. */
int module_add_goal(struct damos_desc *scheme, struct damos_quota_goal goal);
int module_add_filter(struct damos_desc *scheme, struct damos_filter filter);

/* Has the intervals tuned: 0.4 % of all accesses, by 3 aggregations. */
void module_autotune(struct damon_attrs *attrs, uint64_t access_bp);

#endif
