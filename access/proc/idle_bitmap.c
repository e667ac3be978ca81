// SPDX-License-Identifier: LGPL-2.1-or-later
/* The page_idle bitmap: see idle_bitmap.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "access/proc/idle_bitmap.h"
#include "util/macros.h"

int idle_bitmap_open(struct access_why *why)
{
	static const char path[] = "/sys/kernel/mm/page_idle/bitmap";
	int fd = open(path, O_RDWR | O_CLOEXEC), error = errno;

	if (fd >= 0)
		return fd;
	if (error == ENOENT)
		return access_because(why, -EOPNOTSUPP,
				      "the kernel is built without CONFIG_IDLE_PAGE_TRACKING");
	return access_because(why, -error,
			      "cannot open %s: %s; " ACCESS_ADD_CAPABILITY("SYS_ADMIN"), path,
			      strerror(error));
}

int idle_marks_write(struct idle_marks *marks)
{
	size_t size = marks->nr * sizeof(*marks->word);
	ssize_t r;

	if (!marks->nr)
		return 0;
	r = pwrite(marks->bitmap, marks->word, size, (off_t)(marks->first * sizeof(*marks->word)));
	marks->nr = 0;
	/* Beyond the last frame there is nothing to mark, which makes it short or fail. */
	return r < 0 && errno != ENXIO ? -errno : 0;
}

int idle_mark(struct idle_marks *marks, uint64_t frame)
{
	uint64_t index = frame / IDLE_WORD_FRAMES, at = index - marks->first;
	int r = 0;

	/* In one of the words, in the one after them, or elsewhere. */
	if (!marks->nr || at > marks->nr || at >= ARRAY_SIZE(marks->word)) {
		r = idle_marks_write(marks);
		marks->first = index;
		at = 0;
	}
	if (at == marks->nr) {
		marks->word[at] = 0;
		marks->nr++;
	}
	marks->word[at] |= 1ULL << frame % IDLE_WORD_FRAMES;
	return r;
}
