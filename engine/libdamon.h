/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libdamon: DAMON, the data access monitor, for programs.
 *
 * A program describes a context - what to watch, how often, what to do with what is hot or cold -
 * and starts a kdamond on it: a thread that does it.  The words are those of the programming
 * interface that DAMON has in the kernel.  libdamon(3) is the manual.
 *
 * Errors: what returns an int returns 0, or a negative errno.  Each function lists its own; besides
 *     -ECHILD   this process was forked from the one that uses the library
 *     -ENOMEM   there is no memory
 * Threads: any thread may call any function, but not two at a time those of one context and of
 * what belongs to it.  damos_stat() and damon_is_running() may be called at any time.
 * Call-backs are made by the kdamond, in its thread, or by damon_dispatch(); they may not block it
 * for long.  They may call damos_stat(), damon_is_running(), and damon_snapshot_*(); the functions
 * that wait for the kdamond are -EDEADLK in its thread.
 * Processes: the library installs no signal handlers, starts no processes, and changes nobody's
 * credentials; its threads take no signals.  After fork() the child has no kdamonds, and must
 * execute a program before it uses the library again.  Descriptors are closed when it does.
 */
#ifndef LIBDAMON_H
#define LIBDAMON_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- words ---- */

/* Which memory. */
enum damon_ops_id {
	DAMON_OPS_VADDR, /* what processes have mapped */
	DAMON_OPS_FVADDR, /* ranges of that */
	DAMON_OPS_PADDR, /* physical memory */
};

/* What a scheme does with a region. */
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
	DAMOS_STAT, /* nothing: counts it */
	DAMOS_COLLAPSE,
};

/* What a quota's goal measures. */
enum damos_quota_goal_metric {
	DAMOS_QUOTA_USER_INPUT, /* what damos_set_user_input() says */
	DAMOS_QUOTA_SOME_MEM_PSI_US,
	DAMOS_QUOTA_NODE_MEM_USED_BP,
	DAMOS_QUOTA_NODE_MEM_FREE_BP,
	DAMOS_QUOTA_NODE_MEMCG_USED_BP,
	DAMOS_QUOTA_NODE_MEMCG_FREE_BP,
	DAMOS_QUOTA_ACTIVE_MEM_BP,
	DAMOS_QUOTA_INACTIVE_MEM_BP,
	DAMOS_QUOTA_NODE_ELIGIBLE_MEM_BP,
};

enum damos_quota_goal_tuner {
	DAMOS_QUOTA_GOAL_TUNER_CONSIST, /* a size that keeps the goals reached */
	DAMOS_QUOTA_GOAL_TUNER_TEMPORAL, /* all that is allowed until they are, then nothing */
};

/* What switches a scheme on and off. */
enum damos_wmark_metric { DAMOS_WMARK_NONE, DAMOS_WMARK_FREE_MEM_RATE };

/* What a filter is about. */
enum damos_filter_type {
	DAMOS_FILTER_TYPE_ANON,
	DAMOS_FILTER_TYPE_ACTIVE,
	DAMOS_FILTER_TYPE_MEMCG,
	DAMOS_FILTER_TYPE_YOUNG,
	DAMOS_FILTER_TYPE_HUGEPAGE_SIZE,
	DAMOS_FILTER_TYPE_UNMAPPED,
	DAMOS_FILTER_TYPE_ADDR,
	DAMOS_FILTER_TYPE_TARGET,
};

/* Attributes of a context; those of a new one are in brackets. */
enum damon_attr {
	DAMON_SAMPLE_US, /* sampling interval (5000) */
	DAMON_AGGR_US, /* aggregation interval (100000) */
	DAMON_UPDATE_US, /* how often mappings are read again (60000000) */
	DAMON_MIN_NR_REGIONS, /* (10) */
	DAMON_MAX_NR_REGIONS, /* (1000) */
	DAMON_GOAL_ACCESS_BP, /* intervals are tuned to see this share of accesses, in 1/10000, */
	DAMON_GOAL_AGGRS, /* each so many aggregations; 0: they are not tuned (0) */
	DAMON_GOAL_MIN_SAMPLE_US, /* between this */
	DAMON_GOAL_MAX_SAMPLE_US, /* and that */
	DAMON_ADDR_UNIT_BYTES, /* bytes of physical memory for each address (1) */
	DAMON_PAUSED, /* 1: nothing is watched until it is 0 (0) */
};

