/* SPDX-License-Identifier: MIT */
/* Pins, lines of parents, and identities: caller.h, lineage.h, creds.h. The whole of it needs root. */
#include "caller.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/unit/tap.h"
#include "util.h"

/* Everybody but the test waits on hold[0]; they leave when the test closes hold[1]. Numbers come through said[]. */
static int hold[2], said[2];
static const char *flavour;
static int own_fds; /* before anything was pinned */

static void ignore(int sig)
{
	(void)sig;
}

static pid_t gettid_(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static void open_pipes(void)
{
	if (pipe2(hold, O_CLOEXEC) < 0 || pipe2(said, O_CLOEXEC) < 0)
		abort();
}

static void let_go(void)
{
	close(hold[1]);
}

/* After let_go(), and after the threads that waited. */
static void close_pipes(void)
{
	close(hold[0]);
	close(said[0]);
	close(said[1]);
}

static void say(pid_t number)
{
	if (write(said[1], &number, sizeof(number)) != sizeof(number))
		_exit(9);
}

static pid_t hear(void)
{
	pid_t number;
	if (read(said[0], &number, sizeof(number)) != sizeof(number))
		abort();
	return number;
}

static void wait_to_leave(void)
{
	char c;
	while (read(hold[0], &c, 1) < 0 && errno == EINTR)
		;
}

static pid_t fork_(void)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0)
		close(hold[1]);
	return pid;
}

/* A child that says its number and waits. */
static pid_t child(void)
{
	pid_t pid = fork_();
	if (pid == 0) {
		say(getpid());
		wait_to_leave();
		_exit(0);
	}
	if (hear() != pid)
		abort();
	return pid;
}

static void kill_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int count_fds(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3;
}

static void *thread_waits(void *arg)
{
	(void)arg;
	say(gettid_());
	wait_to_leave();
	return NULL;
}

static void start_thread(pthread_t *t, void *(*fn)(void *))
{
	if (pthread_create(t, NULL, fn, NULL) != 0)
		abort();
}

/* --- pins ----------------------------------------------------------------------------------------------------------- */

static void test_pins(void)
{
	int pin = -7;
	open_pipes();
	pid_t pid = child();
	is_int(caller_pin_process(pid, &pin), 0, "%s: a living process is pinned", flavour);
	ok(caller_alive(pin), "%s: and lives", flavour);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ok(!caller_alive(pin), "%s: a process that was reaped is dead", flavour);
	pid_t tgid = -7, ppid = -7;
	is_int(caller_pin_ids(pin, pid, &tgid, &ppid), -ESRCH, "%s: and has no ids", flavour);
	close(pin);

	pin = -7;
	is_int(caller_pin_process(pid, &pin), -ESRCH, "%s: it can't be pinned any more", flavour);
	is_int(caller_pin_thread(pid, &pin), -ESRCH, "%s: nor as a thread", flavour);
	is_int(caller_ids(pid, &tgid, &ppid), -ESRCH, "%s: nor has its number ids", flavour);
	is_int(caller_pin_thread(0, &pin), -ESRCH, "%s: nobody is thread 0", flavour);
	is_int(caller_pin_process(-1, &pin), -ESRCH, "%s: nobody is process -1", flavour);
	ok(pin == -7 && tgid == -7 && ppid == -7, "%s: what failed wrote nothing", flavour);

	pthread_t t;
	start_thread(&t, thread_waits);
	pid_t tid = hear();
	is_int(caller_pin_thread(tid, &pin), 0, "%s: a thread is pinned", flavour);
	ok(caller_alive(pin), "%s: and lives while it waits", flavour);
	int wrong = -7;
	is_int(caller_pin_process(tid, &wrong), -ESRCH, "%s: a thread that leads no process is not pinned as one",
	       flavour);
	is_int(caller_ids(tid, &tgid, &ppid), 0, "%s: a thread has ids", flavour);
	ok(tgid == getpid() && ppid == getppid(), "%s: its process's, and that one's parent's", flavour);
	let_go();
	pthread_join(t, NULL);
	close_pipes();
	/* pthread_join() returns when the kernel has cleared the tid, a little before the thread is released. */
	while (syscall(SYS_tgkill, getpid(), tid, 0) == 0)
		sched_yield();
	ok(!caller_alive(pin), "%s: a thread that has ended is dead though its process lives", flavour);
	close(pin);
}

