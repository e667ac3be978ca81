// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A system call in another process: see inject.h.
 *
 * We seize and interrupt a thread, and it stops where the kernel handles signals (1).  There we
 * check whether the call is permitted and possible.  We give the thread the registers of the call,
 * with no system call to restart, and a mask that blocks all signals but those of faults.  It runs
 * to the entry of the call, which must be exactly ours: its system call filter is suspended only
 * from there to the exit, and none of its own code runs in between.  At the exit we interrupt it
 * again, so that it passes the kernel's signal handling once more before its own code (2).  There
 * it gets back what it had at (1), and we let it go: the kernel restarts its system call, or
 * delivers its signals, as if (1) had been the only stop.  Neither stop is a signal to the process.
 * A frozen thread stops but does not run: it gets back what it had where it is.
 */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "access/act/inject.h"
#include "access/rights/status.h"
#include "util/cleanup.h"
#include "util/clock.h"

#if defined(__x86_64__)

#ifndef PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
#define PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211 /* Linux 6.4 */
#endif

/* How long to wait for the first stop, and for the entry. */
#define PATIENCE_NS 20000000UL

#define VDSO_SIZE      (4 * 4096UL)
#define STOP_SYSCALL   (SIGTRAP | 0x80) /* by PTRACE_O_TRACESYSGOOD */
#define USER_CODE_64   0x33 /* the segment of 64-bit code */
#define NO_SYSCALL     ((unsigned long long)-1)
#define SYSCALL_LENGTH 2 /* of the instruction, 0f 05 */

/* A request of PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG. */
struct dispatch_config {
	uint64_t mode, selector, offset, length;
};

struct injection {
	const struct inject *what;
	pid_t tid;
	uint64_t instruction; /* address of a `syscall' */
	struct user_regs_struct registers; /* what it had */
	uint64_t mask;
	bool suspends; /* we may suspend filters of system calls */
};

static const unsigned char syscall_code[SYSCALL_LENGTH] = { 0x0f, 0x05 };

static ssize_t inject_read_file(const struct injection *in, const char *name, void *buffer,
				size_t size)
{
	char path[64];
	_cleanup_close_ int fd = -1;
	ssize_t length;

	snprintf(path, sizeof(path), "task/%d/%s", in->tid, name);
	fd = openat(in->what->procfd, path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, buffer, size);
	return length < 0 ? -errno : length;
}