/* Parameters of a scheme; a new one is for regions of any size, number of accesses and age. */
enum damos_param {
	DAMOS_MIN_SZ_BYTES,
	DAMOS_MAX_SZ_BYTES,
	DAMOS_MIN_NR_ACCESSES, /* sampling intervals with an access, of an aggregation's */
	DAMOS_MAX_NR_ACCESSES,
	DAMOS_MIN_AGE_AGGRS, /* aggregations */
	DAMOS_MAX_AGE_AGGRS,
	DAMOS_APPLY_US, /* how often it is applied; 0: each aggregation (0) */
	DAMOS_TARGET_NID, /* node to migrate to */
	DAMOS_QUOTA_MS, /* time in each window; 0: any (0) */
	DAMOS_QUOTA_SZ_BYTES, /* bytes in each window; 0: any (0) */
	DAMOS_QUOTA_WINDOW_MS, /* its length */
	DAMOS_WEIGHT_SZ_PERMIL, /* what goes first: weights of size, */
	DAMOS_WEIGHT_NR_ACCESSES_PERMIL, /* of accesses, */
	DAMOS_WEIGHT_AGE_PERMIL, /* and of age */
	DAMOS_GOAL_TUNER, /* of enum damos_quota_goal_tuner */
	DAMOS_WMARK_METRIC, /* of enum damos_wmark_metric */
	DAMOS_WMARK_US, /* how often it is looked at */
	DAMOS_WMARK_HIGH_PERMIL, /* above, it is off; */
	DAMOS_WMARK_MID_PERMIL, /* below, it goes on; */
	DAMOS_WMARK_LOW_PERMIL, /* and below this, it is off, too */
	DAMOS_MAX_NR_SNAPSHOTS, /* so often it is applied to each target; 0: any number (0) */
};

/* What a scheme counts. */
enum damos_counter {
	DAMOS_NR_TRIED, /* regions that it was for */
	DAMOS_SZ_TRIED_BYTES,
	DAMOS_NR_APPLIED, /* regions where the action did something */
	DAMOS_SZ_APPLIED_BYTES,
	DAMOS_SZ_OPS_FILTER_PASSED_BYTES,
	DAMOS_QT_EXCEEDS, /* windows in which the quota was used up */
	DAMOS_NR_SNAPSHOTS,
};

/* What belongs to a context is freed with it. */
struct damon_ctx;
struct damon_target;
struct damos;
struct damon_snapshot;
struct damos_tried_region;

/* ---- contexts ---- */

/* Makes a context in *OUT, for what processes have mapped, without targets.  Since: 0.1 */
int damon_ctx_new(struct damon_ctx **out);

/*
 * Stops it, and frees it and all that belongs to it.  Nothing for NULL, and in a forked child.  Not
 * from a call-back.  Since: 0.1
 */
void damon_ctx_destroy(struct damon_ctx *ctx);

/*
 * Sets an attribute.  Like all that is set, it counts from the next damon_start() or damon_commit()
 * on, which check whether all of it fits together.  Since: 0.1
 *     -EINVAL   there is no such attribute
 *     -ERANGE   VALUE is too large for it
 */
int damon_set_attr(struct damon_ctx *ctx, enum damon_attr attr, uint64_t value);

/* Since: 0.1
 *     -EINVAL   there is no such one
 */
int damon_select_ops(struct damon_ctx *ctx, enum damon_ops_id ops);

/*
 * By which method accesses are seen, of those in damonfs(8): "auto", which is that of a new
 * context, is the best one that works, for each target.  Counts from the next damon_start() on.
 * Since: 0.1
 *     -EINVAL   there is no such method
 */
int damon_select_method(struct damon_ctx *ctx, const char *name);

/* ---- targets ---- */

/*
 * Makes a target, of a process that is known by PID or by a pidfd (which stays the caller's): it is
 * that process, also when the number is used again.  Since: 0.1
 *     -ESRCH    there is no such process
 *     -EBADF    FD is no pidfd
 *     -EMFILE, -ENFILE
 */
