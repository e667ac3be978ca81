/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FUSE requests in, replies out.
 *
 * One thread reads requests and never waits for anything else: what cannot be answered at once is
 * held and answered by the answerer (answer.h).
 */
#ifndef DAMONFS_FS_FUSE_SESSION_H
#define DAMONFS_FS_FUSE_SESSION_H

#include "fs/options.h"

struct session;

/*
 * Makes the tree and mounts it at MOUNTPOINT, cleaning up what a dead damonfs left there.
 * Return: 0 and *OUT, or a negative errno after saying why in the log.
 */
int session_mount(struct options *options, const char *mountpoint, struct session **out);

/*
 * Waits until the kernel and we agree about the mount: not all that could be mounted can be served.
 * Return: 0, -EINTR if one of SIGNALS came meanwhile, or another negative errno.
 */
int session_begin(struct session *session, int signals);

/*
 * Serves requests, also without session_begin(), until the mount is gone, until one of the signals
 * in the descriptor SIGNALS (of signalfd(2)) comes for which ON_SIGNAL answers true, or until
 * session_exit(). Return: 0 or a negative errno.
 */
int session_serve(struct session *session, int signals,
		  bool (*on_signal)(int number, void *argument), void *argument);

/*
 * Stops all kdamonds, unmounts and frees everything.  A kdamond that the kernel does not let end
 * within five seconds is told of and left: the program is to end then.
 */
void session_end(struct session *session);

#endif
