/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tools look at beside the trees, in the mount namespace of `damonfs exec'. */
#ifndef DAMONFS_FS_SURROUNDINGS_H
#define DAMONFS_FS_SURROUNDINGS_H

/*
 * Goes on from a copy of our program that is nobody else's: probes on it see no other damonfs.
 * Returns only if it cannot, or if we are that copy.
 */
void surroundings_be_alone(char **argv);

/* Hides the parameters of the kernel's modules that are DAMON's: they would be of the real one. */
void surroundings_hide_modules(void);

/*
 * Gives damo a file of its own for what it remembers of the system (~/.damo.sysinfo), since it goes
 * by the kernel's release, which does not tell who answered.
 * Return: the name of an empty file that had to be made for that and is to be removed, or NULL.
 */
const char *surroundings_separate_damo(void);

#endif
