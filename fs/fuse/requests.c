// SPDX-License-Identifier: GPL-2.0-or-later
/* The FUSE requests: see requests.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "access/rights/status.h"
#include "fs/fuse/deferred_reply.h"
#include "fs/fuse/refuse.h"
#include "fs/fuse/requests.h"
#include "fs/keep/save.h"
#include "fs/keep/texts.h"
#include "fs/status/report.h"
#include "fs/tree/file.h"
#include "util/cleanup.h"

/* The most that a write hands to a file, as in sysfs. */
#define MAX_WRITE 4096

/* A longer text is dropped once it was read. */
#define MAX_KEPT 4096

static struct requests *requests_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/*
 * Who sent a request for inode INO.  FUSE gives pids of the namespace that the mount was made in:
 * if that may not be ours, a pid is believed only if its task waits for such a request.
 */
static struct process_caller sender_of(fuse_req_t req, fuse_ino_t ino)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	bool believed = !requests_of(req)->passed || task_waits_for(ctx->pid, node_real_ino(ino));

	return (struct process_caller){ believed ? ctx->pid : 0, ctx->uid, ctx->gid };
}

static void do_init(void *userdata, struct fuse_conn_info *conn)
{
	struct requests *requests = userdata;

	conn->max_read = requests->max_read;
	if (requests->outstanding)
		conn->max_write = (unsigned int)min_ul(conn->max_write, OUTSTANDING_WRITE);
	/*
	 * Readers and writers must wait for the answer: so they stay who they are, and do not
	 * execute a program meanwhile, for which their files in /proc would make us wait.
	 */
	conn->want &= ~(unsigned int)(FUSE_CAP_ASYNC_DIO | FUSE_CAP_ASYNC_READ);
	/*
	 * Whoever made the mount may have left default_permissions out.  If we ask for ACLs, even
	 * without any, the kernel still checks modes.
	 */
	if (requests->passed && conn->capable & FUSE_CAP_POSIX_ACL)
		conn->want |= FUSE_CAP_POSIX_ACL;
	requests->serves = !requests->passed || conn->want & FUSE_CAP_POSIX_ACL;
}

/* ---- names and attributes ---- */

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct tree *tree = requests_of(req)->tree;
	struct fuse_entry_param entry = { 0 };
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
		listing_entry(node, &entry);
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
	double keep = 0;

	(void)fi;
	tree_lock(tree);
	if (tree_find(tree, ino, &node)) {
		node_stat(node, &st);
		keep = node_keep(node);
	} else {
		node_stat_gone(tree, ino, &st);
	}
	tree_unlock(tree);
	fuse_reply_attr(req, &st, keep);
}

/* Sizes and times are accepted and ignored; modes and owners are kept. */
static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	unsigned int mask = (to_set & FUSE_SET_ATTR_MODE ? NODE_SET_MODE : 0U) |
			    (to_set & FUSE_SET_ATTR_UID ? NODE_SET_UID : 0U) |
			    (to_set & FUSE_SET_ATTR_GID ? NODE_SET_GID : 0U);
	struct tree *tree = requests_of(req)->tree;
	struct node node;
	struct stat st;
	double keep = 0;
	int r = 0;

	(void)fi;
	tree_lock(tree);
	if (!tree_find(tree, ino, &node))
		r = -ENOENT;
	else if (mask)
		r = node_change(node, mask, attr->st_mode, attr->st_uid, attr->st_gid);
	if (!r) {
		save_mode(tree, node);
		node_stat(node, &st);
		keep = node_keep(node);
	}
	tree_unlock(tree);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &st, keep);
}

/* ---- handles ---- */

static int new_handle(fuse_req_t req, uint64_t number, struct handle **out)
{
	struct requests *requests = requests_of(req);

	return handle_new(&requests->handles, requests->tree->accounts, fuse_req_ctx(req)->uid,
			  number, out);
}

/* Which errno FILE, which may be NULL, answers once it is gone. */
static int gone_errno(const struct file_type *file)
{
	return file && file->stream ? EIO : ENODEV;
}

/* What a daemon before us gave HANDLE to read is read on; of a long text only where it ends. */
static void take_text(const struct requests *requests, struct handle *handle)
{
	struct text_copy kept;

	if (!requests->texts || !texts_find(requests->texts, handle->number, &kept) ||
	    kept.length > INT_MAX)
		return;
	if (kept.length > TEXTS_ROOM || text_reserve(&handle->text, kept.length)) {
		handle->end = (off_t)kept.length;
		return;
	}
	if (kept.length)
		memcpy(handle->text.data, kept.text, kept.length);
	handle->text.length = kept.length;
	handle->filled = true;
}