int damon_new_target_pid(struct damon_ctx *ctx, pid_t pid, struct damon_target **out);
int damon_new_target_pidfd(struct damon_ctx *ctx, int fd, struct damon_target **out);

/* Makes the one target of a context for physical memory.  Since: 0.1 */
int damon_new_target_paddr(struct damon_ctx *ctx, struct damon_target **out);

/*
 * Adds the addresses from START up to END to what is watched first; ascending.  Processes without
 * any are watched wherever they have memory.  Since: 0.1
 *     -EINVAL   it is empty, or begins before the last one ends
 */
int damon_target_add_region(struct damon_target *target, uint64_t start, uint64_t end);

/*
 * Writes the name of the method by which it is watched to BUF, of SIZE bytes; or why it is not
 * watched by a better one or at all, which is empty if there is nothing to say.  What the kdamond
 * said last, which it does when it starts and about once a second.  Since: 0.1
 *     -EAGAIN      it has not said yet
 *     -ENODATA     the target is not watched (only of damon_target_method)
 *     -ERANGE      SIZE is too small
 *     -ECANCELED   no kdamond runs
 */
int damon_target_method(struct damon_target *target, char *buf, size_t size);
int damon_target_why(struct damon_target *target, char *buf, size_t size);

/* ---- schemes ---- */

/* Makes a scheme of CTX, which comes after those that it has.  Since: 0.1
 *     -EINVAL   there is no such action
 */
int damos_new(struct damon_ctx *ctx, enum damos_action action, struct damos **out);

/* Sets a parameter: as damon_set_attr().  Since: 0.1 */
int damos_set(struct damos *scheme, enum damos_param param, uint64_t value);

/*
 * Adds a goal, by which its quota is tuned: that METRIC is TARGET, in the metric's unit.  Those of
 * a NODE have a number, those of a cgroup a path, too, as in /proc/PID/cgroup.  Since: 0.1
 *     -EINVAL   METRIC needs more or less than that, there is no such cgroup, or TARGET is 0
 */
int damos_add_goal(struct damos *scheme, enum damos_quota_goal_metric metric, uint64_t target);
int damos_add_goal_node(struct damos *scheme, enum damos_quota_goal_metric metric, int node,
			uint64_t target);
int damos_add_goal_memcg(struct damos *scheme, enum damos_quota_goal_metric metric, int node,
			 const char *cgroup, uint64_t target);

/* What its goals of DAMOS_QUOTA_USER_INPUT measure.  Since: 0.1
 *     -ENOENT   it has none
 */
int damos_set_user_input(struct damos *scheme, uint64_t value);

/*
 * Adds a filter.  FLAGS are 0, to keep out what is of that kind, or of these.  The first filter
 * that matches decides.  Since: 0.1
 *     -EINVAL   TYPE needs arguments; a flag is unknown; a range is empty; there is no such cgroup
 */
#define DAMOS_FILTER_ALLOW  1U /* lets it in */
#define DAMOS_FILTER_OTHERS 2U /* it is for all but that */
int damos_add_filter(struct damos *scheme, enum damos_filter_type type, unsigned int flags);
int damos_add_filter_addr(struct damos *scheme, uint64_t start, uint64_t end, unsigned int flags);
int damos_add_filter_target(struct damos *scheme, const struct damon_target *target,
			    unsigned int flags);
int damos_add_filter_memcg(struct damos *scheme, const char *cgroup, unsigned int flags);
int damos_add_filter_hugepage(struct damos *scheme, uint64_t min_bytes, uint64_t max_bytes,
			      unsigned int flags);

/* What it has counted since it was made.  At any time, from any thread.  Since: 0.1
 *     -EINVAL   there is no such counter
 */
int damos_stat(const struct damos *scheme, enum damos_counter counter, uint64_t *value);

/* ---- kdamonds ---- */

/*
 * Starts a kdamond on CTX, and waits until it has begun.  Since: 0.1
 *     -EBUSY    it runs
 *     -EINVAL   attributes, ranges, targets, goals and operations do not fit together, or no access
 *               method works: damon_set_log() says why
 *     -EAGAIN   the process may have no more threads
 *     -EDEADLK  called by the kdamond
 *     -EMFILE, -ENFILE
 */
int damon_start(struct damon_ctx *ctx);

