// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: a journal that anybody may have written, as a daemon that takes over reads it.
 *
 * An odd first byte: the rest are the bytes of the journal.  An even one: the rest are short
 * descriptions of records, so that more of them are whole; what they are for is often a file that
 * is there.  Whatever comes of it, saving that tree and restoring it must make the same again.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "access/rights/caller.h"
#include "fs/keep/restore.h"
#include "fs/keep/shared.h"
#include "fs/root.h"
#include "fs/run.h"
#include "fs/tree/file.h"
#include "tests/fuzz/require.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct shared *shared;

/* A description of a record. */
struct piece {
	uint8_t kind, directory, row, serial, length, mode, text[6];
};

/* We, by whom something was opened or turned on.  Return: how many bytes. */
static size_t put_caller(char *out, size_t room)
{
	struct caller *caller;
	size_t size;

	if (caller_new(getpid(), geteuid(), getegid(), &caller))
		return 0;
	size = caller_save(caller, out, room);
	caller_put(caller);
	return size;
}

/* Files that make directories, and those that turn something on: as a tree has them. */
static struct {
	const char *path;
	uint64_t ino, serial; /* of what it makes */
} files[] = {
	{ "admin/kdamonds/nr_kdamonds", 0, 0 },
	{ "admin/kdamonds/0/contexts/nr_contexts", 0, 0 },
	{ "admin/kdamonds/0/contexts/0/targets/nr_targets", 0, 0 },
	{ "admin/kdamonds/0/contexts/0/schemes/nr_schemes", 0, 0 },
	{ "admin/kdamonds/0/state", 0, 0 },
	{ "modules/damon_reclaim/parameters/enabled", 0, 0 },
	{ "damon/kdamond_pid", 0, 0 },
};

#define NR_MAKING 4
#define NR_ON	  (ARRAY_SIZE(files) - NR_MAKING)

static uint64_t tried_ino; /* of the first scheme's tried_regions */
static uint64_t names_ino; /* of damon/mk_contexts */
static uint64_t targets_ino; /* of damon/target_ids */

static struct node find(struct tree *tree, const char *path)
{
	struct node node = { tree->root, 0 };
	char name[64];

	for (; *path; path += *path == '/') {
		size_t length = strcspn(path, "/");

		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		REQUIRE(node_lookup(node, name, &node));
		path += length;
	}
	return node;
}

/* Looks up FILES, and makes what they make, in a tree that is thrown away. */
ALONE static void learn_files(void)
{
	struct damonfs damonfs = { .method = "none", .ended = PTHREAD_COND_INITIALIZER };
	struct tree *tree = tree_new(&root_kind, DAMON_ABI(7, 2), 0, 0, &damonfs);
	struct write write = { 0 };

	REQUIRE(tree);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct node node = find(tree, files[i].path);

		files[i].ino = node_ino(node);
		files[i].serial = tree->next_serial;
		if (i < NR_MAKING)
			REQUIRE(!file_store(node_row(node)->file, node.dir, &write, "1"));
	}
	tried_ino = node_ino(find(tree, "admin/kdamonds/0/contexts/0/schemes/0/tried_regions"));
	names_ino = node_ino(find(tree, "damon/mk_contexts"));
	targets_ino = node_ino(find(tree, "damon/target_ids"));
	tree_free(tree);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int fd = -1;

	(void)argc;
	(void)argv;
	log_setup(LOG_LEVEL_ERROR, false);
	shared = shared_new(&fd);
	REQUIRE(shared && !caller_prepare());
	learn_files();
	return 0;
}

/* What follows a RECORD_ON: one target, and directories for a context, mostly.  Return: its size. */
static size_t put_on(char *out, size_t room, const struct piece *piece)
{
	struct on_header header = { .nr_targets = piece->serial & 1 };
	uint64_t started = piece->mode;
	size_t size = sizeof(header), caller;

	memset(out, 0, room);
	if (header.nr_targets) {
		memcpy(out + size, &started, sizeof(started));
		size += sizeof(started);
	}
	caller = put_caller(out + size, 512);
	header.caller_size = (uint32_t)caller;
	memcpy(out, &header, sizeof(header));
	size += record_whole(caller);
	for (size_t i = 0; i < NR_MAKING; i++) {
		const struct record record = { .kind = RECORD_WRITE,
					       .length = 1,
					       .ino = files[i].ino +
						      (piece->row == i ? piece->directory : 0),
					       .serial = files[i].serial };

		record_put(out + size, &record, "1");
		size += record_size(record.length);
	}
	const struct record targets = { .kind = RECORD_WRITE, .length = 6, .ino = targets_ino };

	record_put(out + size, &targets, piece->text[2] & 1 ? "1 9999" : "paddr\n");
	size += record_size(targets.length);
	return size;
}

