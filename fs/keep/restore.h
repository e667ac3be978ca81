/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restoring: from the journal into the tree of a daemon that takes over.
 *
 * The journal may hold anything: whoever got hold of the last daemon may have written it.  So it
 * can do no more than a client: its texts go through the files' parsers, and what is turned on is
 * turned on in the name of a caller, for whom the kernel is asked again.
 */
#ifndef DAMONFS_FS_KEEP_RESTORE_H
#define DAMONFS_FS_KEEP_RESTORE_H

#include "fs/keep/save.h"

struct restored {
	/* The last write that was carried out; 0: there was none, or not for a request. */
	uint64_t request;
	uint32_t size;
	size_t nr_failed; /* records that could not be restored */
};

/*
 * Makes TREE, which is new, as the journal says, and starts what was on; what cannot be restored is
 * logged.  The answerer must be there.
 */
WITH_LOCK(tree_role) struct restored restore(struct tree *tree);

#endif
