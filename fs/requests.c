// SPDX-License-Identifier: GPL-2.0-or-later
/* The FUSE requests: see requests.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "access/cleanup.h"
#include "fs/pending.h"
#include "fs/requests.h"
#include "fs/stream.h"

/* How long the kernel may keep names and attributes, in seconds. */
#define KEEP 86400.0

/* A write hands at most so much to a file, as sysfs does. */
#define MAX_WRITE 4096

/* An open file, with what it was read to hold, or an open directory with its listing. */
struct handle {
	struct text text;
	bool filled;
	int gone; /* the errno of whoever uses a file that is gone */
	struct stream stream;
	struct handle *prev, *next;
};

static struct requests *requests_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* ---- names and attributes ---- */

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct tree *tree = requests_of(req)->tree;
	struct fuse_entry_param entry = { .attr_timeout = KEEP, .entry_timeout = KEEP };
	struct node node;
	int r = 0;

	tree_lock(tree);
	if (!tree_find(tree, parent, &node))
		r = ENOENT;
	else if (!node_is_dir(node))
		r = ENOTDIR;
	else if (!node_lookup(node, name, &node))
		r = ENOENT;
	else
		node_stat(node, &entry.attr);
	if (!r)
		entry.ino = node_alias(node);
	tree_unlock(tree);
	if (r)
		fuse_reply_err(req, r);
	else
		fuse_reply_entry(req, &entry);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct tree *tree = requests_of(req)->tree;
	struct node node;
	struct stat st;
	bool found;

	(void)fi;
	tree_lock(tree);
	found = tree_find(tree, ino, &node);
	if (found)
		node_stat(node, &st);
	tree_unlock(tree);
	if (found)
		fuse_reply_attr(req, &st, KEEP);
	else
		fuse_reply_err(req, ENOENT);
}

/* Sizes and times are taken and do nothing; modes and owners are kept. */
static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	unsigned int mask = (to_set & FUSE_SET_ATTR_MODE ? NODE_SET_MODE : 0U) |
			    (to_set & FUSE_SET_ATTR_UID ? NODE_SET_UID : 0U) |
			    (to_set & FUSE_SET_ATTR_GID ? NODE_SET_GID : 0U);
	struct tree *tree = requests_of(req)->tree;
	struct node node;
	struct stat st;
	int r = 0;

	(void)fi;
	tree_lock(tree);
	if (!tree_find(tree, ino, &node))
		r = -ENOENT;
	else if (mask)
		r = node_change(node, mask, attr->st_mode, attr->st_uid, attr->st_gid);
	if (!r)
		node_stat(node, &st);
	tree_unlock(tree);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &st, KEEP);
}

/* ---- handles ---- */

static struct handle *handle_new(struct requests *requests)
{
	struct handle *handle = calloc(1, sizeof(*handle));

	if (handle)
		DL_APPEND(requests->handles, handle);
	return handle;
}

static void handle_free(struct requests *requests, struct handle *handle)
{
	DL_DELETE(requests->handles, handle);
	free(handle->text.data);
	free(handle->stream.written.data);
	free(handle);
}

static struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

static void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	handle_free(requests_of(req), handle_of(fi));
	fuse_reply_err(req, 0);
}

/* ---- directories ---- */

struct listing {
	fuse_req_t req;
	struct text *text;
	bool failed;
};

static bool add_entry(const char *name, uint64_t ino, bool is_dir, void *argument)
{
	struct listing *listing = argument;
	struct text *text = listing->text;
	struct stat st = { .st_ino = ino, .st_mode = is_dir ? S_IFDIR : S_IFREG };
	size_t size = fuse_add_direntry(listing->req, NULL, 0, name, NULL, 0);

	if (text_reserve(text, size)) {
		listing->failed = true;
		return false;
	}
	/* An entry's offset is where the next one begins. */
	fuse_add_direntry(listing->req, text->data + text->length, size, name, &st,
			  (off_t)(text->length + size));
	text->length += size;
	return true;
}