static void *thread_outlives_leader(void *arg)
{
	(void)arg;
	char state[256] = "";
	do {
		FILE *f = fopen("/proc/self/stat", "r");
		if (!f || !fgets(state, sizeof(state), f))
			_exit(9);
		fclose(f);
		sched_yield();
	} while (!strstr(state, ") Z "));
	say(getpid());
	wait_to_leave();
	_exit(0);
}

static void test_zombie_leader(void)
{
	int pin;
	open_pipes();
	pid_t pid = fork_();
	if (pid == 0) {
		pthread_t t;
		start_thread(&t, thread_outlives_leader);
		pthread_exit(NULL);
	}
	hear();
	is_int(caller_pin_process(pid, &pin), 0, "%s: a process whose leader has exited is pinned", flavour);
	ok(caller_alive(pin), "%s: and lives while a thread of it does", flavour);
	pid_t tgid = 0, ppid = 0;
	is_int(caller_pin_ids(pin, pid, &tgid, &ppid), 0, "%s: and has ids", flavour);
	ok(tgid == pid && ppid == getpid(), "%s: its own", flavour);
	kill_child(pid);
	ok(!caller_alive(pin), "%s: it is dead when the last has gone", flavour);
	close(pin);
	let_go();
	close_pipes();
}

/* Signals that are pending interrupt even a poll(2) that does not wait. */
static void test_pending_signal(void)
{
	int pin, alive = 1;
	open_pipes();
	pid_t pid = fork_();
	if (pid == 0) {
		for (int i = 0; i < 20000; i++)
			kill(getppid(), SIGWINCH);
		_exit(0);
	}
	if (caller_pin_process(getpid(), &pin) < 0)
		abort();
	while (alive && waitpid(pid, NULL, WNOHANG) == 0)
		for (int i = 0; i < 20; i++)
			alive = alive && caller_alive(pin);
	if (!alive)
		waitpid(pid, NULL, 0);
	ok(alive, "%s: a signal is not taken for a death", flavour);
	close(pin);
	let_go();
	close_pipes();
}

static void test_names(void)
{
	char comm[17];
	pid_t tgid, ppid;
	prctl(PR_SET_NAME, "x\nPPid:\t1\nT");
	is_int(caller_ids(gettid_(), &tgid, &ppid), 0, "%s: a thread may have any name", flavour);
	is_int(ppid, getppid(), "%s: and has no other parent for it", flavour);
	caller_comm(gettid_(), comm);
	is_str(comm, "x\nPPid:\t1\nT", "%s: a thread's name is as it was set", flavour);
	prctl(PR_SET_NAME, "fifteen letters");
	caller_comm(gettid_(), comm);
	is_str(comm, "fifteen letters", "%s: the longest too", flavour);
	caller_comm(0, comm);
	is_str(comm, "", "%s: nobody has no name", flavour);
	prctl(PR_SET_NAME, "test_caller");
}

/* --- numbers that are used again ------------------------------------------------------------------------------------ */

#define REUSES 30

static bool next_pid(pid_t pid)
{
	FILE *f = fopen("/proc/sys/kernel/ns_last_pid", "w");
	bool done = f && fprintf(f, "%d", pid - 1) > 0;
	return (!f || fclose(f) == 0) && done;
}

/* What kept a number from being used again: that proves nothing, neither way. */
static int not_reused(const char *what)
{
	fprintf(stderr, "# %s: %s: %s\n", flavour, what, strerror(errno));
	return -1;
}

/* Runs in a pid namespace of its own, as its init. */
static int reuse_processes(void)
{
	int fooled = 0;
	for (int i = 0; i < REUSES; i++) {
		int old = -1, new = -1;
		pid_t tgid, ppid, line[LINEAGE_MAX];
		pid_t pid = child();
		fooled += caller_pin_process(pid, &old) < 0 || caller_lineage(pid, line) != 2;
		kill_child(pid);
		if (!next_pid(pid) || child() != pid)
			return not_reused("a process's number");
		fooled += caller_alive(old) || caller_pin_ids(old, pid, &tgid, &ppid) != -ESRCH;
		fooled += caller_pin_process(pid, &new) < 0 || !caller_alive(new) || caller_lineage(pid, line) != 2 ||
			  line[0] != pid;
		close(old);
		close(new);
		kill_child(pid);
	}
	return fooled;
}

