/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `damonfs upgrade': mounts go on by the version of damonfs that is installed now. */
#ifndef DAMONFS_FS_STATUS_UPGRADE_H
#define DAMONFS_FS_STATUS_UPGRADE_H

/* Return: the exit status. */
int upgrade_main(int argc, char **argv);

#endif
