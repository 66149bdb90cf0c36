/* SPDX-License-Identifier: MIT */
/* The files below. What needs root, and a mount of its own, is skipped without. */
#include "backing.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "creds.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tap.h"
#include "util.h"

#define ALICE 1000
#define BOB 1001

static bool own_mounts; /* nobody else sees what is mounted here, and it ends with the test */
static int dir;
static struct backing backing;

static void skip(const char *claim, const char *why)
{
	ok(1, "%s # SKIP %s", claim, why);
}

static int look(const char *name)
{
	struct stat st;
	int fd;
	if (backing_look(&backing, dir, name, &fd, &st))
		abort();
	return fd;
}

static struct backing_key key_of(const char *name)
{
	struct backing_key key;
	struct stat st;
	_cleanup_close_ int fd = look(name);
	if (backing_stat(fd, &st) || backing_key(&backing, fd, &st, &key))
		abort();
	return key;
}

static struct stat stat_of(const char *name)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		abort();
	return st;
}

static bool same_file(int fd, const char *name)
{
	struct stat st, want = stat_of(name);
	return backing_stat(fd, &st) == 0 && st.st_dev == want.st_dev && st.st_ino == want.st_ino;
}

/* 0 or -errno of opening, which is all that is asked of it. */
static int try_open(int fd, int flags)
{
	int opened = backing_reopen(fd, flags);
	if (opened < 0)
		return opened;
	close(opened);
	return 0;
}

static void test_look(void)
{
	struct stat st;
	int fd = -7, base = open_fds();

	scratch_file(dir, "f", 0640, "content");
	is_int(backing_look(&backing, dir, "f", &fd, &st), 0, "a name is found");
	ok(same_file(fd, "f") && st.st_size == 7 && (st.st_mode & 07777) == 0640, "with its attributes");
	ok(fcntl(fd, F_GETFL) & O_PATH && fcntl(fd, F_GETFD) & FD_CLOEXEC,
	   "as an O_PATH descriptor that is closed on exec");
	close(fd);
	fd = -7;
	is_int(backing_look(&backing, dir, "none", &fd, &st), -ENOENT, "a name that is not there is not");
	_cleanup_close_ int file = look("f");
	is_int(backing_look(&backing, file, "x", &fd, &st), -ENOTDIR, "below a file there is nothing");
	must(symlinkat("f", dir, "link"));
	must(mkdirat(dir, "d", 0700));
	must(symlinkat("d", dir, "dlink"));
	scratch_file(dir, "d/inside", 0644, "");
	int link = look("link"), dlink = look("dlink");
	ok(same_file(link, "link") && !same_file(link, "f"), "a symbolic link is found itself");
	is_int(backing_look(&backing, dlink, "inside", &fd, &st), -ENOTDIR, "and is no way to what it leads to");
	is_int(fd, -7, "where nothing is found, nothing is given");
	close(link);
	close(dlink);
	close(steal_fd(&file));
	is_int(open_fds(), base, "no descriptor is left");
}

static void test_keys(void)
{
	scratch_file(dir, "a", 0644, "a");
	scratch_file(dir, "b", 0644, "b");
	must(linkat(dir, "a", dir, "hard", 0));
	struct backing_key a = key_of("a"), b = key_of("b"), hard = key_of("hard"), again = key_of("a");
	ok(backing_key_equal(&a, &again), "a file has the same key each time");
	ok(backing_key_equal(&a, &hard), "hard links have the same key");
	ok(!backing_key_equal(&a, &b), "two files have different keys");
	must(mkdirat(dir, "e", 0755));
	must(renameat(dir, "a", dir, "e/moved"));
	struct backing_key moved = key_of("e"), inside;
	struct stat st;
	int e = look("e"), fd;
	ok(backing_look(&backing, e, "moved", &fd, &st) == 0 && backing_key(&backing, fd, &st, &inside) == 0 &&
		   backing_key_equal(&a, &inside) && !backing_key_equal(&a, &moved),
	   "a file that was moved keeps its key");
	close(fd);
	close(e);

	again = a;
	again.dev++;
	ok(!backing_key_equal(&a, &again), "the device is part of the key");
	again = a;
	again.ino++;
	ok(!backing_key_equal(&a, &again), "and the inode");
	again = a;
	again.type++;
	ok(!backing_key_equal(&a, &again), "and the handle's type");
	again = a;
	again.bytes = a.bytes ? a.bytes - 1 : 1;
	ok(!backing_key_equal(&a, &again), "and its length");
	again = a;
	again.bytes = a.bytes = 8;
	again.data[7] ^= 1;
	ok(!backing_key_equal(&a, &again), "and each byte of it");
	again = a;
	again.data[8] ^= 1;
	ok(backing_key_equal(&a, &again), "what lies behind the handle is not");

	struct backing without = backing;
	without.handles = false;
	_cleanup_close_ int bfd = look("b");
	backing_stat(bfd, &st);
	ok(backing_key(&without, bfd, &st, &again) == 0 && again.bytes == 0 && again.dev == st.st_dev &&
		   again.ino == st.st_ino,
	   "without handles a key is device and inode");
}

