/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resource limits per user: whatever a user can create is charged to them, up to a bound.
 *
 * Root and the user who started damonfs have large bounds; others have small ones, and one for all
 * of them together.  Going over a bound is -ENOMEM, which is logged, and changes nothing.
 *
 * Every function may be called from any thread.
 */
#ifndef DAMONFS_FS_ACCOUNT_H
#define DAMONFS_FS_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum account_resource {
	ACCOUNT_OBJECTS, /* directories that were made: kdamonds, schemes, filters, tried regions...
			  */
	ACCOUNT_KDAMONDS, /* with a thread */
	ACCOUNT_REGIONS, /* that kdamonds may have, by nr_regions/max and what was given */
	ACCOUNT_HANDLES, /* open files and directories */
	ACCOUNT_BYTES, /* of text held for them */
	NR_ACCOUNT_RESOURCES
};

struct account_limits {
	uint64_t of[NR_ACCOUNT_RESOURCES];
};

/* Default bounds of one user: OWN for root and who started damonfs, OTHERS for anyone else. */
extern const struct account_limits account_defaults_own, account_defaults_others;

struct accounts;
struct account;

/*
 * Bounds of 0 in LIMITS, which may be NULL, are the defaults.  OWNER owns the tree, and has a bound
 * of their own, apart from the common one: one person can be many users, and use that up.
 * Return: NULL if there is no memory.
 */
struct accounts *accounts_new(const struct account_limits *limits, uid_t owner);
/* Every account must have been put. */
struct accounts *accounts_free(struct accounts *accounts);

/*
 * Gets the account of user UID.  Without ACCOUNTS (NULL) there is none, and nobody is charged.
 * Return: 0 and a reference in *OUT, or -ENOMEM.
 */
int account_get(struct accounts *accounts, uid_t uid, struct account **out);
struct account *account_ref(struct account *account);
uid_t account_uid(const struct account *account); /* 0 for NULL */
struct account *account_put(struct account *account);

/*
 * Takes NR of RESOURCE.  ACCOUNT may be NULL: nobody is charged.
 * Return: 0, or -ENOMEM and nothing taken.
 */
int account_charge(struct account *account, enum account_resource resource, uint64_t nr);

/* Gives back NR that were taken. */
void account_refund(struct account *account, enum account_resource resource, uint64_t nr);

/* What something holds of one resource of one account while it exists; begins as zeros. */
struct account_held {
	struct account *account; /* a reference, or NULL */
	uint64_t nr;
};

/*
 * Replaces what is HELD by NR of RESOURCE of ACCOUNT.  For the same account, what is held counts as
 * given back.  An NR of 0 only gives back.
 * Return: 0, or -ENOMEM and nothing changed.
 */
int account_hold(struct account_held *held, struct account *account, enum account_resource resource,
		 uint64_t nr);

/* How many of RESOURCE could be taken now, and how many in all. */
uint64_t account_left(struct account *account, enum account_resource resource);
uint64_t account_limit(const struct account *account, enum account_resource resource);

/* "objects", "kdamonds"...: what a resource is called in options and in the log. */
const char *account_name(enum account_resource resource);

#endif
