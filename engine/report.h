/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of a kdamond, for its files. */
#ifndef DAMONFS_ENGINE_REPORT_H
#define DAMONFS_ENGINE_REPORT_H

#include "engine/types.h"

/*
 * Fills REPORT, which may hold an older one, from CTX, of the calling thread.
 * Return: 0, or -ENOMEM and REPORT is empty.
 */
int damon_report_fill(struct damon_report *report, const struct damon_context *ctx);

#endif
