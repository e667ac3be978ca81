// SPDX-License-Identifier: GPL-2.0-or-later
/* The root of the mount: admin/kdamonds/. */
#include <errno.h>

#include "access/cleanup.h"
#include "fs/sysfs/sysfs.h"

/* No kdamond may run: also for the same number, or a larger one. */
static int check_nr_kdamonds(struct dir *dir, int count)
{
	const struct root_dir *root = (struct root_dir *)dir;

	(void)count;
	for (size_t i = 0; i < root->kdamonds.nr; i++)
		if (kdamond_is_busy((struct kdamond_dir *)root->kdamonds.dirs[i]))
			return -EBUSY;
	return 0;
}

static const struct file_type root_files[] = {
	COUNT("admin/kdamonds/nr_kdamonds", 0600, struct root_dir, kdamonds, &kdamond_kind,
	      .check_count = check_nr_kdamonds),
};

const struct dir_kind root_kind = {
	.name = "root",
	.size = sizeof(struct root_dir),
	.files = root_files,
	.nr_files = ARRAY_SIZE(root_files),
};
