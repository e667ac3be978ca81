/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers on a command line. */
#ifndef DAMONFS_UTIL_NUMBER_H
#define DAMONFS_UTIL_NUMBER_H

/* A decimal number up to MAX without anything around it.  Return: 0 and *OUT, or -EINVAL. */
int number_scan(const char *text, unsigned int max, unsigned int *out);

#endif
