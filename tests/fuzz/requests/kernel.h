/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's side of a FUSE connection, for fuzz targets: sends requests to the real operations
 * (fs/fuse/requests.h) on a real tree, without a mount, and checks each reply as the kernel does,
 * and more strictly.  Whatever is wrong with a reply ends the program.
 */
#ifndef DAMONFS_TESTS_FUZZ_KERNEL_H
#define DAMONFS_TESTS_FUZZ_KERNEL_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

#include "tests/fuzz/require.h"

struct kernel;

/* How a connection is made. */
struct kernel_setup {
	unsigned int abi; /* DAMON_ABI() */
	const char *method; /* borrowed */
	bool passed; /* the mount was made by somebody else: see struct requests */
	bool ticks; /* the clock goes by the machine's ticks; else what was removed goes at once */
};

/* Who sends a request. */
struct sender {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/* Makes the tree and the connection, and sends INIT. */
struct kernel *kernel_open(const struct kernel_setup *setup);

/*
 * Ends all kdamonds, waits for what is not answered yet, and frees everything; nobody may be
 * charged for anything then.
 */
void kernel_close(struct kernel *kernel);

/*
 * Sends a request: BODY is what follows the header.  The first eight bytes of a body that has a
 * file handle are set to that of handle number HANDLE, modulo those that are open; nothing is sent
 * if none is.
 * Return: 0 and what is found or opened is known from now on; a negative errno; or 1 if it was not
 * sent or is not answered yet.
 */
int kernel_send(struct kernel *kernel, uint32_t opcode, uint64_t node, struct sender sender,
		const void *body, size_t size, size_t handle);

/* Asks for the end of a request that was sent: number INDEX, modulo all. */
void kernel_interrupt(struct kernel *kernel, struct sender sender, size_t index);

/* Waits until everything is answered, or for a moment. */
void kernel_settle(struct kernel *kernel);

/* A node that is known, number INDEX modulo all; the last that was found; the last handle. */
uint64_t kernel_node(const struct kernel *kernel, size_t index);
uint64_t kernel_found(const struct kernel *kernel);
size_t kernel_last_handle(const struct kernel *kernel);

#endif
