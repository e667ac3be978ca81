/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command that damonfs runs: its parent passes signals on to it, and ends with it. */
#ifndef DAMONFS_FS_EXEC_COMMAND_H
#define DAMONFS_FS_EXEC_COMMAND_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* Exit statuses, as env(1) and timeout(1) have them. */
enum { EXIT_OURS = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

struct options;

/*
 * Whether the command cannot be run on a mount with OPTIONS, which was said on stderr in the name
 * of the command NAME of damonfs: with auto_unmount, it would have libfuse's socket, and with it
 * the mount's end in its hands.
 */
bool command_refuses(const char *name, const struct options *options);

struct command {
	pid_t pid;
	int status; /* of waitpid(), once it ended */
	bool ended;
};

/*
 * Blocks the signals that are the command's, and says which were blocked BEFORE.
 * Return: a descriptor from which they are read, or a negative errno.
 */
int command_open_signals(sigset_t *before);

/*
 * Starts ARGV with the signals of BEFORE, after PREPARE, with ARGUMENT, returned 0 in its process;
 * if it did not, the command's status is EXIT_OURS.  A terminal's signals are then the command's
 * alone.
 * Return: 0 or a negative errno.
 */
int command_start(struct command *command, char **argv, const sigset_t *before,
		  int (*prepare)(void *argument), void *argument);

/* Becomes ARGV.  Return: an exit status, after saying on stderr why it cannot be run. */
int command_become(char **argv);

/* Acts on signal NUMBER, which was read from the descriptor. */
void command_signal(struct command *command, int number);

/* Waits until the command has ended, and passes on what is read from SIGNALS. */
void command_wait(struct command *command, int signals);

/* The exit status of a command that has ended, as a shell has it. */
int command_status(const struct command *command);

#endif
