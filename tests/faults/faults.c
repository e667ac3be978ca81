// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A library to preload: the Nth allocation, or the Nth system call of a sort, fails once.
 *
 * What is to fail is said in a file of one page, $DAMONFS_FAULTS, which the test writes while the
 * program runs; see struct control.  Allocations of libraries count too.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <unistd.h>

/* What can fail. */
enum sort {
	NOTHING,
	ALLOCATIONS, /* malloc, calloc, realloc, reallocarray: with NULL */
	MAPPINGS, /* mmap */
	THREADS, /* pthread_create */
	OPENS, /* what makes a descriptor */
	READS, /* read, pread, getline, recvmsg; not of /dev/fuse */
	WRITES, /* write, pwrite, sendmsg */
	WAITS, /* poll, ppoll */
	REQUESTS, /* read of /dev/fuse */
	PROCESSES, /* fork */
	CREDENTIALS, /* setresuid, setresgid, setgroups, capset */
};

struct control {
	_Atomic uint32_t sort; /* enum sort */
	_Atomic uint32_t error; /* errno */
	_Atomic uint64_t left; /* 1: the next one fails */
	_Atomic uint64_t failed; /* how many did */
};

static struct control none, *control = &none;

__attribute__((constructor)) static void attach(void)
{
	const char *path = getenv("DAMONFS_FAULTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *page = fd < 0 ? MAP_FAILED :
			      mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (page != MAP_FAILED)
		control = page;
	if (fd >= 0)
		close(fd);
	/* Only the program itself, not what it executes. */
	unsetenv("LD_PRELOAD");
}

/* libseccomp 2.5 dies of it, at start, and is no part of ours. */
static bool is_excepted(const void *caller)
{
	Dl_info info;

	return caller && dladdr(caller, &info) && info.dli_fname &&
	       strstr(info.dli_fname, "libseccomp");
}

static bool fails_for(enum sort sort, const void *caller)
{
	uint64_t left;

	if (atomic_load_explicit(&control->sort, memory_order_relaxed) != sort)
		return false;
	left = atomic_load(&control->left);
	do {
		if (!left)
			return false;
	} while (!atomic_compare_exchange_weak(&control->left, &left, left - 1));
	if (left != 1 || is_excepted(caller))
		return false;
	atomic_fetch_add(&control->failed, 1);
	errno = (int)atomic_load(&control->error);
	return true;
}

static bool fails(enum sort sort)
{
	return fails_for(sort, NULL);
}

#define REAL(name)                     \
	static __typeof__(name) *real; \
	if (!real)                     \
	real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* ---- allocations ---- */

/* What dlsym() asks for while it looks for the real one. */
static char early[8192];
static size_t early_used;
static _Thread_local bool looking;

static bool is_early(const void *p)
{
	return (const char *)p >= early && (const char *)p < early + sizeof(early);
}

static void *early_allocate(size_t size)
{
	char *p = early + early_used;

	size = (size + 31) / 32 * 32;
	if (early_used + size > sizeof(early))
		abort();
	early_used += size;
	return p;
}

static struct {
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void (*free)(void *);
} real_allocator;

static void look(void)
{
	looking = true;
	real_allocator.calloc = dlsym(RTLD_NEXT, "calloc");
	real_allocator.realloc = dlsym(RTLD_NEXT, "realloc");
	real_allocator.free = dlsym(RTLD_NEXT, "free");
	real_allocator.malloc = dlsym(RTLD_NEXT, "malloc");
	looking = false;
}

void *malloc(size_t size)
{
	if (looking)
		return early_allocate(size);
	if (!real_allocator.malloc)
		look();
	return fails_for(ALLOCATIONS, __builtin_return_address(0)) ? NULL :
								     real_allocator.malloc(size);
}

void *calloc(size_t nr, size_t size)
{
	if (looking)
		return early_allocate(nr * size);
	if (!real_allocator.malloc)
		look();
	return fails_for(ALLOCATIONS, __builtin_return_address(0)) ?
		       NULL :
		       real_allocator.calloc(nr, size);
}

void *realloc(void *p, size_t size)
{
	if (!real_allocator.malloc)
		look();
	if (is_early(p)) {
		void *copy = real_allocator.malloc(size);

		return copy ? memcpy(copy, p, size) : NULL;
	}
	return fails_for(ALLOCATIONS, __builtin_return_address(0)) ?
		       NULL :
		       real_allocator.realloc(p, size);
}

void *reallocarray(void *p, size_t nr, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(nr, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, all);
}

void free(void *p)
{
	if (is_early(p))
		return;
	if (!real_allocator.malloc)
		look();
	real_allocator.free(p);
}

/* ---- system calls ---- */

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	REAL(mmap);
	return fails(MAPPINGS) ? MAP_FAILED : real(address, length, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	return mmap(address, length, protection, flags, fd, offset);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
		   void *argument)
{
	REAL(pthread_create);
	return fails(THREADS) ? errno : real(thread, attributes, function, argument);
}

/* The mode that may follow FLAGS. */
#define MODE_AFTER(flags)                         \
	mode_t mode = 0;                          \
	if ((flags) & (O_CREAT | __O_TMPFILE)) {  \
		va_list arguments;                \
		va_start(arguments, flags);       \
		mode = va_arg(arguments, mode_t); \
		va_end(arguments);                \
	}

int open(const char *path, int flags, ...)
{
	REAL(open);
	MODE_AFTER(flags)
	return fails(OPENS) ? -1 : real(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	MODE_AFTER(flags)
	return open(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	REAL(openat);
	MODE_AFTER(flags)
	return fails(OPENS) ? -1 : real(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
	MODE_AFTER(flags)
	return openat(dir, path, flags, mode);
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
	REAL(socketpair);
	return fails(OPENS) ? -1 : real(domain, type, protocol, fds);
}

int eventfd(unsigned int count, int flags)
{
	REAL(eventfd);
	return fails(OPENS) ? -1 : real(count, flags);
}

int signalfd(int fd, const sigset_t *set, int flags)
{
	REAL(signalfd);
	return fails(OPENS) ? -1 : real(fd, set, flags);
}

int pipe2(int fds[2], int flags)
{
	REAL(pipe2);
	return fails(OPENS) ? -1 : real(fds, flags);
}

DIR *opendir(const char *path)
{
	REAL(opendir);
	return fails(OPENS) ? NULL : real(path);
}

FILE *fopen(const char *path, const char *mode)
{
	REAL(fopen);
	return fails(OPENS) ? NULL : real(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	return fopen(path, mode);
}

int fcntl(int fd, int command, ...)
{
	REAL(fcntl);
	va_list arguments;
	void *argument;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && fails(OPENS))
		return -1;
	return real(fd, command, argument);
}

int fcntl64(int fd, int command, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	return fcntl(fd, command, argument);
}

/* Those that have no function, or one that is for all threads. */
long syscall(long number, ...)
{
	REAL(syscall);
	va_list arguments;
	long a[6];

	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	if (number == SYS_pidfd_open && fails(OPENS))
		return -1;
	if ((number == SYS_setgroups || number == SYS_setresgid || number == SYS_setresuid) &&
	    fails(CREDENTIALS))
		return -1;
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int cap_set_proc(cap_t caps)
{
	REAL(cap_set_proc);
	return fails(CREDENTIALS) ? -1 : real(caps);
}

pid_t fork(void)
{
	REAL(fork);
	return fails(PROCESSES) ? -1 : real();
}

static bool is_fuse(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(10, 229);
}

/* An eventfd is memory: a call may be interrupted, and nothing else. */
static bool is_counter(int fd)
{
	char path[32], name[32];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, name, sizeof(name) - 1);
	name[length > 0 ? length : 0] = '\0';
	return !strcmp(name, "anon_inode:[eventfd]");
}

/* Whether a call for FD fails that is of SORT. */
static bool transfer_fails(enum sort sort, int fd)
{
	if (atomic_load_explicit(&control->sort, memory_order_relaxed) != sort)
		return false;
	if (atomic_load(&control->error) == EIO && is_counter(fd))
		return false;
	return fails(sort);
}

/* Whether a read of FD fails. */
static bool read_fails(int fd)
{
	uint32_t sort = atomic_load_explicit(&control->sort, memory_order_relaxed);

	if (sort != READS && sort != REQUESTS)
		return false;
	return is_fuse(fd) ? fails(REQUESTS) : transfer_fails(READS, fd);
}

ssize_t read(int fd, void *data, size_t size)
{
	REAL(read);
	return read_fails(fd) ? -1 : real(fd, data, size);
}

ssize_t __getdelim(char **line, size_t *size, int delimiter, FILE *file)
{
	REAL(__getdelim);
	return fails(READS) ? -1 : real(line, size, delimiter, file);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	REAL(recvmsg);
	return fails(READS) ? -1 : real(fd, message, flags);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
	REAL(pread);
	return fails(READS) ? -1 : real(fd, data, size, offset);
}

ssize_t pread64(int fd, void *data, size_t size, off_t offset)
{
	return pread(fd, data, size, offset);
}

ssize_t write(int fd, const void *data, size_t size)
{
	REAL(write);
	return transfer_fails(WRITES, fd) ? -1 : real(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	REAL(pwrite);
	return fails(WRITES) ? -1 : real(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
	return pwrite(fd, data, size, offset);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	REAL(sendmsg);
	return fails(WRITES) ? -1 : real(fd, message, flags);
}

int poll(struct pollfd *fds, nfds_t nr, int timeout)
{
	REAL(poll);
	return fails(WAITS) ? -1 : real(fds, nr, timeout);
}

int ppoll(struct pollfd *fds, nfds_t nr, const struct timespec *timeout, const sigset_t *mask)
{
	REAL(ppoll);
	return fails(WAITS) ? -1 : real(fds, nr, timeout, mask);
}
