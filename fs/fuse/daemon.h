/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Going to the background, and telling whoever started us whether it went well. */
#ifndef DAMONFS_FS_FUSE_DAEMON_H
#define DAMONFS_FS_FUSE_DAEMON_H

struct daemon {
	int waits; /* the original process waits at its other end; -1: nobody does */
};

/*
 * Goes on in a child with a session of its own.  The original process waits for daemon_is_ready()
 * and ends with success, or with failure if the child ends first.
 * Return: 0 in the child, or a negative errno.
 */
int daemon_begin(struct daemon *daemon);

/*
 * Lets go of the working directory, and of standard input and output if we are in the background.
 * Return: 0 or a negative errno.
 */
int daemon_let_go(struct daemon *daemon);

/*
 * Says that it serves: lets go of the working directory and standard input and output, and ends the
 * wait.  Return: 0, or -EPIPE if who waited has given up.
 */
int daemon_is_ready(struct daemon *daemon);

#endif
