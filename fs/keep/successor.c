// SPDX-License-Identifier: GPL-2.0-or-later
/* A daemon by another program file: see successor.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/keep/successor.h"
#include "util/cleanup.h"

/* program, SUCCESSOR_COMMAND, numbers, mountpoint; then what the mount was given. */
enum { WORD_PROGRAM, WORD_COMMAND, WORD_NUMBERS, WORD_MOUNTPOINT, WORD_OPTIONS };

#define NUMBERS "%d,%d,%d,%d,%d,%u"

/* What was at our program's path when it was executed. */
static int own_path(char **out)
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	size_t rest;

	if (length < 0)
		return -errno;
	rest = (size_t)length;
	if (rest > strlen(deleted) &&
	    !memcmp(&path[rest - strlen(deleted)], deleted, strlen(deleted)))
		rest -= strlen(deleted);
	*out = strndup(path, rest);
	return *out ? 0 : -ENOMEM;
}

int successor_init(struct successor *out, const struct options *options, int fuse_fd, int memory_fd)
{
	size_t nr = 0;
	int r;

	*out = (struct successor){
		.program = -1, .before = -1, .fuse_fd = fuse_fd, .memory_fd = memory_fd
	};
	r = own_path(&out->path);
	if (r)
		return r;
	while (options->words[nr])
		nr++;
	out->words = calloc(WORD_OPTIONS + nr + 1, sizeof(*out->words));
	if (!out->words)
		return -ENOMEM;
	out->words[WORD_PROGRAM] = options->program;
	out->words[WORD_COMMAND] = (char *)SUCCESSOR_COMMAND;
	out->words[WORD_MOUNTPOINT] = options->mountpoint;
	memcpy(&out->words[WORD_OPTIONS], options->words, nr * sizeof(*out->words));
	return 0;
}

static void close_program(int *program)
{
	if (*program >= 0)
		close(*program);
	*program = -1;
}

int successor_choose(struct successor *successor)
{
	int program = open(successor->path, O_PATH | O_CLOEXEC);

	if (program < 0)
		return -errno;
	close_program(&successor->before);
	successor->before = successor->program;
	successor->program = program;
	return 0;
}

void successor_go_back(struct successor *successor)
{
	close_program(&successor->program);
	successor->program = steal_fd(successor->before);
}

void successor_clear(struct successor *successor)
{
	close_program(&successor->program);
	close_program(&successor->before);
	free(successor->path);
	free(successor->words);
	*successor = (struct successor){ 0 };
}

int successor_execute(const struct successor *successor, const struct keeper *keeper)
{
	const int inherited[] = { successor->fuse_fd, successor->memory_fd, keeper->ready,
				  keeper->go };
	char numbers[128];
	int r;

	if (successor->program < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(inherited); i++)
		if (fcntl(inherited[i], F_SETFD, 0))
			return -errno;
	snprintf(numbers, sizeof(numbers), NUMBERS, successor->fuse_fd, successor->memory_fd,
		 keeper->ready, keeper->go, keeper->pid, keeper->generation);
	successor->words[WORD_NUMBERS] = numbers;
	execveat(successor->program, "", successor->words, environ, AT_EMPTY_PATH);
	r = -errno;
	for (size_t i = 0; i < ARRAY_SIZE(inherited); i++)
		fcntl(inherited[i], F_SETFD, FD_CLOEXEC);
	return r;
}

/* Takes the descriptors.  Return: 0 or -EINVAL. */
static int take_numbers(const char *text, struct succession *out)
{
	int *const inherited[] = { &out->fuse_fd, &out->memory_fd, &out->keeper.ready,
				   &out->keeper.go };
	char rest;

	if (sscanf(text, NUMBERS "%c", &out->fuse_fd, &out->memory_fd, &out->keeper.ready,
		   &out->keeper.go, &out->keeper.pid, &out->keeper.generation, &rest) != 6)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(inherited); i++)
		if (fcntl(*inherited[i], F_SETFD, FD_CLOEXEC))
			return -EINVAL;
	return 0;
}

int successor_take(int argc, char **argv, struct succession *out)
{
	*out = (struct succession){
		.keeper = { .signals = -1, .active = KEEPER_NO_DAEMON, .standby = KEEPER_NO_DAEMON }
	};
	if (argc < WORD_OPTIONS)
		return -EINVAL;
	out->mountpoint = argv[WORD_MOUNTPOINT];
	/* As main() of a mount has them; no word is lost, for LeakSanitizer. */
	argv[WORD_OPTIONS - 1] = argv[WORD_PROGRAM];
	argv[WORD_PROGRAM] = out->mountpoint;
	out->argv = &argv[WORD_OPTIONS - 1];
	out->argc = argc - (WORD_OPTIONS - 1);
	return take_numbers(argv[WORD_NUMBERS], out);
}
