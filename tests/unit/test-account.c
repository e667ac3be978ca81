// SPDX-License-Identifier: GPL-2.0-or-later
/* Bounds of what users take: what is over them is refused and changes nothing. */
#include <errno.h>

#include "fs/account.h"
#include "tests/unit/unit.h"

#define OTHER 54321U /* neither root nor us */
#define OWNER 12345U /* of the tree */

static struct accounts *accounts;

static struct account *get(struct accounts *of, uid_t uid)
{
	struct account *account;

	ck_assert_int_eq(account_get(of, uid, &account), 0);
	return account;
}

static void set_up(void)
{
	accounts = accounts_new(NULL, OWNER);
	ck_assert_ptr_nonnull(accounts);
}

static void tear_down(void)
{
	accounts_free(accounts);
}

START_TEST(a_bound_is_kept)
{
	struct account *account = get(accounts, OTHER);
	uint64_t most = account_defaults_others.of[_i];
	enum account_resource resource = (enum account_resource)_i;

	ck_assert_ptr_nonnull(account);
	ck_assert_uint_eq(account_left(account, resource), most);
	ck_assert_int_eq(account_charge(account, resource, most + 1), -ENOMEM);
	ck_assert_int_eq(account_charge(account, resource, UINT64_MAX), -ENOMEM);
	ck_assert_int_eq(account_charge(account, resource, most - 1), 0);
	ck_assert_int_eq(account_charge(account, resource, 2), -ENOMEM);
	ck_assert_int_eq(account_charge(account, resource, 1), 0);
	ck_assert_uint_eq(account_left(account, resource), 0);
	account_refund(account, resource, most);
	ck_assert_uint_eq(account_left(account, resource), most);
	account_put(account);
}
END_TEST

START_TEST(an_account_is_one_for_a_user)
{
	struct account *one = get(accounts, OTHER), *same = get(accounts, OTHER);
	struct account *another = get(accounts, OTHER + 1);

	ck_assert_ptr_eq(one, same);
	ck_assert_ptr_ne(one, another);
	ck_assert_int_eq(account_charge(one, ACCOUNT_KDAMONDS, 16), 0);
	ck_assert_int_eq(account_charge(same, ACCOUNT_KDAMONDS, 1), -ENOMEM);
	ck_assert_int_eq(account_charge(another, ACCOUNT_KDAMONDS, 16), 0);
	account_put(one);
	/* What was taken is remembered as long as it is held. */
	ck_assert_int_eq(account_charge(same, ACCOUNT_KDAMONDS, 1), -ENOMEM);
	account_refund(same, ACCOUNT_KDAMONDS, 16);
	account_refund(another, ACCOUNT_KDAMONDS, 16);
	account_put(same);
	account_put(another);
}
END_TEST

START_TEST(many_users_have_a_bound_together)
{
	uint64_t most = account_defaults_others.of[ACCOUNT_OBJECTS], all = 0;
	struct account *user[64], *root = get(accounts, 0), *owner = get(accounts, OWNER);

	for (unsigned int i = 0; i < ARRAY_SIZE(user); i++) {
		user[i] = get(accounts, OTHER + i);
		all += account_charge(user[i], ACCOUNT_OBJECTS, most) ? 0 : most;
	}
	ck_assert_uint_gt(all, most);
	ck_assert_uint_lt(all, most * ARRAY_SIZE(user) / 2);
	/* Root is not in it, nor is the tree's owner, who has a bound of their own. */
	ck_assert_int_eq(account_charge(root, ACCOUNT_OBJECTS, most * 10), 0);
	account_refund(root, ACCOUNT_OBJECTS, most * 10);
	account_put(root);
	ck_assert_int_eq(account_charge(owner, ACCOUNT_OBJECTS, most + 1), -ENOMEM);
	ck_assert_int_eq(account_charge(owner, ACCOUNT_OBJECTS, most), 0);
	account_refund(owner, ACCOUNT_OBJECTS, most);
	account_put(owner);
	for (unsigned int i = 0; i < ARRAY_SIZE(user); i++)
		account_put(user[i]);
}
END_TEST

START_TEST(bounds_can_be_set)
{
	const struct account_limits limits = { { [ACCOUNT_REGIONS] = 7 } };
	struct accounts *set = accounts_new(&limits, OWNER);
	struct account *root = get(set, 0), *other = get(set, OTHER);

	ck_assert_uint_eq(account_left(root, ACCOUNT_REGIONS), 7);
	ck_assert_uint_eq(account_left(other, ACCOUNT_REGIONS), 7);
	ck_assert_uint_eq(account_left(other, ACCOUNT_OBJECTS),
			  account_defaults_others.of[ACCOUNT_OBJECTS]);
	/* Nobody is charged. */
	ck_assert_int_eq(account_charge(NULL, ACCOUNT_REGIONS, 8), 0);
	account_put(root);
	account_put(other);
	accounts_free(set);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("account");
	TCase *tcase = tcase_create("account");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, a_bound_is_kept, 0, NR_ACCOUNT_RESOURCES);
	tcase_add_test(tcase, an_account_is_one_for_a_user);
	tcase_add_test(tcase, many_users_have_a_bound_together);
	tcase_add_test(tcase, bounds_can_be_set);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
