// SPDX-License-Identifier: LGPL-2.1-or-later
/* Regions of a target: making, cutting and fitting them to ranges. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/region.h"
#include "util/cleanup.h"
#include "util/log.h"

size_t damon_nr_regions(const struct damon_context *ctx)
{
	size_t nr = 0;

	for (size_t t = 0; t < ctx->nr_targets; t++)
		nr += ctx->targets[t].nr_regions;
	return nr;
}

int damon_reserve_regions(struct damon_target *target, size_t nr)
{
	void *more;

	if (nr > target->room) {
		nr = max_ul(nr, target->room * 2);
		more = reallocarray(target->regions, nr, sizeof(*target->regions));
		if (!more)
			return -ENOMEM;
		target->regions = more;
		target->room = nr;
	}
	if (target->room > target->probe_room) {
		more = reallocarray(target->probes, target->room, sizeof(*target->probes));
		if (!more)
			return -ENOMEM;
		target->probes = more;
		target->probe_room = target->room;
	}
	return 0;
}

/* Opens a gap of NR regions before INDEX. */
static int open_gap(struct damon_target *target, size_t index, size_t nr)
{
	int r = damon_reserve_regions(target, target->nr_regions + nr);

	if (r)
		return r;
	memmove(&target->regions[index + nr], &target->regions[index],
		(target->nr_regions - index) * sizeof(*target->regions));
	target->nr_regions += nr;
	return 0;
}

int damon_insert_region(struct damon_target *target, size_t index, uint64_t start, uint64_t end)
{
	int r = open_gap(target, index, 1);

	if (!r)
		target->regions[index] = (struct damon_region){ .start = start, .end = end };
	return r;
}

int damon_split_region_at(struct damon_target *target, size_t index, uint64_t sz)
{
	int r = open_gap(target, index + 1, 1);

	if (r)
		return r;
	target->regions[index + 1] = target->regions[index];
	target->regions[index].end = target->regions[index].start + sz;
	target->regions[index + 1].start = target->regions[index].end;
	return 0;
}

size_t damon_regions_left(const struct damon_context *ctx)
{
	size_t nr = ctx->max_total_regions ? damon_nr_regions(ctx) : 0;

	if (!ctx->max_total_regions)
		return SIZE_MAX;
	return ctx->max_total_regions > nr ? ctx->max_total_regions - nr : 0;
}

void damon_tell_full(struct damon_context *ctx)
{
	if (!ctx->told_full)
		log_info("a context has reached its limit of %zu regions: they are not split any "
			 "further, and schemes skip those that they would have to split; lower "
			 "nr_regions/min, or raise nr_regions/max or -o max_regions",
			 ctx->max_total_regions);
	ctx->told_full = true;
}

void damon_tell_short(struct damon_context *ctx)
{
	if (!ctx->told_short)
		log_error("out of memory for more regions: they are not split any further, and "
			  "schemes skip those that they would have to split");
	ctx->told_short = true;
}

int damon_cut_region(struct damon_context *ctx, struct damon_target *target, size_t index,
		     uint64_t sz)
{
	int r;

	if (!damon_regions_left(ctx)) {
		damon_tell_full(ctx);
		return -ENOMEM;
	}
	r = damon_split_region_at(target, index, sz);
	if (r)
		damon_tell_short(ctx);
	return r;
}

int damon_evenly_split_region(struct damon_target *target, size_t index, size_t nr_pieces)
{
	struct damon_region whole = target->regions[index];
	uint64_t piece;
	int r;

	if (!nr_pieces)
		return 0;
	piece = align_down(damon_sz_region(&whole) / nr_pieces, DAMON_MIN_REGION);
	if (!piece)
		return 0;
	r = open_gap(target, index + 1, nr_pieces - 1);
	if (r)
		return r;
	for (size_t i = 0; i < nr_pieces; i++)
		target->regions[index + i] = (struct damon_region){
			.start = whole.start + i * piece,
			.end = i + 1 < nr_pieces ? whole.start + (i + 1) * piece : whole.end,
		};
	return 0;
}

int damon_check_ranges(const struct damon_addr_range *ranges, size_t nr, uint64_t min_sz)
{
	for (size_t i = 0; i < nr; i++) {
		uint64_t end = align_up(ranges[i].end, min_sz);

		if (align_down(ranges[i].start, min_sz) >= end)
			return -EINVAL;
		if (i + 1 < nr && end > align_down(ranges[i + 1].start, min_sz))
			return -EINVAL;
	}
	return 0;
}

static bool intersect(const struct damon_region *region, const struct damon_addr_range *range)
{
	return region->start < range->end && range->start < region->end;
}

/* Drops the old regions that meet no range.  Both ascend.  Return: how many are left. */
static size_t drop_outside(struct damon_region *regions, size_t nr,
			   const struct damon_addr_range *ranges, size_t nr_ranges)
{
	size_t kept = 0, range = 0;

	for (size_t i = 0; i < nr; i++) {
		while (range < nr_ranges && ranges[range].end <= regions[i].start)
			range++;
		if (range < nr_ranges && intersect(&regions[i], &ranges[range]))
			regions[kept++] = regions[i];
	}
	return kept;
}

/* Regions in the making, with room for all that there can be. */
struct list {
	struct damon_region *regions;
	size_t nr;
};

/* Appends the NR old regions of one range, stretched to its bounds, and fills the holes. */
static void append_range(struct list *list, struct damon_region *old, size_t nr,
			 const struct damon_addr_range *range, uint64_t min_sz)
{
	uint64_t start = align_down(range->start, min_sz), end = align_up(range->end, min_sz);

	if (!nr) {
		list->regions[list->nr++] = (struct damon_region){ .start = start, .end = end };
		return;
	}
	old[0].start = start;
	old[nr - 1].end = end;
	for (size_t i = 0; i < nr; i++) {
		if (i && old[i - 1].end != old[i].start)
			list->regions[list->nr++] = (struct damon_region){ .start = old[i - 1].end,
									   .end = old[i].start };
		list->regions[list->nr++] = old[i];
	}
}

int damon_set_regions(struct damon_target *target, const struct damon_addr_range *ranges, size_t nr,
		      uint64_t min_sz, size_t most)
{
	int r = damon_check_ranges(ranges, nr, min_sz);
	_cleanup_free_ struct damon_region *old = NULL, *fresh = NULL;
	struct list list;
	size_t nr_old, at = 0;

	if (r)
		return r;
	/* Each range has a region of its own, or old ones, with holes between them. */
	old = malloc(max_ul(target->nr_regions, 1) * sizeof(*old));
	fresh = reallocarray(NULL, 2 * target->nr_regions + nr + 1, sizeof(*fresh));
	if (!old || !fresh)
		return -ENOMEM;
	list = (struct list){ .regions = fresh };
	if (target->nr_regions)
		memcpy(old, target->regions, target->nr_regions * sizeof(*old));
	nr_old = drop_outside(old, target->nr_regions, ranges, nr);
	for (size_t i = 0; i < nr; i++) {
		size_t first = at;

		/* A region that reaches into the next range too belongs to this one. */
		while (at < nr_old && old[at].start < ranges[i].end)
			at++;
		append_range(&list, &old[first], at - first, &ranges[i], min_sz);
	}
	if (list.nr > most)
		return -ENOSPC;
	r = damon_reserve_regions(target, list.nr);
	if (r)
		return r;
	if (list.nr)
		memcpy(target->regions, fresh, list.nr * sizeof(*fresh));
	target->nr_regions = list.nr;
	return 0;
}
