/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Regions of a target: an array, ascending by address. */
#ifndef DAMONFS_ENGINE_REGION_H
#define DAMONFS_ENGINE_REGION_H

#include "engine/types.h"

/* In bytes, or units of addresses (addr_unit). */
static inline uint64_t damon_sz_region(const struct damon_region *region)
{
	return region->end - region->start;
}

/* To multiples of UNIT, a power of two. */
static inline uint64_t align_down(uint64_t address, uint64_t unit)
{
	return address & ~(unit - 1);
}
static inline uint64_t align_up(uint64_t address, uint64_t unit)
{
	return align_down(address + unit - 1, unit);
}

/* Makes room for NR regions and as many probes.  Return: 0 or -ENOMEM. */
int damon_reserve_regions(struct damon_target *target, size_t nr);

/* Inserts a region with zero counters at INDEX.  Return: 0 or -ENOMEM. */
int damon_insert_region(struct damon_target *target, size_t index, uint64_t start, uint64_t end);

/*
 * Splits region INDEX after SZ bytes, 0 < SZ < its size; the right part follows it.
 * Return: 0 or -ENOMEM.
 */
int damon_split_region_at(struct damon_target *target, size_t index, uint64_t sz);

/* How many more regions CTX may have; SIZE_MAX: any number. */
size_t damon_regions_left(const struct damon_context *ctx);

/*
 * As damon_split_region_at(), within the region limit of CTX; logs once what prevents it.
 * Return: 0, or -ENOMEM and nothing changed.
 */
int damon_cut_region(struct damon_context *ctx, struct damon_target *target, size_t index,
		     uint64_t sz);

/* Logs, once, that the region limit is reached, or that there is no memory for more. */
void damon_tell_full(struct damon_context *ctx);
void damon_tell_short(struct damon_context *ctx);

/*
 * Fits the target's regions to NR ascending ranges, whose bounds are aligned to MIN_SZ
 * (docs/abi/engine.md section 4; kernel: damon_set_regions()).
 * Return: 0; or, with nothing changed, -EINVAL, -ENOMEM, or -ENOSPC for more than MOST regions.
 */
int damon_set_regions(struct damon_target *target, const struct damon_addr_range *ranges, size_t nr,
		      uint64_t min_sz, size_t most);

/*
 * Splits region INDEX into NR_PIECES even pieces, the last with the remainder.
 * Return: 0 or -ENOMEM.
 */
int damon_evenly_split_region(struct damon_target *target, size_t index, size_t nr_pieces);

/* Regions of all targets. */
size_t damon_nr_regions(const struct damon_context *ctx);

/* How often a region is accessed, as schemes see it. */
static inline uint32_t damos_nr_accesses(const struct damon_region *region)
{
	return region->nr_accesses_bp / 10000;
}

#endif
