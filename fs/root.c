// SPDX-License-Identifier: GPL-2.0-or-later
/* The root of the mount: see root.h. */
#include <errno.h>

#include "fs/modules/files.h"
#include "fs/root.h"
#include "fs/sysfs/sysfs.h"
#include "util/cleanup.h"

/* No kdamond may run, even if the number stays or grows. */
static int check_nr_kdamonds(struct dir *dir, int count)
{
	const struct root_dir *root = (struct root_dir *)dir;

	(void)count;
	for (size_t i = 0; i < root->kdamonds.nr; i++)
		if (kdamond_is_busy((struct kdamond_dir *)root->kdamonds.dirs[i]))
			return -EBUSY;
	return 0;
}

/*
 * 6.9 renamed some, and its control files take no positions.  6.14 has no such interface; here it
 * stays, under its first names.
 */
static const struct file_type root_files[] = {
	COUNT("admin/kdamonds/nr_kdamonds", 0600, struct root_dir, kdamonds, &kdamond_kind,
	      .check_count = check_nr_kdamonds, .tells_status = true),
	DEBUGFS_CONTEXT_FILES("damon/"),
	DEBUGFS("damon/monitor_on", debugfs_show_monitor_on, debugfs_store_monitor_on,
		.until = V(6, 9), .positioned = true, .commands = true),
	DEBUGFS("damon/mk_contexts", NULL, debugfs_store_mk_contexts, .until = V(6, 9),
		.positioned = true, .kept = true, .makes = true),
	DEBUGFS("damon/rm_contexts", NULL, debugfs_store_rm_contexts, .until = V(6, 9),
		.positioned = true, .kept = true),
	DEBUGFS("damon/monitor_on_DEPRECATED", debugfs_show_monitor_on, debugfs_store_monitor_on,
		.since = V(6, 9), .until = V(6, 14), .commands = true),
	DEBUGFS("damon/DEPRECATED", debugfs_show_deprecated, NULL, .since = V(6, 9),
		.until = V(6, 14), .positioned = true),
	DEBUGFS("damon/monitor_on", debugfs_show_monitor_on, debugfs_store_monitor_on,
		.since = V(6, 14), .commands = true),
	DEBUGFS("damon/mk_contexts", NULL, debugfs_store_mk_contexts, .since = V(6, 9),
		.kept = true, .makes = true),
	DEBUGFS("damon/rm_contexts", NULL, debugfs_store_rm_contexts, .since = V(6, 9),
		.kept = true),
	RECLAIM_FILES(struct root_dir),
	LRU_SORT_FILES(struct root_dir),
	STAT_FILES(struct root_dir),
	LIST("damon", struct root_dir, debugfs.made, &debugfs_context_kind),
};

struct modules *modules_of(struct dir *dir)
{
	return &((struct root_dir *)dir)->modules;
}

static void root_refresh(struct dir *dir)
{
	modules_refresh(modules_of(dir));
}

static void root_init(struct dir *dir)
{
	modules_init(modules_of(dir));
	debugfs_context_init(&((struct root_dir *)dir)->debugfs.context);
}

static void root_clear(struct dir *dir)
{
	modules_clear(modules_of(dir));
	debugfs_context_clear(&((struct root_dir *)dir)->debugfs.context);
}

const struct dir_kind root_kind = {
	.name = "root",
	.size = sizeof(struct root_dir),
	.files = root_files,
	.nr_files = ARRAY_SIZE(root_files),
	.init = root_init,
	.clear = root_clear,
	.refresh = root_refresh,
};