/* Stops the kdamond, if one runs, and waits for its end.  Since: 0.1
 *     -EDEADLK  called by the kdamond
 */
int damon_stop(struct damon_ctx *ctx);

/*
 * Whether the kdamond runs: 1 or 0.  It ends by itself when all its processes have.  At any time,
 * from any thread.  Since: 0.1
 */
int damon_is_running(const struct damon_ctx *ctx);

/*
 * Has the kdamond take over what was set since it was started: all, or nothing if this fails.
 * Since: 0.1
 *     -EINVAL     as of damon_start()
 *     -ECANCELED  no kdamond runs, or it ended meanwhile
 *     -EDEADLK    called by the kdamond
 */
int damon_commit(struct damon_ctx *ctx);

/*
 * Has the kdamond call FN with DATA, in its thread, and waits.  Since: 0.1
 * Return: what FN returns, or
 *     -ECANCELED  no kdamond runs, or it ended meanwhile
 *     -EDEADLK    called by the kdamond
 */
int damon_call(struct damon_ctx *ctx, int (*fn)(void *data), void *data);

/*
 * Waits until SCHEME has been applied once, and calls FN with each region that it was for, in the
 * calling thread: its bounds, accesses and age before, and the bytes of it that passed filters for
 * pages.  Ends early if FN does not return 0.  Since: 0.1
 * Return: 0, what FN returned last, or as damon_call()
 */
int damos_walk(struct damos *scheme, int (*fn)(const struct damos_tried_region *region, void *data),
	       void *data);

/* What is known of such a region, where the pointers are not NULL.  Return: 0.  Since: 0.1 */
int damos_tried_fields(const struct damos_tried_region *region, uint64_t *start, uint64_t *end,
		       unsigned int *nr_accesses, unsigned int *age_aggrs,
		       uint64_t *filter_passed_bytes);

/* ---- what it finds ---- */

/*
 * Has FN called with DATA at the end of each aggregation, before schemes are applied, with the
 * regions of all targets.  The snapshot is gone when FN returns.  NULL: nobody is called.
 * Since: 0.1
 *     -EBUSY    the kdamond runs
 */
int damon_on_aggregation(struct damon_ctx *ctx,
			 void (*fn)(const struct damon_snapshot *snapshot, void *data), void *data);

/* How many regions there are.  Since: 0.1 */
size_t damon_snapshot_nr(const struct damon_snapshot *snapshot);

/*
 * Region number I, where the pointers are not NULL: the number of its target, in the order in which
 * they were made; its bounds; in how many sampling intervals it was accessed; for how many
 * aggregations it has been like that.  Since: 0.1
 *     -EINVAL   there is no such region
 */
int damon_snapshot_region(const struct damon_snapshot *snapshot, size_t i, unsigned int *target,
			  uint64_t *start, uint64_t *end, unsigned int *nr_accesses,
			  unsigned int *age_aggrs);

/*
 * For event loops: from now on the kdamond itself calls nobody.  The descriptor, which is the
 * context's, becomes readable when there is something to do for damon_dispatch(), and when the
 * kdamond has ended.  Since: 0.1
 * Return: the descriptor, or
 *     -EBUSY    the kdamond runs, and calls
 *     -EMFILE, -ENFILE
 */
int damon_fd(struct damon_ctx *ctx);

/*
 * Makes the calls that are due, in the calling thread; does not wait.  A snapshot that was not
 * taken before the next one is lost.  Since: 0.1
 * Return: how many calls it made, or
 *     -EINVAL   there is no descriptor
 */
int damon_dispatch(struct damon_ctx *ctx);

/* ---- the log ---- */

enum damon_log_level { DAMON_LOG_ERROR, DAMON_LOG_INFO, DAMON_LOG_DEBUG };

/*
 * Has FN called with each line of the log of that level or a graver one: what happened, and what to
 * do about it.  In any thread; FN may call nothing of the library.  NULL, as at first: nobody is.
 * When this returns, the one before is not called any more.  Since: 0.1
 *     -EINVAL   there is no such level
 */
int damon_set_log(enum damon_log_level level,
		  void (*fn)(enum damon_log_level level, const char *line, void *data), void *data);

#ifdef __cplusplus
}
#endif

#endif
