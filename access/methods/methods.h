/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The access methods there are, for access.c's table. */
#ifndef DAMONFS_ACCESS_METHODS_METHODS_H
#define DAMONFS_ACCESS_METHODS_METHODS_H

#include <fcntl.h>

#include "access/access.h"

extern const struct access_method access_idle;
extern const struct access_method access_softdirty;
extern const struct access_method access_young; /* where it is built: HAVE_YOUNG */
extern const struct access_method access_referenced;
extern const struct access_method access_simulated;

#endif
