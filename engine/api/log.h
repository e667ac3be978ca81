/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of the log, on their way to the program. */
#ifndef DAMONFS_ENGINE_API_LOG_H
#define DAMONFS_ENGINE_API_LOG_H

/* From now on they go to whom damon_set_log() names, and before that to nobody. */
void log_begin(void);

#endif
