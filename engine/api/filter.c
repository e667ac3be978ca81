// SPDX-License-Identifier: LGPL-2.1-or-later
/* Filters of a scheme. */
#include <errno.h>

#include "engine/api/api.h"
#include "util/array.h"

static int add_filter(struct damos *scheme, struct damos_filter filter, unsigned int flags)
{
	struct damos_desc *desc = scheme_desc(scheme);
	int r;

	if (flags & ~(DAMOS_FILTER_ALLOW | DAMOS_FILTER_OTHERS))
		return -EINVAL;
	filter.allow = flags & DAMOS_FILTER_ALLOW;
	filter.matching = !(flags & DAMOS_FILTER_OTHERS);
	r = array_more(desc->filters, desc->nr_filters);
	if (!r)
		desc->filters[desc->nr_filters++] = filter;
	return r;
}

static bool takes_arguments(enum damos_filter_type type)
{
	switch (type) {
	case DAMOS_FILTER_TYPE_ANON:
	case DAMOS_FILTER_TYPE_ACTIVE:
	case DAMOS_FILTER_TYPE_YOUNG:
	case DAMOS_FILTER_TYPE_UNMAPPED:
		return false;
	default:
		return true;
	}
}

API int damos_add_filter(struct damos *scheme, enum damos_filter_type type, unsigned int flags)
{
	int r = api_enter();

	if (!r && takes_arguments(type))
		r = -EINVAL;
	return r ? r : add_filter(scheme, (struct damos_filter){ .type = type }, flags);
}

API int damos_add_filter_addr(struct damos *scheme, uint64_t start, uint64_t end,
			      unsigned int flags)
{
	const struct damos_filter filter = { .type = DAMOS_FILTER_TYPE_ADDR,
					     .addr_range = { start, end } };
	int r = api_enter();

	if (!r && start >= end)
		r = -EINVAL;
	return r ? r : add_filter(scheme, filter, flags);
}

API int damos_add_filter_target(struct damos *scheme, const struct damon_target *target,
				unsigned int flags)
{
	const struct damos_filter filter = { .type = DAMOS_FILTER_TYPE_TARGET,
					     .target_idx = (int)target->index };
	int r = api_enter();

	if (!r && target->ctx != scheme->ctx)
		r = -EINVAL;
	return r ? r : add_filter(scheme, filter, flags);
}

API int damos_add_filter_memcg(struct damos *scheme, const char *cgroup, unsigned int flags)
{
	struct damos_filter filter = { .type = DAMOS_FILTER_TYPE_MEMCG };
	int r = api_enter();

	if (!r)
		r = memcg_find(cgroup, &filter.memcg_id);
	return r ? r : add_filter(scheme, filter, flags);
}

API int damos_add_filter_hugepage(struct damos *scheme, uint64_t min_bytes, uint64_t max_bytes,
				  unsigned int flags)
{
	const struct damos_filter filter = { .type = DAMOS_FILTER_TYPE_HUGEPAGE_SIZE,
					     .min_sz = min_bytes,
					     .max_sz = max_bytes };
	int r = api_enter();

	if (!r && min_bytes > max_bytes)
		r = -EINVAL;
	return r ? r : add_filter(scheme, filter, flags);
}
