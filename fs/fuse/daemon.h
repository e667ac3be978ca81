/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Going to the background, where whoever started us is told whether it went well. */
#ifndef DAMONFS_FS_FUSE_DAEMON_H
#define DAMONFS_FS_FUSE_DAEMON_H

struct daemon {
	int waits; /* the process that was started waits at its other end; -1: nobody does */
};

/*
 * Goes on in a child with a session of its own.  The process that was started waits for
 * daemon_is_ready() and ends, with success; or with failure when the child ends before.
 * Return: 0 in the child, or a negative errno.
 */
int daemon_begin(struct daemon *daemon);

/*
 * It serves: the working directory and standard input and output are nobody's any more, and nobody
 * waits.  Return: 0, or -EPIPE if who waited has given up.
 */
int daemon_is_ready(struct daemon *daemon);

#endif
