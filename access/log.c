// SPDX-License-Identifier: GPL-2.0-or-later
/* The log: see log.h for what it promises. */
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#include "access/log.h"

/* Global because a log is one for a process; written only by log_setup(), before there are threads.
 */
static enum log_level threshold = LOG_LEVEL_INFO;
static bool use_syslog;

void log_setup(enum log_level level, bool to_syslog)
{
	threshold = level;
	use_syslog = to_syslog;
	if (to_syslog)
		openlog("damonfs", LOG_PID, LOG_DAEMON);
}

void log_line(enum log_level level, const char *format, ...)
{
	static const int priority[] = { LOG_ERR, LOG_INFO, LOG_DEBUG };
	va_list args;

	if (level > threshold)
		return;
	va_start(args, format);
	if (use_syslog) {
		vsyslog(priority[level], format, args);
	} else {
		char line[1024];

		/* One write: lines of several threads do not mix. */
		vsnprintf(line, sizeof(line), format, args);
		fprintf(stderr, "damonfs: %s\n", line);
	}
	va_end(args);
}
