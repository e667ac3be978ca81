/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine's own view of a monitoring context: targets with their regions, schemes with their
 * state.  It belongs to one thread, the kdamond's, and has no locks.
 *
 * Each noun has a header with its functions: region.h, target.h, scheme.h...
 */
#ifndef DAMONFS_ENGINE_TYPES_H
#define DAMONFS_ENGINE_TYPES_H

#include "access/access.h"
#include "engine/command.h"
#include "util/macros.h"

/* Minimum size of a region and alignment of its bounds: a page; see damon_min_sz_region(). */
#define DAMON_MIN_REGION PAGE

/* Scores for prioritisation go from 0 to this. */
#define DAMOS_MAX_SCORE 99

struct damon_region {
	uint64_t start, end;
	uint64_t sampling_addr;
	uint32_t nr_accesses; /* in this aggregation */
	uint32_t last_nr_accesses; /* in the one before */
	uint32_t nr_accesses_bp; /* pseudo moving sum, in 1/10000 */
	uint32_t age; /* in aggregations */
	uint32_t priv; /* the access method's, see access_probe */
	uint8_t hits[DAMON_MAX_PROBES]; /* of probes, in this aggregation; they wrap as the kernel's
					 */
};

/* Memory that schemes look at page by page. */
struct damos_pages {
	struct page_walk *frames; /* NULL until first used */
	uint64_t round; /* damon_context.passed of the last look */
	bool failed; /* cannot be opened, now or later */
	bool told; /* why was logged */
};

struct damon_target {
	struct process *process; /* a reference; NULL for paddr */
	struct access_space *space; /* NULL where nothing can be seen */
	struct access_why why; /* it is not seen, or not by a better method; or empty */
	bool blind; /* it exists, but no access method can see it */
	bool unanswered; /* blind because nobody answers whether it may be watched */
	int failed; /* errno of a failed round: the space has to be reopened */
	uint64_t next_tell; /* us: it is not logged again before */
	struct damos_pages pages; /* of its process, for schemes */
	bool unsure; /* the last round did not show that the process exists */
	bool replaced; /* the process has executed another program since its space was opened */
	struct damon_region *regions;
	size_t nr_regions, room;
	struct access_probe *probes; /* of a round; as much room as regions */
	size_t probe_room;
};

struct damos_quota {
	struct damos_quota_desc desc;
	uint64_t esz; /* effective size: bytes in this window, 0 is no limit */
	uint64_t charged_sz; /* in this window */
	uint64_t charged_from; /* ms: when this window began */
	bool has_window;
	uint64_t total_charged_sz, total_charged_ns;
	/* Where the next window resumes. */
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
	bool core_default_reject, ops_default_reject; /* for what no filter matches */
	bool allowed_by_core; /* a core filter let the last checked region in */
	uint64_t next_apply; /* in sampling intervals, as damon_context.passed */
	bool due; /* in this round */
	bool tried_done; /* had an application round since the collection began */
};

struct damon_operations;

struct damon_context {
	unsigned int abi;
	struct caller *caller; /* a reference: in whose name the thread works; NULL: its own */
	struct damon_attrs attrs;
	size_t max_total_regions; /* of all targets together; 0: any number */
	uint64_t next_tune; /* in sampling intervals, as `passed' */
	uint64_t addr_unit; /* bytes per address; 1 except for paddr */
	uint64_t min_sz_region; /* see damon_min_sz_region() */
	const struct damon_operations *ops;
	struct damon_target *targets;
	size_t nr_targets;
	struct damos *schemes;
	size_t nr_schemes;
	bool paused; /* by its user */
	bool summarises; /* reports have a summary */
	size_t next_split; /* which of the regions is split next, of more than half the maximum */
	struct damon_probe probes[DAMON_MAX_PROBES];
	size_t nr_probes;

	struct access_sessions *sessions; /* borrowed; NULL in tests: nothing is seen */
	struct damos_pages pages; /* of physical memory, for paddr's schemes */
	uint64_t rng[4]; /* of random.h */

	/* Counted in sampling intervals since the start. */
	uint64_t passed;
	uint64_t missed; /* intervals in which nobody looked in time */
	uint64_t next_aggr;
	uint64_t next_ops_update;

	bool told_full, told_short; /* logged: the region limit is reached, there is no memory */
	bool stranded; /* the thread could not return to who it works for, and must end */

	uint64_t sz_limit; /* of a merged region */
	size_t last_split_nr_regions;
	bool prepared; /* the regions' sampling addresses are ready */
	bool any_replaced; /* any target is `replaced' */
	uint64_t next_check; /* us: when to check again whether they may be watched */

	struct damon_command *collecting; /* the DAMON_COLLECT_TRIED under way */
	uint64_t collect_until; /* in sampling intervals */

	/* Called where the loop carries out commands; see kdamond.c. */
	int (*after_merge)(struct damon_context *ctx, void *argument);
	void *argument;
};

#endif
