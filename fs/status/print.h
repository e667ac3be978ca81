/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A mount's status, for people. */
#ifndef DAMONFS_FS_STATUS_PRINT_H
#define DAMONFS_FS_STATUS_PRINT_H

#include <jansson.h>

/* Prints MOUNT, the object of report_status() with its "mountpoint", to stdout. */
void print_status(json_t *mount);

#endif
