/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files of the kernel's that are arrays of 64-bit words: /proc/PID/pagemap by page, kpageflags and
 * kpagecgroup by frame, the page_idle bitmap by 64 frames.
 */
#ifndef DAMONFS_ACCESS_PROC_WORDS_H
#define DAMONFS_ACCESS_PROC_WORDS_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/*
 * Reads NR words of FD, from number FIRST on.
 * Return: how many there are, fewer only at the end of the file, or a negative errno.
 */
static inline ssize_t words_read(int fd, uint64_t first, uint64_t *words, size_t nr)
{
	ssize_t bytes = pread(fd, words, nr * sizeof(*words), (off_t)(first * sizeof(*words)));

	return bytes < 0 ? -errno : bytes / (ssize_t)sizeof(*words);
}

#endif
