// SPDX-License-Identifier: GPL-2.0-or-later
/* Asking mounts: see ask.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/mounts.h"
#include "fs/status/ask.h"
#include "fs/status/report.h"
#include "fs/status/say.h"
#include "util/cleanup.h"

/* How often to ask again when another daemon took over as it answered. */
#define TRIES 10

/* The longest status that is believed. */
#define MAX_STATUS (16 << 20)

/* Where the file is; the mount point may be one of these directories. */
static const char *const directories[] = { "admin", "kdamonds" };

/* Opens the file, also where anybody serves the mount: no link leads elsewhere. */
static int open_file(const char *mountpoint)
{
	_cleanup_close_ int dir = open(mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	for (size_t i = 0; dir >= 0 && i < ARRAY_SIZE(directories); i++) {
		fd = openat(dir, directories[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		close(dir);
		dir = fd;
	}
	fd = dir < 0 ? -1 : openat(dir, "nr_kdamonds", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* What is read of a descriptor. */
struct source {
	int fd;
	size_t left; /* bytes that may come */
};

/* As json_load_callback() wants it. */
static size_t read_source(void *buffer, size_t size, void *argument)
{
	struct source *source = argument;
	ssize_t bytes = read(source->fd, buffer, min_ul(size, source->left));

	if (bytes > 0)
		source->left -= (size_t)bytes;
	return (size_t)bytes;
}

/* Return: 0 and *OUT, -EAGAIN if it is to be asked again, or another negative errno. */
static int ask_once(const char *mountpoint, json_t **out)
{
	_cleanup_close_ int fd = open_file(mountpoint);
	struct source source = { fd, MAX_STATUS };

	if (fd < 0)
		return fd;
	if (ioctl(fd, REPORT_STATUS))
		return -errno;
	*out = json_load_callback(read_source, &source, JSON_DISABLE_EOF_CHECK, NULL);
	if (!source.left)
		return -EFBIG;
	/* A daemon that took over meanwhile knows nothing of our ioctl: it told the number. */
	return json_is_object(*out) ? 0 : -EAGAIN;
}

int ask_status(const char *mountpoint, json_t **out)
{
	int r = -EAGAIN;

	*out = NULL;
	for (int i = 0; i < TRIES && (r == -EAGAIN || r == -ENOTTY); i++) {
		json_decref(*out);
		*out = NULL;
		r = ask_once(mountpoint, out);
	}
	if (r) {
		json_decref(*out);
		*out = NULL;
	}
	return r;
}

static const char *advice(int error)
{
	switch (error) {
	case -ENOTCONN:
		return "; its daemon is dead: umount it, or mount damonfs there again";
	case -EACCES:
	case -EPERM:
		return "; ask as root, or as its owner (-o uid=)";
	case -ENOENT:
	case -ENOTDIR:
	case -ELOOP:
	case -ENOTTY:
		return "; no damonfs is mounted there, or one that is too old";
	case -ESRCH:
		return "; it names no keeper of damonfs that runs here";
	case -ETIMEDOUT:
		return "; the old daemon still serves: its keeper's log says why";
	default:
		return "";
	}
}

void ask_explain(const char *command, const char *mountpoint, int r)
{
	say(stderr, "damonfs %s: %s: %s%s\n", command, mountpoint, strerror(-r), advice(r));
}

/* Paths of mounts, one of each. */
struct found {
	struct mount_line *line;
	size_t nr;
	int error;
};

static bool note_mount(const struct mount_line *line, void *argument)
{
	struct found *found = argument;
	struct mount_line *more;

	if (!line->whole || strcmp(line->type, MOUNTS_TYPE))
		return true;
	for (size_t i = 0; i < found->nr; i++)
		if (!strcmp(found->line[i].id.device, line->id.device))
			return true;
	more = reallocarray(found->line, found->nr + 1, sizeof(*more));
	if (!more) {
		found->error = -ENOMEM;
		return false;
	}
	found->line = more;
	found->line[found->nr++] = *line;
	return true;
}

int ask_mountpoints(int (*visit)(const char *mountpoint, void *argument), void *argument)
{
	struct found found = { 0 };
	int r = mounts_list(note_mount, &found);

	if (!r)
		r = found.error;
	for (size_t i = 0; !r && i < found.nr; i++)
		r = visit(found.line[i].point, argument);
	free(found.line);
	return r;
}
