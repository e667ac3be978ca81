// SPDX-License-Identifier: GPL-2.0-or-later
/* Directories that are read: see listing.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse/listing.h"

static int make_room(struct listing *listing)
{
	size_t room = listing->room ? listing->room * 2 : 16;
	void *more;

	if (listing->nr < listing->room)
		return 0;
	if (account_charge(listing->names.account, ACCOUNT_BYTES,
			   (room - listing->room) * sizeof(*listing->entries)))
		return -ENOMEM;
	more = reallocarray(listing->entries, room, sizeof(*listing->entries));
	if (!more) {
		account_refund(listing->names.account, ACCOUNT_BYTES,
			       (room - listing->room) * sizeof(*listing->entries));
		return -ENOMEM;
	}
	listing->entries = more;
	listing->room = room;
	return 0;
}

static bool add_entry(const char *name, uint64_t ino, void *argument)
{
	struct listing *listing = argument;
	size_t size = strlen(name) + 1;

	if (make_room(listing) || text_reserve(&listing->names, size))
		return false;
	listing->entries[listing->nr++] =
		(struct listing_entry){ .ino = ino, .name = listing->names.length };
	memcpy(listing->names.data + listing->names.length, name, size);
	listing->names.length += size;
	return true;
}

int listing_fill(struct listing *listing, struct node node)
{
	listing->nr = 0;
	listing->names.length = 0;
	if (node_list(node, add_entry, listing))
		return 0;
	listing_clear(listing);
	return -ENOMEM;
}

void listing_clear(struct listing *listing)
{
	struct account *account = listing->names.account;

	account_refund(account, ACCOUNT_BYTES, listing->room * sizeof(*listing->entries));
	text_clear(&listing->names);
	free(listing->entries);
	*listing = (struct listing){ .names.account = account };
}

size_t listing_put(const struct listing *listing, fuse_req_t req, off_t from, char *buffer,
		   size_t size)
{
	size_t used = 0;

	/* BUFFER may be NULL where there is no room. */
	if (from < 0 || !size)
		return 0;
	for (size_t i = (size_t)from; i < listing->nr; i++) {
		const struct listing_entry *entry = &listing->entries[i];
		struct stat st = { .st_ino = entry->ino,
				   .st_mode = ino_is_dir(entry->ino) ? S_IFDIR : S_IFREG };
		size_t needs = fuse_add_direntry(req, buffer + used, size - used,
						 listing->names.data + entry->name, &st,
						 (off_t)(i + 1));

		if (needs > size - used)
			break;
		used += needs;
	}
	return used;
}
