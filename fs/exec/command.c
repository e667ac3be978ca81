// SPDX-License-Identifier: GPL-2.0-or-later
/* Running a command: see command.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/exec/command.h"
#include "fs/options.h"

bool command_refuses(const char *name, const struct options *options)
{
	if (!options_have(options, "auto_unmount"))
		return false;
	fprintf(stderr, "damonfs %s: leave out auto_unmount: the mount ends with the command\n",
		name);
	return true;
}

/*
 * A terminal's SIGINT and SIGQUIT reach the command directly and are not for us; the others are
 * passed on.
 */
int command_open_signals(sigset_t *before)
{
	sigset_t set;
	int fd;

	/* If ignored, it would never report the command's end. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, before);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static void ignore_terminal(void)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

int command_become(char **argv)
{
	int error;

	execvp(argv[0], argv);
	error = errno;
	fprintf(stderr, "damonfs: %s: %s\n", argv[0], strerror(error));
	return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

int command_start(struct command *command, char **argv, const sigset_t *before,
		  int (*prepare)(void *argument), void *argument)
{
	*command = (struct command){ .pid = fork() };
	if (command->pid < 0)
		return -errno;
	if (!command->pid) {
		sigprocmask(SIG_SETMASK, before, NULL);
		_exit(prepare(argument) ? EXIT_OURS : command_become(argv));
	}
	ignore_terminal();
	return 0;
}

void command_signal(struct command *command, int number)
{
	if (number != SIGCHLD)
		kill(command->pid, number);
	else if (waitpid(command->pid, &command->status, WNOHANG) == command->pid)
		command->ended = true;
}

void command_wait(struct command *command, int signals)
{
	struct pollfd file = { .fd = signals, .events = POLLIN };
	struct signalfd_siginfo info;

	while (!command->ended) {
		poll(&file, 1, -1);
		if (read(signals, &info, sizeof(info)) == sizeof(info))
			command_signal(command, (int)info.ssi_signo);
	}
}

int command_status(const struct command *command)
{
	if (WIFSIGNALED(command->status))
		return 128 + WTERMSIG(command->status);
	return WEXITSTATUS(command->status);
}
