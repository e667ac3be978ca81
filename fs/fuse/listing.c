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

void listing_entry(struct node node, struct fuse_entry_param *out)
{
	*out = (struct fuse_entry_param){ .ino = node_alias(node) };
	node_stat(node, &out->attr);
	out->attr_timeout = node_keep(node);
	out->entry_timeout = node_can_be_held(node) ? 0 : out->attr_timeout;
}

static size_t put_entry(fuse_req_t req, char *buffer, size_t size, const char *name, uint64_t ino,
			size_t next)
{
	struct stat st = { .st_ino = ino, .st_mode = ino_is_dir(ino) ? S_IFDIR : S_IFREG };

	return fuse_add_direntry(req, buffer, size, name, &st, (off_t)next);
}

/* What is gone, and what is not below, is listed as if it was not looked up: its inode is 0. */
WITH_LOCK(tree_role)
static size_t put_entry_plus(fuse_req_t req, char *buffer, size_t size, const char *name,
			     uint64_t ino, size_t next, struct tree *tree)
{
	struct fuse_entry_param entry = {
		.attr = { .st_ino = ino, .st_mode = ino_is_dir(ino) ? S_IFDIR : S_IFREG }
	};
	struct node node;

	if (strcmp(name, ".") && strcmp(name, "..") && tree_find(tree, ino, &node))
		listing_entry(node, &entry);
	return fuse_add_direntry_plus(req, buffer, size, name, &entry, (off_t)next);
}

size_t listing_put(const struct listing *listing, fuse_req_t req, off_t from, char *buffer,
		   size_t size, struct tree *tree)
{
	size_t used = 0;

	/* BUFFER may be NULL where there is no room. */
	if (from < 0 || !size)
		return 0;
	for (size_t i = (size_t)from; i < listing->nr; i++) {
		const struct listing_entry *entry = &listing->entries[i];
		const char *name = listing->names.data + entry->name;
		size_t room = size - used, needs;

		if (tree)
			needs = put_entry_plus(req, buffer + used, room, name, entry->ino, i + 1,
					       tree);
		else
			needs = put_entry(req, buffer + used, room, name, entry->ino, i + 1);
		if (needs > room)
			break;
		used += needs;
	}
	return used;
}
