/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DAMON for programs, like DAMON's kernel-space interface for kernel code: what to do.
 *
 * A program fills in plain structs (struct damon_desc), and starts a kdamond on them (kdamond.h). A
 * description is checked when it is used, with the kernel's errno for each mistake.
 *
 * Sizes and addresses are bytes, intervals microseconds, unless a name says otherwise.
 */
#ifndef DAMONFS_ENGINE_DAMON_H
#define DAMONFS_ENGINE_DAMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "access/proc/memcg.h"
#include "access/proc/process.h"
#include "access/why.h"
#include "engine/libdamon.h"

/* The kernel version whose rules apply. */
#define DAMON_ABI(major, minor) ((major)*1000 + (minor))
/* Where nobody names one: the newest that was compared with a real kernel. */
#define DAMON_ABI_DEFAULT DAMON_ABI(7, 0)

/* How many there are of the words in libdamon.h. */
#define NR_DAMON_OPS	       (DAMON_OPS_PADDR + 1)
#define NR_DAMOS_ACTIONS       (DAMOS_COLLAPSE + 1)
#define NR_DAMOS_WMARK_METRICS (DAMOS_WMARK_FREE_MEM_RATE + 1)

/* Whether we may use OPS: physical memory requires seeing frame numbers. */
bool damon_ops_available(enum damon_ops_id ops);

/* Goal of interval tuning, every `aggrs' aggregations; 0: no tuning. */
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

/* Attributes of a new context. */
extern const struct damon_attrs damon_default_attrs;

struct damon_addr_range {
	uint64_t start, end;
};

/* All bounds are included. */
struct damos_access_pattern {
	uint64_t min_sz_region, max_sz_region;
	uint32_t min_nr_accesses, max_nr_accesses;
	uint32_t min_age_region, max_age_region;
};

struct damos_quota_goal {
	enum damos_quota_goal_metric metric;
	uint64_t target_value;
	uint64_t current_value;
	int nid; /* for node metrics */
	struct memcg *memcg; /* a reference, for those of a cgroup; else NULL */
	uint64_t last_psi_total; /* the engine's */
};

/* A scheme's limits per window of time; 0: no limit. */
struct damos_quota_desc {
	uint64_t ms;
	uint64_t sz;
	uint64_t reset_interval_ms;
	uint32_t weight_sz, weight_nr_accesses, weight_age;
	struct damos_quota_goal *goals;
	size_t nr_goals;
	enum damos_quota_goal_tuner goal_tuner;
	/* What was tried in vain is charged by this part; denominator 0: in full. */
	uint32_t fail_charge_num, fail_charge_denom;
};

struct damos_watermarks {
	enum damos_wmark_metric metric;
	uint64_t interval;
	uint64_t high, mid, low; /* thousandths */
};

/*
 * Address and target filters are core filters: they see regions.  The others belong to the
 * operations: they see pages.  In each group the first match decides.
 */
struct damos_filter {
	enum damos_filter_type type;
	bool matching;
	bool allow; /* a match passes; else it is kept out */
	uint64_t memcg_id; /* inode number of the cgroup */
	struct damon_addr_range addr_range; /* not checked for alignment */
	int target_idx;
	uint64_t min_sz, max_sz; /* of a huge page; both included */
};

/* A migration destination and its share. */
struct damos_dest {
	uint32_t node, weight;
};

struct damos_stat {
	uint64_t nr_tried, sz_tried;
	uint64_t nr_applied, sz_applied;
	uint64_t sz_ops_filter_passed;
	uint64_t qt_exceeds;
	uint64_t nr_snapshots; /* once for each target in a round, if its last region was tried */
};

struct damos_desc {
	struct damos_access_pattern pattern;
	enum damos_action action;
	uint64_t apply_interval; /* 0: the aggregation interval */
	int target_nid;
	struct damos_dest *dests; /* for virtual addresses, instead of target_nid */
	size_t nr_dests;
	struct damos_quota_desc quota;
	struct damos_watermarks wmarks;
	uint64_t max_nr_snapshots; /* after so many, it is not applied any more; 0: no limit */
	struct damos_filter *filters;
	size_t nr_filters;
	/*
	 * NULL, or counters that the kdamond updates along with its own.  They belong to whoever
	 * set them, outlive the kdamond, and can be read meanwhile by damos_stat_read().
	 */
	struct damos_stat *live;
};

