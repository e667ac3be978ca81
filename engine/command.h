/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a running kdamond can be asked for, and what it answers. */
#ifndef DAMONFS_ENGINE_COMMAND_H
#define DAMONFS_ENGINE_COMMAND_H

#include "engine/damon.h"

/* A region that a scheme was applied to, as it was just before. */
struct damos_tried_region {
	uint32_t scheme; /* index */
	uint64_t start, end;
	uint32_t nr_accesses, age;
	uint64_t sz_filter_passed;
	uint8_t hits[DAMON_MAX_PROBES]; /* of probes, in this aggregation */
};

#define DAMON_PERCENTILES 101

/* How memory is used, by the last whole aggregation. */
struct damon_summary {
	uint64_t aggr_interval;
	uint64_t bandwidth; /* estimated bytes a second */
	/* Of each percentile of all bytes, how long it is idle; negative: for how long it is in
	 * use. */
	int64_t idle_ms[DAMON_PERCENTILES];
};

/* The state of a kdamond. */
struct damon_report {
	uint64_t sample_interval, aggr_interval;
	size_t nr_schemes;
	struct damos_stat *stats;
	uint64_t *effective_sz;
	struct damon_summary *summary; /* NULL unless the description asks for it */
};

void damon_report_clear(struct damon_report *report);

enum damon_target_state {
	DAMON_TARGET_WATCHED,
	DAMON_TARGET_UNSEEN, /* no method can see it */
	DAMON_TARGET_UNANSWERED, /* it is unknown whether it may be watched */
	DAMON_TARGET_GONE, /* it has ended, or may not be watched any more */
	NR_DAMON_TARGET_STATES
};

struct damon_target_status {
	pid_t pid; /* as its caller's description was opened; 0: physical memory, or gone */
	enum damon_target_state state;
	const char *method; /* its name; NULL unless it is watched */
	struct access_why why; /* why it is not watched by a better one, or not at all; or empty */
	size_t nr_regions;
};

/* What a kdamond says of itself, for people. */
struct damon_status {
	uint64_t told; /* us of clock_us(): when it said so; 0: not yet */
	uint64_t cpu_ns; /* of its thread */
	uint64_t sample_interval, aggr_interval;
	uint64_t samples; /* sampling intervals since `on' */
	uint64_t missed; /* intervals in which nobody looked in time */
	struct damon_target_status *targets;
	size_t nr_targets;
};

void damon_status_clear(struct damon_status *status);

/* Return: 0 and a copy in *OUT, or -ENOMEM. */
int damon_status_copy(const struct damon_status *status, struct damon_status *out);

enum damon_command_kind {
	DAMON_COMMIT, /* apply `desc' */
	DAMON_COMMIT_QUOTA_GOALS, /* apply the goals of `desc' */
	DAMON_REPORT, /* fill `report' */
	DAMON_RUN, /* call `run' */
	DAMON_COLLECT_TRIED, /* fill `tried', in one application round of each scheme */
};

/*
 * A command to a running kdamond.  The sender owns it again when `done' is called.
 */
struct damon_command {
	enum damon_command_kind kind;
	struct damon_desc *desc; /* COMMIT: NULL fails with `error' */
	/* RUN: in the kdamond's thread; what it returns is `error', and ends no kdamond. */
	int (*run)(void *data);
	void *data;
	/* The result; -ECANCELED if the kdamond ended meanwhile. */
	int error;

	/* Answers; allocated by the engine, freed by damon_command_clear(). */
	struct damon_report report;
	struct damos_tried_region *tried;
	size_t nr_tried, room_tried;
	size_t nr_probes; /* of which `tried' has hits */
	size_t max_tried; /* set by the sender; 0: any number */
	bool too_many_tried; /* there were more: not all are in `tried' */
	bool wants_found; /* set by the sender of COLLECT_TRIED: */
	struct damon_found_region *found; /* the regions of all targets then; NULL: no memory */
	size_t nr_found;

	/*
	 * Called by the kdamond's thread when the command is done, or when the kdamond ended before
	 * it; must not block.  Under the rules before 6.14 a failing command (invalid COMMIT, no
	 * memory) ends the kdamond; the call comes after that.
	 */
	void (*done)(struct damon_command *command);
	struct damon_command *next; /* the engine's */
};

void damon_command_clear(struct damon_command *command);

#endif
