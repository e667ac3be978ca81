/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is behind libdamon.h: handles to parts of a description, and the kdamond that was started on
 * a copy of it.
 */
#ifndef DAMONFS_ENGINE_API_API_H
#define DAMONFS_ENGINE_API_API_H

#include <semaphore.h>

#include "engine/api/public.h"
#include "engine/api/snapshot.h"
#include "engine/kdamond.h"

struct damon_target {
	struct damon_ctx *ctx;
	size_t index; /* in the description */
};

struct damos {
	struct damon_ctx *ctx;
	size_t index;
	struct damos_stat counted; /* the kdamond's: see damos_desc.live */
};

struct damon_ctx {
	struct damon_desc *desc; /* what was set */
	char *method;
	/* As many as the description has. */
	struct damon_target **targets;
	struct damos **schemes;

	struct kdamond *kdamond; /* NULL unless it was started; it may have ended since */
	atomic_bool running;
	sem_t begun; /* and this is how: */
	int result;

	struct snapshots snapshots;
};

/* The description that is being made of it. */
static inline struct damon_target_desc *target_desc(const struct damon_target *target)
{
	return &target->ctx->desc->targets[target->index];
}

/* The same. */
static inline struct damos_desc *scheme_desc(const struct damos *scheme)
{
	return &scheme->ctx->desc->schemes[scheme->index];
}

#endif
