/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel tells of page frames, and of the folios they are part of: /proc/kpageflags and
 * /proc/kpagecgroup.  Many frames are looked up at the price of one if they are near each other.
 */
#ifndef DAMONFS_ACCESS_PROC_FOLIO_H
#define DAMONFS_ACCESS_PROC_FOLIO_H

#include <linux/kernel-page-flags.h>
#include <stdbool.h>
#include <stdint.h>

/* A huge page, or another of several frames, or one frame. */
struct folio {
	uint64_t head, nr; /* frames */
	uint64_t flags; /* of the head, as bits of KPF_* */
};

/* Whether the folio has the flag number BIT (KPF_*). */
static inline bool folio_has(const struct folio *folio, int bit)
{
	return folio->flags >> bit & 1;
}

struct folios;

/* Return: 0 and *OUT, or a negative errno: frames are not everybody's to look at. */
int folios_open(struct folios **out);
void folios_close(struct folios *folios);

/* Forgets what was read: before each walk. */
void folios_forget(struct folios *folios);

/* Whether the numbers of frames go so far; what is memory and what is not is another matter. */
bool folios_exist(const struct folios *folios, uint64_t frame);

/* The folio that FRAME is part of; its flags are 0 where there is no memory. */
void folios_find(struct folios *folios, uint64_t frame, struct folio *out);

/* The inode number of the cgroup that FOLIO is charged to; 0: none, or it cannot be told. */
uint64_t folios_memcg(struct folios *folios, const struct folio *folio);

#endif
