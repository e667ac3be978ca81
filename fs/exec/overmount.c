// SPDX-License-Identifier: GPL-2.0-or-later
/* Covering a directory of sysfs or debugfs to get a mount point in it: see overmount.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/exec/overmount.h"
#include "util/array.h"
#include "util/cleanup.h"

/* A directory that always exists, to mount on for a moment. */
#define STAGE "/sys/fs"

/* An entry of the directory that is covered, held as a detached mount. */
struct entry {
	char name[NAME_MAX + 1];
	mode_t mode;
	int mount; /* of open_tree(); -1 for a symbolic link */
	char target[PATH_MAX]; /* of a symbolic link */
};

struct entries {
	struct entry *entry;
	size_t nr;
};

static void entries_free(struct entries *entries)
{
	for (size_t i = 0; i < entries->nr; i++)
		if (entries->entry[i].mount >= 0)
			close(entries->entry[i].mount);
	free(entries->entry);
}

static int hold_entry(int dir, const char *name, struct entries *entries)
{
	struct entry *entry;
	struct stat st;

	if (array_more(entries->entry, entries->nr))
		return -ENOMEM;
	entry = &entries->entry[entries->nr];
	*entry = (struct entry){ .mount = -1 };
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	entry->mode = st.st_mode;
	if (S_ISLNK(st.st_mode)) {
		if (readlinkat(dir, name, entry->target, sizeof(entry->target) - 1) < 0)
			return -errno;
	} else {
		entry->mount =
			open_tree(dir, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
		if (entry->mount < 0)
			return -errno;
	}
	entries->nr++;
	return 0;
}

/* Holds all entries of PARENT but WITHOUT. */
static int hold_entries(const char *parent, const char *without, struct entries *entries)
{
	_cleanup_closedir_ DIR *dir = opendir(parent);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return -errno;
	while (!r && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		    strcmp(entry->d_name, without))
			r = hold_entry(dirfd(dir), entry->d_name, entries);
	return r;
}

static int put_back(int dir, const struct entry *entry)
{
	_cleanup_close_ int file = -1;

	if (S_ISLNK(entry->mode))
		return symlinkat(entry->target, dir, entry->name) ? -errno : 0;
	if (S_ISDIR(entry->mode)) {
		if (mkdirat(dir, entry->name, 0755))
			return -errno;
	} else {
		file = openat(dir, entry->name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		if (file < 0)
			return -errno;
	}
	return move_mount(entry->mount, "", dir, entry->name, MOVE_MOUNT_F_EMPTY_PATH) ? -errno : 0;
}

/* Covers PARENT with a tmpfs of all its entries but NAME.  Return: its descriptor or an errno. */
static int cover(const char *parent, const char *name)
{
	__attribute__((cleanup(entries_free))) struct entries entries = { 0 };
	_cleanup_close_ int dir = -1;
	struct stat st;
	char mode[16];
	int r = hold_entries(parent, name, &entries);

	if (r)
		return r;
	if (stat(parent, &st))
		return -errno;
	snprintf(mode, sizeof(mode), "mode=%o", st.st_mode & 0777);
	if (mount("damonfs", parent, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, mode))
		return -errno;
	dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	for (size_t i = 0; !r && i < entries.nr; i++)
		r = put_back(dir, &entries.entry[i]);
	return r ? r : steal_fd(dir);
}

static bool has(const char *parent, const char *name, struct stat *st)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", parent, name);
	return !lstat(path, st);
}

int overmount_directory(const char *parent, const char *name)
{
	_cleanup_close_ int dir = -1;
	struct stat st;

	if (has(parent, name, &st) && S_ISDIR(st.st_mode))
		return 0;
	dir = cover(parent, name);
	if (dir < 0)
		return dir;
	return mkdirat(dir, name, 0755) ? -errno : 0;
}

int overmount_directories(const char *parent, const char *const *names, size_t nr)
{
	_cleanup_close_ int dir = -1;
	struct stat st;
	size_t there = 0;

	for (size_t i = 0; i < nr; i++)
		there += has(parent, names[i], &st);
	if (there == nr)
		return 0;
	dir = cover(parent, "");
	if (dir < 0)
		return dir;
	for (size_t i = 0; i < nr; i++)
		if (mkdirat(dir, names[i], 0755) && errno != EEXIST)
			return -errno;
	return 0;
}

int overmount_hide(const char *parent, const char *name)
{
	_cleanup_close_ int dir = -1;
	struct stat st;

	if (!has(parent, name, &st))
		return 0;
	dir = cover(parent, name);
	return dir < 0 ? dir : 0;
}

int overmount_file(const char *path, const char *text, size_t length)
{
	static const char file[] = STAGE "/file";
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (mount("damonfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755"))
		return -errno;
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, length) != (ssize_t)length ||
	    mount(file, path, NULL, MS_BIND, NULL))
		r = -errno;
	/* The file goes on where it is bound. */
	umount2(STAGE, MNT_DETACH);
	return r;
}
