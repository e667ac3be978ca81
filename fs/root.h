/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The root of the mount: admin/ is /sys/kernel/mm/damon/admin, damon/ is <debugfs>/damon, and what
 * is in modules/ is in /sys/module.
 */
#ifndef DAMONFS_FS_ROOT_H
#define DAMONFS_FS_ROOT_H

#include "fs/debugfs/debugfs.h"
#include "fs/modules/modules.h"
#include "fs/tree/node.h"

struct root_dir {
	struct dir base;
	struct dir_list kdamonds;
	struct debugfs_root debugfs;
	struct modules modules;
};

extern const struct dir_kind root_kind;

#endif
