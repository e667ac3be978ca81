/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How memory is used, in a few figures: those of the kernel's module DAMON_STAT. */
#ifndef DAMONFS_ENGINE_SUMMARY_H
#define DAMONFS_ENGINE_SUMMARY_H

#include "engine/types.h"

/*
 * Sums up all regions of CTX, by the last whole aggregation: the kernel's takes the one under way,
 * which shows half of the accesses in the mean.  Source: docs/kernel-modules.md section 6.
 * Return: 0, or -ENOMEM.
 */
int damon_summarise(const struct damon_context *ctx, struct damon_summary *out);

#endif
