/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the kernel's files read what is written to them: kstrtoul(), kstrtobool() and sysfs_streq() in
 * all their details, which strtoul() and its like do not have.  Each takes a text that ends in NUL.
 */
#ifndef DAMONFS_FS_PARSE_H
#define DAMONFS_FS_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * An unsigned number up to MAX: decimal, 0x hexadecimal or 0 octal; one leading `+' and one trailing
 * newline are allowed and nothing else.  Return: 0 and *OUT, -EINVAL, or -ERANGE above MAX.
 */
int parse_unsigned(const char *text, uint64_t max, uint64_t *out);

/* The same with a `-', in the range of an int. */
int parse_int(const char *text, int *out);

/* Decided by the first character: yYtT1 on, nNfF0 off, oO by the next one (on, off). */
int parse_flag(const char *text, bool *out);

/* Whether TEXT is WORD, optionally followed by exactly one newline. */
bool parse_is_word(const char *text, const char *word);

#endif
