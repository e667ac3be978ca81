// SPDX-License-Identifier: GPL-2.0-or-later
/* Who has taken what: see account.h. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "fs/account.h"
#include "util/cleanup.h"
#include "util/guard.h"
#include "util/log.h"

/* All users with small bounds together may take this many times the bound of one. */
#define ALL_OTHERS 8

const struct account_limits account_defaults_own = { {
	[ACCOUNT_OBJECTS] = 1 << 20,
	[ACCOUNT_KDAMONDS] = 1024,
	[ACCOUNT_REGIONS] = 4 << 20,
	[ACCOUNT_HANDLES] = 1 << 16,
	[ACCOUNT_BYTES] = 256 << 20,
} };

const struct account_limits account_defaults_others = { {
	[ACCOUNT_OBJECTS] = 1 << 14,
	[ACCOUNT_KDAMONDS] = 16,
	[ACCOUNT_REGIONS] = 1 << 17,
	[ACCOUNT_HANDLES] = 1024,
	[ACCOUNT_BYTES] = 16 << 20,
} };

LOCK_ROLE(ledger);

struct account {
	struct accounts *accounts;
	uid_t uid;
	/* Under the lock of the accounts: */
	unsigned int refs;
	struct account_limits used GUARDED_BY(ledger);
	UT_hash_handle hh;
};

struct accounts {
	struct account_limits own, others; /* constant */
	uid_t owner; /* of the tree; constant */
	pthread_mutex_t lock;
	struct account *all GUARDED_BY(ledger);
	struct account_limits used_by_others GUARDED_BY(ledger);
};

DEFINE_LOCK(ledger, ledger, struct accounts, lock);

const char *account_name(enum account_resource resource)
{
	static const char *const names[] = {
		[ACCOUNT_OBJECTS] = "objects", [ACCOUNT_KDAMONDS] = "kdamonds",
		[ACCOUNT_REGIONS] = "regions", [ACCOUNT_HANDLES] = "handles",
		[ACCOUNT_BYTES] = "bytes",
	};

	return names[resource];
}

struct accounts *accounts_new(const struct account_limits *limits, uid_t owner)
{
	struct accounts *accounts = calloc(1, sizeof(*accounts));

	if (!accounts)
		return NULL;
	pthread_mutex_init(&accounts->lock, NULL);
	accounts->owner = owner;
	accounts->own = account_defaults_own;
	accounts->others = account_defaults_others;
	for (size_t i = 0; limits && i < NR_ACCOUNT_RESOURCES; i++)
		if (limits->of[i])
			accounts->own.of[i] = accounts->others.of[i] = limits->of[i];
	return accounts;
}

struct accounts *accounts_free(struct accounts *accounts)
{
	if (accounts)
		pthread_mutex_destroy(&accounts->lock);
	free(accounts);
	return NULL;
}

static bool is_own(uid_t uid)
{
	return !uid || uid == getuid();
}

/* Whether UID takes from the bound of all others together: users of large bounds do not. */
static bool shares(const struct accounts *accounts, uid_t uid)
{
	return !is_own(uid) && uid != accounts->owner;
}

/* The accounts are locked. */
WITH_LOCK(ledger) static struct account *account_new(struct accounts *accounts, uid_t uid)
{
	struct account *account = calloc(1, sizeof(*account)), *added;

	if (!account)
		return NULL;
	account->accounts = accounts;
	account->uid = uid;
	HASH_ADD(hh, accounts->all, uid, sizeof(uid), account);
	HASH_FIND(hh, accounts->all, &uid, sizeof(uid), added);
	if (!added)
		free(account);
	return added;
}

int account_get(struct accounts *accounts, uid_t uid, struct account **out)
{
	struct account *account;

	*out = NULL;
	if (!accounts)
		return 0;
	ledger_lock(accounts);
	HASH_FIND(hh, accounts->all, &uid, sizeof(uid), account);
	if (!account)
		account = account_new(accounts, uid);
	if (account)
		account->refs++;
	ledger_unlock(accounts);
	*out = account;
	return account ? 0 : -ENOMEM;
}

struct account *account_ref(struct account *account)
{
	if (!account)
		return NULL;
	ledger_lock(account->accounts);
	account->refs++;
	ledger_unlock(account->accounts);
	return account;
}

uid_t account_uid(const struct account *account)
{
	return account ? account->uid : 0;
}

struct account *account_put(struct account *account)
{
	struct accounts *accounts;
	bool last;

	if (!account)
		return NULL;
	accounts = account->accounts;
	ledger_lock(accounts);
	last = !--account->refs;
	if (last)
		HASH_DEL(accounts->all, account);
	ledger_unlock(accounts);
	if (last)
		free(account);
	return NULL;
}

uint64_t account_limit(const struct account *account, enum account_resource resource)
{
	if (!account)
		return UINT64_MAX;
	return is_own(account->uid) ? account->accounts->own.of[resource] :
				      account->accounts->others.of[resource];
}

/* The accounts are locked. */
WITH_LOCK(ledger)
static uint64_t left(const struct account *account, enum account_resource resource)
{
	const struct accounts *accounts = account->accounts;
	uint64_t limit, of_all;

	if (is_own(account->uid))
		return accounts->own.of[resource] - account->used.of[resource];
	limit = accounts->others.of[resource] - account->used.of[resource];
	if (!shares(accounts, account->uid))
		return limit;
	of_all = accounts->others.of[resource] * ALL_OTHERS - accounts->used_by_others.of[resource];
	return min_ul(limit, of_all);
}

uint64_t account_left(struct account *account, enum account_resource resource)
{
	uint64_t nr;

	if (!account)
		return UINT64_MAX;
	ledger_lock(account->accounts);
	nr = left(account, resource);
	ledger_unlock(account->accounts);
	return nr;
}

int account_charge(struct account *account, enum account_resource resource, uint64_t nr)
{
	struct accounts *accounts;
	bool over;

	if (!account)
		return 0;
	accounts = account->accounts;
	ledger_lock(accounts);
	over = nr > left(account, resource);
	if (!over)
		account->used.of[resource] += nr;
	if (!over && shares(accounts, account->uid))
		accounts->used_by_others.of[resource] += nr;
	ledger_unlock(accounts);
	if (!over)
		return 0;
	log_info("user %u may not have %" PRIu64 " more %s; raise the limit with -o max_%s=N",
		 account->uid, nr, account_name(resource), account_name(resource));
	return -ENOMEM;
}

void account_refund(struct account *account, enum account_resource resource, uint64_t nr)
{
	if (!account)
		return;
	ledger_lock(account->accounts);
	account->used.of[resource] -= nr;
	if (shares(account->accounts, account->uid))
		account->accounts->used_by_others.of[resource] -= nr;
	ledger_unlock(account->accounts);
}

int account_hold(struct account_held *held, struct account *account, enum account_resource resource,
		 uint64_t nr)
{
	struct account_held was = *held;
	bool same = account == was.account;
	uint64_t more = same && nr > was.nr ? nr - was.nr : same ? 0 : nr;
	int r = account_charge(account, resource, more);

	if (r)
		return r;
	account_refund(was.account, resource, same ? was.nr + more - nr : was.nr);
	*held = (struct account_held){ nr ? account_ref(account) : NULL, nr };
	account_put(was.account);
	return 0;
}
