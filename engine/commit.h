/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Applying a new description to a running context. */
#ifndef DAMONFS_ENGINE_COMMIT_H
#define DAMONFS_ENGINE_COMMIT_H

#include "engine/types.h"

/*
 * Applies DESC to the running context, as Linux 6.12 does: schemes, targets, attributes,
 * operations.
 * Return: 0; or a negative errno and nothing changed, though the thread may be `stranded'.
 */
int damon_context_commit(struct damon_context *ctx, struct damon_desc *desc);
int damos_commit_goals(struct damon_context *ctx, struct damon_desc *desc);

#endif
