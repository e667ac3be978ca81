/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A scheme's watermarks. */
#ifndef DAMONFS_ENGINE_WATERMARK_H
#define DAMONFS_ENGINE_WATERMARK_H

#include "engine/types.h"

/* Whether any scheme has a metric to watch. */
bool damos_has_watermarks(const struct damon_context *ctx);

/*
 * Switches the schemes on or off by their watermarks.
 * Return: 0 to go on monitoring, or how long (us) to rest because no scheme is active.
 */
uint64_t damos_check_watermarks(struct damon_context *ctx);

/* The rule for one scheme and a METRIC in thousandths; returns the wait that it contributes. */
uint64_t damos_watermark_wait(struct damos *scheme, uint64_t metric);

#endif
