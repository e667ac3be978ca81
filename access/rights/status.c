// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reading files of /proc/TID: see status.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "access/rights/status.h"
#include "util/cleanup.h"
#include "util/lines.h"

/* The numbers in TEXT.  Return: how many were there; no more than ROOM are kept. */
static size_t parse_numbers(const char *text, unsigned int *out, size_t room)
{
	size_t nr = 0;
	char *end;

	for (;; text = end) {
		unsigned long number = strtoul(text, &end, 10);

		if (end == text)
			return nr;
		if (nr < room)
			out[nr] = (unsigned int)number;
		nr++;
	}
}

static int parse_groups(const char *text, struct task_status *status)
{
	size_t nr = parse_numbers(text, NULL, 0);

	free(status->groups);
	status->groups = calloc(nr + 1, sizeof(*status->groups));
	if (!status->groups)
		return -ENOMEM;
	status->nr_groups = parse_numbers(text, status->groups, nr);
	return 0;
}

static int status_parse_line(const char *name, const char *rest, struct task_status *status)
{
	unsigned int pids[STATUS_MAX_NESTING];

	if (!strcmp(name, "Tgid")) {
		status->tgid = (pid_t)strtol(rest, NULL, 10);
	} else if (!strcmp(name, "Uid")) {
		if (parse_numbers(rest, status->uid, STATUS_NR_IDS) != STATUS_NR_IDS)
			return -EINVAL;
	} else if (!strcmp(name, "Gid")) {
		if (parse_numbers(rest, status->gid, STATUS_NR_IDS) != STATUS_NR_IDS)
			return -EINVAL;
	} else if (!strcmp(name, "Groups")) {
		return parse_groups(rest, status);
	} else if (!strcmp(name, "CapEff")) {
		status->capabilities = strtoull(rest, NULL, 16);
	} else if (!strcmp(name, "NSpid")) {
		status->nr_ns_pid =
			min_ul(parse_numbers(rest, pids, ARRAY_SIZE(pids)), ARRAY_SIZE(pids));
		for (size_t i = 0; i < status->nr_ns_pid; i++)
			status->ns_pid[i] = (pid_t)pids[i];
	}
	return 0;
}

int status_read(int dir, const char *path, struct task_status *out)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC), r = 0;
	_cleanup_lines_ struct lines lines = { 0 };

	*out = (struct task_status){ 0 };
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	lines_open(&lines, fd);
	/* Any line may be long: the name, the groups. */
	while (!r && lines_next(&lines)) {
		char *rest = strchr(lines.line, ':');

		if (!rest)
			continue;
		*rest++ = '\0';
		r = status_parse_line(lines.line, rest, out);
	}
	/* A part of it would be other rights. */
	r = r ? r : lines.error;
	/* The file could be opened, but the task is gone: nothing was in it. */
	if (!r && !out->tgid)
		r = -ESRCH;
	if (r)
		status_clear(out);
	return r;
}

void status_clear(struct task_status *status)
{
	free(status->groups);
	status->groups = NULL;
	status->nr_groups = 0;
}

static ssize_t status_read_file(int dir, const char *path, char *text, size_t size)
{
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, size - 1);

	text[length > 0 ? length : 0] = '\0';
	return length;
}

const char *stat_fields(const char *text)
{
	/* The name may hold anything, also parentheses. */
	const char *end = strrchr(text, ')');

	return end ? end + 1 : NULL;
}

int stat_read(int dir, const char *path, struct task_stat *out)
{
	const char *fields;
	char text[1024];

	if (status_read_file(dir, path, text, sizeof(text)) < 0)
		return -errno;
	fields = stat_fields(text);
	if (!fields || sscanf(fields,
			      " %c %*d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d "
			      "%*d %*d %*d %llu",
			      &out->state, &out->flags, &out->started) != 3)
		return -EINVAL;
	return 0;
}

static bool opens_files(long number)
{
	static const long numbers[] = {
#ifdef SYS_open
		SYS_open,
		SYS_creat,
#endif
		SYS_openat,
		SYS_openat2,
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (numbers[i] == number)
			return true;
	return false;
}

/*
 * How often to look whether a task that has just asked has begun to wait; with the slack of our
 * timer, that is some 4 ms.  It may first have to get a processor.
 */
#define BEGINS_TO_WAIT 50

bool task_waits_for(pid_t pid, uint64_t inode)
{
	char path[64], text[1024] = "";
	const char *found;
	unsigned long fd;
	long number;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	for (int i = 0; i < BEGINS_TO_WAIT; i++) {
		if (status_read_file(AT_FDCWD, path, text, sizeof(text)) <= 0)
			return false;
		if (strncmp(text, "running", strlen("running")))
			break;
		usleep(20);
	}
	/* "running" has no numbers. */
	if (sscanf(text, "%ld 0x%lx", &number, &fd) != 2 || number < 0)
		return false;
	if (opens_files(number))
		return true;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%lu", pid, fd);
	if (status_read_file(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return false;
	found = strstr(text, "\nino:");
	return found && strtoull(found + 5, NULL, 10) == inode;
}
