/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File types: how a file prints and parses its field of a directory's struct.
 *
 * A kind of directory is a struct and a table of struct file_type rows.  A row's path is relative
 * to the directory; the sub-directories in it exist because rows name them.  Everything else
 * follows from the row: lookup, modes, listing, parsing, printing, errors, and which kernels have
 * the file.
 */
#ifndef DAMONFS_FS_TREE_TYPE_H
#define DAMONFS_FS_TREE_TYPE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/damon.h"
#include "fs/tree/text.h"

struct dir;
struct dir_kind;
struct write;

/* For tables: since which kernel. */
#define V(major, minor) DAMON_ABI(major, minor)

struct keyword {
	const char *name; /* NULL ends a table */
	int value;
	unsigned int since; /* DAMON_ABI(); 0: always */
};

/* A word that is shown for its value, but never taken. */
#define KEYWORD_NEVER UINT_MAX

enum file_format {
	FILE_NUMBER, /* uint64_t */
	FILE_UINT, /* uint32_t */
	FILE_INT, /* int */
	FILE_FLAG, /* bool: Y or N */
	FILE_KEYWORD, /* int, by a table of words */
	FILE_TEXT, /* char *, kept as written */
	FILE_COUNT, /* how many directories a list has; writing it makes them anew */
	FILE_OWN, /* show and store of its own */
	FILE_LIST, /* no file: the numbered directories beside it */
};

/* What a store may return besides 0 (done) and a negative errno. */
enum { STORE_HELD = 1 /* it took over the write and answers later */ };

/*
 * How a daemon that takes over turns on what was on: see fs/keep/restore.h.  The tree is locked.
 */
struct resumption {
	/* Describes what DIR holds now, in the name of CALLER.  Return: 0 or a negative errno. */
	int (*describe)(struct dir *dir, struct caller *caller, struct damon_desc **out);
	/*
	 * Starts it; takes over DESC, even on failure, and KEPT, which would do so again.
	 * Return: 0, and then it is under way, or a negative errno.
	 */
	int (*start)(struct dir *dir, struct damon_desc *desc, struct text *kept);
};

struct file_type {
	const char *path;
	enum file_format format;
	mode_t mode;
	size_t offset; /* of the field in the directory's struct */
	unsigned int since; /* DAMON_ABI() of the first kernel that has it; 0: all */
	unsigned int until; /* of the first kernel without it; 0: none */
	bool range_is_invalid; /* a number out of range is EINVAL, not ERANGE */
	bool not_zero; /* FILE_NUMBER: 0 is EINVAL */
	/*
	 * A debugfs file: its size is 0, and it takes writes of up to STREAM_MAX bytes, only at the
	 * start.  Unless `positioned', it cannot be read or written at a position.
	 */
	bool stream;
	bool positioned;
	/* A stream or a command file that goes on in another daemon, as others do: fs/keep/save.h. */
	bool kept;
	/* Makes a directory of the name that it is given, in the list of named ones beside it. */
	bool makes;
	/* Its writes act in the name of who opens it and who writes. */
	bool commands;
	/* Who has it open to read and write may have the status of the mount: fs/status/report.h. */
	bool tells_status;
	/* A command file that turns something on: how another daemon does so again. */
	const struct resumption *resumption;
	const struct keyword *words;
	/* FILE_LIST: a kdamond fills it; kept with its numbers by fs/keep/measured.h. */
	bool measured;
	/* FILE_OWN; a missing one answers EINVAL.  READER is who reads. */
	int (*show)(struct dir *dir, const struct process_caller *reader, struct text *out);
	int (*store)(struct dir *dir, struct write *write, const char *text);
	/* FILE_OWN: what another daemon stores to have the same, if not what it shows, and how. */
	int (*keep)(struct dir *dir, const struct process_caller *reader, struct text *out);
	int (*restore)(struct dir *dir, struct write *write, const char *text);
	/* FILE_COUNT and FILE_LIST: what the directories are. */
	const struct dir_kind *children;
	/* FILE_COUNT: may refuse a non-negative count with a negative errno; or NULL. */
	int (*check_count)(struct dir *dir, int count);
};

#define ROW(path_, format_, mode_, type, member, ...)                   \
	{                                                               \
		.path = path_, .format = FILE_##format_, .mode = mode_, \
		.offset = offsetof(type, member), __VA_ARGS__           \
	}
#define NUMBER(path, mode, type, member, ...) ROW(path, NUMBER, mode, type, member, __VA_ARGS__)
#define UINT(path, mode, type, member, ...)   ROW(path, UINT, mode, type, member, __VA_ARGS__)
#define INT(path, mode, type, member, ...)    ROW(path, INT, mode, type, member, __VA_ARGS__)
#define FLAG(path, mode, type, member, ...)   ROW(path, FLAG, mode, type, member, __VA_ARGS__)
#define TEXT(path, mode, type, member, ...)   ROW(path, TEXT, mode, type, member, __VA_ARGS__)
#define KEYWORD(path, mode, type, member, words_, ...) \
	ROW(path, KEYWORD, mode, type, member, .words = words_, __VA_ARGS__)
#define OWN(path_, mode_, show_, store_, ...)                                                     \
	{                                                                                         \
		.path = path_, .format = FILE_OWN, .mode = mode_, .show = show_, .store = store_, \
		__VA_ARGS__                                                                       \
	}
/* A file whose number makes that many directories beside it. */
#define COUNT(path, mode, type, member, kind, ...) \
	ROW(path, COUNT, mode, type, member, .children = kind, __VA_ARGS__)
/* Directories that appear by themselves; the path is that of the directory they are in. */
#define LIST(path, type, member, kind, ...) \
	ROW(path, LIST, 0, type, member, .children = kind, __VA_ARGS__)

/* A kind of directory: its struct, which begins with a struct dir, and its files. */
struct dir_kind {
	const char *name;
	size_t size;
	const struct file_type *files;
	size_t nr_files;
	/* Set non-zero fields of a new one; free what it owns but its lists.  May be NULL. */
	void (*init)(struct dir *dir);
	void (*clear)(struct dir *dir);
	/* Brings its fields up to date before a file is read or written.  May be NULL. */
	void (*refresh)(struct dir *dir);
};

#endif
