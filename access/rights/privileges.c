// SPDX-License-Identifier: LGPL-2.1-or-later
/* Capabilities and other privileges: see privileges.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "access/rights/privileges.h"
#include "util/cleanup.h"
#include "util/log.h"

/* Which capability is kept for which use, and what does not work without it. */
static const struct {
	cap_value_t capability;
	unsigned int uses;
	const char *name, *without;
} needed[] = {
	{ CAP_SYS_ADMIN, PRIVILEGES_FRAMES, "CAP_SYS_ADMIN",
	  "page frames are hidden: paddr and filters for pages do not work" },
	{ CAP_SYS_PTRACE, PRIVILEGES_OTHERS, "CAP_SYS_PTRACE",
	  "only processes of the same user can be watched" },
	{ CAP_SETUID, PRIVILEGES_CALLERS, "CAP_SETUID", "only damonfs's own user is served" },
	{ CAP_SETGID, PRIVILEGES_CALLERS, "CAP_SETGID", "only damonfs's own user is served" },
	{ CAP_SYS_NICE, PRIVILEGES_ADVICE, "CAP_SYS_NICE",
	  "other processes cannot be advised: the method young and the actions willneed, cold, "
	  "pageout and lru_deprio do not work" },
	{ CAP_BPF, PRIVILEGES_BPF, "CAP_BPF",
	  "the method young is not available: BPF programs cannot be loaded" },
	{ CAP_PERFMON, PRIVILEGES_BPF, "CAP_PERFMON",
	  "the method young is not available: BPF programs may not read kernel memory" },
	{ CAP_DAC_READ_SEARCH, PRIVILEGES_OTHERS, "CAP_DAC_READ_SEARCH",
	  "/proc files of other users' processes cannot be read" },
	{ CAP_DAC_OVERRIDE, PRIVILEGES_OTHERS, "CAP_DAC_OVERRIDE",
	  "clear_refs of other users' processes cannot be written: their shared memory is not "
	  "seen" },
};

static bool privileges_has_flag(cap_value_t capability, cap_flag_t flag)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t value = CAP_CLEAR;

	if (caps)
		cap_get_flag(caps, capability, flag, &value);
	cap_free(caps);
	return value == CAP_SET;
}

bool capable_of(cap_value_t capability)
{
	return privileges_has_flag(capability, CAP_EFFECTIVE);
}

bool privileges_has(cap_value_t capability)
{
	return privileges_has_flag(capability, CAP_PERMITTED);
}

static void report_lockdown(void)
{
	_cleanup_close_ int fd = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC);
	char text[64] = "";

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "[confidentiality]"))
		log_info("the kernel is in lockdown (confidentiality): BPF programs may not read "
			 "its memory, so the method young is not available; boot with "
			 "lockdown=integrity or without lockdown");
}

static bool has_any(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (privileges_has(needed[i].capability))
			return true;
	return false;
}

/* CAP_SYS_ADMIN includes the two that were split off it. */
static bool is_missing(size_t i)
{
	if (privileges_has(needed[i].capability))
		return false;
	return !((needed[i].uses & PRIVILEGES_BPF) && privileges_has(CAP_SYS_ADMIN));
}

int privileges_missing(unsigned int uses,
		       int (*visit)(const char *name, const char *without, void *argument),
		       void *argument)
{
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(needed); i++)
		if (needed[i].uses & uses && is_missing(i))
			r = visit(needed[i].name, needed[i].without, argument);
	return r;
}

static int report_missing(const char *name, const char *without, void *argument)
{
	(void)argument;
	log_info("%s is missing: %s; start damonfs as root, or its container with --cap-add %s",
		 name, without, name + strlen("CAP_"));
	return 0;
}

void privileges_report(unsigned int uses)
{
	if (!has_any()) {
		log_info("started without capabilities: damonfs watches only processes of user %u, "
			 "less exactly, and cannot act on them; start it as root for more",
			 geteuid());
		return;
	}
	privileges_missing(uses, report_missing, NULL);
	if (uses & PRIVILEGES_BPF)
		report_lockdown();
}

/* ---- giving up ---- */

static void privileges_cap_freep(cap_t *caps)
{
	cap_free(*caps);
}

/* A process that may not change it cannot gain anything by it either. */
static void drop_bounding_set(void)
{
	for (cap_value_t c = 0; c < cap_max_bits(); c++)
		cap_drop_bound(c);
	cap_reset_ambient();
}

static bool permits(cap_t caps, cap_value_t capability)
{
	cap_flag_value_t value = CAP_CLEAR;

	return !cap_get_flag(caps, capability, CAP_PERMITTED, &value) && value == CAP_SET;
}

/*
 * In the main thread only those are effective that tell who writes; threads that work for somebody
 * raise what they need.
 */
static int drop_capabilities(unsigned int uses)
{
	static const cap_value_t effective[] = { CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH };
	__attribute__((cleanup(privileges_cap_freep))) cap_t kept = cap_init();
	__attribute__((cleanup(privileges_cap_freep))) cap_t had = cap_get_proc();

	if (!kept || !had)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (needed[i].uses & uses && permits(had, needed[i].capability))
			cap_set_flag(kept, CAP_PERMITTED, 1, &needed[i].capability, CAP_SET);
	for (size_t i = 0; uses & PRIVILEGES_OTHERS && i < ARRAY_SIZE(effective); i++)
		if (permits(had, effective[i]))
			cap_set_flag(kept, CAP_EFFECTIVE, 1, &effective[i], CAP_SET);
	return cap_set_proc(kept) ? -errno : 0;
}

/* As many descriptors as possible: each target has some.  No core with others' memory in it. */
static void set_limits(void)
{
	struct rlimit files;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
}

int privileges_settle(unsigned int uses, enum sandbox_mode mode)
{
	int r;

	set_limits();
	drop_bounding_set();
	r = drop_capabilities(uses);
	if (!r && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		r = -errno;
	if (!r && mode != SANDBOX_OFF && prctl(PR_SET_DUMPABLE, 0))
		r = -errno;
	return r ? r : sandbox_enter(mode);
}
