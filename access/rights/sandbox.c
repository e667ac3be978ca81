// SPDX-License-Identifier: LGPL-2.1-or-later
/* A filter of our own system calls: see sandbox.h. */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access/rights/sandbox.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/sanitizer.h"
#include "util/task.h"

/* Sanitizers trace their own process at the end, and have threads of their own. */
#define SANITIZED (HAS_ADDRESS_SANITIZER || HAS_THREAD_SANITIZER)

#define CALL(name) SCMP_SYS(name)

/* Allowed with any arguments. */
static const int allowed[] = {
	/* memory */
	CALL(brk),
	CALL(mmap),
	CALL(munmap),
	CALL(mremap),
	CALL(mprotect),
	CALL(madvise),
	/* threads, and what they wait for */
	CALL(exit),
	CALL(exit_group),
	CALL(futex),
	CALL(gettid),
	CALL(getpid),
	CALL(getppid),
	CALL(set_robust_list),
	CALL(rseq),
	CALL(sched_yield),
	CALL(sched_getaffinity),
	CALL(membarrier),
	CALL(poll),
	CALL(ppoll),
	CALL(nanosleep),
	CALL(clock_nanosleep),
	CALL(restart_syscall),
	/* time, where the vdso does not tell it */
	CALL(clock_gettime),
	CALL(clock_getres),
	CALL(gettimeofday),
	CALL(time),
	/* signals; the command of `damonfs exec' */
	CALL(rt_sigaction),
	CALL(rt_sigprocmask),
	CALL(rt_sigreturn),
	CALL(rt_sigpending),
	CALL(sigaltstack),
	CALL(signalfd4),
	CALL(eventfd2),
	CALL(kill),
	CALL(tgkill),
	CALL(wait4),
	CALL(waitid),
	/* files: those of /proc, and /dev/fuse */
	CALL(openat),
	CALL(close),
	CALL(read),
	CALL(pread64),
	CALL(readv),
	CALL(preadv),
	CALL(write),
	CALL(pwrite64),
	CALL(writev),
	CALL(lseek),
	CALL(fcntl),
	CALL(fstat),
	CALL(stat),
	CALL(newfstatat),
	CALL(statx),
	CALL(statfs),
	CALL(fstatfs),
	CALL(access),
	CALL(faccessat),
	CALL(faccessat2),
	CALL(readlink),
	CALL(readlinkat),
	CALL(getdents64),
	CALL(ioctl),
	CALL(dup),
	CALL(pipe2),
	CALL(splice),
	CALL(vmsplice),
	CALL(getcwd),
	CALL(umount2),
	/* the log, and agents */
	CALL(connect),
	CALL(sendto),
	CALL(sendmsg),
	CALL(recvmsg),
	CALL(shutdown),
	/* credentials */
	CALL(getuid),
	CALL(geteuid),
	CALL(getgid),
	CALL(getegid),
	CALL(getresuid),
	CALL(getresgid),
	CALL(getgroups),
	CALL(setgroups),
	CALL(setresuid),
	CALL(setresgid),
	CALL(capget),
	CALL(capset),
	/* other processes */
	CALL(pidfd_open),
	CALL(process_madvise),
	CALL(move_pages),
	CALL(bpf),
	/* other things */
	CALL(getrandom),
	CALL(uname),
	CALL(sysinfo),
	CALL(getrlimit),
	CALL(getcpu),
};

/* Allowed with this first argument. */
static const struct {
	int call;
	scmp_datum_t first;
} allowed_with[] = {
	{ CALL(socket), AF_UNIX },
	{ CALL(socketpair), AF_UNIX },
	{ CALL(prctl), PR_SET_NAME },
	{ CALL(prctl), PR_GET_NAME },
	{ CALL(prctl), PR_SET_PDEATHSIG },
	{ CALL(prctl), PR_SET_TIMERSLACK },
	{ CALL(prctl), PR_CAPBSET_READ },
	{ CALL(prctl), 0x53564d41 }, /* PR_SET_VMA, of the C library */
	{ CALL(prlimit64), 0 },
};

static void sandbox_release(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

static int add_rules(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(allowed); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; !r && i < ARRAY_SIZE(allowed_with); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_with[i].call, 1,
				     SCMP_A0(SCMP_CMP_EQ, allowed_with[i].first, 0));
	/*
	 * New threads, and kdamonds, of which all is ours; the filter cannot see what clone3() is
	 * to make.
	 */
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(clone), 1,
				     SCMP_A0(SCMP_CMP_EQ, TASK_CLONE_FLAGS, 0));
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0);
	return r;
}

static void on_trap(int number, siginfo_t *info, void *context)
{
	char line[64];
	int length = snprintf(line, sizeof(line), "damonfs: system call %d is not allowed\n",
			      info->si_syscall);

	(void)number;
	(void)context;
	if (write(STDERR_FILENO, line, (size_t)length) < 0)
		_exit(1);
	_exit(128 + SIGSYS);
}

int sandbox_enter(enum sandbox_mode mode)
{
	__attribute__((cleanup(sandbox_release))) scmp_filter_ctx filter = NULL;
	int r;

	if (mode == SANDBOX_OFF || SANITIZED)
		return 0;
	if (mode == SANDBOX_TRAP &&
	    sigaction(SIGSYS,
		      &(struct sigaction){ .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO }, NULL))
		return -errno;
	filter = seccomp_init(mode == SANDBOX_TRAP ? SCMP_ACT_TRAP : SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return -ENOMEM;
	r = add_rules(filter);
	/* Who may not change privileges has set this before, or needs it. */
	if (!r)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 1);
	return r ? r : seccomp_load(filter);
}
