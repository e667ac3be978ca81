// SPDX-License-Identifier: GPL-2.0-or-later
/* monitoring_attrs/probes/N: what else is asked of sampled pages. */
#include "fs/sysfs/sysfs.h"
#include "util/cleanup.h"

static const struct file_type probe_files[] = {
	COUNT("filters/nr_filters", 0600, struct probe_dir, filters, &probe_filter_kind),
};

const struct dir_kind probe_kind = {
	.name = "probe",
	.size = sizeof(struct probe_dir),
	.files = probe_files,
	.nr_files = ARRAY_SIZE(probe_files),
};