/*
 * The handle of an open file or directory.  One that a daemon before us had is made again: the
 * listing of a directory comes anew.
 * Return: NULL if there is no memory.
 */
static struct handle *handle_of(fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi)
{
	struct requests *requests = requests_of(req);
	struct handle *handle = handle_find(&requests->handles, fi->fh);
	struct node node;

	if (handle)
		return handle;
	/* What was open before may be more than a user may open now. */
	if (new_handle(req, fi->fh, &handle) &&
	    handle_new(&requests->handles, NULL, 0, fi->fh, &handle))
		return NULL;
	tree_lock(requests->tree);
	handle->gone =
		gone_errno(tree_find(requests->tree, ino, &node) ? node_row(node)->file : NULL);
	handle->opener = save_opener(requests->tree, fi->fh);
	tree_unlock(requests->tree);
	take_text(requests, handle);
	/* Who could open it for commands, was saved. */
	handle->opener_error = handle->opener ? 0 : -EPERM;
	return handle;
}

static void close_handle(struct requests *requests, uint64_t number)
{
	struct handle *handle = handle_find(&requests->handles, number);

	if (handle)
		handle_free(&requests->handles, handle);
	tree_lock(requests->tree);
	save_closed(requests->tree, number);
	tree_unlock(requests->tree);
}

static void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	close_handle(requests_of(req), fi->fh);
	fuse_reply_err(req, 0);
}

/* ---- directories ---- */

static void do_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct requests *requests = requests_of(req);
	struct handle *handle = NULL;
	struct node node;
	int r = 0;

	tree_lock(requests->tree);
	if (!tree_find(requests->tree, ino, &node))
		r = -ENOENT;
	else if (!node_is_dir(node))
		r = -ENOTDIR;
	tree_unlock(requests->tree);
	if (!r)
		r = new_handle(req, 0, &handle);
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	fi->fh = handle->number;
	if (fuse_reply_open(req, fi) == -ENOENT)
		close_handle(requests, handle->number);
}

/* Return: 0 or a negative errno. */
static int fill_listing(struct tree *tree, fuse_ino_t ino, struct handle *handle)
{
	struct node node;
	int r = -ENOENT;

	tree_lock(tree);
	if (tree_find(tree, ino, &node))
		r = node_is_dir(node) ? listing_fill(&handle->listing, node) : -ENOTDIR;
	tree_unlock(tree);
	handle->filled = !r;
	return r;
}

/* Sends a part of the directory, PLUS what a look-up would tell of each entry. */
static void send_listing(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			 struct handle *handle, bool plus)
{
	struct tree *tree = requests_of(req)->tree;
	size_t length;
	int r = handle ? 0 : -ENOMEM;

	/* Reading from the start reads anew. */
	if (!r && (!offset || !handle->filled))
		r = fill_listing(tree, ino, handle);
	if (!r) {
		handle->text.length = 0;
		r = text_reserve(&handle->text, size);
	}
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	tree_lock(tree);
	length = listing_put(&handle->listing, req, offset, handle->text.data, size,
			     plus ? tree : NULL);
	tree_unlock(tree);
	fuse_reply_buf(req, handle->text.data, length);
}

static void do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	send_listing(req, ino, size, offset, handle_of(req, ino, fi), false);
}

static void do_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			   struct fuse_file_info *fi)
{
	send_listing(req, ino, size, offset, handle_of(req, ino, fi), true);
}

/* ---- files ---- */

/* What do_open() needs to know of a file. */
struct file_facts {
	const struct file_type *type;
	uint64_t ino;
	mode_t mode; /* as it was changed */
};

/* Return: 0 and *OUT, or a negative errno. */
static int find_file(struct tree *tree, fuse_ino_t ino, struct file_facts *out)
{
	struct node node;
	struct stat st;
	int r = 0;

	tree_lock(tree);
	if (!tree_find(tree, ino, &node)) {
		r = -ENOENT;
	} else if (node_is_dir(node)) {
		r = -EISDIR;
	} else {
		node_stat(node, &st);
		*out = (struct file_facts){ node_row(node)->file, st.st_ino, st.st_mode };
	}
	tree_unlock(tree);
	return r;
}

/* In sysfs, even root may not write what cannot be written, or what the mode forbids to all. */
static bool may_open(const struct file_facts *file, mode_t wanted)
{
	mode_t can = file->type->mode, may = file->mode;

	if (file->type->stream)
		return true;
	return (!(wanted & 0444) || (can & 0444 && may & 0444)) &&
	       (!(wanted & 0222) || (can & 0222 && may & 0222));
}

