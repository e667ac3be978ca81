/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What damonfs tells its operator: one line for what happened, to what, and what to do about it.
 *
 * Lines go to stderr while the program is in the foreground and to syslog once it is not.  It is
 * never called from a sampling round.  Every function here may be called from any thread.
 */
#ifndef DAMONFS_ACCESS_LOG_H
#define DAMONFS_ACCESS_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Sets what is told and where; call it while the program has one thread. */
void log_setup(enum log_level level, bool to_syslog);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
