// SPDX-License-Identifier: LGPL-2.1-or-later
/* Schemes of a context, and what they count. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "engine/api/api.h"
#include "engine/api/field.h"
#include "util/array.h"
#include "util/cleanup.h"

static const struct damos_access_pattern everything = {
	.max_sz_region = UINT64_MAX,
	.max_nr_accesses = UINT32_MAX,
	.max_age_region = UINT32_MAX,
};

static int add_scheme(struct damon_ctx *ctx, enum damos_action action, struct damos **out)
{
	struct damon_desc *desc = ctx->desc;
	size_t nr = desc->nr_schemes;
	struct damos *scheme = malloc(sizeof(*scheme));

	if (!scheme || array_more(ctx->schemes, nr) || array_more(desc->schemes, nr)) {
		free(scheme);
		return -ENOMEM;
	}
	*scheme = (struct damos){ .ctx = ctx, .index = nr };
	desc->schemes[nr] = (struct damos_desc){
		.pattern = everything, .action = action, .target_nid = -1, .live = &scheme->counted
	};
	*out = ctx->schemes[nr] = scheme;
	desc->nr_schemes++;
	return 0;
}

API int damos_new(struct damon_ctx *ctx, enum damos_action action, struct damos **out)
{
	int r = api_enter();

	if (r)
		return r;
	return (unsigned int)action < NR_DAMOS_ACTIONS ? add_scheme(ctx, action, out) : -EINVAL;
}

#define PARAM64(member)		 FIELD64(struct damos_desc, member)
#define PARAM32(member)		 FIELD32(struct damos_desc, member)
#define PARAM_UP_TO(member, max) FIELD_UP_TO(struct damos_desc, member, max)

API int damos_set(struct damos *scheme, enum damos_param param, uint64_t value)
{
	static const struct field fields[] = {
		[DAMOS_MIN_SZ_BYTES] = PARAM64(pattern.min_sz_region),
		[DAMOS_MAX_SZ_BYTES] = PARAM64(pattern.max_sz_region),
		[DAMOS_MIN_NR_ACCESSES] = PARAM32(pattern.min_nr_accesses),
		[DAMOS_MAX_NR_ACCESSES] = PARAM32(pattern.max_nr_accesses),
		[DAMOS_MIN_AGE_AGGRS] = PARAM32(pattern.min_age_region),
		[DAMOS_MAX_AGE_AGGRS] = PARAM32(pattern.max_age_region),
		[DAMOS_APPLY_US] = PARAM64(apply_interval),
		[DAMOS_TARGET_NID] = PARAM_UP_TO(target_nid, INT_MAX),
		[DAMOS_QUOTA_MS] = PARAM64(quota.ms),
		[DAMOS_QUOTA_SZ_BYTES] = PARAM64(quota.sz),
		[DAMOS_QUOTA_WINDOW_MS] = PARAM64(quota.reset_interval_ms),
		[DAMOS_WEIGHT_SZ_PERMIL] = PARAM32(quota.weight_sz),
		[DAMOS_WEIGHT_NR_ACCESSES_PERMIL] = PARAM32(quota.weight_nr_accesses),
		[DAMOS_WEIGHT_AGE_PERMIL] = PARAM32(quota.weight_age),
		[DAMOS_GOAL_TUNER] = PARAM_UP_TO(quota.goal_tuner, DAMOS_QUOTA_GOAL_TUNER_TEMPORAL),
		[DAMOS_WMARK_METRIC] = PARAM_UP_TO(wmarks.metric, DAMOS_WMARK_FREE_MEM_RATE),
		[DAMOS_WMARK_US] = PARAM64(wmarks.interval),
		[DAMOS_WMARK_HIGH_PERMIL] = PARAM64(wmarks.high),
		[DAMOS_WMARK_MID_PERMIL] = PARAM64(wmarks.mid),
		[DAMOS_WMARK_LOW_PERMIL] = PARAM64(wmarks.low),
		[DAMOS_MAX_NR_SNAPSHOTS] = PARAM64(max_nr_snapshots),
	};
	int r = api_enter();

	return r ? r : field_set(scheme_desc(scheme), fields, ARRAY_SIZE(fields), param, value);
}

API int damos_stat(const struct damos *scheme, enum damos_counter counter, uint64_t *value)
{
	static const size_t offsets[] = {
		[DAMOS_NR_TRIED] = offsetof(struct damos_stat, nr_tried),
		[DAMOS_SZ_TRIED_BYTES] = offsetof(struct damos_stat, sz_tried),
		[DAMOS_NR_APPLIED] = offsetof(struct damos_stat, nr_applied),
		[DAMOS_SZ_APPLIED_BYTES] = offsetof(struct damos_stat, sz_applied),
		[DAMOS_SZ_OPS_FILTER_PASSED_BYTES] =
			offsetof(struct damos_stat, sz_ops_filter_passed),
		[DAMOS_QT_EXCEEDS] = offsetof(struct damos_stat, qt_exceeds),
		[DAMOS_NR_SNAPSHOTS] = offsetof(struct damos_stat, nr_snapshots),
	};
	struct damos_stat stat;
	int r = api_enter();

	if (r)
		return r;
	if ((unsigned int)counter >= ARRAY_SIZE(offsets))
		return -EINVAL;
	stat = damos_stat_read(&scheme->counted);
	*value = *(const uint64_t *)((const char *)&stat + offsets[counter]);
	return 0;
}
