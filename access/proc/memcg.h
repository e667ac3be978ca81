/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory cgroups: found by path, for filters, and held, for what quota goals measure. */
#ifndef DAMONFS_ACCESS_PROC_MEMCG_H
#define DAMONFS_ACCESS_PROC_MEMCG_H

#include <stdint.h>

/* A cgroup, whatever becomes of its name.  References may be taken and put by any thread. */
struct memcg;

/*
 * Finds the cgroup by its PATH in /proc/PID/cgroup (a trailing newline is ignored).
 * Return: 0 and its inode number in *OUT, or -EINVAL.
 */
int memcg_find(const char *path, uint64_t *out);

/* The same, held.  Return: 0 and a reference in *OUT, -EINVAL, or -ENOMEM also for files. */
int memcg_open(const char *path, struct memcg **out);

/* NULL is no cgroup.  Return: MEMCG, NULL. */
struct memcg *memcg_get(struct memcg *memcg);
struct memcg *memcg_put(struct memcg *memcg);

/*
 * Bytes on node NID that the cgroup and its descendants have on lists: active and inactive,
 * anonymous and of files.  0 once it is removed, or where nothing is known of the node.
 */
uint64_t memcg_node_used(const struct memcg *memcg, int nid);

#endif
