// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events of DAMON's names: see tracing.h.
 *
 * The whole system sees a uprobe event, so its group has a name of its own (damonfs_PID_NAMESPACE,
 * since pids are those of a namespace).  Recorders see events/damon/NAME with the uprobe's number
 * and fields, but the kernel's name, types and text: so recordings print as the kernel's would,
 * later and elsewhere, too.  The janitor removes the events; if it was killed as well, the next one
 * does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "engine/damon.h"
#include "engine/trace.h"
#include "fs/exec/overmount.h"
#include "fs/exec/tracing.h"
#include "fs/tree/file.h"
#include "util/cleanup.h"
#include "util/lines.h"
#include "util/log.h"

#define TRACEFS	   "/sys/kernel/tracing"
#define OTHER_NAME "/sys/kernel/debug/tracing"
#define EVENTS	   TRACEFS "/events"
#define OURS	   EVENTS "/damon"
#define AVAILABLE  TRACEFS "/available_events"
#define GROUP	   "damonfs_"

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
	{ "damos_stat_after_apply_interval", DAMON_ABI(7, 0),
	  (void (*)(void))damonfs_damos_stat_after_apply_interval,
	  "context_idx=\\0:u32 scheme_idx=%di:u32 nr_tried=+0(%si):u64 sz_tried=+8(%si):u64 "
	  "nr_applied=+16(%si):u64 sz_applied=+24(%si):u64 sz_ops_filter_passed=+32(%si):u64 "
	  "qt_exceeds=+40(%si):u64 nr_snapshots=+48(%si):u64",
	  /* The second sz_tried is the kernel's. */
	  "\"ctx_idx=%u scheme_idx=%u nr_tried=%lu sz_tried=%lu nr_applied=%lu sz_tried=%lu "
	  "sz_ops_filter_passed=%lu qt_exceeds=%lu nr_snapshots=%lu\", REC->context_idx, "
	  "REC->scheme_idx, REC->nr_tried, REC->sz_tried, REC->nr_applied, REC->sz_applied, "
	  "REC->sz_ops_filter_passed, REC->qt_exceeds, REC->nr_snapshots" },
	{ "damon_monitor_intervals_tune", DAMON_ABI(6, 17),
	  (void (*)(void))damonfs_damon_monitor_intervals_tune, "sample_us=%di:u64",
	  "\"sample_us=%lu\", REC->sample_us" },
};

struct tracing {
	int tracefs_fd; /* reaches it even when it has no path any more */
	char group[64];
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
struct code_place {
	uintptr_t address;
	uint64_t offset;
};

static int find_offset(struct dl_phdr_info *info, size_t size, void *argument)
{
	struct code_place *place = argument;
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
	struct code_place place = { .address = (uintptr_t)function };

	dl_iterate_phdr(find_offset, &place);
	return place.offset;
}

static bool tracing_is_ours(const struct event_type *event, unsigned int abi)
{
	return event->since <= abi;
}

/* ---- the uprobes ---- */

/* Removes the events of a group.  TRACEFS_FD may be of a place that has no path any more. */
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

/* Disables events that were enabled by file, and left so. */
static void disable(const struct tracing *tracing)
{
	char path[96];

	snprintf(path, sizeof(path), "events/%s/enable", tracing->group);
	_cleanup_close_ int fd = openat(tracing->tracefs_fd, path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "0", 1) < 0)
		log_debug("cannot disable events by %s: %s", path, strerror(errno));
}

/* The janitor's: an event stays for as long as somebody records it. */
static void unmake_all(void *argument)
{
	const struct tracing *tracing = argument;

	do {
		disable(tracing);
	} while (unmake(tracing->tracefs_fd, tracing->group) == -EBUSY && !usleep(100000));
}

/* The number of the pid namespace of a process, by its name in /proc; 0 if unknown. */
static unsigned long tracing_namespace_of(const char *process)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.20s/ns/pid", process);
	return stat(path, &st) ? 0 : (unsigned long)st.st_ino;
}

/* Of the outermost pid namespace, in which every process is visible: PROC_PID_INIT_INO. */
#define FIRST_NAMESPACE 0xeffffffcUL

/* Whether no process is in pid namespace NUMBER, as far as that can be told. */
static bool is_empty(unsigned long number)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;

	if (tracing_namespace_of("self") != FIRST_NAMESPACE)
		return false;
	dir = opendir("/proc");
	if (!dir)
		return false;
	while ((entry = readdir(dir)))
		if (*entry->d_name >= '0' && *entry->d_name <= '9' &&
		    tracing_namespace_of(entry->d_name) == number)
			return false;
	return true;
}

