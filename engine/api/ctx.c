// SPDX-License-Identifier: LGPL-2.1-or-later
/* A context: made, described, freed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access/access.h"
#include "engine/api/api.h"
#include "engine/api/field.h"
#include "util/cleanup.h"

static void ctx_free(struct damon_ctx *ctx)
{
	for (size_t i = 0; ctx->targets && i < ctx->desc->nr_targets; i++)
		free(ctx->targets[i]);
	for (size_t i = 0; ctx->schemes && i < ctx->desc->nr_schemes; i++)
		free(ctx->schemes[i]);
	free(ctx->targets);
	free(ctx->schemes);
	damon_desc_free(ctx->desc);
	snapshots_clear(&ctx->snapshots);
	sem_destroy(&ctx->begun);
	free(ctx->method);
	free(ctx);
}

API int damon_ctx_new(struct damon_ctx **out)
{
	struct damon_ctx *ctx;
	int r = api_enter();

	if (r)
		return r;
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	sem_init(&ctx->begun, 0, 0);
	snapshots_init(&ctx->snapshots);
	ctx->method = strdup("auto");
	ctx->desc = damon_desc_new(0, 0);
	if (!ctx->method || !ctx->desc) {
		ctx_free(ctx);
		return -ENOMEM;
	}
	ctx->desc->abi = DAMON_ABI_DEFAULT;
	ctx->desc->attrs = damon_default_attrs;
	*out = ctx;
	return 0;
}

API void damon_ctx_destroy(struct damon_ctx *ctx)
{
	if (ctx && !damon_stop(ctx))
		ctx_free(ctx);
}

#define ATTR(member) FIELD64(struct damon_desc, attrs.member)

API int damon_set_attr(struct damon_ctx *ctx, enum damon_attr attr, uint64_t value)
{
	static const struct field fields[] = {
		[DAMON_SAMPLE_US] = ATTR(sample_interval),
		[DAMON_AGGR_US] = ATTR(aggr_interval),
		[DAMON_UPDATE_US] = ATTR(ops_update_interval),
		[DAMON_MIN_NR_REGIONS] = ATTR(min_nr_regions),
		[DAMON_MAX_NR_REGIONS] = ATTR(max_nr_regions),
		[DAMON_GOAL_ACCESS_BP] = ATTR(intervals_goal.access_bp),
		[DAMON_GOAL_AGGRS] = ATTR(intervals_goal.aggrs),
		[DAMON_GOAL_MIN_SAMPLE_US] = ATTR(intervals_goal.min_sample_us),
		[DAMON_GOAL_MAX_SAMPLE_US] = ATTR(intervals_goal.max_sample_us),
		[DAMON_ADDR_UNIT_BYTES] = FIELD64(struct damon_desc, addr_unit),
		[DAMON_PAUSED] = FIELD_UP_TO(struct damon_desc, paused, 1),
	};
	int r = api_enter();

	return r ? r : field_set(ctx->desc, fields, ARRAY_SIZE(fields), attr, value);
}

API int damon_select_ops(struct damon_ctx *ctx, enum damon_ops_id ops)
{
	int r = api_enter();

	if (r)
		return r;
	if ((unsigned int)ops >= NR_DAMON_OPS)
		return -EINVAL;
	ctx->desc->ops = ops;
	return 0;
}

API int damon_select_method(struct damon_ctx *ctx, const char *name)
{
	int r = api_enter();
	char *method;

	if (r)
		return r;
	if (!access_method_known(name))
		return -EINVAL;
	method = strdup(name);
	if (!method)
		return -ENOMEM;
	free(ctx->method);
	ctx->method = method;
	return 0;
}