/* A region as a kdamond shows it, or leaves it behind for another one that goes on with it. */
struct damon_found_region {
	uint32_t target; /* index of its target */
	int32_t pid; /* of that, as its caller numbers it; 0: physical memory */
	uint64_t start, end;
	uint32_t nr_accesses, age; /* at the end of the last aggregation */
};

struct damon_target_desc {
	/* The process, as the description's caller numbers it; for damon_desc_open(). */
	pid_t pid;
	/* Unless 0, by process_started(): another process with that pid is -ESRCH. */
	uint64_t started;
	struct process *process; /* a reference; NULL for paddr */
	/* A commit removes the target of this number. */
	bool obsolete;
	/* Use the ranges as the first regions unchanged, not fitted to pages. */
	bool as_they_stand;
	struct damon_addr_range *ranges;
	size_t nr_ranges;
	/* What was found of it, ascending: it is gone on with, where it fits to the target. */
	struct damon_found_region *found;
	size_t nr_found;
};

/*
 * Something that sampled pages of physical memory may be, besides accessed: what passes the
 * filters.  The first filter that matches decides; what none matches is what the last does not say.
 */
struct damon_probe {
	struct damos_filter *filters; /* of types ANON and MEMCG */
	size_t nr_filters;
};

#define DAMON_MAX_PROBES 4

/* Owns all that it points to; made by damon_desc_new(), freed by damon_desc_free(). */
struct damon_desc {
	unsigned int abi; /* DAMON_ABI() of the rules */
	/* A reference to who it is done for, see caller.h.  NULL: the program itself. */
	struct caller *caller;
	enum damon_ops_id ops;
	uint64_t addr_unit; /* bytes of physical memory per address of paddr */
	struct damon_attrs attrs;
	/*
	 * Maximum regions of all targets together; 0: no limit.  Giving more is -ENOMEM; splitting
	 * stops at the limit.
	 */
	size_t max_total_regions;
	struct damon_target_desc *targets;
	size_t nr_targets;
	struct damos_desc *schemes;
	size_t nr_schemes;
	bool paused;
	bool summarises; /* reports have a summary */
	struct damon_probe probes[DAMON_MAX_PROBES];
	size_t nr_probes;
	/*
	 * An error in what follows the targets, reported once they are open; with
	 * COMMIT_QUOTA_GOALS, in the schemes that follow those in `schemes'.
	 */
	int error;
};

/*
 * Makes an empty description with room for NR_TARGETS and NR_SCHEMES, zeroed.
 * Return: it, or NULL if there is no memory.
 */
struct damon_desc *damon_desc_new(size_t nr_targets, size_t nr_schemes);
struct damon_desc *damon_desc_free(struct damon_desc *desc);

/*
 * Opens each target's process in the name of DESC's caller: by pid, or again if it is held in
 * another's name.  Asks the kernel whether the caller may watch it, which may take long.
 * Return: 0, the error of process_open() or process_for() for the first failure, or DESC's own.
 */
int damon_desc_open(struct damon_desc *desc);

/* Frees what DESC owns, but not DESC, and zeroes it. */
void damon_desc_clear(struct damon_desc *desc);
void damon_target_desc_clear(struct damon_target_desc *target);
void damos_goals_clear(struct damos_quota_desc *quota);
void damon_probes_clear(struct damon_probe *probes, size_t *nr);

/* Return: a copy with references of its own, or NULL if there is no memory. */
struct damon_desc *damon_desc_copy(const struct damon_desc *desc);

/* Copies counters that a kdamond may be updating: see damos_desc.live. */
struct damos_stat damos_stat_read(const struct damos_stat *live);

/*
 * Minimum region size and alignment of region bounds, in units of addresses: a page, or one unit of
 * paddr if that is larger.
 */
uint64_t damon_min_sz_region(enum damon_ops_id ops, uint64_t addr_unit);

/*
 * The kernel's checks of attributes, the address unit and a target's ranges.
 * Return: 0 or -EINVAL.
 */
int damon_check_addr_unit(enum damon_ops_id ops, uint64_t addr_unit);
int damon_check_attrs(const struct damon_attrs *attrs, unsigned int abi);
int damon_check_ranges(const struct damon_addr_range *ranges, size_t nr, uint64_t min_sz);

/* The same of the attributes and the unit of DESC, and of how many targets physical memory has. */
int damon_check_desc(const struct damon_desc *desc);

#endif
