// SPDX-License-Identifier: GPL-2.0-or-later
/* Held writes: see deferred_reply.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "fs/fuse/deferred_reply.h"
#include "util/cleanup.h"

struct deferred_reply {
	pthread_mutex_t lock; /* of req */
	fuse_req_t req; /* NULL once answered */
	size_t size; /* what a success answers */
	struct outstanding *outstanding; /* where the next daemon finds it; or NULL */
	int place; /* in it */
	/* For an answer that waits for the kernel only: */
	struct event event;
	int result;
};

static fuse_req_t take_request(struct deferred_reply *pending)
{
	fuse_req_t req;

	pthread_mutex_lock(&pending->lock);
	req = steal_ptr(pending->req);
	pthread_mutex_unlock(&pending->lock);
	return req;
}

static void on_interrupt(fuse_req_t req, void *argument)
{
	(void)req;
	req = take_request(argument);
	if (req)
		fuse_reply_err(req, EINTR);
}

struct deferred_reply *deferred_reply_new(fuse_req_t req, size_t size,
					  struct outstanding *outstanding)
{
	struct deferred_reply *pending = calloc(1, sizeof(*pending));

	if (!pending)
		return NULL;
	pthread_mutex_init(&pending->lock, NULL);
	pending->req = req;
	pending->size = size;
	pending->outstanding = outstanding;
	pending->place = -1;
	return pending;
}

static void keep(struct deferred_reply *pending, int result)
{
	if (pending->outstanding)
		pending->place =
			outstanding_hold(pending->outstanding, (uint32_t)pending->size, result);
}

void deferred_reply_keep(struct deferred_reply *pending)
{
	keep(pending, OUTSTANDING_UNKNOWN);
}

static void deferred_reply_free(struct deferred_reply *pending)
{
	outstanding_release(pending->outstanding, pending->place);
	pthread_mutex_destroy(&pending->lock);
	free(pending);
}

void deferred_reply_send(struct deferred_reply *pending, int result)
{
	fuse_req_t req;

	if (!pending)
		return;
	req = take_request(pending);
	if (req) {
		/* Waits for a call of on_interrupt() that is under way. */
		fuse_req_interrupt_func(req, NULL, NULL);
		if (result)
			fuse_reply_err(req, -result);
		else
			fuse_reply_write(req, pending->size);
	}
	deferred_reply_free(pending);
}

static void finish_pending(struct event *event)
{
	struct deferred_reply *pending =
		(struct deferred_reply *)((char *)event - offsetof(struct deferred_reply, event));

	deferred_reply_send(pending, pending->result);
}

void deferred_reply_allow_interrupt(struct deferred_reply *pending)
{
	fuse_req_interrupt_func(pending->req, on_interrupt, pending);
}

void deferred_reply_send_after_changes(struct deferred_reply *pending, struct answerer *answerer,
				       int result)
{
	pending->event.finish = finish_pending;
	pending->result = result;
	keep(pending, result);
	answerer_post(answerer, &pending->event);
}
