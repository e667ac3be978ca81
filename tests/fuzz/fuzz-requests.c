// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: the requests of the kernel, in any order, for any inode, with any offset, size
 * and text, from anybody (requests/kernel.h plays the kernel's part and checks the replies).
 *
 * The first byte of an input is how the connection is made; a list of records of a fixed size
 * follows, each a request or a small session with one file.  File handles are those that are open,
 * see requests/kernel.c.
 *
 * Each input has a tree of its own, so that what it finds happens again when it is run alone.  That
 * takes 1.1 ms with the threads and the end of them; half of the inputs begin with a kdamond that
 * runs, which takes 5 ms and more, so that keeping the tree would save little.
 *
 * What is watched are this process and children of it, in a pid namespace of their own, by the
 * simulated method; a system call filter keeps schemes from acting on anything.
 */
#include <string.h>
#include <unistd.h>

#include "fs/root.h"
#include "tests/fuzz/requests/kernel.h"
#include "tests/fuzz/requests/paths.h"
#include "tests/fuzz/requests/record.h"
#include "tests/fuzz/requests/surroundings.h"
#include "tests/fuzz/requests/words.h"
#include "util/cleanup.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	surroundings_prepare();
	paths_collect(DAMON_ABI(7, 2));
	paths_collect(DAMON_ABI(6, 1));
	return 0;
}

/* What there is before the input's own requests. */
static void begin(struct kernel *kernel, unsigned int how)
{
	static const struct {
		size_t from, to; /* of the commands */
	} parts[] = { { 0, 0 },
		      { 0, NR_MAKING },
		      { 0, NR_SYSFS_ON },
		      { 0, NR_SYSFS_ON },
		      { NR_SYSFS_ON, NR_DEBUGFS_ON } };
	size_t part = how % ARRAY_SIZE(parts);
	struct record record = { 0 };

	for (size_t i = parts[part].from; i < parts[part].to; i++) {
		record_store(kernel, commands[i].path, commands[i].text, &record,
			     (struct sender){ getpid(), 0, 0 });
		kernel_settle(kernel);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kernel_setup setup = { .method = surroundings.method };
	struct record record = { 0 };
	struct kernel *kernel;

	if (!size)
		return 0;
	setup.abi = *data & 1 ? DAMON_ABI(6, 1) : DAMON_ABI(7, 2);
	setup.passed = (*data & 0x30) == 0x30;
	setup.ticks = !(*data & 0xf0);
	kernel = kernel_open(&setup);
	begin(kernel, *data >> 1 & 7);
	for (data++, size--; size >= sizeof(record);
	     data += sizeof(record), size -= sizeof(record)) {
		memcpy(&record, data, sizeof(record));
		record_play(kernel, &record);
	}
	kernel_close(kernel);
	return 0;
}

/* ---- mutation: by records, so that what follows keeps its meaning ---- */

static size_t mutate_list(uint8_t *records, size_t nr, size_t room, unsigned int seed)
{
	const size_t size = sizeof(struct record);
	size_t from = nr ? (seed >> 8) % nr : 0, to = nr ? (seed >> 16) % nr : 0;
	uint8_t copy[sizeof(struct record)];

	switch (seed % 8) {
	case 0: /* one less */
		if (nr > 1)
			memmove(records + from * size, records + (from + 1) * size,
				(--nr - from) * size);
		return nr;
	case 1: /* two change places */
		memcpy(copy, records + from * size, size);
		memcpy(records + from * size, records + to * size, size);
		memcpy(records + to * size, copy, size);
		return nr;
	case 2: /* the same once more, at another place */
		if (nr == room)
			return nr;
		memcpy(copy, records + from * size, size);
		memmove(records + (to + 1) * size, records + to * size, (nr - to) * size);
		memcpy(records + to * size, copy, size);
		return nr + 1;
	default:
		LLVMFuzzerMutate(records + from * size, size, size);
		return nr;
	}
}

/* Any, or one that is likely to change something. */
static void add_record(uint8_t *out, unsigned int seed)
{
	struct record record;
	uint8_t bytes[sizeof(record)];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
	memcpy(&record, bytes, sizeof(record));
	if (seed >> 16 & 1) {
		record.what = 0;
		record.who = 0;
		record.raw = 0;
	}
	memcpy(out, &record, sizeof(record));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size_t room = max_size ? (max_size - 1) / sizeof(struct record) : 0;
	size_t nr = size ? min_ul((size - 1) / sizeof(struct record), room) : 0;

	if (!room)
		return LLVMFuzzerMutate(data, size, max_size);
	if (!size)
		data[0] = (uint8_t)(seed >> 24);
	/* A new one at the end. */
	if (!nr || (seed % 4 == 3 && nr < room)) {
		add_record(data + 1 + nr * sizeof(struct record), seed / 64);
		return 1 + (nr + 1) * sizeof(struct record);
	}
	if (seed % 64 < 2)
		LLVMFuzzerMutate(data, 1, 1);
	else
		nr = mutate_list(data + 1, nr, room, seed / 64);
	return 1 + nr * sizeof(struct record);
}