/* A thread's number is free a little after the thread is gone: what was not used again is tried again. */
static int reuse_threads(void)
{
	int fooled = 0, reused = 0;
	for (int i = 0; i < 100 * REUSES && reused < REUSES; i++) {
		int old = -1;
		pthread_t t;
		open_pipes();
		start_thread(&t, thread_waits);
		pid_t tid = hear();
		fooled += caller_pin_thread(tid, &old) < 0;
		let_go();
		pthread_join(t, NULL);
		close_pipes();
		while (syscall(SYS_tgkill, getpid(), tid, 0) == 0)
			sched_yield();
		usleep(500); /* for it to give the number back, which it does last, perhaps on this very core */

		open_pipes();
		if (!next_pid(tid))
			return not_reused("a thread's number");
		start_thread(&t, thread_waits);
		if (hear() == tid) {
			reused++;
			fooled += caller_alive(old);
		}
		close(old);
		let_go();
		pthread_join(t, NULL);
		close_pipes();
	}
	return reused == REUSES ? fooled : not_reused("too few threads had an old number");
}

/* The parent of a process that was sent into the namespace from outside is nobody's number here. */
static int parent_outside(pid_t pid)
{
	pid_t tgid = 0, ppid = -1, line[LINEAGE_MAX];
	int r = caller_ids(pid, &tgid, &ppid);
	return r == 0 && tgid == pid && ppid == 0 && caller_lineage(pid, line) == 1 && line[0] == pid;
}

#define PROVES_NOTHING 103

