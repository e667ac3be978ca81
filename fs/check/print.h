/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `damonfs check' found, for people. */
#ifndef DAMONFS_FS_CHECK_PRINT_H
#define DAMONFS_FS_CHECK_PRINT_H

#include <jansson.h>

/* Prints the object REPORT of check.c. */
void print_check(json_t *report);

#endif
