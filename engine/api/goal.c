// SPDX-License-Identifier: LGPL-2.1-or-later
/* Goals, by which a scheme's quota is tuned. */
#include <errno.h>

#include "engine/api/api.h"
#include "util/array.h"
#include "util/cleanup.h"

/* What a metric is of. */
enum scope { OF_SYSTEM, OF_NODE, OF_MEMCG };

static const enum scope scopes[] = {
	[DAMOS_QUOTA_USER_INPUT] = OF_SYSTEM,	      [DAMOS_QUOTA_SOME_MEM_PSI_US] = OF_SYSTEM,
	[DAMOS_QUOTA_NODE_MEM_USED_BP] = OF_NODE,     [DAMOS_QUOTA_NODE_MEM_FREE_BP] = OF_NODE,
	[DAMOS_QUOTA_NODE_MEMCG_USED_BP] = OF_MEMCG,  [DAMOS_QUOTA_NODE_MEMCG_FREE_BP] = OF_MEMCG,
	[DAMOS_QUOTA_ACTIVE_MEM_BP] = OF_SYSTEM,      [DAMOS_QUOTA_INACTIVE_MEM_BP] = OF_SYSTEM,
	[DAMOS_QUOTA_NODE_ELIGIBLE_MEM_BP] = OF_NODE,
};

/* Adds GOAL, of a metric that is of SCOPE, and of CGROUP unless that is NULL. */
static int add_goal(struct damos *scheme, struct damos_quota_goal goal, enum scope scope,
		    const char *cgroup)
{
	struct damos_quota_desc *quota;
	int r = api_enter();

	if (r)
		return r;
	if ((unsigned int)goal.metric >= ARRAY_SIZE(scopes) || scopes[goal.metric] != scope ||
	    !goal.target_value)
		return -EINVAL;
	quota = &scheme_desc(scheme)->quota;
	r = array_more(quota->goals, quota->nr_goals);
	if (!r && cgroup)
		r = memcg_new(cgroup, &goal.memcg);
	if (!r)
		quota->goals[quota->nr_goals++] = goal;
	return r;
}

API int damos_add_goal(struct damos *scheme, enum damos_quota_goal_metric metric, uint64_t target)
{
	const struct damos_quota_goal goal = { .metric = metric, .target_value = target };

	return add_goal(scheme, goal, OF_SYSTEM, NULL);
}

API int damos_add_goal_node(struct damos *scheme, enum damos_quota_goal_metric metric, int node,
			    uint64_t target)
{
	const struct damos_quota_goal goal = { .metric = metric,
					       .target_value = target,
					       .nid = node };

	return add_goal(scheme, goal, OF_NODE, NULL);
}

API int damos_add_goal_memcg(struct damos *scheme, enum damos_quota_goal_metric metric, int node,
			     const char *cgroup, uint64_t target)
{
	const struct damos_quota_goal goal = { .metric = metric,
					       .target_value = target,
					       .nid = node };

	return add_goal(scheme, goal, OF_MEMCG, cgroup);
}

API int damos_set_user_input(struct damos *scheme, uint64_t value)
{
	struct damos_quota_desc *quota;
	int r = api_enter();

	if (r)
		return r;
	quota = &scheme_desc(scheme)->quota;
	r = -ENOENT;
	for (size_t i = 0; i < quota->nr_goals; i++) {
		if (quota->goals[i].metric != DAMOS_QUOTA_USER_INPUT)
			continue;
		quota->goals[i].current_value = value;
		r = 0;
	}
	return r;
}
