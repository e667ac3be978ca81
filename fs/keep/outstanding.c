// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests that were not answered yet: see outstanding.h. */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>

#include "fs/keep/outstanding.h"
#include "util/macros.h"

/* How often a request is tried again; before the keeper gives up. */
#define TRIES 1

static struct fuse_in_header *header_of(struct outstanding *outstanding)
{
	return (struct fuse_in_header *)outstanding->request;
}

uint64_t outstanding_at_hand(const struct outstanding *outstanding)
{
	return ((const struct fuse_in_header *)outstanding->request)->unique;
}

void outstanding_done(struct outstanding *outstanding)
{
	header_of(outstanding)->unique = 0;
	atomic_signal_fence(memory_order_seq_cst);
	outstanding->tries = 0;
}

void outstanding_came(struct outstanding *outstanding, size_t size)
{
	outstanding->whole = outstanding_at_hand(outstanding);
	if (outstanding->first_size || size > sizeof(outstanding->first))
		return;
	memcpy(outstanding->first, outstanding->request, size);
	atomic_signal_fence(memory_order_seq_cst);
	outstanding->first_size = (uint32_t)size;
}

size_t outstanding_first(const struct outstanding *outstanding, char out[static OUTSTANDING_FIRST])
{
	struct fuse_in_header header;

	/* A copy: whoever serves can still write the original. */
	memcpy(out, outstanding->first_size ? outstanding->first : outstanding->request,
	       OUTSTANDING_FIRST);
	memcpy(&header, out, sizeof(header));
	if (header.opcode != FUSE_INIT || header.len < sizeof(header) + sizeof(uint64_t) ||
	    header.len > OUTSTANDING_FIRST)
		return 0;
	return header.len;
}

int outstanding_hold(struct outstanding *outstanding, uint32_t size, int result)
{
	for (int i = 0; i < OUTSTANDING_HELD; i++) {
		if (atomic_load(&outstanding->held[i].request))
			continue;
		outstanding->held[i].size = size;
		atomic_store(&outstanding->held[i].result, result);
		atomic_store(&outstanding->held[i].request, outstanding_at_hand(outstanding));
		/* From now on it is there; its answer may come at any time. */
		header_of(outstanding)->unique = 0;
		return i;
	}
	return -1;
}

bool outstanding_any(const struct outstanding *outstanding)
{
	for (int i = 0; i < OUTSTANDING_HELD; i++)
		if (atomic_load(&outstanding->held[i].request))
			return true;
	return false;
}

void outstanding_release(struct outstanding *outstanding, int place)
{
	if (place >= 0)
		atomic_store(&outstanding->held[place].request, 0);
}

/* Answers a write: RESULT is 0, and then it took SIZE bytes, or a negative errno. */
static void answer(int fd, uint64_t request, uint32_t size, int result)
{
	struct fuse_write_out written = { .size = size };
	struct fuse_out_header header = { .len = sizeof(header) + (result ? 0 : sizeof(written)),
					  .error = result,
					  .unique = request };
	struct iovec parts[] = { { &header, sizeof(header) }, { &written, sizeof(written) } };

	/* ENOENT: it was answered before, or its caller is gone. */
	if (writev(fd, parts, result ? 1 : 2) < 0)
		return;
}

/* Whether the request at hand is in the table, too. */
static bool is_held(struct outstanding *outstanding)
{
	for (int i = 0; i < OUTSTANDING_HELD; i++)
		if (atomic_load(&outstanding->held[i].request) == outstanding_at_hand(outstanding))
			return true;
	return false;
}

static void answer_held(struct outstanding *outstanding, int fd)
{
	for (int i = 0; i < OUTSTANDING_HELD; i++) {
		uint64_t request = atomic_load(&outstanding->held[i].request);
		int result = atomic_load(&outstanding->held[i].result);

		if (!request)
			continue;
		answer(fd, request, outstanding->held[i].size, result > 0 ? -EINTR : result);
		outstanding_release(outstanding, i);
	}
}

/*
 * Whether the request at hand can be given to libfuse: it trusts the sizes in it.
 *
 * The kernel copies a request page by page, and if a signal keeps it from one, it answers the
 * request itself.  So one that fits a page is whole as soon as its number is there, also if the
 * daemon was killed before it could note that.
 */
static bool is_whole(struct outstanding *outstanding)
{
	const struct fuse_in_header *header = header_of(outstanding);
	const struct fuse_write_in *write = (const void *)(header + 1);

	if (header->len < sizeof(*header) || header->len > OUTSTANDING_REQUEST)
		return false;
	if (outstanding->whole != header->unique && header->len > PAGE)
		return false;
	return header->opcode != FUSE_WRITE ||
	       (header->len >= sizeof(*header) + sizeof(*write) &&
		write->size <= header->len - sizeof(*header) - sizeof(*write));
}

size_t outstanding_answer(struct outstanding *outstanding, int fd, uint64_t stored, uint32_t size)
{
	uint64_t request = outstanding_at_hand(outstanding);
	bool at_hand = request && !is_held(outstanding), whole = is_whole(outstanding);

	answer_held(outstanding, fd);
	if (at_hand && request != stored && whole && outstanding->tries < TRIES) {
		outstanding->tries++;
		return header_of(outstanding)->len;
	}
	if (at_hand)
		answer(fd, request, size, request == stored ? 0 : whole ? -EIO : -EINTR);
	outstanding_done(outstanding);
	return 0;
}
