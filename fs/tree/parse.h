/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parsing as the kernel's files do it: kstrtoul(), kstrtobool() and sysfs_streq() in all their
 * details, which strtoul() and its like lack, and sscanf() for the debugfs files.  Each function
 * takes a text that ends in NUL.
 */
#ifndef DAMONFS_FS_TREE_PARSE_H
#define DAMONFS_FS_TREE_PARSE_H

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

/*
 * Decided by the first character: yYtT1 on, nNfF0 off, oO by the next one (on, off); with WORDS
 * also eE (enable) on, dD (disable) off.  Return: 0 and *OUT, or -EINVAL.
 */
int parse_flag(const char *text, bool words, bool *out);

/* Whether TEXT is WORD, optionally followed by exactly one newline. */
bool parse_is_word(const char *text, const char *word);

/*
 * The next number of *TEXT, as the kernel's sscanf() has it: any white space, then decimal digits,
 * of which too many wrap around; a `-' for an int only.  What follows the digits does not matter.
 * Return: whether there is one; then *TEXT is behind it.
 */
bool scan_unsigned(const char **text, uint64_t *out);
bool scan_int(const char **text, int *out);

/* The first word of TEXT, which may be empty, up to white space: its length, and where it begins. */
size_t scan_word(const char *text, const char **word);

#endif