/* What a kdamond showed of a scheme: a region or two, with the hits of a probe.  Return: its size. */
static size_t put_measured(char *out, const struct piece *piece)
{
	uint64_t words[] = { piece->mode, 1 + piece->row % 2,
			     /* number, serial, five values, hits: number, serial, value */
			     0, piece->serial, 4096, 8192, 1, 2, 3, 1, 0, piece->serial + 1U, 7, 1,
			     piece->serial + 2U, 8192, 16384, 4, 5, 6, 0 };
	size_t nr = piece->row % 2 ? ARRAY_SIZE(words) : 13;

	memcpy(out, words, nr * sizeof(*words));
	return nr * sizeof(*words);
}

/* What it found of one target, mostly.  Return: its size. */
static size_t put_found(char *out, const struct piece *piece)
{
	const struct damon_found_region found[] = {
		{ 0, 0, 4096, 4096ULL * (2 + piece->row), piece->serial, piece->mode },
		{ piece->directory, 0, 4096ULL * (2 + piece->row), 1ULL << 40, UINT32_MAX, 1 },
	};

	memcpy(out, found, sizeof(found));
	return sizeof(found);
}

static void put_piece(const struct piece *piece)
{
	static const uint32_t uids[] = { 0, 0, 1, 1000 };
	struct record record = {
		.kind = piece->kind % (RECORD_MEASURED + 1),
		.length = piece->length % (sizeof(piece->text) + 1),
		.ino = ((uint64_t)(piece->directory % 32) << (INO_ROW_BITS + 1) |
			(piece->mode & 1 ? 0 : INO_FILE) | piece->row % 128) +
		       1,
		.serial = piece->serial & 0x80 ? (uint64_t)piece->serial << 32 : piece->serial,
		.request = piece->mode,
		.uid = uids[piece->mode % ARRAY_SIZE(uids)],
		.mode = piece->mode,
	};
	char bytes[4096];
	size_t size;

	if (record.kind == RECORD_ON || record.kind == RECORD_FOUND)
		record.ino = files[NR_MAKING + piece->text[1] % NR_ON].ino;
	if (record.kind == RECORD_MEASURED && piece->text[0] & 1)
		record.ino = tried_ino;
	if (record.kind == RECORD_WRITE && piece->directory >= 192)
		record.ino = piece->directory & 1 ? names_ino : targets_ino;
	size = record.kind == RECORD_ON	      ? put_on(bytes, sizeof(bytes), piece) :
	       record.kind == RECORD_OPENED   ? put_caller(bytes, sizeof(bytes)) :
	       record.kind == RECORD_FOUND    ? put_found(bytes, piece) :
	       record.kind == RECORD_MEASURED ? put_measured(bytes, piece) :
						0;
	if (!size) {
		journal_add(&shared->journal, &record, piece->text);
		return;
	}
	record.length = (uint32_t)size;
	if (piece->length & 0x80)
		bytes[piece->serial % size] ^= (char)piece->mode;
	journal_add(&shared->journal, &record, bytes);
}

static void fill(const uint8_t *data, size_t size)
{
	struct piece piece;

	journal_replace(&shared->journal, "", 0);
	if (size && *data & 1) {
		journal_replace(&shared->journal, data + 1, size - 1);
		return;
	}
	for (size_t at = 1; at + sizeof(piece) <= size; at += sizeof(piece)) {
		memcpy(&piece, data + at, sizeof(piece));
		put_piece(&piece);
	}
}

static void tell_nobody(uint64_t ino, void *argument)
{
	(void)ino;
	(void)argument;
}

/* Restores a tree, and saves it.  Return: a copy of all its records, to be freed, and *LENGTH. */
static char *restore_once(size_t *length)
{
	/* No method of this name: nothing is watched. */
	struct damonfs damonfs = { .method = "none", .ended = PTHREAD_COND_INITIALIZER };
	struct saver saver = { .journal = &shared->journal };
	struct journal *journal = &shared->journal;
	struct accounts *accounts = accounts_new(NULL, 0);
	struct tree *tree = tree_new(&root_kind, DAMON_ABI(7, 2), 0, 0, &damonfs);
	uint32_t active;
	char *copy;

	REQUIRE(accounts && tree);
	tree->accounts = accounts;
	damonfs.saver = &saver;
	REQUIRE(!answerer_start(tree, tell_nobody, NULL, &damonfs.answerer));
	tree_lock(tree);
	restore(tree);
	REQUIRE(runs_stop_all(tree, clock_ns() + 10000000000));
	damonfs.stopping = false;
	save_all(tree);
	tree_unlock(tree);
	active = atomic_load(&journal->active);
	*length = atomic_load(&journal->half[active].length);
	copy = malloc(max_ul(*length, 1));
	REQUIRE(copy);
	memcpy(copy, journal->half[active].data, *length);
	answerer_stop(damonfs.answerer);
	saver_clear(&saver);
	tree_free(tree);
	accounts_free(accounts);
	pthread_cond_destroy(&damonfs.ended);
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *first = NULL, *second = NULL;
	size_t first_length, second_length;

	fill(data, size);
	first = restore_once(&first_length);
	second = restore_once(&second_length);
	REQUIRE(first_length == second_length && !memcmp(first, second, first_length));
	return 0;
}
