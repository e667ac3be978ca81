/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an input can say: requests, files and what is written to them. */
#ifndef DAMONFS_TESTS_FUZZ_WORDS_H
#define DAMONFS_TESTS_FUZZ_WORDS_H

#include <stddef.h>
#include <stdint.h>

/* Files with what is likely to be taken. */
struct command {
	const char *path, *text;
};

extern const struct command commands[];
extern const size_t nr_commands;

/* The first ones make one of each; then follows what both trees can be turned on with, and that. */
#define NR_MAKING     14
#define NR_SYSFS_ON   28
#define NR_DEBUGFS_ON 34

extern const char *const words[];
extern const size_t nr_words;

struct opcode {
	uint32_t opcode;
	uint8_t arguments; /* bytes before the names */
	uint8_t names;
};

extern const struct opcode opcodes[];
extern const size_t nr_opcodes;

/* The first ones, of which most inputs are made. */
#define NR_USUAL 11

#endif
