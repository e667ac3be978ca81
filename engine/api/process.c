// SPDX-License-Identifier: LGPL-2.1-or-later
/* Whose process it is: threads and the locks that they hold do not survive a fork. */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "engine/api/log.h"
#include "engine/api/public.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pid_t user; /* the process that used it first */

static void begin(void)
{
	user = getpid();
	log_begin();
}

int api_enter(void)
{
	pthread_once(&once, begin);
	return user == getpid() ? 0 : -ECHILD;
}
