/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The access methods there are, for access.c's table. */
#ifndef DAMONFS_ACCESS_METHODS_METHODS_H
#define DAMONFS_ACCESS_METHODS_METHODS_H

#include <fcntl.h>

#include "access/access.h"

extern const struct access_method access_idle;
extern const struct access_method access_softdirty;
/* Where they are built: HAVE_YOUNG. */
extern const struct access_method access_young;
extern const struct access_method access_idle_walk;
extern const struct access_method access_referenced;
extern const struct access_method access_simulated;

/*
 * Whether PROCESS, or physical memory if it is NULL, may be watched by its frames.
 * Return: 0, or -EPERM and WHY.
 */
int idle_may_watch(const struct process *process, struct access_why *why);

#endif
