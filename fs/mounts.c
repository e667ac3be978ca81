// SPDX-License-Identifier: GPL-2.0-or-later
/* What is mounted: see mounts.h. */
#include <stdio.h>
#include <string.h>

#include "fs/mounts.h"
#include "util/lines.h"

/* White space and backslashes are written as three octal digits. */
static void decode(const char *from, char *to)
{
	while (*from) {
		if (from[0] == '\\' && from[1] && from[2] && from[3]) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

static bool scan_line(const char *text, struct mount_line *out)
{
	const char *type = strstr(text, " - ");
	char point[PATH_MAX];
	int root;

	if (sscanf(text, "%d %*d %23s %n%*s %4095s", &out->id.number, out->id.device, &root,
		   point) != 3 ||
	    !type || sscanf(type, " - %63s", out->type) != 1)
		return false;
	out->whole = !strncmp(&text[root], "/ ", 2);
	decode(point, out->point);
	return true;
}

int mounts_list(bool (*visit)(const struct mount_line *line, void *argument), void *argument)
{
	_cleanup_lines_ struct lines lines = { 0 };
	struct mount_line line;

	lines_open_path(&lines, "/proc/self/mountinfo");
	while (lines_next(&lines))
		if (scan_line(lines.line, &line) && !visit(&line, argument))
			return 0;
	return lines.error;
}