/* Runs fn as the init of a new pid namespace with a /proc of its own; returns what it returned. */
static int in_namespace(int (*fn)(void))
{
	fflush(stdout);
	pid_t outer = fork();
	if (outer == 0) {
		if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
			_exit(100);
		pid_t inner = fork();
		if (inner == 0) {
			if (mount(NULL, "/proc", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			    mount("proc", "/proc", "proc", 0, NULL) < 0)
				_exit(101);
			bool pidfds = caller_has_pidfds();
			if (caller_init(!pidfds) < 0)
				_exit(102);
			int r = fn();
			_exit(r < 0 ? PROVES_NOTHING : r);
		}
		int status;
		if (waitpid(inner, &status, 0) != inner || !WIFEXITED(status))
			_exit(104);
		_exit(WEXITSTATUS(status));
	}
	int status;
	waitpid(outer, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int reuse_processes_piped(void)
{
	open_pipes();
	return reuse_processes();
}

/* A few tries, each in a namespace of its own, to have numbers used again at all. */
static int reused_in_namespace(int (*fn)(void))
{
	int r = PROVES_NOTHING;
	for (int i = 0; i < 3 && r == PROVES_NOTHING; i++)
		r = in_namespace(fn);
	return r;
}

static int hears_of_outsider(void)
{
	say(getpid());
	pid_t pid; /* of one forked by the process outside, in test_outsider() */
	if (read(hold[0], &pid, sizeof(pid)) != sizeof(pid))
		return -1;
	return parent_outside(pid);
}

static void test_outsider(void)
{
	open_pipes();
	fflush(stdout);
	pid_t outer = fork();
	if (outer == 0) {
		if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
			_exit(100);
		pid_t init = fork();
		if (init == 0) {
			if (mount(NULL, "/proc", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			    mount("proc", "/proc", "proc", 0, NULL) < 0 || caller_init(!caller_has_pidfds()) < 0)
				_exit(101);
			_exit(hears_of_outsider());
		}
		close(said[1]); /* so that an init which fails is heard of too */
		hear();
		pid_t outsider = fork();
		if (outsider == 0) {
			pid_t self = getpid();
			if (write(hold[1], &self, sizeof(self)) != sizeof(self))
				_exit(102);
			for (;;)
				pause();
		}
		int status;
		waitpid(outsider, NULL, 0); /* killed as init ends, which waits for it to be reaped */
		waitpid(init, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 103);
	}
	int status;
	waitpid(outer, &status, 0);
	is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 1,
	       "%s: a process whose parent is outside the namespace has a line, of one", flavour);
	let_go();
	close_pipes();
}

static int other_proc(void)
{
	/* A new namespace again, but with the /proc of this one. */
	if (unshare(CLONE_NEWPID) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		_exit(caller_init(false) == -EXDEV || caller_init(false) == -ENOENT);
	int status;
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

/* --- lines ---------------------------------------------------------------------------------------------------------- */

/* Where in the line a process is, -1 if it is not. */
static int place(const pid_t *line, int n, pid_t pid)
{
	for (int i = 0; i < n; i++)
		if (line[i] == pid)
			return i;
	return -1;
}

static void *thread_forks(void *arg)
{
	(void)arg;
	pid_t pid = fork();
	if (pid == 0) {
		say(getpid());
		wait_to_leave();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return NULL;
}

static void test_line(void)
{
	pid_t line[LINEAGE_MAX];
	open_pipes();

	/* The test, a child, and a grandchild that was forked by a thread of the child. */
	pid_t parent = fork_();
	if (parent == 0) {
		pthread_t t;
		start_thread(&t, thread_forks);
		pthread_join(t, NULL);
		_exit(0);
	}
	pid_t grandchild = hear();
	for (int i = 0; i < 2; i++) {
		int n = caller_lineage(grandchild, line);
		const char *how = i ? "again" : "first";
		is_int(place(line, n, grandchild), 0, "%s: a line begins with the process itself (%s)", flavour, how);
		is_int(place(line, n, parent), 1, "%s: then comes its parent, though a thread of it forked (%s)",
		       flavour, how);
		is_int(place(line, n, getpid()), 2, "%s: then that one's (%s)", flavour, how);
		is_int(place(line, n, getppid()), 3, "%s: and so on (%s)", flavour, how);
		is_int(line[n - 1], 1, "%s: to the first (%s)", flavour, how);
	}

	/* The middle one dies, and is not even reaped. */
	siginfo_t info;
	kill(parent, SIGKILL);
	waitid(P_PID, (id_t)parent, &info, WEXITED | WNOWAIT);
	int n = caller_lineage(grandchild, line);
	ok(n >= 1 && line[0] == grandchild, "%s: an orphan has a line", flavour);
	is_int(place(line, n, parent), -1, "%s: without its dead parent, a zombie still", flavour);
	is_int(place(line, n, getpid()), -1, "%s: an orphan's line no longer reaches its grandparent", flavour);
	waitpid(parent, NULL, 0);
	let_go();
	close_pipes();

	is_int(caller_lineage(parent, line), -ESRCH, "%s: the dead have no line", flavour);
	is_int(caller_lineage(0, line), -ESRCH, "%s: nobody has no line", flavour);
}

/* A thread's line is its process's. */
static void test_thread_line(void)
{
	pid_t line[LINEAGE_MAX];
	pthread_t t;
	open_pipes();
	start_thread(&t, thread_waits);
	pid_t tid = hear();
	int n = caller_lineage(tid, line);
	ok(n >= 2 && line[0] == getpid() && line[1] == getppid(), "%s: a thread's line begins with its process",
	   flavour);
	let_go();
	pthread_join(t, NULL);
	close_pipes();
	while (syscall(SYS_tgkill, getpid(), tid, 0) == 0)
		sched_yield();
	is_int(caller_lineage(tid, line), -ESRCH, "%s: and ends with the thread, kept or not", flavour);
}

#define DEPTH (LINEAGE_MAX + 6)
#define THREADS 100

/* Becomes the last of DEPTH nested processes, with THREADS threads. */
static void descend(void)
{
	for (int depth = 0; depth < DEPTH; depth++) {
		pid_t pid = fork();
		if (pid != 0) {
			waitpid(pid, NULL, 0);
			_exit(0);
		}
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_t t;
		start_thread(&t, thread_waits);
		pthread_detach(t);
	}
	wait_to_leave();
	_exit(0);
}

static void test_bounds(void)
{
	pid_t line[LINEAGE_MAX], pid, many[300];
	struct rlimit old, all = {8 * LINEAGE_FDS, 8 * LINEAGE_FDS};
	getrlimit(RLIMIT_NOFILE, &old);
	if (old.rlim_max > all.rlim_max)
		all.rlim_max = old.rlim_max;
	if (old.rlim_cur > all.rlim_cur)
		all.rlim_cur = old.rlim_cur;
	setrlimit(RLIMIT_NOFILE, &all); /* in a container, more may not be had */
	getrlimit(RLIMIT_NOFILE, &all);
	open_pipes();
	int before = own_fds + 4, worst = 0, longest = 0, failed = 0;

	pid = fork_();
	if (pid == 0)
		descend();
	for (int i = 0; i < THREADS; i++) {
		int n = caller_lineage(hear(), line);
		failed += n < 0;
		longest = n > longest ? n : longest;
		int fds = count_fds() - before;
		worst = fds > worst ? fds : worst;
	}
	is_int(failed, 0, "%s: %d threads below %d processes have their lines", flavour, THREADS, DEPTH);
	is_int(longest, LINEAGE_MAX, "%s: long lines are cut at %d", flavour, LINEAGE_MAX);
	int most = all.rlim_cur / 8 < LINEAGE_FDS ? (int)(all.rlim_cur / 8) : LINEAGE_FDS;
	ok(worst <= most, "%s: no more than %d descriptors are held (%d)", flavour, most, worst);
	if (caller_has_pidfds())
		ok(worst > most - 2 * LINEAGE_MAX, "%s: and nearly so many are: lines are kept", flavour);
	else
		ok(worst == 0, "%s: none at all: lines are not kept", flavour);

	failed = 0;
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		many[i] = child();
		failed += caller_lineage(many[i], line) < 2;
	}
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		failed += caller_lineage(many[i], line) < 2 || line[0] != many[i] || line[1] != getpid();
	is_int(failed, 0, "%s: lines that fell out of the cache are found again", flavour);
	int n = caller_lineage(many[0], line), fds = count_fds() - before;
	ok(fds <= n * LINEAGE_CACHE, "%s: no more than %d lines are kept", flavour, LINEAGE_CACHE);
	let_go();
	close_pipes();
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		waitpid(many[i], NULL, 0);
	waitpid(pid, NULL, 0);
	setrlimit(RLIMIT_NOFILE, &old);
}

static atomic_int stop, wrong_lines, lines_seen, last_length, last_parent;
static _Atomic pid_t watched[4];

static void *thread_looks(void *arg)
{
	(void)arg;
	while (!stop) {
		for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
			pid_t line[LINEAGE_MAX], pid = watched[i];
			int n = caller_lineage(pid, line);
			if (n > 0 ? line[0] != pid || (n > 1 && line[1] != getpid() && line[1] != 1) : n != -ESRCH) {
				wrong_lines++;
				last_length = n;
				last_parent = n > 1 ? line[1] : 0;
			}
			lines_seen++;
		}
	}
	return NULL;
}

static void test_many_look(void)
{
	pthread_t t[4];
	open_pipes();
	stop = wrong_lines = lines_seen = 0;
	for (size_t i = 0; i < ARRAY_LEN(watched); i++)
		watched[i] = child();
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		start_thread(&t[i], thread_looks);
	for (int round = 0; round < 100; round++) {
		size_t i = (size_t)round % ARRAY_LEN(watched);
		pid_t old = watched[i];
		watched[i] = child();
		kill_child(old);
	}
	while (lines_seen < 1000)
		sched_yield();
	stop = 1;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	if (!is_int(wrong_lines, 0, "%s: four threads ask for lines while their processes come and go", flavour))
		printf("# the last: %d members or error, parent %d\n", last_length, last_parent);
	let_go();
	close_pipes();
	for (size_t i = 0; i < ARRAY_LEN(watched); i++)
		waitpid(watched[i], NULL, 0);
}

/* --- identities ----------------------------------------------------------------------------------------------------- */

#define ALICE 61001
#define BOB 61002
#define TEAM 61100

static char scratch[] = "/tmp/test_caller.XXXXXX";

/* 0 or the errno of opening a file of the scratch directory. */
static int try_open(const char *name, int flags)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	int fd = open(path, flags | O_CLOEXEC, 0666);
	int r = fd < 0 ? errno : 0;
	close_fd(fd);
	return r;
}

static void make_file(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	if (try_open(name, O_CREAT | O_RDWR) || chown(path, uid, gid) < 0 || chmod(path, mode) < 0)
		abort();
}

/* A process that waits with these groups; its uid does not matter. */
static pid_t child_with_groups(const gid_t *groups, size_t n)
{
	pid_t pid = fork_();
	if (pid == 0) {
		if (setgroups(n, groups) < 0)
			_exit(9);
		say(getpid());
		wait_to_leave();
		_exit(0);
	}
	hear();
	return pid;
}

struct caps {
	uint32_t lo, hi;
};

static struct caps effective(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	if (syscall(SYS_capget, &h, d) < 0)
		abort();
	return (struct caps){d[0].effective, d[1].effective};
}

static bool have(int cap)
{
	return effective().lo & (1u << cap);
}

/* The Uid, Gid and Groups lines of a thread, as the kernel has them. */
static void identity(pid_t tid, char *buf, size_t size)
{
	char path[64], line[4096];
	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	FILE *f = fopen(path, "r");
	buf[0] = '\0';
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "Uid:", 4) == 0 || strncmp(line, "Gid:", 4) == 0 || strncmp(line, "Groups:", 7) == 0)
			strncat(buf, line, size - strlen(buf) - 1);
	if (f)
		fclose(f);
}

static void *thread_becomes(void *arg)
{
	pid_t *tid = arg;
	if (creds_become(*tid, ALICE, ALICE) < 0)
		abort();
	say(gettid_());
	wait_to_leave();
	creds_restore();
	return NULL;
}

static void test_switching(void)
{
	const gid_t team[] = {TEAM, 61101}, other[] = {61101};
	char before[512], during[512], after[512];
	open_pipes();
	pid_t member = child_with_groups(team, 2), stranger = child_with_groups(other, 1),
	      twin = child_with_groups(other, 1);
	make_file("alice", ALICE, ALICE, 0600);
	make_file("bob", BOB, BOB, 0600);
	make_file("team", 0, TEAM, 0640);
	make_file("primary", 0, ALICE, 0640);
	make_file("root", 0, 0, 0600);

	is_int(creds_init(true), 0, "root may switch");
	identity(gettid_(), before, sizeof(before));
	struct caps own = effective();
	is_int(creds_become(stranger, ALICE, ALICE), 0, "a thread becomes Alice");
	is_int(try_open("alice", O_RDWR), 0, "and opens her file");
	is_int(try_open("bob", O_RDONLY), EACCES, "but not Bob's");
	is_int(try_open("root", O_RDONLY), EACCES, "nor root's");
	is_int(try_open("primary", O_RDONLY), 0, "and what her group may read");
	is_int(try_open("team", O_RDONLY), EACCES, "but not what another group may");
	ok(!have(CAP_DAC_OVERRIDE) && !have(CAP_DAC_READ_SEARCH) && !have(CAP_FOWNER) && !have(CAP_CHOWN),
	   "she has no capability over files");
	is_int(creds_become(member, ALICE, ALICE), 0, "the same user in another process, with more groups");
	is_int(try_open("team", O_RDONLY), 0, "reads what they may read");
	is_int(try_open("team", O_RDWR), EACCES, "and does not write it");
	ok(creds_in_group(TEAM) && !creds_in_group(ALICE), "which groups are in force can be asked");
	is_int(creds_become(stranger, ALICE, TEAM), 0, "and with another group of its own");
	is_int(try_open("team", O_RDONLY), 0, "what that may read");
	creds_become(twin, ALICE, ALICE); /* so that its groups, the stranger's, are known as theirs are */
	creds_become(stranger, ALICE, TEAM);
	is_int(try_open("team", O_RDONLY), 0, "again");
	is_int(creds_become(twin, ALICE, ALICE), 0, "and with her own again");
	is_int(try_open("team", O_RDONLY), EACCES, "which may not");
	is_int(creds_become(member, BOB, BOB), 0, "from Alice to Bob without a way through root");
	is_int(try_open("bob", O_RDWR), 0, "who opens his");
	is_int(try_open("alice", O_RDONLY), EACCES, "and not hers");
	is_int(try_open("primary", O_RDONLY), EACCES, "nor her group's");
	is_int(creds_become(stranger, BOB, BOB), 0, "back to fewer groups");
	is_int(try_open("team", O_RDONLY), EACCES, "which are fewer indeed");
	ok(!creds_in_group(TEAM), "and are told so");
	identity(gettid_(), during, sizeof(during));
	for (int i = 0; i < 3; i++)
		creds_become(stranger, BOB, BOB);
	identity(gettid_(), after, sizeof(after));
	is_str(after, during, "to become who one is changes nothing");

	creds_restore();
	identity(gettid_(), after, sizeof(after));
	is_str(after, before, "the daemon's own uid, gid and groups come back");
	struct caps now = effective();
	ok(now.lo == own.lo && now.hi == own.hi, "and its capabilities");
	is_int(try_open("bob", O_RDWR), 0, "which work");
	creds_restore();
	is_int(try_open("bob", O_RDWR), 0, "to restore twice is no harm");

	is_int(creds_become(member, 0, ALICE), 0, "a thread becomes root, with another group");
	is_int(try_open("bob", O_RDWR), 0, "and is root");
	is_int(try_open("made", O_CREAT | O_RDWR), 0, "a file that it makes");
	struct stat st;
	char path[64];
	snprintf(path, sizeof(path), "%s/made", scratch);
	ok(stat(path, &st) == 0 && st.st_uid == 0 && st.st_gid == ALICE, "is of that group");
	is_int(creds_become(999999999, 0, 0), 0, "root's groups are not asked for");

	is_int(creds_become(stranger, ALICE, ALICE), 0, "Alice again");
	kill_child(member);
	kill_child(stranger);
	kill_child(twin);
	is_int(creds_become(member, 61003, 61003), -ESRCH, "nobody becomes the dead");
	identity(gettid_(), after, sizeof(after));
	is_str(after, before, "and the daemon is itself after having tried");
	let_go();
	close_pipes();
}

/* A login changes groups and then the user: the groups of the old user are not the new one's. */
static void test_login(void)
{
	const gid_t team[] = {TEAM};
	open_pipes();
	pid_t pid = fork_();
	if (pid == 0) {
		char c;
		if (setgroups(1, team) < 0)
			_exit(9);
		say(getpid());
		if (read(hold[0], &c, 1) != 1 || setgroups(0, NULL) < 0)
			_exit(9);
		say(getpid());
		wait_to_leave();
		_exit(0);
	}
	hear();
	is_int(creds_become(pid, ALICE, ALICE), 0, "Alice in the team");
	is_int(try_open("team", O_RDONLY), 0, "reads what it may");
	if (write(hold[1], "x", 1) != 1)
		abort();
	hear();
	is_int(creds_become(pid, BOB, ALICE), 0, "Bob in the same process, which has left it");
	is_int(try_open("team", O_RDONLY), EACCES, "does not");
	creds_restore();
	let_go();
	waitpid(pid, NULL, 0);
	close_pipes();
}

static void test_one_thread_alone(void)
{
	char before[512], during[512], other[512];
	const gid_t team[] = {TEAM};
	pthread_t t;
	open_pipes();
	pid_t member = child_with_groups(team, 1);
	identity(getpid(), before, sizeof(before));
	if (pthread_create(&t, NULL, thread_becomes, &member) != 0)
		abort();
	pid_t tid = hear();
	identity(tid, other, sizeof(other));
	identity(getpid(), during, sizeof(during));
	ok(strcmp(other, before) != 0, "another thread has switched");
	is_str(during, before, "and this one has not");
	let_go();
	pthread_join(t, NULL);
	close_pipes();
	waitpid(member, NULL, 0);
}

static void test_many_groups(void)
{
	gid_t *groups = malloc(GROUPS_MAX * sizeof(*groups));
	for (unsigned i = 0; i < GROUPS_MAX; i++)
		groups[i] = 100000 + i;
	make_file("last", 0, 100000 + GROUPS_MAX - 1, 0640);
	make_file("beyond", 0, 100000 + GROUPS_MAX, 0640);
	open_pipes();
	pid_t pid = child_with_groups(groups, GROUPS_MAX);
	is_int(creds_become(pid, ALICE, ALICE), 0, "a caller may be in %d groups", GROUPS_MAX);
	is_int(try_open("last", O_RDONLY), 0, "the last of which counts");
	is_int(try_open("beyond", O_RDONLY), EACCES, "and the next does not");
	creds_restore();
	kill_child(pid);
	pid = child_with_groups(NULL, 0);
	is_int(creds_become(pid, ALICE, ALICE), 0, "or in none");
	is_int(try_open("last", O_RDONLY), EACCES, "which is none");
	creds_restore();
	let_go();
	close_pipes();
	waitpid(pid, NULL, 0);
	free(groups);
}

/* Runs fn in a child and returns its exit status. */
static int in_child(int (*fn)(void))
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(fn());
	int status;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* 0 if all is well with the capabilities that the daemon keeps, and none to be had back. */
static int bounded(void)
{
	const uint32_t keep = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH | 1u << CAP_FOWNER |
			      1u << CAP_FSETID | 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_SYS_ADMIN;
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) < 0)
			return 1;
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {{keep, keep, 0}, {0, 0, 0}};
	if (syscall(SYS_capset, &h, d) < 0)
		return 2;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 3;
	if (creds_init(true) < 0)
		return 4;
	for (int i = 0; i < 3; i++) {
		if (creds_become(getpid(), ALICE, ALICE) < 0)
			return 5;
		if (try_open("alice", O_RDWR) != 0 || try_open("bob", O_RDONLY) != EACCES)
			return 6;
		creds_restore();
		if (try_open("bob", O_RDWR) != 0 || effective().lo != keep)
			return 7;
	}
	return 0;
}

