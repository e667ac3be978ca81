/* SPDX-License-Identifier: GPL-2.0-or-later */
/* damonfs exec: a command in a mount namespace where a tree of damonfs stands for the kernel's. */
#ifndef DAMONFS_FS_EXEC_EXEC_H
#define DAMONFS_FS_EXEC_EXEC_H

/*
 * Runs `damonfs exec [--at DIR] [-o OPTIONS] [--] COMMAND...'.
 * Return: the exit status: the command's, 128 + the signal that ended it, or 125 if it could not be
 * run, 126 and 127 as shells have it.
 */
int exec_main(int argc, char **argv);

#endif
