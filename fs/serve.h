/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Serving a mount from the first request to the last. */
#ifndef DAMONFS_FS_SERVE_H
#define DAMONFS_FS_SERVE_H

#include "fs/fuse/session.h"
#include "fs/options.h"

/*
 * Has signals that end damonfs, and the NR_MORE of MORE, come through a descriptor; threads made
 * later inherit the mask.
 * Return: the descriptor, or a negative errno after saying why.
 */
int serve_open_signals(const int *more, size_t nr_more);

/*
 * Gets ready to serve others, and to do without what was needed until now; privileges_settle() is
 * next.  LIMITED: what we have is not for other callers than who started us.
 * Return: 0 or a negative errno.
 */
int serve_prepare(const struct options *options, bool limited);

/*
 * Serves SESSION until its end, and ends it.  SERVES is called with ARGUMENT once all is ready, and
 * returns 0 or a negative errno, and then it is not served.  SIGUSR2 from SIGNALS hands it over.
 * Return: 0; SESSION_HANDED_OVER, and then SESSION stays as it is, and the process must end at
 * once; or a negative errno, after saying why.
 */
int serve_session(struct options *options, int (*serves)(void *argument), void *argument,
		  struct session *session, int signals);

#endif