static void test_handles(void)
{
	struct backing_key key;
	int fd = -7;

	scratch_file(dir, "h", 0, "content");
	key = key_of("h");
	ok(key.bytes > 0, "a key has a handle");
	is_int(backing_open_key(&backing, &key, &fd), 0, "which opens the file again, whatever its mode");
	ok(same_file(fd, "h") && fcntl(fd, F_GETFL) & O_PATH && fcntl(fd, F_GETFD) & FD_CLOEXEC,
	   "as an O_PATH descriptor that is closed on exec");
	close(fd);
	must(renameat(dir, "h", dir, "h2"));
	ok(backing_open_key(&backing, &key, &fd) == 0 && same_file(fd, "h2"), "also where it was moved");
	close(fd);
	must(symlinkat("h2", dir, "hlink"));
	struct backing_key link = key_of("hlink");
	ok(backing_open_key(&backing, &link, &fd) == 0 && same_file(fd, "hlink"), "of a symbolic link, the link");
	close(fd);
	fd = -7;
	unlinkat(dir, "h2", 0);
	is_int(backing_open_key(&backing, &key, &fd), -ESTALE, "the key of a deleted file is stale");

	/* ext4 and most others give the number to the next file. */
	bool reused = false;
	int wrong = 0;
	for (int i = 0; i < 64; i++) {
		scratch_file(dir, "next", 0644, "next");
		struct backing_key next = key_of("next");
		reused |= next.ino == key.ino;
		wrong += backing_key_equal(&next, &key) || backing_open_key(&backing, &key, &fd) != -ESTALE;
		unlinkat(dir, "next", 0);
	}
	is_int(wrong, 0, "and stays so when its inode number %s", reused ? "is used again" : "could be used again");
	is_int(fd, -7, "no descriptor is given for it");
	key.bytes = 1;
	ok(backing_open_key(&backing, &key, &fd) < 0, "a handle that is none opens nothing");
}

static void test_reopen(void)
{
	char text[16] = "";
	struct stat st;

	scratch_file(dir, "r", 0644, "content");
	_cleanup_close_ int fd = look("r");
	int opened = backing_reopen(fd, O_RDWR | O_APPEND);
	ok(opened >= 0 && same_file(opened, "r"), "an O_PATH descriptor is opened anew");
	ok(fcntl(opened, F_GETFL) & O_APPEND && fcntl(opened, F_GETFD) & FD_CLOEXEC,
	   "with the flags, and closed on exec");
	ok(write(opened, "!", 1) == 1 && pread(opened, text, 15, 0) == 8 && strcmp(text, "content!") == 0,
	   "for reading and writing");
	int path = backing_path_fd(opened);
	ok(path >= 0 && same_file(path, "r") && fcntl(path, F_GETFL) & O_PATH && fcntl(path, F_GETFD) & FD_CLOEXEC,
	   "any descriptor gives an O_PATH one of its file");
	close(path);
	close(opened);
	is_int(try_open(fd, O_WRONLY | O_TRUNC), 0, "it may be truncated");
	is_int(stat_of("r").st_size, 0, "and is");
	is_int(try_open(fd, O_RDONLY | O_DIRECTORY), -ENOTDIR, "a file is no directory");
	_cleanup_close_ int d = look("d");
	is_int(try_open(d, O_RDONLY | O_DIRECTORY), 0, "a directory is");
	is_int(try_open(d, O_WRONLY), -EISDIR, "and is not written");
	unlinkat(dir, "r", 0);
	is_int(try_open(fd, O_RDWR), 0, "a deleted file is opened as long as there is a descriptor");
	ok(backing_stat(fd, &st) == 0 && st.st_nlink == 0, "and has attributes");
	is_int(backing_reopen(-1, O_RDONLY), -ESTALE, "no descriptor, no file");
}

