// SPDX-License-Identifier: LGPL-2.1-or-later
/* Whether the thread has to end: see stop.h. */
#include "util/stop.h"

_Thread_local const atomic_bool *stop_flag;
