/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The replies of damonfs, checked as the kernel does it, and more strictly. */
#ifndef DAMONFS_TESTS_FUZZ_REPLY_H
#define DAMONFS_TESTS_FUZZ_REPLY_H

#include <linux/fuse.h>
#include <stddef.h>
#include <stdint.h>

/* The last entry and handle that a reply told of. */
struct told {
	uint64_t node, fh;
};

/* The body of a successful reply to a request that ASKED for so many bytes, or wrote them. */
void reply_check(uint32_t opcode, size_t asked, const char *body, size_t size, struct told *told);

/* What damonfs tells without being asked: changed attributes only, as fs/fuse/session.c does it. */
void reply_check_notification(const struct fuse_out_header *header, const char *body, size_t size);

#endif
