/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Going to the background, and telling whoever started us whether it went well. */
#ifndef DAMONFS_FS_FUSE_DAEMON_H
#define DAMONFS_FS_FUSE_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

struct daemon {
	int waits; /* the original process waits at its other end; -1: nobody does */
	bool talks; /* it keeps standard input and output */
};

/* What daemon_fork() returns in the original process. */
#define DAEMON_IS_READY 1

/*
 * Goes on in a child with a session of its own.  The original process waits for daemon_is_ready().
 * Return: 0 in the child; in the original process DAEMON_IS_READY and *CHILD, or -ECHILD if the
 * child ended first, and was waited for; or another negative errno if there is none.
 */
int daemon_fork(struct daemon *daemon, pid_t *child);

/*
 * The same, but the original process ends: with success, or with failure if the child ends first.
 * Return: 0 in the child, or a negative errno.
 */
int daemon_begin(struct daemon *daemon);

/*
 * Lets go of the working directory, and of standard input and output if somebody waits and it does
 * not talk.
 * Return: 0 or a negative errno.
 */
int daemon_let_go(struct daemon *daemon);

/*
 * Says that it serves: lets go of the working directory and standard input and output, and ends the
 * wait.  Return: 0, or -EPIPE if who waited has given up.
 */
int daemon_is_ready(struct daemon *daemon);

#endif
