// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events of DAMON's names: see tracing.h.
 *
 * A uprobe event is known to the whole system, by a group and a name of its own (damonfs_PID). What
 * a recorder is shown as events/damon/NAME is its number and a format with its fields, but the
 * kernel's name, types and text: so what is recorded is printed as the kernel would, later and
 * elsewhere, too.  A process that outlives us unmakes the events; what it could not, because it was
 * killed as well, the next one does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access/cleanup.h"
#include "access/log.h"
#include "engine/damon.h"
#include "engine/trace.h"
#include "fs/cover.h"
#include "fs/file.h"
#include "fs/tracing.h"

#define TRACEFS	  "/sys/kernel/tracing"
#define DEBUGFS	  "/sys/kernel/debug/tracing"
#define EVENTS	  TRACEFS "/events"
#define OURS	  EVENTS "/damon"
#define AVAILABLE TRACEFS "/available_events"
#define GROUP	  "damonfs_"

static const struct event_type {
	const char *name;
	unsigned int since;
	void (*function)(void);
	const char *fields; /* of the uprobe: registers of a call */
	const char *print; /* the kernel's */
} events[] = {
	{ "damon_aggregated", 0, (void (*)(void))damonfs_damon_aggregated,
	  "target_id=%di:u64 nr_regions=%si:u32 start=%dx:u64 end=%cx:u64 nr_accesses=%r8:u32 "
	  "age=%r9:u32",
	  "\"target_id=%lu nr_regions=%u %lu-%lu: %u %u\", REC->target_id, REC->nr_regions, "
	  "REC->start, REC->end, REC->nr_accesses, REC->age" },
	{ "damos_before_apply", DAMON_ABI(6, 7), (void (*)(void))damonfs_damos_before_apply,
	  "context_idx=\\0:u32 scheme_idx=%di:u32 target_idx=%si:u64 start=%cx:u64 end=%r8:u64 "
	  "nr_accesses=%r9:u32 age=+8(%sp):u32 nr_regions=%dx:u32",
	  "\"ctx_idx=%u scheme_idx=%u target_idx=%lu nr_regions=%u %lu-%lu: %u %u\", "
	  "REC->context_idx, REC->scheme_idx, REC->target_idx, REC->nr_regions, REC->start, "
	  "REC->end, REC->nr_accesses, REC->age" },
	{ "damos_esz", DAMON_ABI(6, 17), (void (*)(void))damonfs_damos_esz,
	  "context_idx=\\0:u32 scheme_idx=%di:u32 esz=%si:u64",
	  "\"ctx_idx=%u scheme_idx=%u esz=%lu\", REC->context_idx, REC->scheme_idx, REC->esz" },
	{ "damon_monitor_intervals_tune", DAMON_ABI(6, 17),
	  (void (*)(void))damonfs_damon_monitor_intervals_tune, "sample_us=%di:u64",
	  "\"sample_us=%lu\", REC->sample_us" },
};

struct tracing {
	int guard; /* a socket: it hears when we end, and we when it has */
};

/* ---- small things ---- */

static int write_file(const char *path, int flags, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0444);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

/* Where a function of ours is in the file of our program. */
struct place {
	uintptr_t address;
	uint64_t offset;
};

static int find_offset(struct dl_phdr_info *info, size_t size, void *argument)
{
	struct place *place = argument;
	uintptr_t at = place->address - info->dlpi_addr;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		if (part->p_type != PT_LOAD || at - part->p_vaddr >= part->p_filesz)
			continue;
		place->offset = at - part->p_vaddr + part->p_offset;
		return 1;
	}
	return 0;
}

static uint64_t offset_of(void (*function)(void))
{
	struct place place = { .address = (uintptr_t)function };

	dl_iterate_phdr(find_offset, &place);
	return place.offset;
}

static bool is_ours(const struct event_type *event, unsigned int abi)
{
	return event->since <= abi;
}

/* ---- the uprobes ---- */

