/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `damonfs status': what mounts of damonfs say of themselves. */
#ifndef DAMONFS_FS_STATUS_STATUS_H
#define DAMONFS_FS_STATUS_STATUS_H

/* Return: the exit status. */
int status_main(int argc, char **argv);

#endif
