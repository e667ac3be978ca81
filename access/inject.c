// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A system call in another process's name: see inject.h.
 *
 * The thread is seized and interrupted, and stops where the kernel handles signals (1).  There it
 * is given the registers of the call, with no system call to restart, and a mask that blocks all
 * signals.  It runs to the entry and to the exit of the call, where it is interrupted again, so
 * that it comes by the handling of signals once more before it is back in its own code (2).  It
 * gets back what it had at (1) and is let go: so the kernel restarts its system call, or delivers
 * its signals, as if (1) had been the only stop.  Neither stop is a signal to the process.  Who is
 * frozen stops, but does not run: it is given back what it had where it is.
 *
 * All of it is done by a thread that ends with it: a tracer can let go of a thread that does not
 * stop only by ending itself.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "access/cleanup.h"
#include "access/inject.h"
#include "access/refs.h"

#if defined(__x86_64__)

/* How long to wait for the first stop, and for the entry. */
#define PATIENCE_NS 20000000UL

#define VDSO_SIZE      (4 * 4096UL)
#define STOP_SYSCALL   (SIGTRAP | 0x80) /* by PTRACE_O_TRACESYSGOOD */
#define USER_CODE_64   0x33 /* the segment of 64-bit code */
#define NO_SYSCALL     ((unsigned long long)-1)
#define SYSCALL_LENGTH 2 /* of the instruction, 0f 05 */

struct injection {
	const struct process *process;
	long number;
	const uint64_t *arguments;
	int64_t *result;
	int answer;

	pid_t tid;
	uint64_t instruction; /* address of a `syscall' */
	struct user_regs_struct registers; /* what it had */
	uint64_t mask;
};

static int read_file(const struct process *process, const char *name, void *buffer, size_t size)
{
	_cleanup_close_ int fd = process_open_file(process, name, O_RDONLY);
	ssize_t length = fd < 0 ? fd : read(fd, buffer, size);

	return length < 0 ? (fd < 0 ? fd : -errno) : (int)length;
}

/* Finds a `syscall' in the code that the kernel gave the process.  Return: 0 or a negative errno. */
static int find_instruction(struct injection *in)
{
	static const unsigned char syscall_code[SYSCALL_LENGTH] = { 0x0f, 0x05 };
	Elf64_auxv_t auxv[64] = { 0 };
	unsigned char code[VDSO_SIZE];
	const unsigned char *found;
	uint64_t vdso = 0;
	ssize_t length;
	int r = read_file(in->process, "auxv", auxv, sizeof(auxv));

	/* An ending process has lost its memory. */
	if (r <= 0)
		return r ? r : -ESRCH;
	for (size_t i = 0; i < ARRAY_SIZE(auxv); i++)
		if (auxv[i].a_type == AT_SYSINFO_EHDR)
			vdso = auxv[i].a_un.a_val;

	_cleanup_close_ int memory = process_open_file(in->process, "mem", O_RDONLY);

	if (memory < 0)
		return memory;
	/* What lies behind it may not be mapped. */
	for (length = 0; vdso && length < (ssize_t)VDSO_SIZE; length += 4096)
		if (pread(memory, code + length, 4096, (off_t)vdso + length) != 4096)
			break;
	if (vdso && !length)
		return -ESRCH;
	found = memmem(code, (size_t)length, syscall_code, sizeof(syscall_code));
	if (!found)
		return -EOPNOTSUPP;
	in->instruction = vdso + (uint64_t)(found - code);
	return 0;
}

/* The states of a thread that can be stopped, the best ones first. */
static const char stoppable[] = "RSTtI";

