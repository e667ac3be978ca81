/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random numbers for sampling: xoshiro256** of D. Blackman and S. Vigna (2018, public domain), a
 * nanosecond a number and repeatable from a seed.  libc's generators are ten times slower, or have
 * 31 bits, or global state; regions may be larger than 4 GiB.
 */
#ifndef DAMONFS_UTIL_RANDOM_H
#define DAMONFS_UTIL_RANDOM_H

#include <stdint.h>

/* X rotated to the left by K bits. */
static inline uint64_t random_rotate(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

/* The next number, of 64 bits, of the state S. */
static inline uint64_t random_next(uint64_t s[4])
{
	uint64_t result = random_rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = random_rotate(s[3], 45);
	return result;
}

/* The upper half of the product. */
static inline uint64_t random_multiply_high(uint64_t a, uint64_t b)
{
#ifdef __bpf__
	/* A machine without such a multiplication. */
	uint64_t low = (a & 0xffffffff) * (b & 0xffffffff), cross = (a >> 32) * (b & 0xffffffff);
	uint64_t middle = (a & 0xffffffff) * (b >> 32) + (low >> 32) + (cross & 0xffffffff);

	return (a >> 32) * (b >> 32) + (cross >> 32) + (middle >> 32);
#else
	return (uint64_t)(((unsigned __int128)a * b) >> 64);
#endif
}

/* Uniform in [low, high), low < high; the bias of less than 2^-64 of the range does not matter. */
static inline uint64_t random_range(uint64_t s[4], uint64_t low, uint64_t high)
{
	return low + random_multiply_high(random_next(s), high - low);
}

/* Spreads a seed over the state: splitmix64. */
static inline void random_seed(uint64_t s[4], uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
		s[i] = z ^ z >> 31;
	}
}

#endif
