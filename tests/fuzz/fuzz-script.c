// SPDX-License-Identifier: GPL-2.0-or-later
/* libFuzzer target: the script of a simulated process, read and played, and /proc/PID/maps. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "access/methods/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void play(const struct script *script)
{
	for (uint64_t now = 0; now < 10000000; now += 1700000) {
		uint64_t time = script_time(script, now);
		struct maps maps = { 0 };

		if (!script_maps(script, time, &maps))
			for (size_t i = 0; i < maps.nr; i++)
				script_accessed(script, maps.mapping[i].start, time);
		maps_free(&maps);
	}
}

static void read_maps(const uint8_t *data, size_t size)
{
	int fd = memfd_create("maps", MFD_CLOEXEC);
	struct maps maps = { 0 };

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET))
		abort();
	if (!maps_parse(fd, &maps))
		maps_find(&maps, 0x1000);
	maps_free(&maps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script;
	char why[128];
	FILE *file;

	if (!size || size > 4096)
		return 0;
	read_maps(data, size);
	file = fmemopen((void *)data, size, "r");
	if (!file)
		abort();
	if (!script_read(file, &script, why, sizeof(why))) {
		play(&script);
		script_free(&script);
	}
	fclose(file);
	return 0;
}
