/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A record of an input, and the request, or the small session with one file, that it stands for. */
#ifndef DAMONFS_TESTS_FUZZ_RECORD_H
#define DAMONFS_TESTS_FUZZ_RECORD_H

#include "tests/fuzz/requests/kernel.h"

/* What its numbers mean, modulo what there is, depends on the request. */
struct record {
	uint8_t what, who, node, name, text, handle;
	uint16_t path;
	uint32_t size, raw;
	uint64_t offset;
	char bytes[24];
};

void record_play(struct kernel *kernel, const struct record *record);

/* Opens a file, writes TEXT, or what the record says if that is NULL, and closes it. */
void record_store(struct kernel *kernel, const char *path, const char *text,
		  const struct record *record, struct sender sender);

#endif