static bool read_memory(const struct injection *in, uint64_t address, void *buffer, size_t size)
{
	struct iovec local = { buffer, size }, remote = { (void *)address, size };

	return process_vm_readv(in->tid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/* ---- choosing a thread ---- */

/* The states of a thread that can be stopped, the best ones first. */
static const char stoppable[] = "RSTtI";

/* How good the state of the thread in the directory NAME is: less is better; SIZE_MAX: not at all. */
static size_t rank_of(int directory, const char *name)
{
	struct task_stat stat;
	const char *rank;
	char path[64];

	snprintf(path, sizeof(path), "%.16s/stat", name);
	if (*name == '.' || stat_read(directory, path, &stat))
		return SIZE_MAX;
	rank = strchr(stoppable, stat.state);
	return rank ? (size_t)(rank - stoppable) : SIZE_MAX;
}

/* Chooses a thread that can be stopped; the first, which has its name, may have ended. */
static int choose_thread(struct injection *in)
{
	_cleanup_closedir_ DIR *directory = NULL;
	struct dirent *entry;
	size_t best = SIZE_MAX;
	int fd = openat(in->what->procfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	directory = fd < 0 ? NULL : fdopendir(fd);
	if (!directory) {
		if (fd >= 0)
			close(fd);
		return -ESRCH;
	}
	while (best && (entry = readdir(directory))) {
		size_t rank = rank_of(dirfd(directory), entry->d_name);

		if (rank >= best)
			continue;
		best = rank;
		in->tid = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	if (best == SIZE_MAX)
		return faccessat(in->what->procfd, "stat", F_OK, 0) ? -ESRCH : -EBUSY;
	return 0;
}

/*
 * Whether the seized thread is one of the process: before that, its number may have become
 * another's.  It cannot change any more.
 */
static bool inject_is_ours(const struct injection *in)
{
	char path[64];

	snprintf(path, sizeof(path), "task/%d", in->tid);
	return !faccessat(in->what->procfd, path, F_OK, 0);
}

/* ---- stops ---- */

/*
 * The next stop of the thread, as PTRACE_EVENT << 8 | signal.
 * Return: the stop, -ETIME if it has not come after PATIENCE_NS, or -ESRCH.
 */
static int wait_for_stop(const struct injection *in, bool patiently)
{
	const struct timespec nap = { .tv_nsec = 20000 };
	uint64_t began = clock_ns();
	siginfo_t info = { 0 };
	int what = WSTOPPED | WEXITED | __WALL | (patiently ? 0 : WNOHANG);

	while (!waitid(P_PID, (id_t)in->tid, &info, what) && !info.si_pid) {
		if (clock_ns() - began > PATIENCE_NS)
			return -ETIME;
		nanosleep(&nap, NULL);
	}
	return info.si_code == CLD_TRAPPED || info.si_code == CLD_STOPPED ? info.si_status : -ESRCH;
}

/* Waits for the stop that PTRACE_INTERRUPT asked for; delivers signals that come before it. */
static int wait_for_interrupt(const struct injection *in, bool patiently)
{
	int stop;

	while ((stop = wait_for_stop(in, patiently)) >= 0) {
		if (stop >> 8 == PTRACE_EVENT_STOP)
			return 0;
		if (ptrace(PTRACE_CONT, in->tid, 0, (long)stop))
			return -ESRCH;
	}
	return stop;
}

static int set(const struct injection *in, const struct user_regs_struct *registers, uint64_t mask)
{
	struct iovec all = { (void *)registers, sizeof(*registers) };

	if (ptrace(PTRACE_SETSIGMASK, in->tid, sizeof(mask), &mask) ||
	    ptrace(PTRACE_SETREGSET, in->tid, (long)NT_PRSTATUS, &all))
		return -ESRCH;
	return 0;
}

/*
 * Gives the thread back what it had after a fault in our call, or a signal of that kind.  A fault
 * is ours and is dropped; a signal is delivered.
 * Return: -EOPNOTSUPP, or -EBUSY if it was a signal, which is what it was stopped for now.
 */
static int give_up_at_signal(const struct injection *in, int number)
{
	siginfo_t info = { 0 };
	bool sent = !ptrace(PTRACE_GETSIGINFO, in->tid, 0, &info) && info.si_code <= 0;

	if (set(in, &in->registers, in->mask))
		return -ESRCH;
	ptrace(PTRACE_DETACH, in->tid, 0, (long)(sent ? number : 0));
	return sent ? -EBUSY : -EOPNOTSUPP;
}

/*
 * Lets it run to the next entry to or exit from a system call.
 * Return: 0, -ETIME if it is still on its way after PATIENCE_NS, -ESRCH, or the answer of
 * give_up_at_signal().
 */
static int run_to_syscall(const struct injection *in, bool patiently)
{
	int stop, number = 0;

	do {
		if (ptrace(PTRACE_SYSCALL, in->tid, 0, (long)number))
			return -ESRCH;
		stop = wait_for_stop(in, patiently);
		if (stop < 0)
			return stop;
		/* SIGSTOP cannot be blocked: it stops the process once it is let go. */
		number = stop >> 8 || stop == STOP_SYSCALL ? 0 : stop;
		if (number && number != SIGSTOP)
			return give_up_at_signal(in, number);
	} while (stop != STOP_SYSCALL);
	return 0;
}

/*
 * Stops a thread that does not come to the entry, as in a frozen cgroup.
 * Return: 0 if it came to the entry meanwhile, -EBUSY if it was given back what it had, or -ESRCH.
 */
static int call_off(const struct injection *in)
{
	int stop, r;

	if (ptrace(PTRACE_INTERRUPT, in->tid, 0, 0))
		return -ESRCH;
	while ((stop = wait_for_stop(in, true)) >= 0 && stop != STOP_SYSCALL) {
		if (stop >> 8 == PTRACE_EVENT_STOP) {
			r = set(in, &in->registers, in->mask);
			return r ? r : -EBUSY;
		}
		if (stop != SIGSTOP)
			return give_up_at_signal(in, stop);
		if (ptrace(PTRACE_SYSCALL, in->tid, 0, (long)stop))
			return -ESRCH;
	}
	return stop < 0 ? stop : 0;
}

/* ---- what the thread is in ---- */

/*
 * Whether the thread is in a restartable sequence, which the kernel would take for left after our
 * call.  If the kernel cannot tell, there are none.
 */
static bool in_restartable_sequence(const struct injection *in)
{
	struct __ptrace_rseq_configuration configuration;
	uint64_t section, descriptor[3]; /* version and flags, start, length */

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, in->tid, sizeof(configuration), &configuration) <=
		    0 ||
	    !configuration.rseq_abi_pointer)
		return false;
	/* struct rseq: two processor numbers, then the section. */
	if (!read_memory(in, configuration.rseq_abi_pointer + 8, &section, sizeof(section)))
		return true;
	if (!section)
		return false;
	return !read_memory(in, section, descriptor, sizeof(descriptor)) ||
	       in->registers.rip - descriptor[1] < descriptor[2];
}

/* Whether the process handles its own system calls, as far as the kernel tells. */
static bool dispatches_syscalls(const struct injection *in)
{
	struct dispatch_config config = { 0 };

	return !ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, in->tid, sizeof(config), &config) &&
	       config.mode;
}

/* Whether the thread's system calls are filtered, so that ours might kill it. */
static bool has_seccomp(const struct injection *in)
{
	char status[4096];
	const char *line;
	ssize_t length = inject_read_file(in, "status", status, sizeof(status) - 1);

	if (length <= 0)
		return true;
	status[length] = '\0';
	line = strstr(status, "\nSeccomp:\t");
	return line && line[10] != '0';
}

static bool suspend_seccomp(const struct injection *in, bool suspend)
{
	long options = PTRACE_O_TRACESYSGOOD | (suspend ? PTRACE_O_SUSPEND_SECCOMP : 0);

	return !ptrace(PTRACE_SETOPTIONS, in->tid, 0, options);
}

/*
 * Finds a `syscall' instruction: the one that the thread is in, or one in the vDSO.  The program
 * cannot change any more.  If the vDSO was moved away, the call ends in a fault.
 * Return: 0 or a negative errno.
 */
static int find_instruction(struct injection *in)
{
	uint64_t here = in->registers.rip - SYSCALL_LENGTH, vdso = 0;
	Elf64_auxv_t auxv[64] = { 0 };
	unsigned char code[VDSO_SIZE];
	const unsigned char *found;
	size_t length = 0;

	if (in->registers.orig_rax != NO_SYSCALL && read_memory(in, here, code, SYSCALL_LENGTH) &&
	    !memcmp(code, syscall_code, SYSCALL_LENGTH)) {
		in->instruction = here;
		return 0;
	}
	/* An ending process has lost its memory. */
	if (inject_read_file(in, "auxv", auxv, sizeof(auxv)) <= 0)
		return -ESRCH;
	for (size_t i = 0; i < ARRAY_SIZE(auxv); i++)
		if (auxv[i].a_type == AT_SYSINFO_EHDR)
			vdso = auxv[i].a_un.a_val;
	/* What lies behind it may not be mapped. */
	while (vdso && length < VDSO_SIZE && read_memory(in, vdso + length, code + length, 4096))
		length += 4096;
	found = memmem(code, length, syscall_code, sizeof(syscall_code));
	if (!found)
		return -EOPNOTSUPP;
	in->instruction = vdso + (uint64_t)(found - code);
	return 0;
}

/* Saves the state at the first stop, if the call is possible.  Return: 0 or a negative errno. */
static int save(struct injection *in)
{
	struct iovec registers = { &in->registers, sizeof(in->registers) };

	if (ptrace(PTRACE_GETREGSET, in->tid, (long)NT_PRSTATUS, &registers) ||
	    ptrace(PTRACE_GETSIGMASK, in->tid, sizeof(in->mask), &in->mask))
		return -ESRCH;
	/* A 32-bit process has fewer of them. */
	if (registers.iov_len != sizeof(in->registers) || in->registers.cs != USER_CODE_64)
		return -EOPNOTSUPP;
	if (dispatches_syscalls(in))
		return -EOPNOTSUPP;
	if (in_restartable_sequence(in))
		return -EBUSY;
	/* A try while it runs nothing. */
	in->suspends = suspend_seccomp(in, true);
	if (!suspend_seccomp(in, false))
		return -ESRCH;
	if (!in->suspends && has_seccomp(in))
		return -EPERM;
	return find_instruction(in);
}

/* ---- the call ---- */

/* All signals but those of faults, which would kill the process if they were blocked. */
static uint64_t mask_of_call(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS };
	uint64_t mask = ~0ULL;

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		mask &= ~(1ULL << (faults[i] - 1));
	return mask;
}

