/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's events damon:* for those who record them: in the mount namespace of `damonfs exec',
 * they are uprobes on the functions of engine/trace.c, under the names and with the texts of the
 * kernel's own, which are hidden.
 */
#ifndef DAMONFS_FS_TRACING_H
#define DAMONFS_FS_TRACING_H

struct tracing;

/*
 * Makes the events that Linux ABI has, in our own mount namespace: FILE is the program that they
 * are in.  They are unmade when we end, in whatever way: a process of its own sees to that, which
 * also removes the file LITTER, on which something is mounted, unless that is NULL or not empty.
 *
 * Return: 0 and *OUT, or a negative errno: where there is no tracefs, or it is not ours to change.
 */
int tracing_start(unsigned int abi, const char *file, const char *litter, struct tracing **out);

/* Unmakes them, and waits a moment for that.  TRACING may be NULL. */
void tracing_end(struct tracing *tracing);

#endif
