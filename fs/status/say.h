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

/* The text of KEY in OBJECT, "" if there is none. */
const char *say_text(json_t *object, const char *key);

/* Prints DOCUMENT as JSON for programs.  Return: 0 or -EIO. */
int say_document(const json_t *document);

/* Return: TEXT as JSON, NULL if there is no memory; if it is not UTF-8, with `?' for other bytes. */
json_t *say_json(const char *text);

#endif