/* Return: 0 or an errno. */
static int fill_listing(fuse_req_t req, fuse_ino_t ino, struct handle *handle)
{
	struct tree *tree = requests_of(req)->tree;
	struct listing listing = { .req = req, .text = &handle->text };
	struct node node;
	bool found;

	handle->text.length = 0;
	tree_lock(tree);
	found = tree_find(tree, ino, &node);
	if (found)
		node_list(node, add_entry, &listing);
	tree_unlock(tree);
	handle->filled = true;
	if (listing.failed)
		return ENOMEM;
	return found ? 0 : ENOENT;
}

static void do_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct requests *requests = requests_of(req);
	struct node node;
	struct handle *handle;
	bool found;

	tree_lock(requests->tree);
	found = tree_find(requests->tree, ino, &node);
	tree_unlock(requests->tree);
	handle = found ? handle_new(requests) : NULL;
	fi->fh = (uintptr_t)handle;
	if (!handle)
		fuse_reply_err(req, found ? ENOMEM : ENOENT);
	else
		fuse_reply_open(req, fi);
}

/* Return: how many of SIZE bytes at OFFSET TEXT has. */
static size_t part_of(const struct text *text, size_t size, off_t offset)
{
	return min_ul(size, text->length - min_ul((size_t)offset, text->length));
}

static void reply_text(fuse_req_t req, const struct text *text, size_t size, off_t offset)
{
	fuse_reply_buf(req, text->data ? text->data + min_ul((size_t)offset, text->length) : NULL,
		       part_of(text, size, offset));
}

static void do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	struct handle *handle = handle_of(fi);
	size_t start, end;
	int r = !offset || !handle->filled ? fill_listing(req, ino, handle) : 0;

	if (r) {
		fuse_reply_err(req, r);
		return;
	}
	/* Whole entries only. */
	start = end = min_ul((size_t)offset, handle->text.length);
	while (end < handle->text.length) {
		/* struct fuse_dirent: ino and offset, 8 bytes each, then the length of the name. */
		uint64_t next;

		memcpy(&next, handle->text.data + end + 8, sizeof(next));
		if (next - start > size)
			break;
		end = next;
	}
	fuse_reply_buf(req, handle->text.data + start, end - start);
}

/* ---- files ---- */

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct requests *requests = requests_of(req);
	struct handle *handle;
	struct node node;
	struct stat st;
	int access = fi->flags & O_ACCMODE;
	mode_t wanted = access == O_RDONLY ? 0444 : access == O_WRONLY ? 0222 : 0666, mode = 0;
	bool found, stream = false, nonseekable = false;

	tree_lock(requests->tree);
	found = tree_find(requests->tree, ino, &node);
	if (found && node_row(node)->file) {
		const struct file_type *file = node_row(node)->file;

		mode = file->mode;
		stream = file->stream;
		nonseekable = file->stream && !file->positioned;
		node_stat(node, &st);
	}
	tree_unlock(requests->tree);
	if (!found) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	/*
	 * Also root may not write what cannot be written, or what the mode forbids to everybody: in
	 * sysfs.
	 */
	if (!stream && ((wanted & 0444 && !(mode & st.st_mode & 0444)) ||
			(wanted & 0222 && !(mode & 0222 && st.st_mode & 0222)))) {
		fuse_reply_err(req, EACCES);
		return;
	}
	handle = handle_new(requests);
	if (!handle) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	handle->gone = stream ? EIO : ENODEV;
	fi->fh = (uintptr_t)handle;
	fi->direct_io = 1;
	fi->noflush = 1;
	fi->nonseekable = nonseekable;
	fuse_reply_open(req, fi);
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct tree *tree = requests_of(req)->tree;
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct process_caller reader = { ctx->pid, ctx->uid };
	struct handle *handle = handle_of(fi);
	struct node node;
	int r;

	tree_lock(tree);
	r = tree_find(tree, ino, &node) ? 0 : -handle->gone;
	/* What is read from the start is read anew; the rest of it is of the same text. */
	if (!r && (!offset || !handle->filled)) {
		handle->text.length = 0;
		r = file_show(node_row(node)->file, node.dir, &reader, &handle->text);
		handle->filled = !r;
	}
	tree_unlock(tree);
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	reply_text(req, &handle->text, size, offset);
	handle->stream.position = offset + (off_t)part_of(&handle->text, size, offset);
}

