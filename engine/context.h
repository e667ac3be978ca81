/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's own view of a monitoring context: targets with their regions, schemes with their
 * state.  It belongs to one thread, the kdamond's, and has no locks.
 *
 * Regions of a target are an array in ascending order of address: a round walks it from one end to
 * the other.
 */
#ifndef DAMONFS_ENGINE_CONTEXT_H
#define DAMONFS_ENGINE_CONTEXT_H

#include "access/access.h"
#include "engine/damon.h"

/* Minimum size of a region, and what bounds are aligned to: a page; see damon_min_sz_region(). */
#define DAMON_MIN_REGION 4096UL

/* Scores for prioritisation go from 0 to this. */
#define DAMOS_MAX_SCORE 99

struct damon_region {
	uint64_t start, end;
	uint64_t sampling_addr;
	uint32_t nr_accesses; /* in this aggregation */
	uint32_t last_nr_accesses; /* in the one before */
	uint32_t nr_accesses_bp; /* pseudo moving sum, in 1/10000 */
	uint32_t age; /* in aggregations */
	uint16_t memory; /* the access method's, see access_probe */
};

/* Memory that schemes look at page by page. */
struct damos_pages {
	struct frames *frames; /* NULL until one does */
	uint64_t round; /* damon_ctx.passed when they were looked at last */
	bool failed; /* it cannot be, and will not */
	bool told; /* the log knows why */
};

struct damon_target {
	struct process *process; /* a reference; NULL for paddr */
	struct access_space *space; /* NULL where nothing can be seen */
	bool blind; /* it is there, and no access method can see it */
	bool unanswered; /* so is it while nobody answers whether it may be watched */
	int failed; /* errno of a round of the space, which has to be opened anew */
	uint64_t next_tell; /* us: when the log may be told of it again */
	struct damos_pages pages; /* its own, by which schemes see them */
	bool unsure; /* the last round did not show that the process exists */
	bool replaced; /* the process has executed another program since its space was opened */
	struct damon_region *regions;
	size_t nr_regions, room;
	struct access_probe *probes; /* as much room as regions: a round's */
	size_t probe_room;
};

struct damos_quota {
	struct damos_quota_desc desc;
	uint64_t esz; /* effective size: bytes in this window, 0 is no limit */
	uint64_t charged_sz; /* in this window */
	uint64_t charged_from; /* ms: when this window began */
	bool has_window;
	uint64_t total_charged_sz, total_charged_ns;
	/* Where to go on in the next window. */
	bool resumes;
	size_t resume_target;
	uint64_t resume_addr;
	uint32_t min_score;
	uint64_t esz_bp; /* the goal tuner's, in 1/10000 bytes */
};

struct damos {
	struct damos_desc desc; /* quota is in `quota' below, with its state */
	struct damos_quota quota;
	struct damos_stat stat;
	bool active; /* by watermarks */
	bool has_ops_filters;
	bool core_default_reject, ops_default_reject; /* of what no filter matches */
	bool allowed_by_core; /* a core filter let the region that was asked for last in */
	uint64_t next_apply; /* in sampling intervals, as damon_ctx.passed */
	bool due; /* in this round */
	bool tried_done; /* had an application round since the collection began */
};

struct damon_operations;

struct damon_ctx {
	unsigned int abi;
	struct caller *caller; /* a reference: in whose name the thread works; NULL: its own */
	struct damon_attrs attrs;
	size_t max_total_regions; /* of all targets together; 0: any number */
	uint64_t next_tune; /* in sampling intervals, as `passed' */
	uint64_t addr_unit; /* bytes that an address stands for; 1 but for paddr */
	uint64_t min_sz_region; /* see damon_min_sz_region() */
	const struct damon_operations *ops;
	struct damon_target *targets;
	size_t nr_targets;
	struct damos *schemes;
	size_t nr_schemes;

	struct access_sessions *sessions; /* borrowed; NULL in tests: nothing is seen */
	struct damos_pages pages; /* of physical memory: what paddr's schemes see and act by */
	uint64_t rng[4]; /* of random.h */

	/* Counted in sampling intervals since the start. */
	uint64_t passed;
	uint64_t next_aggr;
	uint64_t next_ops_update;

	bool told_full, told_short; /* the log knows that there is no room for more regions */
	bool stranded; /* the thread could not go back to who it works for, and has to end */

