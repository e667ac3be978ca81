/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What C should have had. */
#ifndef DAMONFS_UTIL_MACROS_H
#define DAMONFS_UTIL_MACROS_H

#include <stddef.h>

/* A page, and what a 2 MiB entry maps, in bytes: x86-64, arm64 with 4 KiB pages. */
#define PAGE	  4096UL
#define HUGE_PAGE (2UL << 20)

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The larger one. */
static inline unsigned long max_ul(unsigned long a, unsigned long b)
{
	return a > b ? a : b;
}

/* The smaller one. */
static inline unsigned long min_ul(unsigned long a, unsigned long b)
{
	return a < b ? a : b;
}

#endif