/* Unmakes the events of a group.  TRACEFS_FD may be of a place that cannot be named any more. */
static int unmake(int tracefs_fd, const char *group)
{
	_cleanup_close_ int fd =
		openat(tracefs_fd, "uprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC);
	char text[128];
	int r = fd < 0 ? -errno : 0;

	for (size_t i = 0; fd >= 0 && i < ARRAY_SIZE(events); i++) {
		snprintf(text, sizeof(text), "-:%s/%s\n", group, events[i].name);
		if (write(fd, text, strlen(text)) < 0 && errno != ENOENT)
			r = -errno;
	}
	return r;
}

/* Those of processes that are gone. */
static void unmake_left_behind(int tracefs_fd)
{
	_cleanup_closedir_ DIR *dir = opendir(EVENTS);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		const char *number = entry->d_name + strlen(GROUP);

		if (!strncmp(entry->d_name, GROUP, strlen(GROUP)) && *number &&
		    kill((pid_t)strtol(number, NULL, 10), 0) && errno == ESRCH)
			unmake(tracefs_fd, entry->d_name);
	}
}

static int make(const char *group, unsigned int abi, const char *file)
{
	char text[PATH_MAX + 512];
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(events); i++) {
		if (!is_ours(&events[i], abi))
			continue;
		snprintf(text, sizeof(text), "p:%s/%s %s:0x%lx %s\n", group, events[i].name, file,
			 offset_of(events[i].function), events[i].fields);
		r = write_file(TRACEFS "/uprobe_events", O_APPEND, text);
	}
	return r;
}

/* ---- what is shown ---- */

/* The uprobe's own format with the kernel's name, types and text. */
static int write_format(const char *group, const struct event_type *event, const char *to)
{
	static const struct {
		const char *ours, *kernels;
	} types[] = { { "\tfield:u64 ", "\tfield:unsigned long " },
		      { "\tfield:u32 ", "\tfield:unsigned int " } };
	char path[PATH_MAX];
	_cleanup_fclose_ FILE *in = NULL, *out = NULL;
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	snprintf(path, sizeof(path), EVENTS "/%s/%s/format", group, event->name);
	in = fopen(path, "re");
	out = fopen(to, "we");
	if (!in || !out)
		return -errno;
	while (getline(&line, &size, in) > 0) {
		const char *rest = line;

		if (!strncmp(line, "print fmt:", 10)) {
			fprintf(out, "print fmt: %s\n", event->print);
			continue;
		}
		for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
			if (strncmp(line, types[i].ours, strlen(types[i].ours)))
				continue;
			fputs(types[i].kernels, out);
			rest += strlen(types[i].ours);
		}
		fputs(rest, out);
	}
	return fflush(out) ? -errno : 0;
}

/* A directory of the event's name; but for the format, everything leads to the uprobe's. */
static int show_event(const char *group, const struct event_type *event)
{
	char dir[PATH_MAX / 2], path[PATH_MAX], target[PATH_MAX];
	_cleanup_closedir_ DIR *real = NULL;
	struct dirent *entry;

	snprintf(dir, sizeof(dir), OURS "/%s", event->name);
	if (mkdir(dir, 0755))
		return -errno;
	snprintf(path, sizeof(path), EVENTS "/%s/%s", group, event->name);
	real = opendir(path);
	if (!real)
		return -errno;
	while ((entry = readdir(real))) {
		if (*entry->d_name == '.' || !strcmp(entry->d_name, "format"))
			continue;
		snprintf(path, sizeof(path), "%.1024s/%.255s", dir, entry->d_name);
		snprintf(target, sizeof(target), "../../%.255s/%s/%.255s", group, event->name,
			 entry->d_name);
		if (symlink(target, path))
			return -errno;
	}
	snprintf(path, sizeof(path), "%.1024s/format", dir);
	return write_format(group, event, path);
}

/* The kernel's list without its events of DAMON and others' of ours, and with these. */
static int show_available(unsigned int abi)
{
	_cleanup_fclose_ FILE *in = fopen(AVAILABLE, "re");
	_cleanup_free_ char *line = NULL, *data = NULL;
	struct text text = { 0 };
	size_t size = 0;
	int r = in ? 0 : -errno;

	while (!r && getline(&line, &size, in) > 0)
		if (strncmp(line, "damon:", 6) && strncmp(line, GROUP, strlen(GROUP)))
			r = text_add(&text, "%s", line);
	for (size_t i = 0; !r && i < ARRAY_SIZE(events); i++)
		if (is_ours(&events[i], abi))
			r = text_add(&text, "damon:%s\n", events[i].name);
	data = text.data;
	return r ? r : cover_file(AVAILABLE, data, text.length);
}