	uint64_t sz_limit; /* of a merged region */
	size_t last_split_nr_regions;
	bool armed; /* the regions' sampling addresses are */
	bool any_replaced; /* of the targets */
	uint64_t next_check; /* us: when it is asked again whether they may be watched */

	struct damon_command *collecting; /* the DAMON_COLLECT_TRIED under way */
	uint64_t collect_until; /* in sampling intervals */

	/* Asked at the points of the loop where commands are carried out; see kdamond.c. */
	int (*after_merge)(struct damon_ctx *ctx, void *argument);
	void *argument;
};

/*
 * Builds a context from DESC, which must have passed the checks; DESC is emptied of what the
 * context takes over and is still to be freed.
 *
 * Return: 0 and *OUT, or a negative errno: -EINVAL if nothing of it can be seen.
 */
int damon_ctx_new(struct damon_desc *desc, struct access_sessions *sessions,
		  struct damon_ctx **out);
struct damon_ctx *damon_ctx_free(struct damon_ctx *ctx);
void damon_ctx_freep(struct damon_ctx **ctx);

/* Takes the operations of DESC over, and how they count addresses. */
void damon_ctx_set_operations(struct damon_ctx *ctx, const struct damon_desc *desc);

/* The most that nr_accesses can be: sampling intervals of an aggregation, at least 1. */
uint32_t damon_max_nr_accesses(const struct damon_attrs *attrs);

/* Recomputes the size limit of merged regions: total size / min_nr_regions. */
void damon_update_size_limit(struct damon_ctx *ctx);

size_t damon_nr_regions(const struct damon_ctx *ctx);

/* Starts monitoring: initial regions, counters, the first arming.  NOW in us. */
void damon_ctx_start(struct damon_ctx *ctx, uint64_t now);

/*
 * What comes after a sampling interval: check, and whatever is due, and arm again.  ROUNDS is how
 * many intervals have passed, 1 unless some were missed; the answer counts for all of them.
 *
 * Return: 0 or the negative errno of a failed command, which ends the kdamond.
 */
int damon_ctx_step(struct damon_ctx *ctx, uint64_t now, uint64_t rounds);

/* Whether there is still something to monitor: false ends the kdamond. */
bool damon_ctx_valid(const struct damon_ctx *ctx);

/* How many sampling intervals may pass before something is due: what a late step may catch up. */
uint64_t damon_ctx_until_due(const struct damon_ctx *ctx);

/* ---- region.c ---- */

static inline uint64_t damon_sz_region(const struct damon_region *region)
{
	return region->end - region->start;
}

/* To multiples of UNIT, a power of two. */
static inline uint64_t align_down(uint64_t address, uint64_t unit)
{
	return address & ~(unit - 1);
}

static inline uint64_t align_up(uint64_t address, uint64_t unit)
{
	return align_down(address + unit - 1, unit);
}

/* Makes room for NR regions and as many probes.  Return: 0 or -ENOMEM. */
int damon_reserve_regions(struct damon_target *target, size_t nr);

/* Inserts a region with zero counters at INDEX.  Return: 0 or -ENOMEM. */
int damon_insert_region(struct damon_target *target, size_t index, uint64_t start, uint64_t end);

/*
 * Cuts region INDEX after SZ bytes, 0 < SZ < its size; the right part comes behind it.
 * Return: 0 or -ENOMEM.
 */
int damon_split_region_at(struct damon_target *target, size_t index, uint64_t sz);

/* How many regions more than it has CTX may have; SIZE_MAX: any number. */
size_t damon_regions_left(const struct damon_ctx *ctx);

/*
 * The same for a region of CTX, whose number of regions has a limit; what stands in the way is told
 * to the log, once.  Return: 0, or -ENOMEM and nothing changed.
 */
int damon_cut_region(struct damon_ctx *ctx, struct damon_target *target, size_t index, uint64_t sz);

/* Tells the log, once, that there may not be more regions, or that there is no memory for them. */
void damon_tell_full(struct damon_ctx *ctx);
void damon_tell_short(struct damon_ctx *ctx);

/*
 * Fits the target's regions to NR ascending ranges, whose bounds are aligned to MIN_SZ
 * (docs/abi/engine.md section 4; kernel: damon_set_regions()).
 * Return: 0; or, and nothing changed, -EINVAL, -ENOMEM, or -ENOSPC if they would be more than MOST.
 */
