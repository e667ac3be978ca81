/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree: directories that come and go, and the files that their kinds give them.
 *
 * Only directories of which there can be many (a kdamond, a target, a scheme) are objects; the
 * files and fixed sub-directories of one are rows of its layout, which is made once from its kind's
 * table and the ABI version.  A node is such an object and a row: its inode number is made of the
 * object's serial number, which is never used twice, and the row.  So an inode number of something
 * that was removed is found to be stale, and nothing has to be counted or forgotten.
 *
 * Everything here is under the tree's lock, which is held briefly and never while waiting.
 */
#ifndef DAMONFS_FS_NODE_H
#define DAMONFS_FS_NODE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <uthash.h>

#include "fs/file.h"

/* A kind of directory: its struct, which begins with a struct dir, and its files. */
struct dir_kind {
	const char *name;
	size_t size;
	const struct file_type *files;
	size_t nr_files;
	/* Sets what is not zero in a new one; frees what it owns but its lists.  Both may be NULL. */
	void (*init)(struct dir *dir);
	void (*clear)(struct dir *dir);
	/* Before a file of it is read or written: brings its fields up to date.  May be NULL. */
	void (*refresh)(struct dir *dir);
};

/* Ascending by number, or in the order in which named ones were made. */
struct dir_list {
	struct dir **dirs;
	size_t nr;
};

struct row {
	char *name; /* "" for row 0, the object itself */
	unsigned int parent; /* row */
	const struct file_type *file; /* NULL for a sub-directory */
	/* Sub-directories: the list in it, if there is one. */
	const struct file_type *list;
	const struct layout *children; /* of the list */
};

struct layout {
	const struct dir_kind *kind;
	struct row *rows;
	unsigned int nr_rows;
	struct layout *next; /* all of a tree's */
};

/* What chmod and chown changed of a row. */
struct row_override {
	bool set;
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

struct dir {
	struct tree *tree;
	uint64_t serial;
	const struct layout *layout;
	struct dir *parent; /* object; NULL for the root */
	unsigned int parent_row; /* the row that it is listed in */
	unsigned int number; /* its name there */
	char *name; /* the same, instead, in a list of named directories; else NULL */
	struct row_override *overrides; /* by row; NULL while there are none */
	bool known; /* the kernel may have its name cached */
	uint16_t nr_held; /* see node_hold() */
	UT_hash_handle hh; /* in tree.dirs */
};

/* Something that the kernel may have cached and must forget: a name in a directory. */
struct invalidation {
	uint64_t parent_ino;
	struct invalidation *next;
	char name[]; /* "": the directory's attributes only */
};

struct tree {
	pthread_mutex_t lock;
	/* Constant after tree_new(). */
	unsigned int abi;
	uid_t uid;
	gid_t gid;
	struct timespec created;
	void *owner; /* whatever the files' own functions need: see sysfs/sysfs.h */
	struct layout *layouts;
	struct dir *root;
	/* Under the lock. */
	struct dir *dirs; /* hash by serial */
	uint64_t next_serial;
	struct invalidation *changes; /* since they were last taken */
};

/* A directory or file: what an inode number stands for. */
struct node {
	struct dir *dir;
	unsigned int row;
};

/*
 * Makes a tree with one directory of KIND as its root (inode number 1).
 * Return: the tree, or NULL if there is no memory.
 */
struct tree *tree_new(const struct dir_kind *kind, unsigned int abi, uid_t uid, gid_t gid,
		      void *owner);
struct tree *tree_free(struct tree *tree);

static inline void tree_lock(struct tree *tree)
{
	pthread_mutex_lock(&tree->lock);
}

static inline void tree_unlock(struct tree *tree)
{
	pthread_mutex_unlock(&tree->lock);
}

static inline uint64_t node_ino(struct node node)
{
	return (node.dir->serial << 8 | node.row) + 1;
}

static inline const struct row *node_row(struct node node)
{
	return &node.dir->layout->rows[node.row];
}

static inline bool node_is_dir(struct node node)
{
	return !node_row(node)->file;
}

/*
 * A write to the file NODE is held.  The kernel lets one write at a time into an inode, so that
 * another one (`off' after a `commit') would wait for it: the file's name is to be forgotten, and
 * is found with another inode number the next time, of the same file.
 */
void node_hold(struct node node);

/* The inode number by which the kernel is to know NODE from now on; node_ino() until it was held. */
static inline uint64_t node_alias(struct node node)
{
	return node_ino(node) + (node_is_dir(node) ? 0 : (uint64_t)node.dir->nr_held << 48);
}

/* Return: whether INO stands for something that still exists, which is then in *OUT. */
bool tree_find(struct tree *tree, uint64_t ino, struct node *out);

/* Finds NAME in the directory PARENT.  Return: whether there is one. */
bool node_lookup(struct node parent, const char *name, struct node *out);

void node_stat(struct node node, struct stat *out);

/* Takes what chmod(2) and chown(2) may change; MASK says what.  Return: 0 or -ENOMEM. */
enum { NODE_SET_MODE = 1, NODE_SET_UID = 2, NODE_SET_GID = 4 };
int node_change(struct node node, unsigned int mask, mode_t mode, uid_t uid, gid_t gid);

/*
 * Calls VISIT for each entry of the directory NODE in order until it returns false; `.' and `..'
 * come first.
 */
void node_list(struct node node,
	       bool (*visit)(const char *name, uint64_t ino, bool is_dir, void *argument),
	       void *argument);

/* The list that the file FILE of DIR counts, or that FILE is. */
struct dir_list *dir_list_of(struct dir *dir, const struct file_type *file);

/*
 * Removes all directories of a list and makes COUNT fresh ones.
 * Return: 0, or -ENOMEM, and then the list is empty.
 */
int dir_populate(struct dir *dir, const struct file_type *file, size_t count);

/*
 * Adds a directory to a list, which was emptied by dir_populate() before others could see it; its
 * number must be above all others'.  Return: it, or NULL if there is no memory.
 */
struct dir *dir_add(struct dir *dir, const struct file_type *file, unsigned int number);

/* The same in a list of named directories; NAME must be new in it. */
struct dir *dir_add_named(struct dir *dir, const struct file_type *file, const char *name);

/* Removes one directory of a list. */
void dir_remove(struct dir *dir);

/* The row of a kind's table with this path: for functions that handle a list of their own. */
const struct file_type *dir_file(const struct dir_kind *kind, const char *path);

/* Hands over the changes since the last call; freed by the caller, one by one. */
struct invalidation *tree_take_changes(struct tree *tree);

#endif
