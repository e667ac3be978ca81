// SPDX-License-Identifier: LGPL-2.1-or-later
/* Telling the service manager: see notify.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/notify.h"

/* The address PATH, `@' for one without a file.  Return: its length or a negative errno. */
static int address_of(const char *path, struct sockaddr_un *out)
{
	size_t length = strlen(path);

	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (*path != '/' && *path != '@')
		return -EAFNOSUPPORT;
	if (length >= sizeof(out->sun_path))
		return -ENAMETOOLONG;
	memcpy(out->sun_path, path, length);
	if (*path == '@')
		out->sun_path[0] = '\0';
	return (int)(offsetof(struct sockaddr_un, sun_path) + length + (*path == '/'));
}

int notify_manager(const char *text, const int *fds, size_t nr)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(NOTIFY_MAX_FDS * sizeof(int))];
	} control = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec data = { (char *)text, strlen(text) };
	struct sockaddr_un address;
	struct msghdr message = { .msg_name = &address, .msg_iov = &data, .msg_iovlen = 1 };
	const char *path = secure_getenv("NOTIFY_SOCKET");
	_cleanup_close_ int fd = -1;
	int length = path ? address_of(path, &address) : 0;

	if (length <= 0)
		return length;
	if (nr > NOTIFY_MAX_FDS)
		return -E2BIG;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	message.msg_namelen = (socklen_t)length;
	if (nr) {
		control.header.cmsg_len = CMSG_LEN(nr * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, nr * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(nr * sizeof(int));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 1;
}
