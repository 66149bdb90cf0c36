/* SPDX-License-Identifier: MIT */
#include "caller.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "util.h"

/* From <linux/pidfd.h> of 6.13, which is newer than the headers that we build with. */
#define PIDFD_THREAD_FLAG O_EXCL /* 6.9 */

struct pidfd_info_v0 {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid;
	uint32_t ids[8]; /* real, effective, saved and filesystem uid and gid */
	int32_t exit_code;
};
_Static_assert(sizeof(struct pidfd_info_v0) == 64, "PIDFD_INFO_SIZE_VER0");

#define PIDFD_INFO_PID_BIT 1u
#define PIDFD_GET_INFO_V0 _IOWR(0xFF, 11, struct pidfd_info_v0)

/* Chosen once by caller_init(), before any thread; read only afterwards. */
static bool use_pidfds;

int caller_init(bool force_proc)
{
	char self[16];
	ssize_t n = readlink("/proc/self", self, sizeof(self) - 1);
	if (n < 0)
		return -errno;
	self[n] = '\0';
	if (strtol(self, NULL, 10) != getpid())
		return -EXDEV; /* a /proc of another pid namespace */

	/* ENOSYS and EPERM are what a sandbox says, EINVAL what a kernel before 6.9 says. */
	_cleanup_close_ int pin = force_proc
					  ? -1
					  : (int)syscall(SYS_pidfd_open, (pid_t)syscall(SYS_gettid), PIDFD_THREAD_FLAG);
	use_pidfds = pin >= 0;
	return 0;
}

bool caller_has_pidfds(void)
{
	return use_pidfds;
}

static int pin_number(pid_t id, unsigned flags, int *ret)
{
	if (id <= 0)
		return -ESRCH;

	_cleanup_close_ int pin = -1;
	if (use_pidfds) {
		pin = (int)syscall(SYS_pidfd_open, id, flags);
	} else {
		char path[32];
		snprintf(path, sizeof(path), "/proc/%d", id);
		pin = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (pin < 0)
		/* EINVAL (ENOENT in some kernels): a thread, but not the leader of a process. */
		return errno == ENOENT || errno == EINVAL ? -ESRCH : -errno;
	if (!caller_alive(pin))
		return -ESRCH;
	*ret = steal_fd(&pin);
	return 0;
}

int caller_pin_thread(pid_t tid, int *pin)
{
	return pin_number(tid, PIDFD_THREAD_FLAG, pin);
}

int caller_pin_process(pid_t tgid, int *pin)
{
	_cleanup_close_ int fd = -1;
	int r = pin_number(tgid, 0, &fd);
	if (r < 0)
		return r;
	if (!use_pidfds) {
		/* /proc/<tid> is there for every thread. */
		pid_t leader, parent;
		r = caller_pin_ids(fd, tgid, &leader, &parent);
		if (r < 0)
			return r;
		if (leader != tgid)
			return -ESRCH;
	}
	*pin = steal_fd(&fd);
	return 0;
}

bool caller_alive(int pin)
{
	/* The dentry is looked up anew once the pinned struct pid has no task: ENOENT, whoever has the number now. */
	if (!use_pidfds)
		return faccessat(pin, "stat", F_OK, 0) == 0;

	struct pollfd p = {.fd = pin, .events = POLLIN};
	int n;
	do
		n = poll(&p, 1, 0);
	while (n < 0 && errno == EINTR); /* a pending signal interrupts even a poll that does not wait */
	return n == 0;
}

/* A field of /proc/<tid>/status: key is "\nTgid:\t". The name comes first, with its newlines escaped. */
static int status_field(const char *status, const char *key, pid_t *ret)
{
	const char *at = strstr(status, key);
	if (!at)
		return -ESRCH;
	*ret = (pid_t)strtol(at + strlen(key), NULL, 10);
	return 0;
}

static int status_ids(int fd, pid_t *tgid, pid_t *ppid)
{
	char status[1024]; /* both are among the first lines */
	ssize_t n = read(fd, status, sizeof(status) - 1);
	if (n < 0)
		return -errno; /* ESRCH: gone between open and read */
	status[n] = '\0';

	pid_t leader, parent;
	if (status_field(status, "\nTgid:\t", &leader) < 0 || status_field(status, "\nPPid:\t", &parent) < 0 ||
	    leader <= 0)
		return -ESRCH;
	*tgid = leader;
	*ppid = parent;
	return 0;
}

int caller_pin_ids(int pin, pid_t id, pid_t *tgid, pid_t *ppid)
{
	_cleanup_close_ int status = -1;
	if (use_pidfds) {
		struct pidfd_info_v0 info = {.mask = PIDFD_INFO_PID_BIT};
		if (ioctl(pin, PIDFD_GET_INFO_V0, &info) == 0 && info.tgid) {
			*tgid = (pid_t)info.tgid;
			*ppid = (pid_t)info.ppid;
			return 0;
		}
		/* Before 6.13, or the parent is in an outer namespace (ESRCH). By number, then: it is still the pinned
		 * one's if that lives afterwards. */
		char path[32];
		snprintf(path, sizeof(path), "/proc/%d/status", id);
		status = open(path, O_RDONLY | O_CLOEXEC);
	} else {
		status = openat(pin, "status", O_RDONLY | O_CLOEXEC);
	}
	pid_t leader = 0, parent = 0;
	int r = status < 0 ? -errno : status_ids(status, &leader, &parent);
	if (!caller_alive(pin)) /* whatever /proc says of a number that is going away */
		return -ESRCH;
	if (r < 0)
		return r;
	*tgid = leader;
	*ppid = parent;
	return 0;
}

int caller_ids(pid_t tid, pid_t *tgid, pid_t *ppid)
{
	_cleanup_close_ int pin = -1;
	int r = caller_pin_thread(tid, &pin);
	return r < 0 ? r : caller_pin_ids(pin, tid, tgid, ppid);
}

void caller_comm(pid_t tid, char comm[static 17])
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	comm[0] = '\0';
	_cleanup_close_ int fd = tid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	ssize_t n = read(fd, comm, 16);
	if (n > 0 && comm[n - 1] == '\n') /* the one that /proc adds; at most 15 characters come before it */
		n--;
	comm[n > 0 ? n : 0] = '\0';
}
