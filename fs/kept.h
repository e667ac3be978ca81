/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounts that outlive their daemon (-o survive): the keeper's and its daemons' main functions. */
#ifndef DAMONFS_FS_KEPT_H
#define DAMONFS_FS_KEPT_H

#include "fs/fuse/daemon.h"
#include "fs/options.h"

/*
 * Mounts, and keeps daemons serving until one ends by itself.
 * Return: 0 or a negative errno, after saying why; also in a daemon.
 */
int kept_serve(struct options *options, struct daemon *daemon);

/*
 * Takes away what a keeper has left in the service manager's store, of a service that goes on
 * without -o fdstore.
 */
void kept_forget(const struct options *options);

/* A daemon that a keeper has executed: see successor.h.  Return: the exit status. */
int kept_main(int argc, char **argv);

#endif
