/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a service manager like systemd wants to know: the protocol of sd_notify(3), which is fixed.
 * Not by libsystemd: it would map four more libraries into every process, for one datagram.
 */
#ifndef DAMONFS_UTIL_NOTIFY_H
#define DAMONFS_UTIL_NOTIFY_H

#include <stddef.h>

#define NOTIFY_MAX_FDS 4

/*
 * Tells the manager TEXT, lines of NAME=VALUE, with NR descriptors, of which it gets copies.
 * Return: 1 if it was told, 0 if there is no manager, or a negative errno.
 */
int notify_manager(const char *text, const int *fds, size_t nr);

#endif
