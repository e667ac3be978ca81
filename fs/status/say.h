/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Printing what others wrote, as mounts and their paths are anybody's. */
#ifndef DAMONFS_FS_STATUS_SAY_H
#define DAMONFS_FS_STATUS_SAY_H

#include <jansson.h>
#include <stdio.h>

/*
 * As fprintf(), but what would move a terminal's cursor, or give it a command, is `?'.  FORMAT may
 * end with a newline, and has no other.
 */
__attribute__((format(printf, 2, 3))) void say(FILE *file, const char *format, ...);

/* Return: TEXT as JSON, NULL if there is no memory; if it is not UTF-8, with `?' for other bytes. */
json_t *say_json(const char *text);

#endif
