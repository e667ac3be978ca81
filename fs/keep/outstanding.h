/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FUSE requests that were taken from the kernel and not answered yet: the next daemon answers them
 * if this one is killed.
 *
 * The kernel hands out a request once.  So requests are read straight into shared memory, where the
 * one at hand stays until it is answered or held, and held ones are in a table.
 */
#ifndef DAMONFS_FS_KEEP_OUTSTANDING_H
#define DAMONFS_FS_KEEP_OUTSTANDING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/macros.h"

/* The longest request: a write of so many bytes, and its headers. */
#define OUTSTANDING_WRITE   (1UL << 20)
#define OUTSTANDING_REQUEST (OUTSTANDING_WRITE + 4096)

/* The most held requests that are known; more are held, but lost with the daemon. */
#define OUTSTANDING_HELD 16384

#define OUTSTANDING_FIRST 1024

struct outstanding {
	/* The first request of the mount, by which libfuse and the kernel got to know each other. */
	uint32_t first_size;
	_Alignas(8) char first[OUTSTANDING_FIRST];
	uint64_t whole; /* the number of the request at hand, once all of it is there */
	uint32_t tries; /* how often a daemon was killed over the request at hand */
	struct {
		_Atomic uint64_t request; /* its number; 0: none */
		uint32_t size; /* what a success answers */
		_Atomic int32_t result; /* OUTSTANDING_UNKNOWN, 0 or a negative errno */
	} held[OUTSTANDING_HELD];
	/* At hand; its number is 0 if there is none.  On a page boundary: see is_whole(). */
	_Alignas(PAGE) char request[OUTSTANDING_REQUEST];
};

/* The result of a held request that is still being worked on. */
#define OUTSTANDING_UNKNOWN 1

/* Forgets the request at hand; the next may be read into outstanding->request. */
void outstanding_done(struct outstanding *outstanding);

/* The number of the request at hand, or 0. */
uint64_t outstanding_at_hand(const struct outstanding *outstanding);

/* Notes that the request at hand, of SIZE bytes, is there; keeps the first of all. */
void outstanding_came(struct outstanding *outstanding, size_t size);

/*
 * Copies the first request of all to OUT, also if the daemon was killed as it came.
 * Return: its size, or 0 if there was none.
 */
size_t outstanding_first(const struct outstanding *outstanding, char out[static OUTSTANDING_FIRST]);

/*
 * Notes that the request at hand is held; a success answers SIZE, and RESULT is
 * OUTSTANDING_UNKNOWN, 0 or a negative errno.
 * Return: its place in the table, or -1 if that is full.
 */
int outstanding_hold(struct outstanding *outstanding, uint32_t size, int result);

/* Whether any is held. */
bool outstanding_any(const struct outstanding *outstanding);

/* It was answered.  PLACE may be -1. */
void outstanding_release(struct outstanding *outstanding, int place);

/*
 * Answers by the descriptor FD what a daemon before us left: held requests, with EINTR where their
 * result is not known, and the one at hand, if it is number STORED, a write of SIZE bytes that was
 * carried out, or two daemons were killed over it (EIO), or it is long and perhaps not whole
 * (EINTR).
 * Return: the size of the request at hand, if that is to be handled now; else 0.
 */
size_t outstanding_answer(struct outstanding *outstanding, int fd, uint64_t stored, uint32_t size);

#endif
