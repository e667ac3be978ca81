/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DAMON for programs: what DAMON's kernel-space interface is to kernel programmers.
 *
 * A program describes what it wants in plain structs (struct damon_desc), starts a kdamond on that
 * description and sends it commands, which the kdamond's own thread carries out at the points of
 * its loop where the kernel's would, and answers by call-back.  The description is checked when it
 * is used, with the kernel's errno for each mistake.
 *
 * Sizes and addresses are bytes, intervals microseconds unless a name says otherwise.
 */
#ifndef DAMONFS_ENGINE_DAMON_H
#define DAMONFS_ENGINE_DAMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "access/proc/process.h"

/* A kernel version of which the rules are wanted. */
#define DAMON_ABI(major, minor) ((major)*1000 + (minor))

enum damon_ops_id { DAMON_OPS_VADDR, DAMON_OPS_FVADDR, DAMON_OPS_PADDR, NR_DAMON_OPS };

/* Whether what OPS needs is allowed here: physical memory needs to see the numbers of frames. */
bool damon_ops_available(enum damon_ops_id ops);

/* What the intervals are tuned to, every `aggrs' aggregations; 0: they are not. */
struct damon_intervals_goal {
	uint64_t access_bp; /* share of all accesses that could be seen, in 1/10000 */
	uint64_t aggrs;
	uint64_t min_sample_us, max_sample_us;
};

struct damon_attrs {
	uint64_t sample_interval;
	uint64_t aggr_interval;
	uint64_t ops_update_interval;
	struct damon_intervals_goal intervals_goal;
	uint64_t min_nr_regions;
	uint64_t max_nr_regions;
};

/* Those of a new context. */
extern const struct damon_attrs damon_default_attrs;

struct damon_addr_range {
	uint64_t start, end;
};

enum damos_action {
	DAMOS_WILLNEED,
	DAMOS_COLD,
	DAMOS_PAGEOUT,
	DAMOS_HUGEPAGE,
	DAMOS_NOHUGEPAGE,
	DAMOS_LRU_PRIO,
	DAMOS_LRU_DEPRIO,
	DAMOS_MIGRATE_HOT,
	DAMOS_MIGRATE_COLD,
	DAMOS_STAT,
	NR_DAMOS_ACTIONS
};

/* All bounds are included. */
struct damos_access_pattern {
	uint64_t min_sz_region, max_sz_region;
	uint32_t min_nr_accesses, max_nr_accesses;
	uint32_t min_age_region, max_age_region;
};

enum damos_quota_goal_metric {
	DAMOS_QUOTA_USER_INPUT,
	DAMOS_QUOTA_SOME_MEM_PSI_US,
	DAMOS_QUOTA_NODE_MEM_USED_BP,
	DAMOS_QUOTA_NODE_MEM_FREE_BP,
	NR_DAMOS_QUOTA_GOAL_METRICS
};

struct damos_quota_goal {
	enum damos_quota_goal_metric metric;
	uint64_t target_value;
	uint64_t current_value;
	int nid; /* of the metrics of a node */
	uint64_t last_psi_total; /* the engine's */
};

/* What a scheme may do in a window of time; 0 is no limit. */
struct damos_quota_desc {
	uint64_t ms;
	uint64_t sz;
	uint64_t reset_interval_ms;
	uint32_t weight_sz, weight_nr_accesses, weight_age;
	struct damos_quota_goal *goals;
	size_t nr_goals;
};

enum damos_wmark_metric { DAMOS_WMARK_NONE, DAMOS_WMARK_FREE_MEM_RATE, NR_DAMOS_WMARK_METRICS };

struct damos_watermarks {
	enum damos_wmark_metric metric;
	uint64_t interval;
	uint64_t high, mid, low; /* thousandths */
};

enum damos_filter_type {
	DAMOS_FILTER_TYPE_ANON,
	DAMOS_FILTER_TYPE_ACTIVE,
	DAMOS_FILTER_TYPE_MEMCG,
	DAMOS_FILTER_TYPE_YOUNG,
	DAMOS_FILTER_TYPE_HUGEPAGE_SIZE,
	DAMOS_FILTER_TYPE_UNMAPPED,
	DAMOS_FILTER_TYPE_ADDR,
	DAMOS_FILTER_TYPE_TARGET,
	NR_DAMOS_FILTER_TYPES
};

