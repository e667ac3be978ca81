// SPDX-License-Identifier: GPL-2.0-or-later
/* dests/N: where what is migrated goes. */
#include "fs/sysfs/sysfs.h"
#include "util/cleanup.h"

static const struct file_type dest_files[] = {
	UINT("id", 0600, struct dest_dir, id),
	UINT("weight", 0600, struct dest_dir, weight),
};

const struct dir_kind dest_kind = {
	.name = "dest",
	.size = sizeof(struct dest_dir),
	.files = dest_files,
	.nr_files = ARRAY_SIZE(dest_files),
};
