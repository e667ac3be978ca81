// SPDX-License-Identifier: LGPL-2.1-or-later
/* The log: see log.h for what it promises. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "util/log.h"

/* Global because a process has one log; only log_setup() and log_divert() write it, before there
 * are threads. */
static enum log_level threshold = LOG_LEVEL_INFO;
static bool use_syslog;
static bool in_journal; /* stderr is the journal, which puts our name before each line itself */

static void (*diverted)(enum log_level level, const char *line);

/* For all sites, because lines are rare. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool stderr_is_journal(void)
{
	const char *stream = secure_getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == device && st.st_ino == inode;
}

void log_setup(enum log_level level, bool to_syslog)
{
	threshold = level;
	use_syslog = to_syslog;
	in_journal = stderr_is_journal();
	if (to_syslog)
		openlog("damonfs", LOG_PID, LOG_DAEMON);
}

void log_divert(void (*take)(enum log_level level, const char *line))
{
	threshold = LOG_LEVEL_DEBUG;
	diverted = take;
}

static void tell(enum log_level level, const char *line)
{
	static const int priorities[] = { LOG_ERR, LOG_INFO, LOG_DEBUG };

	if (diverted)
		diverted(level, line);
	else if (use_syslog)
		syslog(priorities[level], "%s", line);
	else if (in_journal)
		fprintf(stderr, "<%d>%s\n", priorities[level], line);
	else
		/* One write: lines of several threads do not mix. */
		fprintf(stderr, "damonfs: %s\n", line);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec;
}

/* Gives SITE the lines that it has earned by waiting; the lock is held. */
static void refill(struct log_site *site)
{
	uint64_t back = (now() - site->since) / LOG_PAUSE;

	if (back >= site->used) {
		site->used = 0;
		site->since = now();
	} else {
		site->used -= (unsigned int)back;
		site->since += back * LOG_PAUSE;
	}
}

/* Whether SITE may log, and how many lines it left out before that. */
static bool may_tell(struct log_site *site, unsigned long *left_out)
{
	bool may;

	pthread_mutex_lock(&lock);
	refill(site);
	may = site->used < LOG_BURST;
	*left_out = may ? site->left_out : 0;
	site->left_out = may ? 0 : site->left_out + 1;
	site->used += may;
	pthread_mutex_unlock(&lock);
	return may;
}

static void make_plain(char *line)
{
	for (; *line; line++)
		if ((unsigned char)*line < ' ' || *line == '\x7f')
			*line = '?';
}

void log_from(struct log_site *site, enum log_level level, const char *format, ...)
{
	char line[1024], before[64];
	unsigned long left_out = 0;
	va_list args;

	if (level > threshold)
		return;
	if (level != LOG_LEVEL_DEBUG && !may_tell(site, &left_out))
		return;
	if (left_out) {
		snprintf(before, sizeof(before), "%lu lines like the next one were left out",
			 left_out);
		tell(level, before);
	}
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	make_plain(line);
	tell(level, line);
}
