/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking a new description over while running. */
#ifndef DAMONFS_ENGINE_COMMIT_H
#define DAMONFS_ENGINE_COMMIT_H

#include "engine/types.h"

/*
 * Takes DESC over while running, as Linux 6.12 does: schemes, targets, attributes, operations.
 * Return: 0; or a negative errno, and nothing changed, but that the thread may be `stranded'.
 */
int damon_ctx_commit(struct damon_ctx *ctx, struct damon_desc *desc);
int damos_commit_goals(struct damon_ctx *ctx, struct damon_desc *desc);

#endif
