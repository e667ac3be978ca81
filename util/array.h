/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arrays that grow by one element at a time. */
#ifndef DAMONFS_UTIL_ARRAY_H
#define DAMONFS_UTIL_ARRAY_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/*
 * Makes room for one element after the NR of ARRAY, a pointer from malloc() or NULL.  The room is a
 * power of two that follows from NR, so nothing else may have grown ARRAY.
 * Return: 0, or -ENOMEM and nothing changed.
 */
#define array_more(array, nr)                                                             \
	({                                                                                \
		size_t nr_ = (nr);                                                        \
		void *more_ = (array);                                                    \
		if (!(nr_ & (nr_ - 1)))                                                   \
			more_ = reallocarray(more_, nr_ ? nr_ * 2 : 1, sizeof(*(array))); \
		if (more_)                                                                \
			(array) = more_;                                                  \
		more_ ? 0 : -ENOMEM;                                                      \
	})

/*
 * The same for an array that keeps its ROOM, because elements go, too; its first room is LEAST.
 * Return: 0, or -ENOMEM and nothing changed.
 */
#define array_room(array, room, nr, least)                                    \
	({                                                                    \
		size_t room_ = (room);                                        \
		void *more_ = (array);                                        \
		if ((nr) >= room_) {                                          \
			room_ = room_ ? room_ * 2 : (least);                  \
			more_ = reallocarray(more_, room_, sizeof(*(array))); \
		}                                                             \
		if (more_) {                                                  \
			(array) = more_;                                      \
			(room) = room_;                                       \
		}                                                             \
		more_ ? 0 : -ENOMEM;                                          \
	})

#endif
