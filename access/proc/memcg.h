/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory cgroups: found by path, for filters, and known by it, for what quota goals measure. */
#ifndef DAMONFS_ACCESS_PROC_MEMCG_H
#define DAMONFS_ACCESS_PROC_MEMCG_H

#include <stdint.h>

/* A cgroup by its path; another one of that path later is not it.  Any thread may get and put. */
struct memcg;

/*
 * Finds the cgroup by its PATH in /proc/PID/cgroup (a trailing newline is ignored).
 * Return: 0 and its inode number in *OUT, or -EINVAL.
 */
int memcg_find(const char *path, uint64_t *out);

/* The same.  Return: 0 and a reference in *OUT, -EINVAL, or -ENOMEM. */
int memcg_new(const char *path, struct memcg **out);

/* NULL is no cgroup.  Return: MEMCG, NULL. */
struct memcg *memcg_get(struct memcg *memcg);
struct memcg *memcg_put(struct memcg *memcg);

/*
 * Bytes on node NID that the cgroup and its descendants have on lists: active and inactive,
 * anonymous and of files.  0 once it is removed, where nothing is known of the node, and where the
 * calling thread, in whomever's name it works, may not read memory.numa_stat.
 */
uint64_t memcg_node_used(const struct memcg *memcg, int nid);

#endif
