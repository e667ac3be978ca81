/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `damonfs check': what works here, and what adds what does not. */
#ifndef DAMONFS_FS_CHECK_CHECK_H
#define DAMONFS_FS_CHECK_CHECK_H

/*
 * Runs `damonfs check [--json] [PID]'.
 * Return: the exit status: 0 if a mount works and every access is seen, 1 if less works, 2 if
 * damonfs is of no use here or could not find out.
 */
int check_main(int argc, char **argv);

#endif