static int show(const char *group, unsigned int abi)
{
	int r = show_available(abi);

	if (!r)
		r = cover_for(EVENTS, "damon");
	if (!r && mount("damonfs", OURS, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755"))
		r = -errno;
	for (size_t i = 0; !r && i < ARRAY_SIZE(events); i++)
		if (is_ours(&events[i], abi))
			r = show_event(group, &events[i]);
	/* The other name of the same. */
	if (!r && !access(DEBUGFS, F_OK) && mount(TRACEFS, DEBUGFS, NULL, MS_BIND | MS_REC, NULL))
		log_debug("%s: %s", DEBUGFS, strerror(errno));
	return r;
}

static int mount_tracefs(void)
{
	struct statfs fs;

	if (statfs(TRACEFS, &fs))
		return -errno;
	if (fs.f_type != TRACEFS_MAGIC && mount("tracefs", TRACEFS, "tracefs", 0, NULL))
		return -errno;
	return 0;
}

/* ---- the guard ---- */

/* Whoever records holds an event for as long. */
static _Noreturn void guard_main(int socket, int parent, int tracefs_fd, const char *group,
				 const char *litter)
{
	struct pollfd fds[] = { { .fd = parent, .events = POLLIN },
				{ .fd = socket, .events = POLLIN } };
	struct stat st;

	prctl(PR_SET_NAME, "damonfs: guard");
	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	/* Something else stands for it here. */
	if (litter && !umount2(litter, MNT_DETACH) && !stat(litter, &st) && !st.st_size)
		unlink(litter);
	while (unmake(tracefs_fd, group) == -EBUSY)
		usleep(100000);
	_exit(0);
}

/* In a session of its own and nobody's child, so that what ends us does not end it. */
static int start_guard(int tracefs_fd, const char *group, const char *litter, int *out)
{
	_cleanup_close_ int parent = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int ends[2];
	pid_t child;

	if (parent < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	child = fork();
	if (!child) {
		/* What we have open must not be kept open by it. */
		dup2(ends[1], 0);
		dup2(parent, 1);
		dup2(tracefs_fd, 2);
		close_range(3, ~0U, 0);
		setsid();
		if (fork())
			_exit(0);
		if (chdir("/"))
			_exit(1);
		guard_main(0, 1, 2, group, litter);
	}
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return -errno;
	}
	waitpid(child, NULL, 0);
	*out = ends[0];
	return 0;
}

int tracing_start(unsigned int abi, const char *file, const char *litter, struct tracing **out)
{
	struct tracing *tracing = calloc(1, sizeof(*tracing));
	_cleanup_close_ int tracefs_fd = -1;
	char group[32];
	int r = tracing ? mount_tracefs() : -ENOMEM;

	if (!r) {
		tracefs_fd = open(TRACEFS, O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = tracefs_fd < 0 ? -errno : 0;
	}
	snprintf(group, sizeof(group), GROUP "%d", getpid());
	if (!r) {
		unmake_left_behind(tracefs_fd);
		r = start_guard(tracefs_fd, group, litter, &tracing->guard);
	}
	if (r) {
		free(tracing);
		return r;
	}
	r = make(group, abi, file);
	if (!r)
		r = show(group, abi);
	if (r)
		tracing_end(tracing);
	else
		*out = tracing;
	return r;
}

void tracing_end(struct tracing *tracing)
{
	struct pollfd fd = { .events = POLLIN };
	char byte;

	if (!tracing)
		return;
	shutdown(tracing->guard, SHUT_WR);
	fd.fd = tracing->guard;
	/* It ends at once, unless somebody still records. */
	if (poll(&fd, 1, 1000) > 0 && read(tracing->guard, &byte, 1) < 0)
		log_debug("the guard of events: %s", strerror(errno));
	close(tracing->guard);
	free(tracing);
}
