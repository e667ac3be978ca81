/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A filter of system calls, as a container's profile is one. */
#ifndef DAMONFS_TESTS_FORBID_H
#define DAMONFS_TESTS_FORBID_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

/*
 * From here on, system call NUMBER of the calling thread fails with ERROR; with
 * SECCOMP_FILTER_FLAG_TSYNC that of all threads.  Return: whether it does.
 */
static inline bool forbid(unsigned int number, unsigned int error, unsigned int flags)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	return !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

#endif
