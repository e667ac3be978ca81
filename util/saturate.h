/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arithmetic that stops at the largest number.  Users give intervals and sizes of up to 2^64-1: an
 * event that far ahead never comes, but a sum that wraps would make it overdue.
 */
#ifndef DAMONFS_UTIL_SATURATE_H
#define DAMONFS_UTIL_SATURATE_H

#include <stdint.h>

/* A + B, or UINT64_MAX. */
static inline uint64_t add_sat(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* A * B, or UINT64_MAX. */
static inline uint64_t mul_sat(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

#endif
