// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether the thread has to end: see stop.h. */
#include "util/stop.h"

_Thread_local const atomic_bool *stop_flag;
