/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which lock guards what, checked by clang's -Wthread-safety.
 *
 * In C, the annotation of a member cannot name the lock beside it.  It names a role instead, which
 * stands for the lock of that kind in whatever object.  So clang finds a member that is touched
 * without any such lock, a function that is called without it, and a lock that is not given back;
 * it does not find that the lock of another object was taken.
 */
#ifndef DAMONFS_UTIL_GUARD_H
#define DAMONFS_UTIL_GUARD_H

#include <pthread.h>

#ifdef __clang__
#define GUARD_ATTRIBUTE(...) __attribute__((__VA_ARGS__))
#else
#define GUARD_ATTRIBUTE(...)
#endif

/* What LOCK_ROLE() declares. */
struct GUARD_ATTRIBUTE(capability("mutex")) lock_role {
	char nothing;
};

/* Declares a role; nothing defines it, as it is only named. */
#define LOCK_ROLE(role) extern struct lock_role role

/* Of a member or variable: it is touched with the lock only. */
#define GUARDED_BY(role) GUARD_ATTRIBUTE(guarded_by(role))

/* Of a function, before its type: its caller has the lock. */
#define WITH_LOCK(role) GUARD_ATTRIBUTE(requires_capability(role))

/* Of a function that takes or gives back the lock. */
#define TAKES_LOCK(role) \
	GUARD_ATTRIBUTE(acquire_capability(role)) GUARD_ATTRIBUTE(no_thread_safety_analysis)
#define GIVES_LOCK(role) \
	GUARD_ATTRIBUTE(release_capability(role)) GUARD_ATTRIBUTE(no_thread_safety_analysis)

/* Of a function that has the object for itself, while it is made or after the last other user. */
#define ALONE GUARD_ATTRIBUTE(no_thread_safety_analysis)

/* NOLINTBEGIN(bugprone-macro-parentheses): a type takes none. */
/* Defines the functions NAME_lock() and NAME_unlock() of an object of TYPE, by its MUTEX. */
#define DEFINE_LOCK(role, name, type, mutex)                            \
	TAKES_LOCK(role) static inline void name##_lock(type *object)   \
	{                                                               \
		pthread_mutex_lock(&object->mutex);                     \
	}                                                               \
	GIVES_LOCK(role) static inline void name##_unlock(type *object) \
	{                                                               \
		pthread_mutex_unlock(&object->mutex);                   \
	}                                                               \
	struct lock_role
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
