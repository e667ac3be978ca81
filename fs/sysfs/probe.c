// SPDX-License-Identifier: GPL-2.0-or-later
/* monitoring_attrs/probes/N: what else is asked of sampled pages. */
#include "fs/sysfs/sysfs.h"
#include "fs/tree/file.h"
#include "util/cleanup.h"

static const struct keyword type_words[] = {
	{ "anon", DAMOS_FILTER_TYPE_ANON, 0 },
	{ "memcg", DAMOS_FILTER_TYPE_MEMCG, 0 },
	{ 0 },
};

static const struct file_type probe_filter_files[] = {
	KEYWORD("type", 0600, struct probe_filter_dir, type, type_words),
	FLAG("matching", 0600, struct probe_filter_dir, matching),
	FLAG("allow", 0600, struct probe_filter_dir, allow),
	TEXT("path", 0600, struct probe_filter_dir, path),
};

static void probe_filter_clear(struct dir *dir)
{
	file_free_text(dir, ((struct probe_filter_dir *)dir)->path);
}

static const struct dir_kind probe_filter_kind = {
	.name = "probe filter",
	.size = sizeof(struct probe_filter_dir),
	.files = probe_filter_files,
	.nr_files = ARRAY_SIZE(probe_filter_files),
	.clear = probe_filter_clear,
};

static const struct file_type probe_files[] = {
	COUNT("filters/nr_filters", 0600, struct probe_dir, filters, &probe_filter_kind),
};

const struct dir_kind probe_kind = {
	.name = "probe",
	.size = sizeof(struct probe_dir),
	.files = probe_files,
	.nr_files = ARRAY_SIZE(probe_files),
};
