// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * filters/N, core_filters/N, ops_filters/N: what a scheme keeps away from; and the filters/N of
 * probes, what they ask for.
 */
#include "fs/sysfs/sysfs.h"
#include "fs/tree/file.h"
#include "util/cleanup.h"

#define CORE_TYPES                                          \
	{ "addr", DAMOS_FILTER_TYPE_ADDR, V(6, 6) },        \
	{                                                   \
		"target", DAMOS_FILTER_TYPE_TARGET, V(6, 6) \
	}
#define OPS_TYPES                                                                                \
	{ "anon", DAMOS_FILTER_TYPE_ANON, 0 }, { "active", DAMOS_FILTER_TYPE_ACTIVE, V(6, 15) }, \
		{ "memcg", DAMOS_FILTER_TYPE_MEMCG, 0 },                                         \
		{ "young", DAMOS_FILTER_TYPE_YOUNG, V(6, 10) },                                  \
		{ "hugepage_size", DAMOS_FILTER_TYPE_HUGEPAGE_SIZE, V(6, 15) },                  \
	{                                                                                        \
		"unmapped", DAMOS_FILTER_TYPE_UNMAPPED, V(6, 15)                                 \
	}

static const struct keyword filter_type_words[] = { OPS_TYPES, CORE_TYPES, { 0 } };

/* A new filter is for anonymous pages, even where that cannot be written. */
static const struct keyword core_type_words[] = { CORE_TYPES,
						  { "anon", DAMOS_FILTER_TYPE_ANON, KEYWORD_NEVER },
						  { 0 } };

static const struct keyword ops_type_words[] = { OPS_TYPES, { 0 } };

#define FILTER_FILES(words)                                                                  \
	KEYWORD("type", 0600, struct filter_dir, type, words),                               \
		FLAG("matching", 0600, struct filter_dir, matching),                         \
		FLAG("allow", 0600, struct filter_dir, allow, .since = V(6, 14)),            \
		TEXT("memcg_path", 0600, struct filter_dir, memcg_path),                     \
		NUMBER("addr_start", 0600, struct filter_dir, addr_start, .since = V(6, 6)), \
		NUMBER("addr_end", 0600, struct filter_dir, addr_end, .since = V(6, 6)),     \
		NUMBER("min", 0600, struct filter_dir, min, .since = V(6, 15)),              \
		NUMBER("max", 0600, struct filter_dir, max, .since = V(6, 15)),              \
		INT("damon_target_idx", 0600, struct filter_dir, target_idx, .since = V(6, 6))

static const struct file_type filter_files[] = { FILTER_FILES(filter_type_words) };
static const struct file_type core_filter_files[] = { FILTER_FILES(core_type_words) };
static const struct file_type ops_filter_files[] = { FILTER_FILES(ops_type_words) };

static const struct keyword probe_type_words[] = {
	{ "anon", DAMOS_FILTER_TYPE_ANON, 0 },
	{ "memcg", DAMOS_FILTER_TYPE_MEMCG, 0 },
	{ 0 },
};

static const struct file_type probe_filter_files[] = {
	KEYWORD("type", 0600, struct filter_dir, type, probe_type_words),
	FLAG("matching", 0600, struct filter_dir, matching),
	FLAG("allow", 0600, struct filter_dir, allow),
	TEXT("path", 0600, struct filter_dir, memcg_path),
};

static void filter_clear(struct dir *dir)
{
	file_free_text(dir, ((struct filter_dir *)dir)->memcg_path);
}

#define FILTER_KIND(name_, files_)                                                     \
	{                                                                              \
		.name = (name_), .size = sizeof(struct filter_dir), .files = (files_), \
		.nr_files = ARRAY_SIZE(files_), .clear = filter_clear,                 \
	}

const struct dir_kind filter_kind = FILTER_KIND("filter", filter_files);
const struct dir_kind core_filter_kind = FILTER_KIND("core filter", core_filter_files);
const struct dir_kind ops_filter_kind = FILTER_KIND("ops filter", ops_filter_files);
const struct dir_kind probe_filter_kind = FILTER_KIND("probe filter", probe_filter_files);