/* A thread of the process that can be stopped; the first, which has its name, may have ended. */
static int choose_thread(struct injection *in)
{
	char path[64], stat[512], *state;
	DIR *directory;
	struct dirent *entry;
	size_t best = sizeof(stoppable);

	snprintf(path, sizeof(path), "/proc/%d/task", in->process->pid);
	directory = opendir(path);
	if (!directory)
		return -ESRCH;
	while (best && (entry = readdir(directory))) {
		_cleanup_close_ int fd = -1;
		const char *rank;
		ssize_t length;

		snprintf(path, sizeof(path), "%.16s/stat", entry->d_name);
		fd = openat(dirfd(directory), path, O_RDONLY | O_CLOEXEC);
		length = *entry->d_name == '.' || fd < 0 ? -1 : read(fd, stat, sizeof(stat) - 1);
		if (length <= 0)
			continue;
		stat[length] = '\0';
		/* The name before it may hold anything, also parentheses. */
		state = strrchr(stat, ')');
		rank = state && state[1] ? strchr(stoppable, state[2]) : NULL;
		if (!rank || !*rank || (size_t)(rank - stoppable) >= best)
			continue;
		best = (size_t)(rank - stoppable);
		in->tid = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	closedir(directory);
	if (!in->tid)
		return process_exists(in->process) ? -EBUSY : -ESRCH;
	return 0;
}

/* Whether system calls of the thread are filtered, so that ours might be its end. */
static bool has_seccomp(const struct injection *in)
{
	char name[32], status[4096];
	const char *line;
	int length;

	snprintf(name, sizeof(name), "task/%d/status", in->tid);
	length = read_file(in->process, name, status, sizeof(status) - 1);

	if (length <= 0)
		return true;
	status[length] = '\0';
	line = strstr(status, "\nSeccomp:\t");
	return line && line[10] != '0';
}

/*
 * The next stop of the thread, as PTRACE_EVENT << 8 | signal.  Its end is only looked at: it may be
 * a child of ours that somebody waits for.
 * Return: the stop, -EBUSY if it has not come after
 * PATIENCE_NS, or -ESRCH.
 */
static int wait_for_stop(struct injection *in, bool patiently)
{
	const int what = WSTOPPED | WEXITED | WNOWAIT | __WALL | __WNOTHREAD;
	const struct timespec nap = { .tv_nsec = 20000 };
	uint64_t began = cost_clock_ns();
	siginfo_t info = { 0 };

	while (!waitid(P_PID, (id_t)in->tid, &info, what | (patiently ? 0 : WNOHANG)) &&
	       !info.si_pid) {
		if (cost_clock_ns() - began > PATIENCE_NS)
			return -EBUSY;
		nanosleep(&nap, NULL);
	}
	if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED)
		return -ESRCH;
	waitid(P_PID, (id_t)in->tid, &info, WSTOPPED | WNOHANG | __WALL | __WNOTHREAD);
	return info.si_status;
}

/* Waits for the stop that PTRACE_INTERRUPT asked for; signals on the way go where they were going. */
static int wait_for_interrupt(struct injection *in, bool patiently)
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

/*
 * Lets it run to the next entry to or exit from a system call.
 * Return: 0, -EBUSY if it is still on its way after PATIENCE_NS, or -ESRCH.
 */
static int run_to_syscall(struct injection *in, bool patiently)
{
	int stop, number = 0;

	do {
		if (ptrace(PTRACE_SYSCALL, in->tid, 0, (long)number))
			return -ESRCH;
		stop = wait_for_stop(in, patiently);
		if (stop < 0)
			return stop;
		/* SIGSTOP cannot be blocked: it stops the process once it is let go. */
		number = stop >> 8 ? 0 : stop;
	} while (stop != STOP_SYSCALL);
	return 0;
}

/*
 * Whether the thread is in a restartable sequence, which the kernel would take for left after our
 * call.  Where that cannot be told there are none.
 */
static bool in_restartable_sequence(const struct injection *in)
{
	struct __ptrace_rseq_configuration configuration;
	uint64_t section, descriptor[3]; /* version and flags, start, length */
	struct iovec local = { &section, sizeof(section) }, remote;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, in->tid, sizeof(configuration), &configuration) <=
		    0 ||
	    !configuration.rseq_abi_pointer)
		return false;
	/* struct rseq: two processor numbers, then the section. */
	remote = (struct iovec){ (void *)(configuration.rseq_abi_pointer + 8), sizeof(section) };
	if (process_vm_readv(in->tid, &local, 1, &remote, 1, 0) != sizeof(section))
		return true;
	if (!section)
		return false;
	local = (struct iovec){ descriptor, sizeof(descriptor) };
	remote = (struct iovec){ (void *)section, sizeof(descriptor) };
	if (process_vm_readv(in->tid, &local, 1, &remote, 1, 0) != sizeof(descriptor))
		return true;
	return in->registers.rip - descriptor[1] < descriptor[2];
}

/* At the first stop: what it has, and whether it can be done.  Return: 0 or a negative errno. */
static int save(struct injection *in)
{
	struct iovec registers = { &in->registers, sizeof(in->registers) };

	if (ptrace(PTRACE_GETREGSET, in->tid, (long)NT_PRSTATUS, &registers) ||
	    ptrace(PTRACE_GETSIGMASK, in->tid, sizeof(in->mask), &in->mask))
		return -ESRCH;
	/* A 32-bit process has fewer of them. */
	if (registers.iov_len != sizeof(in->registers) || in->registers.cs != USER_CODE_64)
		return -EOPNOTSUPP;
	return in_restartable_sequence(in) ? -EBUSY : 0;
}