/* Each call on a link must leave what it leads to alone. */
static void test_symlinks(void)
{
	const struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 6}};

	scratch_file(dir, "target", 0600, "content");
	must(symlinkat("target", dir, "s"));
	struct stat before = stat_of("target");
	_cleanup_close_ int fd = look("s");
	is_int(try_open(fd, O_RDONLY), -ELOOP, "a symbolic link can't be opened");
	is_int(try_open(fd, O_WRONLY | O_TRUNC), -ELOOP, "nor truncated while opening");
	int path = backing_path_fd(fd);
	ok(path >= 0 && same_file(path, "s"), "its O_PATH descriptor is of the link");
	close(path);
	ok(backing_truncate(fd, 0) < 0, "it can't be truncated");
	ok(backing_chmod(fd, 0777) <= 0 && backing_utimens(fd, times) == 0, "it has times of its own");
	ok(stat_of("s").st_mtime == 6, "which are set");
	is_int(backing_access(fd, W_OK), 0, "access is asked of the link");
	if (geteuid() == 0) {
		is_int(backing_chown(fd, ALICE, BOB), 0, "it has an owner of its own");
		ok(stat_of("s").st_uid == ALICE && stat_of("s").st_gid == BOB, "who is set");
	} else {
		skip("it has an owner of its own", "needs root");
	}
	ok(backing_link(fd, dir, "s2") == 0 && same_file(fd, "s2"), "a hard link of it is one of the link");
	struct stat after = stat_of("target");
	ok(before.st_mode == after.st_mode && before.st_uid == after.st_uid && before.st_gid == after.st_gid &&
		   before.st_size == after.st_size && before.st_nlink == after.st_nlink &&
		   before.st_mtim.tv_sec == after.st_mtim.tv_sec && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec &&
		   before.st_ctim.tv_sec == after.st_ctim.tv_sec && before.st_ctim.tv_nsec == after.st_ctim.tv_nsec,
	   "and what it leads to has not changed in anything");
}

static void test_calls(void)
{
	const struct timespec times[2] = {{.tv_sec = 5, .tv_nsec = 7}, {.tv_nsec = UTIME_OMIT}};

	scratch_file(dir, "c", 0644, "content");
	_cleanup_close_ int fd = look("c");
	time_t mtime = stat_of("c").st_mtime;
	is_int(backing_chmod(fd, 0751), 0, "an O_PATH descriptor will do for chmod");
	is_int(stat_of("c").st_mode & 07777, 0751, "which sets the mode");
	is_int(backing_utimens(fd, times), 0, "for utimens");
	ok(stat_of("c").st_atim.tv_sec == 5 && stat_of("c").st_atim.tv_nsec == 7 && stat_of("c").st_mtime == mtime,
	   "which sets what is to be set, to the nanosecond");
	is_int(backing_truncate(fd, 3), 0, "for truncate");
	is_int(stat_of("c").st_size, 3, "which cuts");
	is_int(backing_truncate(fd, -1), -EINVAL, "and passes errors on");
	is_int(backing_link(fd, dir, "c2"), 0, "for link");
	ok(same_file(fd, "c2") && stat_of("c").st_nlink == 2, "which makes one");
	is_int(backing_link(fd, dir, "c2"), -EEXIST, "that replaces nothing");
	is_int(backing_access(fd, R_OK | W_OK), 0, "and for access");
}

static void become(uid_t uid)
{
	if (creds_become((pid_t)syscall(SYS_gettid), uid, uid))
		abort();
}