static void finish_event(struct event *event)
{
	free(event);
}

/* Lets others write to the file of a write that was held; see node_hold(). */
static void make_way(struct requests *requests, struct node node)
{
	struct event *event = calloc(1, sizeof(*event));

	/* Without memory they wait until the held write is answered. */
	if (!event)
		return;
	node_hold(node);
	event->finish = finish_event;
	answerer_post(requests->damonfs.answerer, event);
}

/* Answers a write that was done at once; names that went are forgotten first. */
static void reply_write(struct requests *requests, struct write *write, int result, bool changed)
{
	struct pending *pending = write_hold(write);

	if (changed) {
		pending_answer_after_changes(pending, requests->damonfs.answerer, result);
	} else {
		pending_answer(pending, result);
	}
}

/* Each write to a file of sysfs is one command. */
static int store_text(struct node node, struct write *write, const char *data, size_t size)
{
	char text[MAX_WRITE + 1];

	memcpy(text, data, size);
	text[size] = '\0';
	write->size = size;
	return file_store(node_row(node)->file, node.dir, write, text);
}

static void do_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	struct requests *requests = requests_of(req);
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct write write = { .caller = { ctx->pid, ctx->uid } };
	struct handle *handle = handle_of(fi);
	struct pending *pending;
	struct node node;
	bool changed;
	int r = -handle->gone;

	if (handle->gone == ENODEV)
		size = min_ul(size, MAX_WRITE);
	pending = write.pending = pending_new(req, size);
	if (!pending) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	tree_lock(requests->tree);
	if (tree_find(requests->tree, ino, &node))
		r = node_row(node)->file->stream ? stream_store(&handle->stream, node, &write, data,
								size, offset, fi->flags) :
						   store_text(node, &write, data, size);
	changed = requests->tree->changes;
	/*
	 * While the tree is locked nobody can answer it.  Writes to the kernel's debugfs files wait
	 * for each other, and no signal interrupts them.
	 */
	if (r == STORE_HELD && !node_row(node)->file->stream) {
		pending_allow_interrupt(pending);
		make_way(requests, node);
	}
	tree_unlock(requests->tree);
	if (r != STORE_HELD)
		reply_write(requests, &write, r, changed);
}

/* ---- what cannot be done ---- */

static void no_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)fi;
	fuse_reply_err(req, EACCES);
}

static void no_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)dev;
	fuse_reply_err(req, EPERM);
}

static void no_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	no_mknod(req, parent, name, mode, 0);
}

static void no_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	no_mknod(req, parent, name, 0, 0);
}

static void no_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	(void)target;
	no_mknod(req, parent, name, 0, 0);
}

static void no_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned int flags)
{
	(void)new_parent;
	(void)new_name;
	(void)flags;
	no_mknod(req, parent, name, 0, 0);
}

static void no_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	(void)ino;
	no_mknod(req, parent, name, 0, 0);
}

/* flush and fsync are missing on purpose: the kernel asks once and never again. */
const struct fuse_lowlevel_ops requests_operations = {
	.lookup = do_lookup,
	.getattr = do_getattr,
	.setattr = do_setattr,
	.opendir = do_opendir,
	.readdir = do_readdir,
	.releasedir = do_release,
	.open = do_open,
	.read = do_read,
	.write = do_write,
	.release = do_release,
	.create = no_create,
	.mknod = no_mknod,
	.mkdir = no_mkdir,
	.rmdir = no_unlink,
	.unlink = no_unlink,
	.symlink = no_symlink,
	.rename = no_rename,
	.link = no_link,
};

void requests_clear(struct requests *requests)
{
	struct handle *handle, *next;

	DL_FOREACH_SAFE(requests->handles, handle, next)
		handle_free(requests, handle);
}
