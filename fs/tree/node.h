/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree: directories that come and go, and the files that their kinds give them.
 *
 * Only directories that there can be many of (a kdamond, a target, a scheme) are objects; their
 * files and fixed sub-directories are rows of their layout.  A node is an object and a row.  Its
 * inode number combines the row with the object's serial number, which is never reused: so the
 * number of something removed is found to be stale, and nothing has to be counted or forgotten.
 *
 * The kernel may cache what can be removed for a moment only (see node_keep()), and a removal is
 * answered after that moment.  So no name has to be taken back from the kernel, which would have to
 * wait for a lock that others can hold.
 *
 * Everything here is under the tree's lock.  It is held while allocating, parsing, looking a cgroup
 * up and making a thread; never over what others can hold up, like opening a file of a process.
 */
#ifndef DAMONFS_FS_TREE_NODE_H
#define DAMONFS_FS_TREE_NODE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
/* Out of memory, an element is not added and its hh.tbl is NULL. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "fs/account.h"
#include "fs/tree/layout.h"
#include "fs/tree/type.h"
#include "util/guard.h"

/* Ascending by number, or in the order in which named ones were made. */
struct dir_list {
	struct dir **dirs;
	size_t nr;
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
	struct account *account; /* whose object it is; a reference, or NULL */
	struct dir *parent; /* object; NULL for the root */
	char *name; /* in a list of named directories; else NULL */
	struct row_override *overrides; /* by row; NULL while there are none */
	uint64_t kept_until; /* see node_keep(); 0: the kernel never heard of it */
	unsigned int number; /* its name in a list of numbered ones */
	uint16_t nr_held; /* see node_hold() */
	uint8_t parent_row; /* the row that it is listed in */
	uint8_t changed_row; /* see tree_take_changes() */
	bool is_changed;
	struct dir *prev, *next; /* in tree.changed */
	UT_hash_handle hh; /* in tree.dirs */
};

/* The lock of the tree: of its nodes, and of what files share (damonfs.h). */
LOCK_ROLE(tree_role);