static int set(struct injection *in, struct user_regs_struct *registers, uint64_t mask)
{
	struct iovec all = { registers, sizeof(*registers) };

	if (ptrace(PTRACE_SETSIGMASK, in->tid, sizeof(mask), &mask) ||
	    ptrace(PTRACE_SETREGSET, in->tid, (long)NT_PRSTATUS, &all))
		return -ESRCH;
	return 0;
}

/*
 * For a thread that does not come to the entry, as that of a frozen cgroup: stops it on its way.
 * Return: 0 if it came to the entry meanwhile, -EBUSY if it was given back what it had, or -ESRCH.
 */
static int call_off(struct injection *in)
{
	int stop, r;

	if (ptrace(PTRACE_INTERRUPT, in->tid, 0, 0))
		return -ESRCH;
	while ((stop = wait_for_stop(in, true)) >= 0 && stop != STOP_SYSCALL) {
		if (stop >> 8 != PTRACE_EVENT_STOP) {
			if (ptrace(PTRACE_SYSCALL, in->tid, 0, (long)stop))
				return -ESRCH;
			continue;
		}
		r = set(in, &in->registers, in->mask);
		return r ? r : -EBUSY;
	}
	return stop < 0 ? stop : 0;
}

static int call(struct injection *in)
{
	struct user_regs_struct registers = in->registers;
	struct iovec all = { &registers, sizeof(registers) };
	int r;

	registers.rax = (unsigned long long)in->number;
	registers.orig_rax = NO_SYSCALL;
	registers.rip = in->instruction;
	registers.rdi = in->arguments[0];
	registers.rsi = in->arguments[1];
	registers.rdx = in->arguments[2];
	registers.r10 = in->arguments[3];
	registers.r8 = in->arguments[4];
	registers.r9 = in->arguments[5];
	r = set(in, &registers, ~0ULL);
	if (!r)
		r = run_to_syscall(in, false); /* the entry */
	if (r == -EBUSY)
		r = call_off(in);
	if (!r)
		r = run_to_syscall(in, true); /* the exit */
	if (!r && ptrace(PTRACE_GETREGSET, in->tid, (long)NT_PRSTATUS, &all))
		r = -ESRCH;
	if (r)
		return r;
	*in->result = (int64_t)registers.rax;
	if (ptrace(PTRACE_INTERRUPT, in->tid, 0, 0) || ptrace(PTRACE_CONT, in->tid, 0, 0))
		return -ESRCH;
	r = wait_for_interrupt(in, true);
	return r ? r : set(in, &in->registers, in->mask);
}

/*
 * Whether the thread that was seized is one of the process: its number may have been another's by
 * then.  It cannot change any more, nor can the process's while that exists.
 */
static bool is_ours(const struct injection *in)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d", in->process->pid, in->tid);
	return !access(path, F_OK) && process_exists(in->process);
}

static void *injector_main(void *argument)
{
	struct injection *in = argument;
	long options = PTRACE_O_TRACESYSGOOD;

	if (has_seccomp(in))
		options |= PTRACE_O_SUSPEND_SECCOMP;
	if (ptrace(PTRACE_SEIZE, in->tid, 0, options)) {
		in->answer = errno == ESRCH ? -ESRCH : -EPERM;
		return NULL;
	}
	in->answer = is_ours(in) ? 0 : -ESRCH;
	if (!in->answer && ptrace(PTRACE_INTERRUPT, in->tid, 0, 0))
		in->answer = -ESRCH;
	if (!in->answer)
		in->answer = wait_for_interrupt(in, false);
	if (in->answer)
		return NULL; /* lets go of it */
	in->answer = save(in);
	if (!in->answer)
		in->answer = call(in);
	ptrace(PTRACE_DETACH, in->tid, 0, 0);
	return NULL;
}

int inject_syscall(const struct process *process, long number,
		   const uint64_t arguments[INJECT_ARGUMENTS], int64_t *result)
{
	struct injection in = {
		.process = process, .number = number, .arguments = arguments, .result = result
	};
	pthread_t thread;
	int r = find_instruction(&in);

	if (!r)
		r = choose_thread(&in);
	if (!r)
		r = -pthread_create(&thread, NULL, injector_main, &in);
	if (r)
		return r;
	pthread_join(thread, NULL);
	return in.answer;
}

#else

int inject_syscall(const struct process *process, long number,
		   const uint64_t arguments[INJECT_ARGUMENTS], int64_t *result)
{
	(void)process;
	(void)number;
	(void)arguments;
	(void)result;
	return -EOPNOTSUPP;
}

#endif
