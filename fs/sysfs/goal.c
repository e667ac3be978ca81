// SPDX-License-Identifier: GPL-2.0-or-later
/* quotas/goals/N: what a quota's size is tuned to. */
#include "fs/sysfs/sysfs.h"
#include "fs/tree/file.h"
#include "util/cleanup.h"

static const struct keyword goal_metric_words[] = {
	{ "user_input", DAMOS_QUOTA_USER_INPUT, 0 },
	{ "some_mem_psi_us", DAMOS_QUOTA_SOME_MEM_PSI_US, 0 },
	{ "node_mem_used_bp", DAMOS_QUOTA_NODE_MEM_USED_BP, V(6, 16) },
	{ "node_mem_free_bp", DAMOS_QUOTA_NODE_MEM_FREE_BP, V(6, 16) },
	{ "node_memcg_used_bp", DAMOS_QUOTA_NODE_MEMCG_USED_BP, V(6, 19) },
	{ "node_memcg_free_bp", DAMOS_QUOTA_NODE_MEMCG_FREE_BP, V(6, 19) },
	{ "active_mem_bp", DAMOS_QUOTA_ACTIVE_MEM_BP, V(7, 0) },
	{ "inactive_mem_bp", DAMOS_QUOTA_INACTIVE_MEM_BP, V(7, 0) },
	{ "node_eligible_mem_bp", DAMOS_QUOTA_NODE_ELIGIBLE_MEM_BP, V(7, 2) },
	{ 0 },
};

static const struct file_type goal_files[] = {
	KEYWORD("target_metric", 0600, struct goal_dir, metric, goal_metric_words,
		.since = V(6, 9)),
	NUMBER("target_value", 0600, struct goal_dir, target_value),
	NUMBER("current_value", 0600, struct goal_dir, current_value),
	INT("nid", 0600, struct goal_dir, nid, .since = V(6, 16)),
	TEXT("path", 0600, struct goal_dir, path, .since = V(6, 19)),
};

static void goal_clear(struct dir *dir)
{
	file_free_text(dir, ((struct goal_dir *)dir)->path);
}

const struct dir_kind goal_kind = {
	.name = "goal",
	.size = sizeof(struct goal_dir),
	.files = goal_files,
	.nr_files = ARRAY_SIZE(goal_files),
	.clear = goal_clear,
};
