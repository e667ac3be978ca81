/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel tells about page frames and their folios: /proc/kpageflags and /proc/kpagecgroup.
 * Looking up many frames that are near each other costs as much as one.
 */
#ifndef DAMONFS_ACCESS_PROC_FOLIO_H
#define DAMONFS_ACCESS_PROC_FOLIO_H

#include <linux/kernel-page-flags.h>
#include <stdbool.h>
#include <stdint.h>

/* A huge page, another folio of several frames, or a single frame. */
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

/* Return: 0 and *OUT, or a negative errno: not everybody may look at frames. */
int folios_open(struct folios **out);
void folios_close(struct folios *folios);

/* Forgets what was read; call it before each walk. */
void folios_forget(struct folios *folios);

/* Whether frame numbers go as far as FRAME; it need not be memory. */
bool folios_exist(const struct folios *folios, uint64_t frame);

/* The folio that FRAME is part of; its flags are 0 where there is no memory. */
void folios_find(struct folios *folios, uint64_t frame, struct folio *out);

/* The inode number of the cgroup that FOLIO is charged to; 0: none, or unknown. */
uint64_t folios_memcg(struct folios *folios, const struct folio *folio);

#endif
