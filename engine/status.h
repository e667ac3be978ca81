/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a kdamond tells people of itself, besides what the kernel's tells. */
#ifndef DAMONFS_ENGINE_STATUS_H
#define DAMONFS_ENGINE_STATUS_H

#include "engine/types.h"

/*
 * Fills STATUS, which may hold an older one, from CTX, of the calling thread, at NOW (us).
 * Return: 0, or -ENOMEM and STATUS is empty.
 */
int damon_status_fill(struct damon_status *status, const struct damon_context *ctx, uint64_t now);

#endif
