/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages to the operator: one line for what happened, to what, and what to do about it.
 *
 * Lines go to stderr while the program is in the foreground and to syslog once it is not.  No place
 * in the code can flood the log, whoever triggers it: it has LOG_BURST lines, and one more every
 * LOG_PAUSE seconds; lines left out are counted and reported.  The level debug has no such limit.
 *
 * Sampling rounds never log, unless one is half a second late.  Any thread may call every function
 * here.
 */
#ifndef DAMONFS_UTIL_LOG_H
#define DAMONFS_UTIL_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_BURST 50
#define LOG_PAUSE 10

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* A place in the code that logs; starts as zeros. */
struct log_site {
	unsigned int used; /* lines of its burst */
	unsigned long left_out; /* since the last line */
	uint64_t since; /* when `used' was right, in seconds */
};

/* Sets what is logged and where; call it while the program has one thread. */
void log_setup(enum log_level level, bool to_syslog);

/*
 * From now on TAKE gets the lines, of all levels, instead: for a library.  Call it before there are
 * threads that log.
 */
void log_divert(void (*take)(enum log_level level, const char *line));

/* Logs one line from SITE; control characters in it become question marks. */
void log_from(struct log_site *site, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_line(level, ...)                          \
	do {                                          \
		static struct log_site site_;         \
		log_from(&site_, level, __VA_ARGS__); \
	} while (0)

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