/* Whether the damonfs that made GROUP is gone for sure. */
static bool is_left_behind(const char *group)
{
	unsigned long number;
	int pid, length;

	if (sscanf(group, GROUP "%d_%lu%n", &pid, &number, &length) != 2 || group[length] ||
	    pid <= 0)
		return false;
	if (number != tracing_namespace_of("self"))
		return is_empty(number);
	return kill(pid, 0) && errno == ESRCH;
}

/* Removes the events of processes that are gone. */
static void unmake_left_behind(int tracefs_fd)
{
	_cleanup_closedir_ DIR *dir = opendir(EVENTS);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (is_left_behind(entry->d_name))
			unmake(tracefs_fd, entry->d_name);
}

static int make(const char *group, unsigned int abi, const char *file)
{
	char text[PATH_MAX + 512];
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(events); i++) {
		if (!tracing_is_ours(&events[i], abi))
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
	_cleanup_fclose_ FILE *out = fopen(to, "we");
	_cleanup_lines_ struct lines in = { 0 };

	if (!out)
		return -errno;
	snprintf(path, sizeof(path), EVENTS "/%s/%s/format", group, event->name);
	lines_open_path(&in, path);
	while (lines_next(&in)) {
		const char *rest = in.line;

		if (!strncmp(rest, "print fmt:", 10)) {
			fprintf(out, "print fmt: %s\n", event->print);
			continue;
		}
		for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
			if (strncmp(in.line, types[i].ours, strlen(types[i].ours)))
				continue;
			fputs(types[i].kernels, out);
			rest += strlen(types[i].ours);
		}
		fputs(rest, out);
	}
	if (in.error)
		return in.error;
	return fflush(out) ? -errno : 0;
}

/* Makes a directory of the event's name; all but the format leads to the uprobe's. */
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

/* Shows the kernel's list without its DAMON events and other damonfs', but with these. */
static int show_available(unsigned int abi)
{
	_cleanup_lines_ struct lines in = { 0 };
	_cleanup_free_ char *data = NULL;
	struct text text = { 0 };
	int r = 0;

	lines_open_path(&in, AVAILABLE);
	while (!r && lines_next(&in))
		if (strncmp(in.line, "damon:", 6) && strncmp(in.line, GROUP, strlen(GROUP)))
			r = text_add(&text, "%s", in.line);
	r = r ? r : in.error;
	for (size_t i = 0; !r && i < ARRAY_SIZE(events); i++)
		if (tracing_is_ours(&events[i], abi))
			r = text_add(&text, "damon:%s\n", events[i].name);
	data = text.data;
	return r ? r : overmount_file(AVAILABLE, data, text.length);
}

static int show(const char *group, unsigned int abi)
{
	int r = show_available(abi);

	if (!r)
		r = overmount_directory(EVENTS, "damon");
	if (!r && mount("damonfs", OURS, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755"))
		r = -errno;
	for (size_t i = 0; !r && i < ARRAY_SIZE(events); i++)
		if (tracing_is_ours(&events[i], abi))
			r = show_event(group, &events[i]);
	/* The other name of the same. */
	if (!r && !access(OTHER_NAME, F_OK) &&
	    mount(TRACEFS, OTHER_NAME, NULL, MS_BIND | MS_REC, NULL))
		log_debug("cannot cover %s: %s", OTHER_NAME, strerror(errno));
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

/* ---- from beginning to end ---- */

static int open_tracefs(void)
{
	int r = mount_tracefs(), fd;

	if (r)
		return r;
	fd = open(TRACEFS, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int tracing_prepare(struct tracing **out, struct clean_up *clean_up)
{
	struct tracing *tracing = calloc(1, sizeof(*tracing));

	if (!tracing)
		return -ENOMEM;
	tracing->tracefs_fd = open_tracefs();
	if (tracing->tracefs_fd < 0) {
		int r = tracing->tracefs_fd;

		free(tracing);
		return r;
	}
	snprintf(tracing->group, sizeof(tracing->group), GROUP "%d_%lu", getpid(),
		 tracing_namespace_of("self"));
	unmake_left_behind(tracing->tracefs_fd);
	*clean_up =
		(struct clean_up){ unmake_all, tracing, { tracing->tracefs_fd, -1 }, NEEDS_ALL };
	*out = tracing;
	return 0;
}

int tracing_start(const struct tracing *tracing, unsigned int abi, const char *file)
{
	int r = make(tracing->group, abi, file);

	return r ? r : show(tracing->group, abi);
}
