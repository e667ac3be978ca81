/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each function of libdamon.h has. */
#ifndef DAMONFS_ENGINE_API_PUBLIC_H
#define DAMONFS_ENGINE_API_PUBLIC_H

#define API __attribute__((visibility("default")))

/*
 * Whether this process may use the library: the first function of each that a program calls.
 * Return: 0, or -ECHILD after a fork.
 */
int api_enter(void);

#endif
