// SPDX-License-Identifier: LGPL-2.1-or-later
/* A kdamond's mailbox: see mailbox.h. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/mailbox.h"
#include "util/log.h"

DEFINE_LOCK(mailbox_role, mailbox, struct mailbox, lock);

int mailbox_init(struct mailbox *mailbox)
{
	*mailbox = (struct mailbox){ .event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	if (mailbox->event < 0)
		return -errno;
	pthread_mutex_init(&mailbox->lock, NULL);
	return 0;
}

ALONE void mailbox_clear(struct mailbox *mailbox)
{
	close(mailbox->event);
	damon_report_clear(&mailbox->report);
	damon_status_clear(&mailbox->status);
	pthread_mutex_destroy(&mailbox->lock);
}

void mailbox_wake(struct mailbox *mailbox, const char *name)
{
	uint64_t one = 1;
	ssize_t r;

	do {
		r = write(mailbox->event, &one, sizeof(one));
	} while (r < 0 && errno == EINTR);
	/* It fails only when full, and then the thread is already woken. */
	if (r < 0 && errno != EAGAIN)
		log_error("%s: cannot wake its thread: %s", name, strerror(errno));
}

int mailbox_put(struct mailbox *mailbox, struct damon_command *command)
{
	struct damon_command **at;
	bool closed;

	mailbox_lock(mailbox);
	closed = mailbox->closed;
	command->next = NULL;
	for (at = &mailbox->queue; *at; at = &(*at)->next)
		;
	if (!closed)
		*at = command;
	if (command->kind == DAMON_COMMIT)
		atomic_store(&mailbox->commit_waits, true);
	mailbox_unlock(mailbox);
	return closed ? -EINVAL : 0;
}

struct damon_command *mailbox_take(struct mailbox *mailbox, bool commits, bool collects)
{
	struct damon_command **at, *command = NULL;

	mailbox_lock(mailbox);
	for (at = &mailbox->queue; *at; at = &(*at)->next) {
		if (((*at)->kind == DAMON_COMMIT && !commits) ||
		    ((*at)->kind == DAMON_COLLECT_TRIED && !collects))
			continue;
		command = *at;
		*at = command->next;
		break;
	}
	mailbox_unlock(mailbox);
	return command;
}

void mailbox_close(struct mailbox *mailbox)
{
	mailbox_lock(mailbox);
	mailbox->closed = true;
	mailbox_unlock(mailbox);
}

void mailbox_leave_report(struct mailbox *mailbox, struct damon_report *report)
{
	struct damon_report before;

	mailbox_lock(mailbox);
	before = mailbox->report;
	mailbox->report = *report;
	mailbox->has_report = true;
	mailbox_unlock(mailbox);
	*report = before;
}

void mailbox_drop_report(struct mailbox *mailbox)
{
	mailbox_lock(mailbox);
	mailbox->has_report = false;
	mailbox_unlock(mailbox);
}

bool mailbox_take_report(struct mailbox *mailbox, struct damon_report *out)
{
	bool has;

	mailbox_lock(mailbox);
	has = mailbox->has_report;
	if (has) {
		*out = mailbox->report;
		mailbox->report = (struct damon_report){ 0 };
		mailbox->has_report = false;
	}
	mailbox_unlock(mailbox);
	return has;
}

void mailbox_leave_status(struct mailbox *mailbox, struct damon_status *status)
{
	struct damon_status before;

	mailbox_lock(mailbox);
	before = mailbox->status;
	mailbox->status = *status;
	mailbox_unlock(mailbox);
	*status = before;
}

int mailbox_read_status(struct mailbox *mailbox, struct damon_status *out)
{
	int r;

	mailbox_lock(mailbox);
	r = damon_status_copy(&mailbox->status, out);
	mailbox_unlock(mailbox);
	return r;
}
