/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clears every accessed or soft-dirty bit of a process at once, by /proc/PID/clear_refs.
 *
 * It walks all resident pages (54-75 ns each, holding the process's mmap lock for writing), so it
 * is rationed: the next clear is due when a fiftieth of the time since the last one pays for it.
 * That limits it to about 2 % of a processor, and the time that page faults of the process may have
 * to wait to 2 % as well, whatever its size.  It cannot limit a single wait: 15-20 ms/GiB.
 *
 * A clear of soft-dirty bits also costs the process a fault for each page that it writes first
 * afterwards; the price includes the faults that the last clear caused.
 */
#ifndef DAMONFS_ACCESS_PROC_CLEAR_REFS_H
#define DAMONFS_ACCESS_PROC_CLEAR_REFS_H

#include <stdbool.h>
#include <stdint.h>

#include "access/proc/process.h"
#include "access/why.h"

enum clear_refs_what {
	CLEAR_REFS_ACCESSED, /* of all memory */
	CLEAR_REFS_ACCESSED_FILES, /* of mapped files and shared memory */
	CLEAR_REFS_SOFT_DIRTY,
};

struct clear_refs {
	int fd; /* of clear_refs */
	int stat_fd; /* of stat, to count faults of soft-dirty clears; else -1; closed with fd */
	uint64_t nr_faults; /* at the last clear */
	bool flush; /* whether a write of 4 flushes the TLB and does nothing else */
	uint64_t cost_ns; /* run time of the last clear, and of the faults after the one before */
	uint64_t last_us; /* when it ended, by the worker's clock; 0: never */
};

/* Return: 0, or a negative errno if PROCESS's bits may not be cleared. */
int clear_refs_open(struct clear_refs *refs, const struct process *process);
void clear_refs_close(struct clear_refs *refs);

/* Explains error R of clear_refs_open() in WHY, and what gives the right to clear.  Return: R. */
int clear_refs_why(struct access_why *why, int r);

/* When the budget allows the next clear (us): at most one every SAMPLE us; 0: at once. */
uint64_t clear_refs_next(const struct clear_refs *refs, uint64_t sample);

/* Whether that is so at NOW (us). */
static inline bool clear_refs_due(const struct clear_refs *refs, uint64_t now, uint64_t sample)
{
	return now >= clear_refs_next(refs, sample);
}

/* Clears WHAT.  Return: 0 or a negative errno; -ESRCH when the process is gone. */
int clear_refs_clear(struct clear_refs *refs, enum clear_refs_what what, uint64_t now);

/*
 * Whether this kernel keeps soft-dirty bits.  Found out once, on pages of our own; a daemon without
 * privileges can do so only while it may be traced.  Also false if it cannot be found out now.
 */
bool softdirty_works(void);

#endif