static void test_identity(void)
{
	const struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 5}};

	if (geteuid() != 0 || creds_init(true)) {
		skip("a user has a user's permissions", "needs root");
		return;
	}
	must(mkdirat(dir, "closed", 0700));
	scratch_file(dir, "closed/private", 0600, "content");
	scratch_file(dir, "closed/public", 0644, "content");
	scratch_file(dir, "closed/run", 0755, "content");
	scratch_file(dir, "closed/alice", 0600, "content");
	must(fchownat(dir, "closed/alice", ALICE, ALICE, 0));
	int private = look("closed/private"), public = look("closed/public"), alice = look("closed/alice");
	int run = look("closed/run"), closed = look("closed");
	struct backing_key key = key_of("closed/public");
	struct stat st;
	int fd;

	become(BOB);
	is_int(try_open(private, O_RDONLY), -EACCES, "opening again checks permissions: a private file is not read");
	is_int(try_open(public, O_RDONLY), 0, "a public one is, whatever the directory above it says");
	is_int(try_open(public, O_WRONLY), -EACCES, "but not written");
	is_int(try_open(public, O_RDWR), -EACCES, "nor both");
	is_int(try_open(closed, O_RDONLY | O_DIRECTORY), -EACCES, "a closed directory is not listed");
	is_int(backing_look(&backing, closed, "public", &fd, &st), -EACCES, "nor searched");
	is_int(backing_access(private, R_OK), -EACCES, "access says the same: not read");
	is_int(backing_access(public, R_OK), 0, "read");
	is_int(backing_access(public, R_OK | W_OK), -EACCES, "not written");
	is_int(backing_access(public, X_OK), -EACCES, "not run");
	is_int(backing_access(run, X_OK), 0, "run");
	is_int(backing_chmod(alice, 0666), -EPERM, "another's file keeps its mode");
	is_int(backing_chown(alice, BOB, BOB), -EPERM, "its owner");
	is_int(backing_utimens(alice, times), -EPERM, "its times");
	is_int(backing_truncate(alice, 0), -EACCES, "and its content");
	if (backing.handles) {
		ok(backing_open_key(&backing, &key, &fd) == 0 && same_file(fd, "closed/public"),
		   "a key is opened for anybody");
		close(fd);
		is_int(try_open(private, O_RDONLY), 0, "by the daemon, whose identity is then in force");
	}

	become(ALICE);
	is_int(try_open(alice, O_RDWR), 0, "an owner opens his own");
	is_int(backing_chmod(alice, 0640), 0, "sets its mode");
	is_int(backing_utimens(alice, times), 0, "its times");
	is_int(backing_truncate(alice, 1), 0, "its size");
	is_int(backing_chown(alice, BOB, (gid_t)-1), -EPERM, "but gives it to nobody");
	is_int(backing_link(alice, dir, "stolen"), -EACCES, "and makes links only where he may write");
	creds_restore();
	must(fchmodat(dir, "closed", 0777, 0));
	become(ALICE);
	is_int(backing_link(alice, closed, "own"), 0, "there he does");
	creds_restore();
	is_int(try_open(private, O_RDWR), 0, "the daemon's own identity opens everything");
	is_int(backing_access(private, R_OK | W_OK), 0, "and may");
	close(private);
	close(public);
	close(alice);
	close(run);
	close(closed);
}

static void test_init(void)
{
	struct backing b = {.root = -7};
	int base = open_fds();
	_cleanup_close_ int file = look("f"), proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	is_int(backing_init(&b, file), -ENOTDIR, "a store is no file");
	is_int(backing_init(&b, -1), -EBADF, "nor nothing");
	is_int(b.root, -7, "then nothing is set up");
	ok(backing_init(&b, proc) == 0 && !b.handles, "a filesystem without handles will do");
	backing_fini(&b);
	is_int(b.root, -1, "what was set up is closed");
	close(steal_fd(&file));
	close(steal_fd(&proc));
	is_int(open_fds(), base, "no descriptor is left");

	if (geteuid() != 0) {
		skip("who may not open handles has none", "needs root");
		return;
	}
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		struct backing own;
		if (setgid(BOB) || setuid(BOB))
			_exit(9);
		/* Reading is asked of the directory alone. */
		_exit(backing_init(&own, dir) ? 8 : own.handles);
	}
	int status;
	waitpid(pid, &status, 0);
	is_int(status, 0, "who may not open handles has none");
}

static void test_mounts(void)
{
	struct stat st;
	int fd = -7;

	must(mkdirat(dir, "m", 0755));
	char path[PATH_MAX + 8];
	snprintf(path, sizeof(path), "%s/m", scratch);
	if (!own_mounts || mount("none", path, "tmpfs", 0, "size=64k") < 0) {
		skip("what is mounted inside the store is not shown", "needs to mount");
		return;
	}
	is_int(backing_look(&backing, dir, "m", &fd, &st), -EXDEV, "what is mounted inside the store is not shown");
	is_int(fd, -7, "nor given");
	umount2(path, MNT_DETACH);
	is_int(backing_look(&backing, dir, "m", &fd, &st), 0, "what lies below it is, once it is unmounted");
	close(fd);
}

int main(void)
{
	alarm(240);
	umask(022);
	own_mounts = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	dir = scratch_open();
	if (backing_init(&backing, dir))
		abort();
	test_look();
	test_keys();
	if (backing.handles)
		test_handles();
	else
		skip("a key has a handle", "the filesystem has none, or they need root");
	test_reopen();
	test_symlinks();
	test_calls();
	test_init();
	test_identity();
	test_mounts();
	backing_fini(&backing);
	return tap_done();
}