/* Sets up the handle of FILE, opened for the access in WANTED. */
static void describe_open(fuse_req_t req, const struct file_facts *file, mode_t wanted,
			  struct handle *handle, struct fuse_file_info *fi)
{
	handle->gone = gone_errno(file->type);
	handle->may_status = file->type->tells_status && wanted == 0666;
	if (file->type->commands && wanted & 0222) {
		struct process_caller opener = sender_of(req, file->ino);

		handle->opener_error =
			caller_new(opener.pid, opener.uid, opener.gid, &handle->opener);
		tree_lock(requests_of(req)->tree);
		save_opened(requests_of(req)->tree, handle->number, handle->opener);
		tree_unlock(requests_of(req)->tree);
	}
	fi->fh = handle->number;
	fi->direct_io = 1;
	fi->noflush = 1;
	fi->nonseekable = file->type->stream && !file->type->positioned;
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int access = fi->flags & O_ACCMODE;
	mode_t wanted = access == O_RDONLY ? 0444 : access == O_WRONLY ? 0222 : 0666;
	struct requests *requests = requests_of(req);
	struct handle *handle = NULL;
	struct file_facts file;
	int r = find_file(requests->tree, ino, &file);

	if (!r && !may_open(&file, wanted))
		r = -EACCES;
	if (!r)
		r = new_handle(req, 0, &handle);
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	describe_open(req, &file, wanted, handle, fi);
	/* Nobody waits for it who would close it. */
	if (fuse_reply_open(req, fi) == -ENOENT)
		close_handle(requests, handle->number);
}

/* How many of SIZE bytes at OFFSET, which may be anything, are in TEXT. */
static size_t part_of(const struct text *text, size_t size, off_t offset)
{
	if (offset < 0 || (uint64_t)offset >= text->length)
		return 0;
	return min_ul(size, text->length - (size_t)offset);
}

/* Drops a long text that was read to its end, though the file stays open. */
static void forget_long_text(struct handle *handle)
{
	if (handle->text.room <= MAX_KEPT || handle->stream.position < (off_t)handle->text.length)
		return;
	handle->end = (off_t)handle->text.length;
	handle->filled = false;
	text_clear(&handle->text);
}

/* Reading from the start prints a new text; the rest is read from the same one. */
static bool needs_text(const struct handle *handle, off_t offset)
{
	return !offset || (!handle->filled && (!handle->end || offset < handle->end));
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct tree *tree = requests_of(req)->tree;
	struct process_caller reader = sender_of(req, ino);
	struct handle *handle = handle_of(req, ino, fi);
	struct node node;
	size_t length;
	int r;

	if (!handle) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	tree_lock(tree);
	r = tree_find(tree, ino, &node) && !node_is_dir(node) ? 0 : -handle->gone;
	if (!r && needs_text(handle, offset)) {
		handle->text.length = 0;
		handle->end = 0;
		r = handle->tells_status ?
			    report_status(tree, &handle->text) :
			    file_show(node_row(node)->file, node.dir, &reader, &handle->text);
		handle->filled = !r;
		if (!r && requests_of(req)->texts)
			texts_keep(requests_of(req)->texts, handle->number, handle->text.data,
				   handle->text.length);
	}
	tree_unlock(tree);
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	length = part_of(&handle->text, size, offset);
	fuse_reply_buf(req, length ? handle->text.data + offset : NULL, length);
	handle->stream.position = offset + (off_t)length;
	forget_long_text(handle);
}

/* The one command that is known has the file tell the status from now on. */
static void do_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int command, void *argument,
		     struct fuse_file_info *fi, unsigned int flags, const void *in, size_t in_size,
		     size_t out_size)
{
	struct handle *handle =
		command == REPORT_STATUS && !ino_is_dir(ino) ? handle_of(req, ino, fi) : NULL;

	(void)argument;
	(void)flags;
	(void)in;
	(void)in_size;
	(void)out_size;
	if (!handle || !handle->may_status) {
		fuse_reply_err(req, ENOTTY);
		return;
	}
	handle->tells_status = true;
	handle->filled = false;
	fuse_reply_ioctl(req, 0, NULL, 0);
}

/* Answers a write that was done at once, when nobody can still see what it removed. */
static void reply_write(struct requests *requests, struct write *write, int result, bool changed)
{
	struct deferred_reply *pending = write_hold(write);

	if (changed)
		deferred_reply_send_after_changes(pending, requests->damonfs.answerer, result);
	else
		deferred_reply_send(pending, result);
}