static struct user_regs_struct registers_of_call(const struct injection *in)
{
	struct user_regs_struct registers = in->registers;

	registers.rax = SYS_madvise;
	registers.orig_rax = NO_SYSCALL;
	registers.rip = in->instruction;
	registers.rdi = in->what->start;
	registers.rsi = in->what->length;
	registers.rdx = (unsigned long long)in->what->behavior;
	return registers;
}

/* Whether the thread is at the entry of our call and of no other. */
static bool is_our_call(const struct injection *in)
{
	struct __ptrace_syscall_info info = { 0 };

	return ptrace(PTRACE_GET_SYSCALL_INFO, in->tid, sizeof(info), &info) > 0 &&
	       info.op == PTRACE_SYSCALL_INFO_ENTRY && info.arch == AUDIT_ARCH_X86_64 &&
	       info.instruction_pointer == in->instruction + SYSCALL_LENGTH &&
	       info.entry.nr == SYS_madvise && info.entry.args[0] == in->what->start &&
	       info.entry.args[1] == in->what->length &&
	       info.entry.args[2] == (uint64_t)in->what->behavior;
}

/* Cancels the call that the thread is about to make. */
static int skip_call(const struct injection *in)
{
	struct user_regs_struct registers;
	struct iovec all = { &registers, sizeof(registers) };

	if (ptrace(PTRACE_GETREGSET, in->tid, (long)NT_PRSTATUS, &all))
		return -ESRCH;
	registers.orig_rax = NO_SYSCALL;
	return ptrace(PTRACE_SETREGSET, in->tid, (long)NT_PRSTATUS, &all) ? -ESRCH : 0;
}

