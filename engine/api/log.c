// SPDX-License-Identifier: LGPL-2.1-or-later
/* Lines of the log, on their way to the program: see log.h. */
#include <errno.h>
#include <pthread.h>

#include "engine/api/log.h"
#include "engine/api/public.h"
#include "engine/libdamon.h"
#include "util/log.h"

/* For reading while a line is told, so that nobody is called any more who was replaced. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct {
	enum damon_log_level level;
	void (*fn)(enum damon_log_level level, const char *line, void *data);
	void *data;
} listener;

static void tell(enum log_level level, const char *line)
{
	static const enum damon_log_level levels[] = { [LOG_LEVEL_ERROR] = DAMON_LOG_ERROR,
						       [LOG_LEVEL_INFO] = DAMON_LOG_INFO,
						       [LOG_LEVEL_DEBUG] = DAMON_LOG_DEBUG };

	pthread_rwlock_rdlock(&lock);
	if (listener.fn && levels[level] <= listener.level)
		listener.fn(levels[level], line, listener.data);
	pthread_rwlock_unlock(&lock);
}

void log_begin(void)
{
	log_divert(tell);
}

API int damon_set_log(enum damon_log_level level,
		      void (*fn)(enum damon_log_level level, const char *line, void *data),
		      void *data)
{
	int r = api_enter();

	if (r)
		return r;
	if ((unsigned int)level > DAMON_LOG_DEBUG)
		return -EINVAL;
	pthread_rwlock_wrlock(&lock);
	listener.level = level;
	listener.fn = fn;
	listener.data = data;
	pthread_rwlock_unlock(&lock);
	return 0;
}
