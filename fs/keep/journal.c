// SPDX-License-Identifier: GPL-2.0-or-later
/* The list of records: see journal.h. */
#include <errno.h>
#include <string.h>

#include "fs/keep/journal.h"
#include "util/macros.h"

/* A journal may grow by this much, and to twice what it began with. */
#define SLACK (256UL << 10)

void record_put(char *to, const struct record *record, const void *data)
{
	size_t end = sizeof(*record) + record->length;

	memcpy(to, record, sizeof(*record));
	if (record->length)
		memcpy(to + sizeof(*record), data, record->length);
	memset(to + end, 0, record_size(record->length) - end);
}

static int lose(struct journal *journal)
{
	atomic_store(&journal->incomplete, true);
	return -ENOSPC;
}

int journal_add(struct journal *journal, const struct record *record, const void *data)
{
	uint32_t active = atomic_load(&journal->active);
	uint64_t length = atomic_load(&journal->half[active].length);
	size_t size = record_size(record->length);

	if (size > JOURNAL_HALF - length)
		return lose(journal);
	record_put(journal->half[active].data + length, record, data);
	atomic_store(&journal->half[active].length, length + size);
	return 0;
}

bool journal_is_long(const struct journal *journal)
{
	return atomic_load(&journal->half[atomic_load(&journal->active)].length) >
	       2 * journal->begun + SLACK;
}

void journal_repair(struct journal *journal)
{
	uint32_t active = atomic_load(&journal->active) & 1;
	uint64_t length = atomic_load(&journal->half[active].length) & ~7UL;

	atomic_store(&journal->active, active);
	atomic_store(&journal->half[active].length, min_ul(length, JOURNAL_HALF));
	journal->begun = min_ul(journal->begun, JOURNAL_HALF);
}

void journal_wait(struct journal *journal)
{
	journal->begun = atomic_load(&journal->half[atomic_load(&journal->active)].length);
}

int journal_replace(struct journal *journal, const void *records, size_t length)
{
	uint32_t other = !atomic_load(&journal->active);

	if (length > JOURNAL_HALF)
		return lose(journal);
	memcpy(journal->half[other].data, records, length);
	atomic_store(&journal->half[other].length, length);
	journal->begun = length;
	atomic_store(&journal->active, other);
	atomic_store(&journal->incomplete, false);
	atomic_store(&journal->unsure, false);
	return 0;
}

bool record_next(const char *records, size_t length, size_t *position, struct record *out,
		 const char **data)
{
	size_t at = *position;

	if (at > length || length - at < sizeof(*out))
		return false;
	memcpy(out, records + at, sizeof(*out));
	if (record_size(out->length) > length - at)
		return false;
	*data = records + at + sizeof(*out);
	*position = at + record_size(out->length);
	return true;
}

bool journal_next(const struct journal *journal, size_t *position, struct record *out,
		  const char **data)
{
	uint32_t active = atomic_load(&journal->active) & 1;

	return record_next(journal->half[active].data,
			   min_ul(atomic_load(&journal->half[active].length), JOURNAL_HALF),
			   position, out, data);
}
