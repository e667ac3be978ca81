/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal: how the tree came to be, for a daemon that takes over from one that was killed.
 *
 * It is a list of records: first those that make the tree as it was at some time, then one for each
 * change since.  A record counts once it is complete; the writer may be killed at any instruction.
 * When there are many changes, the list is replaced by a shorter one, in the other half.
 *
 * All but journal_next() is called with the tree's lock.
 */
#ifndef DAMONFS_FS_KEEP_JOURNAL_H
#define DAMONFS_FS_KEEP_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes; what is not used takes no memory. */
#define JOURNAL_HALF (256UL << 20)

enum record_kind {
	RECORD_SERIAL = 1, /* the next directory's serial number is at least this */
	RECORD_WRITE, /* a text is stored in a file */
	RECORD_MODE, /* a file's mode and owner */
	RECORD_ON, /* a file turned something on: struct on_header follows, or nothing: lost */
	RECORD_OFF,
	RECORD_OPENED, /* a descriptor of a command file: who opened it follows */
	RECORD_CLOSED,
	RECORD_FOUND, /* by what was turned on: struct damon_found_region of all targets */
	RECORD_MEASURED, /* what a list holds that a kdamond fills: words of measured.h, or nothing */
};

struct record {
	uint32_t kind;
	uint32_t length; /* of what follows */
	uint64_t ino; /* of the file; RECORD_OPENED, RECORD_CLOSED: the handle's number */
	uint64_t serial; /* of the next directory that is made */
	uint64_t request; /* that asked for it; 0: none */
	uint32_t uid, gid; /* RECORD_WRITE: who is charged; RECORD_MODE: the owner */
	uint32_t mode; /* RECORD_MODE; RECORD_WRITE: bytes of the request */
	uint32_t filler;
};

/*
 * Behind a RECORD_ON: this, when each target's process was started, the caller (caller_load()), and
 * the records that make the directories as they were then.  Each part begins at a multiple of 8.
 */
struct on_header {
	uint32_t caller_size, nr_targets;
	uint32_t committed; /* obsolete targets are gone since; else they were turned on */
	uint32_t filler;
};

struct journal {
	_Atomic uint32_t active; /* the half that counts: 0 or 1 */
	atomic_bool incomplete; /* there was no room for something */
	atomic_bool unsure; /* nor for what was turned on or off since: none is turned on again */
	/* The last write that was carried out, also if its record is gone. */
	_Atomic uint64_t last_request;
	_Atomic uint32_t last_size;
	uint64_t begun; /* how long the active half was when it began to count (bytes) */
	struct {
		_Atomic uint64_t length; /* bytes that count */
		_Alignas(8) char data[JOURNAL_HALF];
	} half[2];
};

/* What LENGTH bytes take: the next part begins at a multiple of 8. */
static inline size_t record_whole(size_t length)
{
	return (length + 7) & ~(size_t)7;
}

/* How many bytes a record with LENGTH bytes behind it takes. */
static inline size_t record_size(size_t length)
{
	return sizeof(struct record) + record_whole(length);
}

/* Writes the record and DATA, of record->length bytes, to TO, where they fit. */
void record_put(char *to, const struct record *record, const void *data);

/* Adds a record.  Return: 0, or -ENOSPC and the journal is incomplete from now on. */
int journal_add(struct journal *journal, const struct record *record, const void *data);

/* Whether it grew so much that it should be replaced. */
bool journal_is_long(const struct journal *journal);

/* Whatever somebody wrote into it, the functions here may be called from now on. */
void journal_repair(struct journal *journal);

/* It could not be replaced: it is not long until it has grown again. */
void journal_wait(struct journal *journal);

/*
 * Replaces all by LENGTH bytes of records.
 * Return: 0, or -ENOSPC and the journal is incomplete from now on.
 */
int journal_replace(struct journal *journal, const void *records, size_t length);

/*
 * Reads the record at *POSITION of LENGTH bytes at RECORDS and goes on to the next.  It trusts
 * nothing: *OUT is a copy, and what follows it, *DATA, is where it was.
 * Return: whether there was one.
 */
bool record_next(const char *records, size_t length, size_t *position, struct record *out,
		 const char **data);

/* The same of all that is in the journal. */
bool journal_next(const struct journal *journal, size_t *position, struct record *out,
		  const char **data);

#endif
