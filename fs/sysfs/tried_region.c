// SPDX-License-Identifier: GPL-2.0-or-later
/* tried_regions/N: what a scheme was applied to. */
#include <errno.h>

#include "engine/abi.h"
#include "fs/keep/save.h"
#include "fs/sysfs/sysfs.h"
#include "util/cleanup.h"

static const struct file_type probe_hits_files[] = {
	UINT("hits", 0400, struct probe_hits_dir, hits),
};

static const struct dir_kind probe_hits_kind = {
	.name = "tried region's probe",
	.size = sizeof(struct probe_hits_dir),
	.files = probe_hits_files,
	.nr_files = ARRAY_SIZE(probe_hits_files),
};

static const struct file_type tried_region_files[] = {
	NUMBER("start", 0400, struct tried_region_dir, start),
	NUMBER("end", 0400, struct tried_region_dir, end),
	UINT("nr_accesses", 0400, struct tried_region_dir, nr_accesses),
	UINT("age", 0400, struct tried_region_dir, age),
	NUMBER("sz_filter_passed", 0400, struct tried_region_dir, sz_filter_passed,
	       .since = V(6, 14)),
	LIST("probes", struct tried_region_dir, probes, &probe_hits_kind, .since = V(7, 2),
	     .measured = true),
};

const struct dir_kind tried_region_kind = {
	.name = "tried region",
	.size = sizeof(struct tried_region_dir),
	.files = tried_region_files,
	.nr_files = ARRAY_SIZE(tried_region_files),
};

static const struct file_type *tried_regions_file(void)
{
	return dir_file(&scheme_kind, "tried_regions");
}

/* Return: whether there was something to clear. */
WITH_LOCK(tree_role) static bool clear_scheme(struct scheme_dir *scheme)
{
	if (!scheme->tried_bytes && !scheme->tried_regions.nr)
		return false;
	scheme->tried_bytes = 0;
	dir_populate(&scheme->base, tried_regions_file(), 0, NULL);
	return true;
}

/* For a daemon that takes over. */
WITH_LOCK(tree_role) static void save_scheme(struct scheme_dir *scheme)
{
	save_measured(&scheme->base, tried_regions_file()->path);
}

void tried_regions_clear(struct context_dir *context)
{
	for (size_t s = 0; s < context->schemes.nr; s++)
		if (clear_scheme(context_scheme(context, s)))
			save_scheme(context_scheme(context, s));
}

WITH_LOCK(tree_role) static void save_schemes(struct context_dir *context)
{
	for (size_t s = 0; s < context->schemes.nr; s++)
		save_scheme(context_scheme(context, s));
}

WITH_LOCK(tree_role) static void clear_schemes(struct context_dir *context)
{
	for (size_t s = 0; s < context->schemes.nr; s++)
		clear_scheme(context_scheme(context, s));
}

WITH_LOCK(tree_role)
static void take_bytes(struct context_dir *context, const struct damon_command *command)
{
	clear_schemes(context);
	for (size_t i = 0; i < command->nr_tried; i++) {
		const struct damos_tried_region *tried = &command->tried[i];
		struct scheme_dir *scheme = context_scheme(context, tried->scheme);

		if (scheme)
			scheme->tried_bytes += tried->end - tried->start;
	}
}

int tried_regions_take_bytes(struct context_dir *context, const struct damon_command *command)
{
	take_bytes(context, command);
	save_schemes(context);
	return 0;
}

/* The number of the next directory: among the regions of all schemes, or of its own. */
static unsigned int tried_number(unsigned int abi, const struct scheme_dir *scheme, size_t tried)
{
	size_t nr = scheme->tried_regions.nr;

	if (!abi_numbers_tried_by_scheme(abi))
		return (unsigned int)tried;
	if (!abi_counts_tried_twice(abi))
		return (unsigned int)nr;
	return (unsigned int)(abi_numbers_tried_evenly(abi) ? 2 * nr : 2 * nr + 1);
}

/* Shows the hits of NR probes.  Return: 0 or -ENOMEM. */
WITH_LOCK(tree_role)
static int add_hits(struct tried_region_dir *region, const struct damos_tried_region *tried,
		    size_t nr)
{
	const struct file_type *file = dir_file(&tried_region_kind, "probes");

	for (size_t p = 0; p < nr; p++) {
		struct probe_hits_dir *hits = (struct probe_hits_dir *)dir_add(
			&region->base, file, (unsigned int)p, region->base.account);

		if (!hits)
			return -ENOMEM;
		hits->hits = tried->hits[p];
	}
	return 0;
}

int tried_regions_take(struct context_dir *context, const struct damon_command *command)
{
	const struct file_type *file = tried_regions_file();
	unsigned int abi = context->base.tree->abi;

	take_bytes(context, command);
	for (size_t i = 0; i < command->nr_tried; i++) {
		const struct damos_tried_region *tried = &command->tried[i];
		struct scheme_dir *scheme = context_scheme(context, tried->scheme);
		struct tried_region_dir *region;

		if (!scheme)
			continue;
		region = (struct tried_region_dir *)dir_add(
			&scheme->base, file, tried_number(abi, scheme, i), scheme->base.account);
		/* Some of them would look like all. */
		if (!region || add_hits(region, tried, command->nr_probes)) {
			clear_schemes(context);
			save_schemes(context);
			return -ENOMEM;
		}
		region->start = tried->start;
		region->end = tried->end;
		region->nr_accesses = tried->nr_accesses;
		region->age = tried->age;
		region->sz_filter_passed = tried->sz_filter_passed;
	}
	save_schemes(context);
	return 0;
}
