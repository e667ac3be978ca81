// SPDX-License-Identifier: GPL-2.0-or-later
/* Capabilities: see privileges.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "access/cleanup.h"
#include "access/log.h"
#include "access/privileges.h"

/* What is kept, and what one has to do without where it is missing. */
static const struct {
	cap_value_t capability;
	const char *name, *without;
} needed[] = {
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN",
	  "the mount needs fusermount3, and page frames are hidden" },
	{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "only processes of the same user can be watched" },
	{ CAP_SYS_NICE, "CAP_SYS_NICE",
	  "the method young is not available: accessed bits of other processes cannot be cleared" },
	{ CAP_BPF, "CAP_BPF", "the method young is not available: BPF programs cannot be loaded" },
	{ CAP_PERFMON, "CAP_PERFMON",
	  "the method young is not available: BPF programs may not read kernel memory" },
	{ CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH",
	  "/proc files of other users' processes cannot be read" },
	{ CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE",
	  "clear_refs of other users' processes cannot be written: their shared memory is not "
	  "seen" },
};

bool capable_of(cap_value_t capability)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t value = CAP_CLEAR;

	if (caps)
		cap_get_flag(caps, capability, CAP_EFFECTIVE, &value);
	cap_free(caps);
	return value == CAP_SET;
}

static void report_lockdown(void)
{
	_cleanup_close_ int fd = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC);
	char text[64] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return;
	if (strstr(text, "[confidentiality]"))
		log_info("kernel lockdown is in the mode confidentiality: BPF may not read kernel "
			 "memory, so the method young is not available; boot with "
			 "lockdown=integrity "
			 "or none for it");
}

void privileges_report(void)
{
	/* SYS_ADMIN stands for the two that were split off it. */
	bool admin = capable_of(CAP_SYS_ADMIN);

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (capable_of(needed[i].capability))
			continue;
		if (admin &&
		    (needed[i].capability == CAP_BPF || needed[i].capability == CAP_PERFMON))
			continue;
		log_info("%s is missing: %s; start damonfs as root or grant it with setcap to "
			 "change "
			 "that",
			 needed[i].name, needed[i].without);
	}
	report_lockdown();
}

int privileges_drop(void)
{
	cap_t now = cap_get_proc(), kept = cap_init();
	int r = 0;

	if (!now || !kept)
		r = -ENOMEM;
	for (size_t i = 0; !r && i < ARRAY_SIZE(needed); i++) {
		cap_flag_value_t value = CAP_CLEAR;

		cap_get_flag(now, needed[i].capability, CAP_PERMITTED, &value);
		if (value != CAP_SET)
			continue;
		cap_set_flag(kept, CAP_PERMITTED, 1, &needed[i].capability, CAP_SET);
		cap_set_flag(kept, CAP_EFFECTIVE, 1, &needed[i].capability, CAP_SET);
	}
	if (!r && cap_set_proc(kept))
		r = -errno;
	cap_free(now);
	cap_free(kept);
	return r;
}