int damon_set_regions(struct damon_target *target, const struct damon_addr_range *ranges, size_t nr,
		      uint64_t min_sz, size_t most);

/*
 * Splits region INDEX into NR_PIECES even pieces, the last with the remainder.
 * Return: 0 or -ENOMEM.
 */
int damon_evenly_split_region(struct damon_target *target, size_t index, size_t nr_pieces);

/* ---- adaptive.c ---- */

/* Ages and merges by the counters of the aggregation that ends. */
void damon_merge_regions(struct damon_ctx *ctx);
/*
 * One target with one threshold: what damon_merge_regions() is made of.  Regions are as old as
 * their counters have stayed alike; Linux 6.18 takes zero for unlike anything else.
 */
void damon_age_target(struct damon_target *target, uint32_t threshold, bool zero_is_another);
void damon_merge_target(struct damon_target *target, uint32_t threshold, uint64_t sz_limit);
/* Begins the next aggregation: last_nr_accesses := nr_accesses := 0. */
void damon_reset_aggregated(struct damon_ctx *ctx);
/* Splits them at random, if there are not too many; what there is no memory for stays whole. */
void damon_split_regions(struct damon_ctx *ctx);

/* ---- sampling.c ---- */

/* A round of the access methods over all targets; WHAT is of enum access_round. */
void damon_sample(struct damon_ctx *ctx, unsigned int what, uint64_t now, uint64_t rounds);
/* Counts ROUNDS answers into a region. */
void damon_update_region_access(struct damon_region *region, bool accessed, uint32_t max,
				uint64_t rounds);

/* ---- commit.c ---- */

/*
 * Takes DESC over while running, as Linux 6.12 does: schemes, targets, attributes, operations.
 * Return: 0; or a negative errno, and nothing changed, but that the thread may be `stranded'.
 */
int damon_ctx_commit(struct damon_ctx *ctx, struct damon_desc *desc);
int damos_commit_goals(struct damon_ctx *ctx, struct damon_desc *desc);
/*
 * Converts the counters of REGION from one set of intervals to another: INSIDE an aggregation, or
 * at its end, when it has not been reported yet.
 */
void damon_rescale_region(struct damon_region *region, const struct damon_attrs *from,
			  const struct damon_attrs *to, bool inside);
/* Takes new attributes, and begins the counting of intervals anew. */
void damon_set_attrs(struct damon_ctx *ctx, const struct damon_attrs *attrs, bool inside);
/* Begins the counting of intervals anew. */
void damon_restart_intervals(struct damon_ctx *ctx);

/* ---- tuning.c ---- */

/* At the end of an aggregation: brings the intervals nearer to their goal, if it is time. */
void damon_tune_intervals(struct damon_ctx *ctx);
/* The sampling interval that comes after one whose accesses had a SCORE (10000: as wanted). */
uint64_t damon_tuned_sample(const struct damon_attrs *attrs, uint64_t score);

/* ---- target.c ---- */

/*
 * Makes the target that DESC describes, with MOST regions at most, which may be cleared also where
 * that fails.  Return: 0; or -EINVAL, or -ENOMEM also if there are more regions.
 */
int damon_target_init(struct damon_ctx *ctx, struct damon_target *target,
		      const struct damon_target_desc *desc, size_t most);
/*
 * The two parts of that: its space, and its regions, fitted to those that DESC has.  A target that
 * cannot be seen is `blind', which the log is told; one that is gone just has no space.
 */
int damon_target_open(struct damon_ctx *ctx, struct damon_target *target, struct process *process);
int damon_target_set_ranges(struct damon_ctx *ctx, struct damon_target *target,
			    const struct damon_target_desc *desc, size_t most);
void damon_target_clear(struct damon_target *target);

/*
 * Whether any of the NR targets can be seen, or there is none that is there and cannot.
 * Return: 0, or -EINVAL, which the log is told.
 */
int damon_targets_seen(const struct damon_target *targets, size_t nr);

/*
 * Asks the kernel whether all targets may still be watched in the name of who named them, and drops
 * those that may not: nothing of them is seen or acted upon any more.  One that executed another
 * program, that could not be seen, or on which its method failed, is opened anew.  NOW in us.
 */
void damon_check_targets(struct damon_ctx *ctx, uint64_t now);

/* ---- trace.c ---- */

/* Tells the outside what damon:damon_aggregated would. */
void damon_trace_aggregated(const struct damon_ctx *ctx);

#endif
