/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A monitoring context: made, stepped, freed. */
#ifndef DAMONFS_ENGINE_CONTEXT_H
#define DAMONFS_ENGINE_CONTEXT_H

#include "engine/types.h"

/*
 * Builds a context from DESC, which must have passed the checks.  The context takes parts of DESC
 * over; the caller still frees DESC.
 *
 * Return: 0 and *OUT, or a negative errno: -EINVAL if no target can be seen.
 */
int damon_context_new(struct damon_desc *desc, struct access_sessions *sessions,
		      struct damon_context **out);

struct damon_context *damon_context_free(struct damon_context *ctx);

void damon_context_freep(struct damon_context **ctx);

/* Takes over from DESC whether it is paused, what it reports, and its probes. */
void damon_ctx_take_probes(struct damon_context *ctx, struct damon_desc *desc);

/* Takes over the operations of DESC and their address unit. */
void damon_ctx_set_operations(struct damon_context *ctx, const struct damon_desc *desc);

/* Starts monitoring: initial regions, counters, first preparation.  NOW in us. */
void damon_context_start(struct damon_context *ctx, uint64_t now);

/*
 * Ends a sampling interval: checks, does what is due, and prepares again.  ROUNDS is how many
 * intervals have passed, 1 unless some were missed; the answers count for all of them.
 *
 * Return: 0 or the negative errno of a failed command, which ends the kdamond.
 */
int damon_context_step(struct damon_context *ctx, uint64_t now, uint64_t rounds);

/* Whether there is still something to monitor: false ends the kdamond. */
bool damon_context_valid(const struct damon_context *ctx);

/* Sampling intervals until something is due: the most that a late step may catch up. */
uint64_t damon_ctx_until_due(const struct damon_context *ctx);

#endif