static int no_setuid(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {{1u << CAP_SETGID, 1u << CAP_SETGID, 0}, {0, 0, 0}};
	return syscall(SYS_capset, &h, d) == 0 ? -creds_init(true) : 1;
}

static int no_setgid(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {{1u << CAP_SETUID, 1u << CAP_SETUID, 0}, {0, 0, 0}};
	return syscall(SYS_capset, &h, d) == 0 ? -creds_init(true) : 1;
}

static int keeps_caps(void)
{
	return prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) == 0 ? -creds_init(true) : 1;
}

static int not_root(void)
{
	if (setresgid(ALICE, ALICE, ALICE) < 0 || setresuid(ALICE, ALICE, ALICE) < 0)
		return 1;
	if (creds_init(true) != -EPERM || creds_init(false) != 0)
		return 2;
	if (creds_become(getppid(), BOB, BOB) != -EACCES || creds_become(getppid(), 0, 0) != -EACCES)
		return 3;
	if (creds_become(getppid(), ALICE, TEAM) != 0)
		return 4;
	creds_restore();
	return geteuid() == ALICE ? 0 : 5;
}

static void test_identities(void)
{
	if (!mkdtemp(scratch) || chmod(scratch, 0755) < 0)
		abort();
	umask(0);
	test_switching();
	test_login();
	test_one_thread_alone();
	test_many_groups();
	is_int(in_child(bounded), 0, "the daemon's own few capabilities suffice to switch and to come back");
	is_int(in_child(no_setuid), EPERM, "without CAP_SETUID switching is refused from the first");
	is_int(in_child(no_setgid), EPERM, "without CAP_SETGID too");
	is_int(in_child(keeps_caps), EPERM, "and under a securebit that would keep the capabilities");
	is_int(in_child(not_root), 0, "without root nothing is switched, and others are refused");

	for (const char *const *f =
		     (const char *const[]){"alice", "bob", "team", "primary", "root", "made", "last", "beyond", NULL};
	     *f; f++) {
		char path[64];
		snprintf(path, sizeof(path), "%s/%s", scratch, *f);
		unlink(path);
	}
	rmdir(scratch);
}

