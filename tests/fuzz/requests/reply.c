// SPDX-License-Identifier: GPL-2.0-or-later
/* What a reply must be: see reply.h. */
#include <dirent.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/requests/reply.h"
#include "tests/fuzz/require.h"
#include "util/cleanup.h"

/* What the body of a successful reply is; of what is not here there is none, only errors. */
static const struct reply {
	uint32_t opcode;
	size_t size;
	bool at_most; /* as many bytes as were asked for, at most */
} replies[] = {
	{ FUSE_LOOKUP, sizeof(struct fuse_entry_out), false },
	{ FUSE_GETATTR, sizeof(struct fuse_attr_out), false },
	{ FUSE_SETATTR, sizeof(struct fuse_attr_out), false },
	{ FUSE_OPEN, sizeof(struct fuse_open_out), false },
	{ FUSE_OPENDIR, sizeof(struct fuse_open_out), false },
	{ FUSE_READ, 0, true },
	{ FUSE_READDIR, 0, true },
	{ FUSE_WRITE, sizeof(struct fuse_write_out), false },
	{ FUSE_STATFS, sizeof(struct fuse_statfs_out), false },
	{ FUSE_RELEASE, 0, false },
	{ FUSE_RELEASEDIR, 0, false },
	{ FUSE_INIT, sizeof(struct fuse_init_out), false },
	{ FUSE_DESTROY, 0, false },
};

static const struct reply *reply_of(uint32_t opcode)
{
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
		if (replies[i].opcode == opcode)
			return &replies[i];
	return NULL;
}

static void check_attributes(const struct fuse_attr *attr)
{
	REQUIRE(S_ISDIR(attr->mode) || S_ISREG(attr->mode));
	REQUIRE(!(attr->ino >> 48));
	REQUIRE(attr->size <= 4096 && attr->blksize == 4096);
}

/* As fuse_dir_emit() of the kernel, which also takes no slash. */
static void check_entries(const char *body, size_t size)
{
	uint64_t position = 0;

	while (size) {
		struct fuse_dirent entry;

		REQUIRE(size >= FUSE_NAME_OFFSET);
		memcpy(&entry, body, FUSE_NAME_OFFSET);
		REQUIRE(entry.namelen && entry.namelen <= 1024);
		REQUIRE(FUSE_DIRENT_SIZE(&entry) <= size);
		REQUIRE(!memchr(body + FUSE_NAME_OFFSET, '\0', entry.namelen));
		REQUIRE(!memchr(body + FUSE_NAME_OFFSET, '/', entry.namelen));
		REQUIRE(entry.ino && (entry.type == DT_DIR || entry.type == DT_REG));
		REQUIRE(!position || entry.off == position + 1);
		position = entry.off;
		body += FUSE_DIRENT_SIZE(&entry);
		size -= FUSE_DIRENT_SIZE(&entry);
	}
}

void reply_check(uint32_t opcode, size_t asked, const char *body, size_t size, struct told *told)
{
	const struct reply *reply = reply_of(opcode);
	union {
		struct fuse_entry_out entry;
		struct fuse_attr_out attr;
		struct fuse_open_out open;
		struct fuse_write_out write;
	} out;

	REQUIRE(reply && (reply->at_most ? size <= asked : size == reply->size));
	memcpy(&out, body, min_ul(size, sizeof(out)));
	switch (opcode) {
	case FUSE_LOOKUP:
		check_attributes(&out.entry.attr);
		REQUIRE(out.entry.nodeid);
		told->node = out.entry.nodeid;
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		check_attributes(&out.attr.attr);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		REQUIRE(out.open.fh);
		told->fh = out.open.fh;
		break;
	case FUSE_WRITE:
		REQUIRE(out.write.size <= asked);
		break;
	case FUSE_READDIR:
		check_entries(body, size);
		break;
	}
}

void reply_check_notification(const struct fuse_out_header *header, const char *body, size_t size)
{
	struct fuse_notify_inval_inode_out out;

	REQUIRE(header->error == FUSE_NOTIFY_INVAL_INODE && size == sizeof(out));
	memcpy(&out, body, sizeof(out));
	REQUIRE(out.ino && out.off == -1);
}