/*
 * Those for addresses and targets are core filters: they see regions.  The others are the
 * operations': they see pages.  Of each sort the first that matches decides.
 */
struct damos_filter {
	enum damos_filter_type type;
	bool matching;
	bool allow; /* what matches passes; else it is kept out */
	uint64_t memcg_id; /* inode number of the cgroup */
	struct damon_addr_range addr_range; /* not checked for alignment */
	int target_idx;
	uint64_t min_sz, max_sz; /* of a huge page; both included */
};

/* Where a part of what is migrated goes. */
struct damos_dest {
	uint32_t node, weight;
};

struct damos_stat {
	uint64_t nr_tried, sz_tried;
	uint64_t nr_applied, sz_applied;
	uint64_t sz_ops_filter_passed;
	uint64_t qt_exceeds;
};

struct damos_desc {
	struct damos_access_pattern pattern;
	enum damos_action action;
	uint64_t apply_interval; /* 0: the aggregation interval */
	int target_nid;
	struct damos_dest *dests; /* of pages of virtual addresses, instead of target_nid */
	size_t nr_dests;
	struct damos_quota_desc quota;
	struct damos_watermarks wmarks;
	struct damos_filter *filters;
	size_t nr_filters;
	/*
	 * Counters that the kdamond adds to as it goes, beside its own, or NULL.  They belong to
	 * whoever set them, outlive the kdamond, and may be read meanwhile by damos_stat_read().
	 */
	struct damos_stat *live;
};

struct damon_target_desc {
	/* What the caller of the description calls its process: for damon_desc_open(). */
	pid_t pid;
	struct process *process; /* a reference; NULL for paddr */
	/* The ranges are the first regions as they stand, not fitted to pages. */
	bool as_they_stand;
	struct damon_addr_range *ranges;
	size_t nr_ranges;
};

/* Owns all that it points to; made by damon_desc_new(), ended by damon_desc_free(). */
struct damon_desc {
	unsigned int abi; /* whose rules */
	/* A reference: in whose name it is done, see caller.h.  NULL: the program's own. */
	struct caller *caller;
	enum damon_ops_id ops;
	uint64_t addr_unit; /* bytes of physical memory that an address of paddr stands for */
	struct damon_attrs attrs;
	/*
	 * The most regions that all targets together may have; 0: any number.  More than that given
	 * are -ENOMEM; what is there is not split any further than to as many.
	 */
	size_t max_total_regions;
	struct damon_target_desc *targets;
	size_t nr_targets;
	struct damos_desc *schemes;
	size_t nr_schemes;
	/* What was found to be wrong behind the targets: told once they have been opened. */
	int error;
};

/*
 * An empty description with room for so many targets and schemes, zeroed.
 * Return: the description, or NULL if there is no memory.
 */
struct damon_desc *damon_desc_new(size_t nr_targets, size_t nr_schemes);
struct damon_desc *damon_desc_free(struct damon_desc *desc);

/*
 * Opens the process of each target in the name of the caller of DESC: by its pid, or one that is
 * held in somebody else's name anew.  The kernel is asked whether the caller may watch it, which
 * may take long. Return: 0, or what process_open() or process_for() said of the first one that
 * cannot be had, or what else is wrong with DESC.
 */
int damon_desc_open(struct damon_desc *desc);

/* Frees what DESC owns, not itself, and zeroes it. */
void damon_desc_clear(struct damon_desc *desc);
void damon_target_desc_clear(struct damon_target_desc *target);

/* Return: a copy with references of its own, or NULL if there is no memory. */
struct damon_desc *damon_desc_copy(const struct damon_desc *desc);

/* A copy of counters that a kdamond may be adding to: see damos_desc.live. */
struct damos_stat damos_stat_read(const struct damos_stat *live);

/*
 * The smallest region, and what bounds of regions are aligned to, in units of addresses: a page, or
 * where a unit of paddr is more than that, one unit.
 */
uint64_t damon_min_sz_region(enum damon_ops_id ops, uint64_t addr_unit);