/* Each write to a file of sysfs is one command. */
WITH_LOCK(tree_role)
static int requests_store_text(struct requests *requests, struct node node, struct write *write,
			       const char *data, size_t size)
{
	const struct file_type *file = node_row(node)->file;
	uint64_t serial = requests->tree->next_serial;
	char text[MAX_WRITE + 1];
	int r;

	size = min_ul(size, MAX_WRITE);
	memcpy(text, data, size);
	text[size] = '\0';
	write->size = size;
	r = file_store(file, node.dir, write, text);
	if (!requests->outstanding)
		return r;
	if (!r)
		save_store(requests->tree, node, text, serial, write->account,
			   outstanding_at_hand(requests->outstanding), size);
	else if (r == -ENOMEM && file->format == FILE_COUNT && !dir_list_of(node.dir, file)->nr)
		/* It emptied the list, and could not fill it again. */
		save_store(requests->tree, node, "0", serial, write->account, 0, 0);
	return r;
}

/* The same of a stream, which is saved as it is then: a write that fails may empty it. */
WITH_LOCK(tree_role)
static int requests_store_stream(struct requests *requests, struct handle *handle, struct node node,
				 struct write *write, const char *data, size_t size, off_t offset,
				 int flags)
{
	uint64_t serial = requests->tree->next_serial, request;
	char text[MAX_WRITE + 1];
	int r = stream_store(&handle->stream, node, write, data, size, offset, flags);

	if (!requests->outstanding || r == STORE_HELD)
		return r;
	request = r ? 0 : outstanding_at_hand(requests->outstanding);
	if (node_row(node)->file->show) {
		save_held(requests->tree, node, request, size);
	} else if (!r && size <= MAX_WRITE) {
		memcpy(text, data, size);
		text[size] = '\0';
		save_store(requests->tree, node, text, serial, write->account, request, size);
	} else if (!r) {
		save_all(requests->tree);
	}
	return r;
}

/*
 * Notes who writes, and who is charged for it.
 * Return: 0, or -ENOMEM and then OUT has nothing to give back.
 */
static int begin_write(fuse_req_t req, fuse_ino_t ino, const struct handle *handle, size_t size,
		       struct write *out)
{
	*out = (struct write){ .writer = sender_of(req, ino),
			       .opener = handle->opener,
			       .opener_error = handle->opener_error };
	if (account_get(requests_of(req)->tree->accounts, out->writer.uid, &out->account))
		return -ENOMEM;
	out->pending = deferred_reply_new(req, size, requests_of(req)->outstanding);
	if (out->pending)
		return 0;
	out->account = account_put(out->account);
	return -ENOMEM;
}

/*
 * Notes that a write is held; nobody can answer it while the tree is locked.  Writes to the
 * kernel's debugfs files wait for each other, and no signal interrupts them.
 */
static void let_be_held(struct node node, struct deferred_reply *pending)
{
	deferred_reply_keep(pending);
	if (node_row(node)->file->stream)
		return;
	deferred_reply_allow_interrupt(pending);
	node_hold(node);
}

static void do_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	struct requests *requests = requests_of(req);
	struct handle *handle = handle_of(req, ino, fi);
	struct deferred_reply *pending;
	uint64_t nr_changes;
	struct write write;
	struct node node;
	bool changed;
	int r;

	if (handle && handle->gone == ENODEV)
		size = min_ul(size, MAX_WRITE);
	if (!handle || begin_write(req, ino, handle, size, &write)) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	pending = write.pending;
	tree_lock(requests->tree);
	nr_changes = requests->tree->nr_changes;
	if (!tree_find(requests->tree, ino, &node) || node_is_dir(node))
		r = -handle->gone;
	else if (node_row(node)->file->stream)
		r = requests_store_stream(requests, handle, node, &write, data, size, offset,
					  fi->flags);
	else
		r = requests_store_text(requests, node, &write, data, size);
	changed = requests->tree->nr_changes != nr_changes;
	save_serial(requests->tree);
	if (r == STORE_HELD)
		let_be_held(node, pending);
	tree_unlock(requests->tree);
	account_put(write.account);
	if (r != STORE_HELD)
		reply_write(requests, &write, r, changed);
}

/* flush and fsync are missing on purpose: the kernel asks once and never again. */
const struct fuse_lowlevel_ops requests_operations = {
	.init = do_init,
	.lookup = do_lookup,
	.getattr = do_getattr,
	.setattr = do_setattr,
	.opendir = do_opendir,
	.readdir = do_readdir,
	.readdirplus = do_readdirplus,
	.releasedir = do_release,
	.open = do_open,
	.read = do_read,
	.write = do_write,
	.release = do_release,
	.ioctl = do_ioctl,
	.create = refuse_create,
	.mknod = refuse_mknod,
	.mkdir = refuse_mkdir,
	.rmdir = refuse_unlink,
	.unlink = refuse_unlink,
	.symlink = refuse_symlink,
	.rename = refuse_rename,
	.link = refuse_link,
};

void requests_clear(struct requests *requests)
{
	struct handle *handle, *next;

	HASH_ITER(hh, requests->handles.all, handle, next)
		handle_free(&requests->handles, handle);
}
