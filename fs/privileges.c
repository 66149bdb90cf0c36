/* SPDX-License-Identifier: MIT */
#include "privileges.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "util.h"

#define FDS_WANTED (1u << 20) /* the default of /proc/sys/fs/nr_open */

unsigned privileges_limits(void)
{
	struct rlimit files, any = {RLIM_INFINITY, RLIM_INFINITY};
	setrlimit(RLIMIT_FSIZE, &any); /* a caller's own limit is enforced by the kernel before it asks us */
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 1024;
	struct rlimit more = {FDS_WANTED, files.rlim_max > FDS_WANTED ? files.rlim_max : FDS_WANTED};
	if (setrlimit(RLIMIT_NOFILE, &more) < 0) {
		more = (struct rlimit){files.rlim_max, files.rlim_max};
		setrlimit(RLIMIT_NOFILE, &more);
	}
	getrlimit(RLIMIT_NOFILE, &files);
	return files.rlim_cur > FDS_WANTED ? FDS_WANTED : (unsigned)files.rlim_cur;
}

int privileges_drop(bool mknod)
{
	uint64_t keep = 0;
	const int caps[] = {CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, CAP_CHOWN,     CAP_FOWNER,
			    CAP_FSETID,    CAP_SETUID,          CAP_SETGID,       CAP_SYS_PTRACE};
	for (size_t i = 0; i < ARRAY_LEN(caps); i++)
		keep |= UINT64_C(1) << caps[i];
	if (mknod)
		keep |= UINT64_C(1) << CAP_MKNOD;

	/* What a service manager or a container took away needs no dropping, which would need CAP_SETPCAP. */
	for (int cap = 0, there; (there = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0; cap++)
		if (there && !(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;

	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct now[2], want[2];
	if (syscall(SYS_capget, &head, now) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		uint32_t half = (uint32_t)(keep >> (32 * i)) & now[i].permitted; /* a container may have fewer */
		want[i] = (struct __user_cap_data_struct){.effective = half, .permitted = half};
	}
	if (syscall(SYS_capset, &head, want) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}
