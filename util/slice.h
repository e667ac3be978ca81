/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long a thread may go on while others want its processor, and so how soon it gets its turn.
 *
 * Since Linux 6.12 a thread can say so.  A short slice makes its turns early, not more: while it
 * has had less than its share, it goes before threads with longer slices, in the middle of theirs.
 * So it takes no privilege, and nobody who keeps the thread busy gains time by it.
 */
#ifndef DAMONFS_UTIL_SLICE_H
#define DAMONFS_UTIL_SLICE_H

/*
 * Makes the calling thread's slice the shortest one, but not that of threads and processes which it
 * starts.  It stays as it is where there is no such thing, or if somebody gave the thread a higher
 * priority, which is more.
 */
void slice_shorten(void);

#endif
