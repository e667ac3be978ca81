/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's events damon:* for those who record them: in the mount namespace of `damonfs exec',
 * they are uprobes on the functions of engine/trace.c, under the names and with the texts of the
 * kernel's own, which are hidden.
 */
#ifndef DAMONFS_FS_EXEC_TRACING_H
#define DAMONFS_FS_EXEC_TRACING_H

#include "fs/janitor.h"

struct tracing;

/*
 * Gets ready to make events, in our own mount namespace.
 * Return: 0, and in *CLEAN_UP what a janitor is to do, which is to be started before they are made,
 * with *OUT as its argument; or a negative errno: there is no tracefs, or it is not ours to change.
 */
int tracing_prepare(struct tracing **out, struct clean_up *clean_up);

/* Makes those that Linux ABI has: FILE is the program they are in.  Return: 0 or a negative errno. */
int tracing_start(const struct tracing *tracing, unsigned int abi, const char *file);

#endif
