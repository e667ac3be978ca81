// SPDX-License-Identifier: GPL-2.0-or-later
/* Open files and directories: see handle.h. */
#include <errno.h>
#include <stdlib.h>

#include "fs/fuse/handle.h"
#include "util/cleanup.h"

static int handle_charge(struct account *account, struct handle **out)
{
	int r = account_charge(account, ACCOUNT_HANDLES, 1);

	if (r)
		return r;
	*out = calloc(1, sizeof(**out));
	if (*out)
		return 0;
	account_refund(account, ACCOUNT_HANDLES, 1);
	return -ENOMEM;
}

static void handle_destroy(struct handle *handle)
{
	text_clear(&handle->text);
	listing_clear(&handle->listing);
	text_clear(&handle->stream.written);
	caller_put(handle->opener);
	account_refund(handle->account, ACCOUNT_HANDLES, 1);
	account_put(handle->account);
	free(handle);
}

int handle_new(struct handles *handles, struct accounts *accounts, uid_t uid, uint64_t number,
	       struct handle **out)
{
	struct account *account;
	struct handle *handle;
	int r = account_get(accounts, uid, &account);

	if (!r)
		r = handle_charge(account, &handle);
	if (r) {
		account_put(account);
		return r;
	}
	handle->account = account;
	handle->text.account = account;
	handle->listing.names.account = account;
	handle->stream.written.account = account;
	handle->number = number ? number : ++handles->next;
	HASH_ADD(hh, handles->all, number, sizeof(handle->number), handle);
	if (handle->hh.tbl) {
		*out = handle;
		return 0;
	}
	handle_destroy(handle);
	return -ENOMEM;
}

void handle_free(struct handles *handles, struct handle *handle)
{
	HASH_DEL(handles->all, handle);
	handle_destroy(handle);
}

struct handle *handle_find(const struct handles *handles, uint64_t number)
{
	struct handle *handle;

	HASH_FIND(hh, handles->all, &number, sizeof(number), handle);
	return handle;
}