/*
 * The checks that the kernel makes of attributes, of the unit of addresses, and of a target's
 * ranges. Return: 0 or -EINVAL.
 */
int damon_check_addr_unit(enum damon_ops_id ops, uint64_t addr_unit);
int damon_check_attrs(const struct damon_attrs *attrs, unsigned int abi);
int damon_check_ranges(const struct damon_addr_range *ranges, size_t nr, uint64_t min_sz);

/* A region that a scheme was applied to, as it was just before. */
struct damos_tried_region {
	uint32_t scheme; /* index */
	uint64_t start, end;
	uint32_t nr_accesses, age;
	uint64_t sz_filter_passed;
};

/* How a kdamond is doing. */
struct damon_report {
	uint64_t sample_interval, aggr_interval;
	size_t nr_schemes;
	struct damos_stat *stats;
	uint64_t *effective_sz;
};

void damon_report_clear(struct damon_report *report);

enum damon_command_kind {
	DAMON_COMMIT, /* take over `desc' */
	DAMON_COMMIT_QUOTA_GOALS, /* take over the goals of `desc' */
	DAMON_REPORT, /* fill `report' */
	DAMON_COLLECT_TRIED, /* fill `tried', in one application round of each scheme */
};

/*
 * A command to a running kdamond.  The sender owns it again when `done' is called.
 */
struct damon_command {
	enum damon_command_kind kind;
	struct damon_desc *desc; /* COMMIT: NULL fails with `error' */
	/* How it went; -ECANCELED if the kdamond ended meanwhile. */
	int error;

	/* Answers; allocated by the engine, freed by damon_command_clear(). */
	struct damon_report report;
	struct damos_tried_region *tried;
	size_t nr_tried, room_tried;
	size_t max_tried; /* set by the sender; 0: any number */
	bool too_many_tried; /* there were more: not all are in `tried' */

	/*
	 * Called by the kdamond's thread when the command is done, or when the kdamond ended
	 * without getting to it; must not block.  With the rules of kernels before 6.14 a command
	 * that fails (COMMIT of something invalid, no memory) ends the kdamond; it is called when
	 * that has happened.
	 */
	void (*done)(struct damon_command *command);
	struct damon_command *next; /* the engine's */
};

void damon_command_clear(struct damon_command *command);

struct damon_kdamond;

struct damon_callbacks {
	/* Once, when the kdamond's thread has ended its work, whatever the reason. */
	void (*ended)(void *argument);
	void *argument;
	/* How `on' went; called once, before anything else: 0, or -EINVAL if no access method
	 * works. */
	void (*started)(void *argument, int result);
};

/*
 * Starts a kdamond on DESC, of which it takes ownership also when it fails, named kdamond.NUMBER.
 * METHOD names the access method.  Call-backs come from its thread.
 *
 * Return: 0 and *OUT, or a negative errno.
 */
int damon_start(struct damon_desc *desc, const char *method, unsigned int number,
		const struct damon_callbacks *callbacks, struct damon_kdamond **out);

/* Asks the kdamond to end; does not wait.  It may have ended already. */
void damon_stop(struct damon_kdamond *kdamond);

/*
 * Hands COMMAND to the kdamond; `done' is called in any case but an error.
 * Return: 0, or -EINVAL if the kdamond is ending or has ended.
 */
int damon_call(struct damon_kdamond *kdamond, struct damon_command *command);

/* It is to make a report every MS milliseconds from now on; 0: none. */
void damon_set_refresh(struct damon_kdamond *kdamond, uint64_t ms);

/*
 * The newest report that was made so, if nobody has taken it yet.
 * Return: whether there is one; then it is in *OUT, for damon_report_clear().
 */
bool damon_take_report(struct damon_kdamond *kdamond, struct damon_report *out);

/* The thread id, in our pid namespace. */
pid_t damon_kdamond_tid(struct damon_kdamond *kdamond);

/* Waits for the thread, which makes no call-back afterwards.  Short once `ended' was called. */
void damon_wait(struct damon_kdamond *kdamond);

/* Frees a kdamond whose thread was waited for. */
void damon_free(struct damon_kdamond *kdamond);

#endif