/* From the entry to the exit of the call. */
static int make_call(const struct injection *in, int64_t *result)
{
	struct user_regs_struct registers;
	struct iovec all = { &registers, sizeof(registers) };
	int refused = is_our_call(in) ? 0 : -EOPNOTSUPP, r = 0;

	/* Also where there was no filter at the first stop: another thread may have installed one. */
	if (in->suspends && !suspend_seccomp(in, true))
		refused = -EPERM;
	if (refused)
		r = skip_call(in);
	if (!r)
		r = run_to_syscall(in, true);
	if (r)
		return r;
	if (in->suspends && !suspend_seccomp(in, false))
		return -ESRCH;
	if (ptrace(PTRACE_GETREGSET, in->tid, (long)NT_PRSTATUS, &all))
		return -ESRCH;
	*result = (int64_t)registers.rax;
	return refused;
}

/* Return: 0, or a negative errno; the thread has back what it had, unless it is gone. */
static int call(const struct injection *in, int64_t *result)
{
	struct user_regs_struct registers = registers_of_call(in);
	int r = set(in, &registers, mask_of_call()), called;

	if (!r)
		r = run_to_syscall(in, false); /* the entry */
	if (r == -ETIME)
		r = call_off(in);
	if (r)
		return r;
	called = make_call(in, result);
	if (called == -ESRCH)
		return called;
	if (ptrace(PTRACE_INTERRUPT, in->tid, 0, 0) || ptrace(PTRACE_CONT, in->tid, 0, 0))
		return -ESRCH;
	r = wait_for_interrupt(in, true);
	if (!r)
		r = set(in, &in->registers, in->mask);
	return r ? r : called;
}

int inject_madvise(const struct inject *what, int64_t *result)
{
	struct injection in = { .what = what };
	int r = choose_thread(&in);

	/* Ask before seizing it: Yama makes an exception for its tracer. */
	if (!r)
		r = what->may(in.tid, what->argument);
	if (r)
		return r;
	if (ptrace(PTRACE_SEIZE, in.tid, 0, PTRACE_O_TRACESYSGOOD))
		return errno == ESRCH ? -ESRCH : -EPERM;
	r = ptrace(PTRACE_INTERRUPT, in.tid, 0, 0) ? -ESRCH : wait_for_interrupt(&in, false);
	if (r)
		return r;
	if (!inject_is_ours(&in))
		r = -ESRCH;
	/* Ask again, now that it can neither change its credentials nor execute another program. */
	if (!r)
		r = what->may(in.tid, what->argument);
	if (!r)
		r = save(&in);
	if (!r)
		r = call(&in, result);
	/* If this fails, it was let go already or is gone. */
	ptrace(PTRACE_DETACH, in.tid, 0, 0);
	return r;
}

#else

int inject_madvise(const struct inject *what, int64_t *result)
{
	(void)what;
	(void)result;
	return -EOPNOTSUPP;
}

#endif
