/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What passes between a kdamond and others: commands to it, and what it says of itself.  Any thread
 * may use a mailbox; its owner is the kdamond's thread.
 */
#ifndef DAMONFS_ENGINE_MAILBOX_H
#define DAMONFS_ENGINE_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/command.h"
#include "util/guard.h"

LOCK_ROLE(mailbox_role);

struct mailbox {
	int event; /* an eventfd: it is readable if there is something new for the owner */
	atomic_bool commit_waits; /* there was one since the owner looked */

	pthread_mutex_t lock;
	struct damon_command *queue GUARDED_BY(mailbox_role); /* first come first */
	bool closed GUARDED_BY(mailbox_role); /* takes no more commands */
	bool has_report GUARDED_BY(mailbox_role); /* that nobody has taken yet */
	struct damon_report report GUARDED_BY(mailbox_role);
	struct damon_status status GUARDED_BY(mailbox_role);
};

/* Return: 0, or a negative errno, and then there is nothing to clear. */
int mailbox_init(struct mailbox *mailbox);
void mailbox_clear(struct mailbox *mailbox);

/* Wakes the owner.  Logs as NAME if that fails. */
void mailbox_wake(struct mailbox *mailbox, const char *name);

/* Puts COMMAND behind the others.  Return: 0, or -EINVAL if it takes none any more. */
int mailbox_put(struct mailbox *mailbox, struct damon_command *command);

/*
 * Takes the first command that may run now: a commit only if COMMITS, a collection only if
 * COLLECTS.  Return: it or NULL.
 */
struct damon_command *mailbox_take(struct mailbox *mailbox, bool commits, bool collects);

/* From now on it takes no more commands. */
void mailbox_close(struct mailbox *mailbox);

/* Leaves *REPORT for whoever takes it, by exchange for an older one, which may be empty. */
void mailbox_leave_report(struct mailbox *mailbox, struct damon_report *report);

/* Nobody is to take the report that was left. */
void mailbox_drop_report(struct mailbox *mailbox);

/* Takes the report that was left.  Return: whether there is one, and *OUT. */
bool mailbox_take_report(struct mailbox *mailbox, struct damon_report *out);

/* Leaves *STATUS, by exchange for the one before. */
void mailbox_leave_status(struct mailbox *mailbox, struct damon_status *status);

/* Return: 0 and a copy of the last status in *OUT, for damon_status_clear(), or -ENOMEM. */
int mailbox_read_status(struct mailbox *mailbox, struct damon_status *out);

#endif
