/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sampling rounds that need no worker, where the access method can make them (access_unattended). */
#ifndef DAMONFS_ENGINE_UNATTENDED_H
#define DAMONFS_ENGINE_UNATTENDED_H

#include "engine/types.h"

/*
 * Leaves all rounds before the one in which something is due, the first at FIRST, or at DEADLINE if
 * that is later (us).  CTX must not be touched before damon_resume_rounds().
 * Return: how many, and *WAKE, a borrowed file that becomes readable if the worker is needed
 * earlier; or 0 if the worker has to make the next round.
 */
uint64_t damon_leave_rounds(struct damon_context *ctx, uint64_t deadline, uint64_t first,
			    int *wake);

/*
 * Takes the rounds back at NOW, and counts what was seen in them.  *PREPARED is when the regions
 * were prepared last (us), if there was a round.  Return: how many there were.
 */
uint64_t damon_resume_rounds(struct damon_context *ctx, uint64_t now, uint64_t *prepared);

#endif
