// SPDX-License-Identifier: LGPL-2.1-or-later
/* Lines of a file: see lines.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/lines.h"

void lines_open(struct lines *out, int fd)
{
	*out = (struct lines){ .error = fd < 0 ? fd : 0 };
	if (fd < 0)
		return;
	out->file = fdopen(fd, "r");
	if (out->file)
		return;
	close(fd);
	out->error = -ENOMEM;
}

void lines_open_path(struct lines *out, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	lines_open(out, fd < 0 ? -errno : fd);
}

bool lines_next(struct lines *lines)
{
	if (lines->error)
		return false;
	errno = 0;
	if (getline(&lines->line, &lines->size, lines->file) > 0)
		return true;
	/* FILE has no error set if memory was short. */
	if (!feof(lines->file))
		lines->error = errno ? -errno : -EIO;
	return false;
}

void lines_close(struct lines *lines)
{
	if (lines->file)
		fclose(lines->file);
	free(lines->line);
	*lines = (struct lines){ 0 };
}
