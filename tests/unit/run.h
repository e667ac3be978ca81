/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A context on a process that looks as a script says (access/methods/script.h), stepped by a
 * hand-turned clock.
 */
#ifndef DAMONFS_TESTS_RUN_H
#define DAMONFS_TESTS_RUN_H

#include "engine/context.h"
#include "engine/sampling.h"
#include "tests/unit/fixture.h"

struct run {
	struct access_sessions *sessions;
	struct damon_context *ctx;
	uint64_t now;
};

static inline void run_end(struct run *run)
{
	damon_context_free(run->ctx);
	access_sessions_close(run->sessions);
}

#define RUN(name) __attribute__((cleanup(run_end))) struct run name = { 0 }

/* Makes a context on PID, which is as the script PLAYS says, with stat schemes for everything. */
static inline void run_open(struct run *run, const char *plays, pid_t pid, enum damon_ops_id ops,
			    size_t nr_schemes)
{
	struct damon_desc *desc = new_desc(ops, 1, nr_schemes);

	run->sessions = open_playing(plays);
	ck_assert_int_eq(process_open(pid, NULL, &desc->targets[0].process), 0);
	ck_assert_int_eq(damon_context_new(desc, run->sessions, &run->ctx), 0);
	damon_desc_free(desc);
	random_seed(run->ctx->rng, 42);
}

static inline void run_start(struct run *run)
{
	run->now = 1000000;
	damon_context_start(run->ctx, run->now);
}

/* As the kdamond does it: prepares again where the last step left that open. */
static inline void run_step(struct run *run, uint64_t rounds)
{
	struct damon_context *ctx = run->ctx;

	if (!ctx->prepared)
		damon_sample(ctx, ACCESS_PREPARE, run->now, 1);
	ctx->prepared = true;
	run->now += rounds * max_ul(ctx->attrs.sample_interval, 1);
	ck_assert_int_eq(damon_context_step(ctx, run->now, rounds), 0);
}

#endif