struct tree {
	pthread_mutex_t lock;
	/* Constant after tree_new(). */
	unsigned int abi;
	uid_t uid;
	gid_t gid;
	struct timespec created;
	uint64_t tick; /* of the kernel, ns */
	void *owner; /* whatever the files' own functions need: see sysfs/sysfs.h */
	struct accounts *accounts; /* of who makes directories; borrowed, NULL: nobody is charged */
	struct layout *layouts;
	struct dir *root;
	struct dir *dirs GUARDED_BY(tree_role); /* hash by serial */
	uint64_t next_serial GUARDED_BY(tree_role);
	/* Of which the kernel may have old attributes: tree_take_changes(). */
	struct dir *changed GUARDED_BY(tree_role);
	/* When the kernel has forgotten all that was removed; CLOCK_MONOTONIC_COARSE, ns */
	uint64_t settled GUARDED_BY(tree_role);
	/* Counts changes that the kernel is told of or waited for. */
	uint64_t nr_changes GUARDED_BY(tree_role);
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
ALONE struct tree *tree_new(const struct dir_kind *kind, unsigned int abi, uid_t uid, gid_t gid,
			    void *owner);
ALONE struct tree *tree_free(struct tree *tree);

DEFINE_LOCK(tree_role, tree, struct tree, lock);

/* The row of the layout that NODE is. */
static inline const struct row *node_row(struct node node)
{
	return &node.dir->layout->rows[node.row];
}

/* Whether NODE is a directory. */
static inline bool node_is_dir(struct node node)
{
	return !node_row(node)->file;
}

/*
 * An inode number, less 1: how often its writes were held (16 bits, see node_alias()), the serial
 * number (39), whether it is a file (1), the row (8).
 */
#define INO_ROW_BITS	8
#define INO_FILE	(1ULL << INO_ROW_BITS)
#define INO_SERIAL_BITS 39
#define INO_REAL_BITS	(INO_SERIAL_BITS + INO_ROW_BITS + 1)

_Static_assert(MAX_ROWS <= 1 << INO_ROW_BITS, "a row fits into an inode number");
_Static_assert(INO_REAL_BITS + 16 == 64, "nr_held fits into an inode number");

/* Even of what is gone, the number tells whether it was a directory. */
static inline uint64_t node_ino(struct node node)
{
	return (node.dir->serial << (INO_ROW_BITS + 1) | (node_is_dir(node) ? 0 : INO_FILE) |
		node.row) +
	       1;
}

/* Whether INO is a directory's, even of what is gone. */
static inline bool ino_is_dir(uint64_t ino)
{
	return !((ino - 1) & INO_FILE);
}

/*
 * Notes that a write to the file NODE is held.  The kernel lets one write at a time into an inode,
 * so another (`off' after a `commit') would wait for it: from now on the name leads to another
 * inode number of the same file.
 */
void node_hold(struct node node);

/* Whether writes to NODE may be held so; the kernel must not cache its name then. */
static inline bool node_can_be_held(struct node node)
{
	const struct file_type *file = node_row(node)->file;

	return file && file->commands && !file->stream;
}

/* The inode number that the kernel gets for NODE from now on; node_ino() until it was held. */
static inline uint64_t node_alias(struct node node)
{
	return node_ino(node) +
	       (node_is_dir(node) ? 0 : (uint64_t)node.dir->nr_held << INO_REAL_BITS);
}

/* The inode number to show for a node that the kernel knows by INO. */
static inline uint64_t node_real_ino(uint64_t ino)
{
	return ino & ((1ULL << INO_REAL_BITS) - 1);
}

/*
 * How long, in seconds, the kernel may cache the name and attributes of NODE from now on: one tick
 * of its clock, or a day if NODE can never be removed.
 */
double node_keep(struct node node);

/* Return: whether INO stands for something that still exists, which is then in *OUT. */
WITH_LOCK(tree_role) bool tree_find(struct tree *tree, uint64_t ino, struct node *out);

/* Whether COUNT directories can get serial numbers from SERIAL: none of them is in use. */
WITH_LOCK(tree_role)
bool tree_serials_are_free(struct tree *tree, uint64_t serial, uint64_t count);

/* Finds NAME in the directory PARENT.  Return: whether there is one. */
bool node_lookup(struct node parent, const char *name, struct node *out);

/* What stat(2) tells of NODE. */
void node_stat(struct node node, struct stat *out);

/* The same for something that is gone but still held: as in sysfs, it still has attributes. */
void node_stat_gone(const struct tree *tree, uint64_t ino, struct stat *out);

/* Sets what chmod(2) and chown(2) may change; MASK says what.  Return: 0 or -ENOMEM. */
enum { NODE_SET_MODE = 1, NODE_SET_UID = 2, NODE_SET_GID = 4 };
int node_change(struct node node, unsigned int mask, mode_t mode, uid_t uid, gid_t gid);

/*
 * Calls VISIT for each entry of the directory NODE in order until it returns false; `.' and `..'
 * come first.  Return: whether it came to the end.
 */
bool node_list(struct node node, bool (*visit)(const char *name, uint64_t ino, void *argument),
	       void *argument);

/* The list that the file FILE of DIR counts, or that FILE is. */
struct dir_list *dir_list_of(struct dir *dir, const struct file_type *file);

/*
 * Removes all directories of a list and makes COUNT fresh ones, which are charged to ACCOUNT.
 * Return: 0; or -ENOMEM, and then the list is empty, or unchanged if they are too many for ACCOUNT.
 */
WITH_LOCK(tree_role)
int dir_populate(struct dir *dir, const struct file_type *file, size_t count,
		 struct account *account);

/*
 * Adds a directory to a list, which was emptied by dir_populate() before others could see it; its
 * number must be above all others'.  It is charged to ACCOUNT.
 * Return: it, or NULL if there is no memory.
 */
WITH_LOCK(tree_role)
struct dir *dir_add(struct dir *dir, const struct file_type *file, unsigned int number,
		    struct account *account);

/* The same in a list of named directories; NAME must be new in it. */
WITH_LOCK(tree_role)
struct dir *dir_add_named(struct dir *dir, const struct file_type *file, const char *name,
			  struct account *account);

/* Removes one directory of a list. */
WITH_LOCK(tree_role) void dir_remove(struct dir *dir);

/* The row of a kind's table with this path: for functions that handle a list of their own. */
const struct file_type *dir_file(const struct dir_kind *kind, const char *path);

/*
 * Takes inode numbers of directories of which the kernel may have outdated attributes, up to ROOM,
 * which is at least MAX_ROWS.
 * Return: how many; 0 when there are no more.
 */
WITH_LOCK(tree_role) size_t tree_take_changes(struct tree *tree, uint64_t *inos, size_t room);

/* The clock of tree.settled, ns. */
uint64_t tree_now(void);

#endif
