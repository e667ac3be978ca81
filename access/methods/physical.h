/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Physical memory, seen through the mappings of the processes that use it. */
#ifndef DAMONFS_ACCESS_METHODS_PHYSICAL_H
#define DAMONFS_ACCESS_METHODS_PHYSICAL_H

#include "access/access.h"

/*
 * Opens a space of physical memory for the method of SESSION, which sees processes only: it looks
 * up an address in the reverse map (rmap.h) and asks the processes that map its frame.  A frame
 * that nobody has mapped counts as not accessed.
 *
 * Return: 0 and *OUT, or a negative errno and WHY.
 */
int physical_space_open(struct access_session *session, struct access_space **out,
			struct access_why *why);

#endif
