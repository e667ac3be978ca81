/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The events damon:* for recording tools: in the mount namespace of `damonfs exec', they are
 * uprobes on the functions of engine/trace.c, with the names and texts of the kernel's own, which
 * are hidden.
 */
#ifndef DAMONFS_FS_EXEC_TRACING_H
#define DAMONFS_FS_EXEC_TRACING_H

#include "fs/janitor.h"

struct tracing;

/*
 * Gets ready to make events, in our own mount namespace.
 * Return: 0 and *CLEAN_UP, with *OUT as its argument, for a janitor to start before the events are
 * made; or a negative errno: there is no tracefs, or we may not change it.
 */
int tracing_prepare(struct tracing **out, struct clean_up *clean_up);

/* Makes the events that Linux ABI has, in the program FILE.  Return: 0 or a negative errno. */
int tracing_start(const struct tracing *tracing, unsigned int abi, const char *file);

#endif
