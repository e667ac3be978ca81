/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FUSE requests in, replies out.
 *
 * One thread reads requests and never waits for anything else: a request that cannot be answered at
 * once is held, and the answerer answers it (answer.h).
 */
#ifndef DAMONFS_FS_FUSE_SESSION_H
#define DAMONFS_FS_FUSE_SESSION_H

#include "fs/options.h"

struct session;
struct shared;

/* What to do after a signal. */
enum session_next { SESSION_GO_ON, SESSION_END, SESSION_HAND_OVER };

/* What session_serve() returns besides 0 and an error. */
enum { SESSION_HANDED_OVER = 1 };

/*
 * Makes the tree and mounts it at MOUNTPOINT, cleaning up what a dead damonfs left there.
 * Return: 0 and *OUT, or a negative errno after saying why in the log.
 */
int session_mount(struct options *options, const char *mountpoint, struct session **out);

/*
 * Makes the tree for the mount that the keeper has made, by a copy of FD, its descriptor of
 * /dev/fuse.  GENERATION daemons were started before; if there are any, session_serve() goes on
 * where the last one was.
 * Return: as session_mount().
 */
int session_take_over(struct options *options, int fd, struct shared *shared,
		      unsigned int generation, struct session **out);

/*
 * Waits until the kernel and we agree about the mount: not every mount can be served.
 * Return: 0, -EINTR if one of SIGNALS came meanwhile, or another negative errno.
 */
int session_begin(struct session *session, int signals);

/*
 * Serves requests, even without session_begin(), until the mount is gone, or ON_SIGNAL answers so to
 * a signal from the descriptor SIGNALS (of signalfd(2)).  Before a session that others are after is
 * handed over, what is held is answered; that may take two seconds, and then it is EINTR.
 * Return: 0, SESSION_HANDED_OVER, and then the next daemon is to serve, or a negative errno.
 */
int session_serve(struct session *session, int signals,
		  enum session_next (*on_signal)(int number, void *argument), void *argument);

/*
 * Stops all kdamonds, unmounts what we mounted, and frees everything.  If the kernel keeps a
 * kdamond from ending within five seconds, logs that and leaves it: the program must end then.
 */
void session_end(struct session *session);

#endif
