/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tools look at besides the trees, in the mount namespace of `damonfs exec'. */
#ifndef DAMONFS_FS_EXEC_ISOLATE_H
#define DAMONFS_FS_EXEC_ISOLATE_H

#include "fs/janitor.h"

/*
 * Re-executes a private copy of our program, so that probes on it see no other damonfs.
 * Returns only if it cannot, or in that copy.
 */
void isolate_program(char **argv);

/* Hides the parameters of the kernel's DAMON modules: they belong to the real DAMON. */
void isolate_modules(void);

/*
 * Gives damo private files for what it remembers of the system (in $HOME): it knows a system by the
 * kernel's release, which does not tell damonfs from the kernel.
 * Return: 0 and *CLEAN_UP for a janitor to do afterwards, or -ENOENT: there is nothing to do.
 */
int isolate_damo(struct clean_up *clean_up);

#endif