/* From here on the kernel knows no ioctl of pidfds, as before 6.13: Debian 13 has 6.12. */
static bool forget_ioctl(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffff),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xff0b, 0, 1), /* type and number of PIDFD_GET_INFO */
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {ARRAY_LEN(code), code};
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = ignore};
	sigaction(SIGWINCH, &sa, NULL);

	own_fds = count_fds();
	/* proc first: it keeps no lines, and must find none that were kept. */
	static const char *const flavours[] = {"proc", "pidfd", "pidfd without ioctl"};
	for (size_t i = 0; i < ARRAY_LEN(flavours); i++) {
		flavour = flavours[i];
		if (i == 2 && !forget_ioctl())
			abort();
		is_int(caller_init(i == 0), 0, "%s: there is a /proc", flavour);
		if (i == 0)
			ok(!caller_has_pidfds(), "proc: no pidfds are used");
		test_pins();
		test_zombie_leader();
		test_pending_signal();
		test_names();
		test_line();
		test_thread_line();
		test_bounds();
		test_many_look();
		if (geteuid() != 0) {
			ok(0, "%s: root is needed to force the reuse of numbers", flavour);
			continue;
		}
		is_int(reused_in_namespace(reuse_processes_piped), 0,
		       "%s: in %d forced reuses a process's pin and line never mean its successor", flavour, REUSES);
		is_int(reused_in_namespace(reuse_threads), 0,
		       "%s: in %d forced reuses a thread's pin never means its successor", flavour, REUSES);
		test_outsider();
	}
	if (geteuid() != 0) {
		ok(0, "root is needed to switch identities");
		return tap_done();
	}
	is_int(in_namespace(other_proc), 1, "a /proc of another pid namespace is refused");
	test_identities();
	return tap_done();
}
