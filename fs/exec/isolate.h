/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tools look at beside the trees, in the mount namespace of `damonfs exec'. */
#ifndef DAMONFS_FS_EXEC_ISOLATE_H
#define DAMONFS_FS_EXEC_ISOLATE_H

#include "fs/janitor.h"

/*
 * Goes on from a copy of our program that is nobody else's: probes on it see no other damonfs.
 * Returns only if it cannot, or if we are that copy.
 */
void isolate_program(char **argv);

/* Hides the parameters of the kernel's modules that are DAMON's: they would be of the real one. */
void isolate_modules(void);

/*
 * Gives damo files of its own for what it remembers of the system (in $HOME), since it goes by the
 * kernel's release, which does not tell who answered.
 * Return: 0, and in *CLEAN_UP what a janitor is to do afterwards, or -ENOENT: there is nothing to
 * do.
 */
int isolate_damo(struct clean_up *clean_up);

#endif
