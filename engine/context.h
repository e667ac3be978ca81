/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A monitoring context: made, stepped, freed. */
#ifndef DAMONFS_ENGINE_CONTEXT_H
#define DAMONFS_ENGINE_CONTEXT_H

#include "engine/types.h"

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

/* Starts monitoring: initial regions, counters, the first preparing.  NOW in us. */
void damon_ctx_start(struct damon_ctx *ctx, uint64_t now);

/*
 * What comes after a sampling interval: check, and whatever is due, and prepare again.  ROUNDS is
 * how many intervals have passed, 1 unless some were missed; the answer counts for all of them.
 *
 * Return: 0 or the negative errno of a failed command, which ends the kdamond.
 */
int damon_ctx_step(struct damon_ctx *ctx, uint64_t now, uint64_t rounds);

/* Whether there is still something to monitor: false ends the kdamond. */
bool damon_ctx_valid(const struct damon_ctx *ctx);

/* How many sampling intervals may pass before something is due: what a late step may catch up. */
uint64_t damon_ctx_until_due(const struct damon_ctx *ctx);

#endif
