/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tells filters whether pages are young, by the access method that samples the same memory, without
 * either getting in the other's way.
 */
#ifndef DAMONFS_ACCESS_ACT_PAGE_YOUNG_H
#define DAMONFS_ACCESS_ACT_PAGE_YOUNG_H

#include "access/access.h"

#define PAGE_YOUNG_MAX 512 /* pages that are looked at together */

struct page_young;

/*
 * For PROCESS, or physical memory if that is NULL; SESSION is borrowed.
 * Return: 0 and *OUT, or a negative errno.
 */
int page_young_open(struct access_session *session, struct process *process,
		    struct page_young **out);
void page_young_close(struct page_young *page_young);

/*
 * Sets YOUNG for each of the NR (up to PAGE_YOUNG_MAX) ascending addresses; makes the young old.
 * Return: 0; or a negative errno, and none is young: -EOPNOTSUPP if the method cannot look.
 */
int page_young_see(struct page_young *page_young, const uint64_t *addresses, size_t nr,
		   bool *young);

#endif
