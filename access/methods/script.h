/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The script of a simulated process: which mappings it has and what it touches, over time.
 *
 * A line is an event; `#' starts a comment.  Numbers take 0x and the suffixes K, M, G; times take
 * us, ms, s and count from the start of monitoring (events without `at' are there from the start).
 *
 *     map 0x10000000 256M                  # a mapping appears
 *     access 0x10000000 32M 100%           # the share of sampling rounds that touch each page
 *     at 5s access 0x10000000 32M 0%       # later events override earlier ones
 *     at 5s access 0x18000000 32M 100%
 *     at 8s unmap 0x10000000 256M          # the mappings inside that range go
 *     at 10s repeat                        # from the start again
 */
#ifndef DAMONFS_ACCESS_METHODS_SCRIPT_H
#define DAMONFS_ACCESS_METHODS_SCRIPT_H

#include <stdio.h>

#include "access/proc/maps.h"

enum script_kind { SCRIPT_MAP, SCRIPT_UNMAP, SCRIPT_ACCESS };

struct script_event {
	enum script_kind kind;
	uint64_t at; /* us */
	uint64_t start, end;
	unsigned int percent; /* SCRIPT_ACCESS */
};

struct script {
	struct script_event *events; /* in the order of time */
	size_t nr;
	uint64_t period; /* us; 0: it is played once */
};

/*
 * Reads a script.  On an error, WHY, of SIZE bytes, says what is wrong in which line.
 * Return: 0 and *OUT, to be freed by script_free(), -EINVAL, -ENOMEM, or what ended the reading.
 */
int script_read(FILE *file, struct script *out, char *why, size_t size);
void script_free(struct script *script);

/* The time of the script at NOW us after its start. */
uint64_t script_time(const struct script *script, uint64_t now);

/* The mappings at TIME. */
int script_maps(const struct script *script, uint64_t time, struct maps *out);

/*
 * Whether the page of ADDRESS is touched in the round at TIME: the last event about it counts.  The
 * answer depends on the arguments only.
 */
bool script_accessed(const struct script *script, uint64_t address, uint64_t time);

#endif
