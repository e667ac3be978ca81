/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A system call in another process's name, by ptrace: for what no system call does to others.
 *
 * One of its threads is stopped for a moment (about 0.1 ms), makes the call from the code of its
 * vdso and goes on as if nothing had happened: registers and signal mask are what they were, no
 * signal is lost or invented, a system call that it was in is restarted by the kernel's own rule.
 * Where that cannot be promised the process is left alone.
 */
#ifndef DAMONFS_ACCESS_INJECT_H
#define DAMONFS_ACCESS_INJECT_H

#include <stdint.h>

#include "access/process.h"

#define INJECT_ARGUMENTS 6

/*
 * Runs system call NUMBER with ARGUMENTS in PROCESS; its answer, a result or a negative errno, goes
 * to *RESULT.  The call must not block for long.
 *
 * Return: 0; or, and then nothing was done:
 *   -EPERM       somebody else traces it, we may not, or it is ending
 *   -EBUSY       it does not stop, or is in a place where it must not be held up: try again
 *   -EOPNOTSUPP  it is no 64-bit process of this architecture
 *   -ESRCH       it is gone
 *   or another negative errno
 */
int inject_syscall(const struct process *process, long number,
		   const uint64_t arguments[INJECT_ARGUMENTS], int64_t *result);

#endif
