// SPDX-License-Identifier: GPL-2.0-or-later
/* Open files and directories: see handle.h. */
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

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

int handle_new(struct handle **all, struct accounts *accounts, uid_t uid, struct handle **out)
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
	DL_APPEND(*all, handle);
	*out = handle;
	return 0;
}

void handle_free(struct handle **all, struct handle *handle)
{
	DL_DELETE(*all, handle);
	text_clear(&handle->text);
	listing_clear(&handle->listing);
	text_clear(&handle->stream.written);
	caller_put(handle->opener);
	account_refund(handle->account, ACCOUNT_HANDLES, 1);
	account_put(handle->account);
	free(handle);
}
