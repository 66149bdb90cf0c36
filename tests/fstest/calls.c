/* SPDX-License-Identifier: MIT */
/*
 * The system calls. Where a command takes a path it also takes `@r/path`, a path below the directory held in register
 * r, and mostly `@r`, the held descriptor itself: chmod @f is fchmod, stat @f is fstat, and so on.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fstest.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* -- words ------------------------------------------------------------------------------------------------------- */

struct place {
	int fd;
	const char *path; /* NULL: fd itself */
};

static struct place place(const char *word)
{
	if (word[0] != '@')
		return (struct place){AT_FDCWD, word};
	return (struct place){held(word), word[2] == '/' ? word + 3 : NULL};
}

/* The same as one path, for the calls that have no *at form. */
static const char *pathname(const char *word, char buf[static PATH_MAX])
{
	struct place p = place(word);

	if (p.fd == AT_FDCWD)
		return p.path;
	snprintf(buf, PATH_MAX, "/proc/self/fd/%d%s%s", p.fd, p.path ? "/" : "", p.path ? p.path : "");
	return buf;
}

static int sys(long long rc)
{
	return rc < 0 ? -errno : 0;
}

struct word {
	const char *name;
	int value;
};

/* The sum of the words in a list like `O_RDWR,O_CREAT`. */
static int flags(const char *list, const struct word *words, size_t n)
{
	int value = 0;

	for (const char *at = list; *at;) {
		size_t len = strcspn(at, ","), i = 0;

		while (i < n && (strlen(words[i].name) != len || strncmp(words[i].name, at, len)))
			i++;
		if (i == n)
			mistake("%s: no such flag", list);
		value |= words[i].value;
		at += len + (at[len] == ',');
	}
	return value;
}

static mode_t mode(const struct call *c, int arg, mode_t otherwise)
{
	return arg < c->argc ? (mode_t)strtoul(c->argv[arg], NULL, 8) : otherwise;
}

/* -- attributes -------------------------------------------------------------------------------------------------- */

static const char *type_name(mode_t m)
{
	switch (m & S_IFMT) {
	case S_IFREG: return "file";
	case S_IFDIR: return "dir";
	case S_IFLNK: return "link";
	case S_IFIFO: return "fifo";
	case S_IFSOCK: return "sock";
	case S_IFCHR: return "char";
	case S_IFBLK: return "block";
	}
	return "?";
}

/* Answers with the fields that the words after the path ask for. */
static void answer_stat(struct call *c, const struct stat *st)
{
	for (int i = 1; i < c->argc; i++) {
		const char *f = c->argv[i];

		if (i > 1)
			answer(c, " ");
		if (!strcmp(f, "type"))
			answer(c, "%s", type_name(st->st_mode));
		else if (!strcmp(f, "mode"))
			answer(c, "%04o", st->st_mode & 07777);
		else if (!strcmp(f, "nlink"))
			answer(c, "%lu", (unsigned long)st->st_nlink);
		else if (!strcmp(f, "owner"))
			answer(c, "%u:%u", st->st_uid, st->st_gid);
		else if (!strcmp(f, "size"))
			answer(c, "%lld", (long long)st->st_size);
		else if (!strcmp(f, "blocks"))
			answer(c, "%lld", (long long)st->st_blocks);
		else if (!strcmp(f, "ino"))
			answer(c, "%llu", (unsigned long long)st->st_ino);
		else if (!strcmp(f, "dev"))
			answer(c, "%llu", (unsigned long long)st->st_dev);
		else if (!strcmp(f, "atime"))
			answer(c, "%lld.%09ld", (long long)st->st_atim.tv_sec, st->st_atim.tv_nsec);
		else if (!strcmp(f, "mtime"))
			answer(c, "%lld.%09ld", (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
		else if (!strcmp(f, "ctime"))
			answer(c, "%lld.%09ld", (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
		else
			mistake("stat: no field %s", f);
	}
}

static int stat_common(struct call *c, int how)
{
	struct place p = place(c->argv[0]);
	struct stat st;
	int r = sys(p.path ? fstatat(p.fd, p.path, &st, how) : fstat(p.fd, &st));

	if (r == 0)
		answer_stat(c, &st);
	return r;
}

static int do_stat(struct call *c)
{
	return stat_common(c, 0);
}

static int do_lstat(struct call *c)
{
	return stat_common(c, AT_SYMLINK_NOFOLLOW);
}

static int do_statx(struct call *c)
{
	struct place p = place(c->argv[0]);
	struct statx x;
	int r = sys(statx(p.fd, p.path ? p.path : "", p.path ? 0 : AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &x));

	if (r == 0)
		answer_stat(c, &(struct stat){.st_mode = x.stx_mode,
					      .st_nlink = x.stx_nlink,
					      .st_uid = x.stx_uid,
					      .st_gid = x.stx_gid,
					      .st_size = (off_t)x.stx_size,
					      .st_ino = x.stx_ino,
					      .st_mtim = {x.stx_mtime.tv_sec, x.stx_mtime.tv_nsec}});
	return r;
}

static int do_access(struct call *c)
{
	static const struct word modes[] = {{"f", F_OK}, {"r", R_OK}, {"w", W_OK}, {"x", X_OK}};
	struct place p = place(c->argv[0]);

	return sys(faccessat(p.fd, p.path ? p.path : "", flags(c->argv[1], modes, COUNT(modes)),
			     p.path ? 0 : AT_EMPTY_PATH));
}

static int do_chmod(struct call *c)
{
	struct place p = place(c->argv[0]);

	return sys(p.path ? fchmodat(p.fd, p.path, mode(c, 1, 0), 0) : fchmod(p.fd, mode(c, 1, 0)));
}

static int chown_common(struct call *c, int how)
{
	struct place p = place(c->argv[0]);
	uid_t u = (uid_t)number(c->argv[1]); /* -1 leaves it */
	gid_t g = (gid_t)number(c->argv[2]);

	return sys(p.path ? fchownat(p.fd, p.path, u, g, how) : fchown(p.fd, u, g));
}

static int do_chown(struct call *c)
{
	return chown_common(c, 0);
}

static int do_lchown(struct call *c)
{
	return chown_common(c, AT_SYMLINK_NOFOLLOW);
}

static int do_truncate(struct call *c)
{
	char buf[PATH_MAX];

	if (place(c->argv[0]).path)
		return sys(truncate(pathname(c->argv[0], buf), number(c->argv[1])));
	return sys(ftruncate(held(c->argv[0]), number(c->argv[1])));
}

static struct timespec timestamp(const char *word)
{
	char *end;
	struct timespec t = {0, 0};

	if (!strcmp(word, "now"))
		return (struct timespec){0, UTIME_NOW};
	if (!strcmp(word, "omit"))
		return (struct timespec){0, UTIME_OMIT};
	t.tv_sec = strtoll(word, &end, 10);
	if (*end == '.')
		t.tv_nsec = strtol(end + 1, &end, 10);
	if (*end)
		mistake("%s: want seconds.nanoseconds, now or omit", word);
	return t;
}

static int do_utimens(struct call *c)
{
	struct place p = place(c->argv[0]);
	struct timespec t[2] = {timestamp(c->argv[1]), timestamp(c->argv[2])};

	return sys(p.path ? utimensat(p.fd, p.path, t, 0) : futimens(p.fd, t));
}

static int do_statfs(struct call *c)
{
	char buf[PATH_MAX];
	struct statfs s;
	int r = sys(place(c->argv[0]).path ? statfs(pathname(c->argv[0], buf), &s) : fstatfs(held(c->argv[0]), &s));

	if (r == 0 && c->argc == 2 && !strcmp(c->argv[1], "type"))
		answer(c, "%lx", (unsigned long)s.f_type);
	else if (r == 0 && c->argc == 2 && !strcmp(c->argv[1], "blocks"))
		answer(c, "%llu", (unsigned long long)s.f_blocks * s.f_frsize / 1024);
	else if (r == 0 && c->argc == 2 && !strcmp(c->argv[1], "quota")) /* KiB and files: all and free */
		answer(c, "%llu %llu %llu %llu", (unsigned long long)s.f_blocks * s.f_frsize / 1024,
		       (unsigned long long)s.f_bavail * s.f_frsize / 1024, (unsigned long long)s.f_files,
		       (unsigned long long)s.f_ffree);
	return r;
}

static int do_getxattr(struct call *c)
{
	char buf[PATH_MAX], value[4096];
	ssize_t n = place(c->argv[0]).path ? getxattr(pathname(c->argv[0], buf), c->argv[1], value, sizeof value)
					   : fgetxattr(held(c->argv[0]), c->argv[1], value, sizeof value);

	if (n > 0)
		answer_bytes(c, value, (size_t)n);
	return sys(n);
}

static int do_setxattr(struct call *c)
{
	char buf[PATH_MAX];
	const char *name = c->argv[1], *v = c->argv[2];

	return sys(place(c->argv[0]).path ? setxattr(pathname(c->argv[0], buf), name, v, strlen(v), 0)
					  : fsetxattr(held(c->argv[0]), name, v, strlen(v), 0));
}

static int do_listxattr(struct call *c)
{
	char buf[PATH_MAX], names[4096];
	ssize_t n = place(c->argv[0]).path ? listxattr(pathname(c->argv[0], buf), names, sizeof names)
					   : flistxattr(held(c->argv[0]), names, sizeof names);

	if (n > 0)
		answer_bytes(c, names, (size_t)n);
	return sys(n);
}

static int do_removexattr(struct call *c)
{
	char buf[PATH_MAX];

	return sys(place(c->argv[0]).path ? removexattr(pathname(c->argv[0], buf), c->argv[1])
					  : fremovexattr(held(c->argv[0]), c->argv[1]));
}

/* -- names ------------------------------------------------------------------------------------------------------- */

static int do_mkdir(struct call *c)
{
	struct place p = place(c->argv[0]);

	return sys(mkdirat(p.fd, p.path, mode(c, 1, 0755)));
}

static int do_rmdir(struct call *c)
{
	struct place p = place(c->argv[0]);

	return sys(unlinkat(p.fd, p.path, AT_REMOVEDIR));
}

static int do_unlink(struct call *c)
{
	struct place p = place(c->argv[0]);

	return sys(unlinkat(p.fd, p.path, 0));
}

static int do_mknod(struct call *c)
{
	static const struct word types[] = {
		{"file", S_IFREG}, {"fifo", S_IFIFO}, {"sock", S_IFSOCK}, {"char", S_IFCHR}, {"block", S_IFBLK}};
	struct place p = place(c->argv[0]);
	mode_t type = (mode_t)flags(c->argv[1], types, COUNT(types));
	dev_t null = type == S_IFCHR || type == S_IFBLK ? makedev(1, 3) : 0;

	return sys(mknodat(p.fd, p.path, type | mode(c, 2, 0644), null));
}

static int do_rename(struct call *c)
{
	static const struct word how[] = {
		{"NOREPLACE", RENAME_NOREPLACE}, {"EXCHANGE", RENAME_EXCHANGE}, {"WHITEOUT", RENAME_WHITEOUT}};
	struct place from = place(c->argv[0]), to = place(c->argv[1]);
	unsigned flag = c->argc > 2 ? (unsigned)flags(c->argv[2], how, COUNT(how)) : 0;

	return sys(renameat2(from.fd, from.path, to.fd, to.path, flag));
}

static int do_link(struct call *c)
{
	struct place to = place(c->argv[1]);
	char buf[PATH_MAX];

	/* A held descriptor, one from O_TMPFILE say, is given its name through /proc: AT_EMPTY_PATH wants a capability. */
	if (!place(c->argv[0]).path)
		return sys(linkat(AT_FDCWD, pathname(c->argv[0], buf), to.fd, to.path, AT_SYMLINK_FOLLOW));
	struct place from = place(c->argv[0]);
	return sys(linkat(from.fd, from.path, to.fd, to.path, 0));
}

static int do_symlink(struct call *c)
{
	struct place p = place(c->argv[1]);

	return sys(symlinkat(c->argv[0], p.fd, p.path));
}

static int do_readlink(struct call *c)
{
	struct place p = place(c->argv[0]);
	char target[PATH_MAX];
	ssize_t n = readlinkat(p.fd, p.path, target, sizeof target);

	if (n > 0)
		answer_bytes(c, target, (size_t)n);
	return sys(n);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a directory, sorted; getdents64(2) itself, since readdir(3) makes an errno look like the end. */
static int do_ls(struct call *c)
{
	struct place p = place(c->argv[0]);
	int fd = p.path ? openat(p.fd, p.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : p.fd;
	char entries[32768], *names[4096];
	size_t count = 0;
	long n;
	int r;

	if (fd < 0)
		return -errno;
	if (!p.path && lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	while ((n = syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0)
		for (char *at = entries; at < entries + n; at += ((struct dirent64 *)at)->d_reclen) {
			const char *name = ((struct dirent64 *)at)->d_name;

			if (strcmp(name, ".") && strcmp(name, "..") && count < COUNT(names))
				names[count++] = strdup(name);
		}
	r = sys(n);
	qsort(names, count, sizeof *names, by_name);
	for (size_t i = 0; i < count; i++) {
		if (r == 0)
			answer(c, "%s%s", i ? " " : "", names[i]);
		free(names[i]);
	}
	if (r == 0 && count == 0)
		answer(c, "(empty)");
	if (p.path)
		close(fd);
	return r;
}

static int do_chdir(struct call *c)
{
	char buf[PATH_MAX];

	if (place(c->argv[0]).path)
		return sys(chdir(pathname(c->argv[0], buf)));
	return sys(fchdir(held(c->argv[0])));
}

/* The system call: getcwd(3) would walk up through `..` where the kernel says that the directory is gone. */
static int do_getcwd(struct call *c)
{
	char cwd[PATH_MAX];
	int r = sys(syscall(SYS_getcwd, cwd, sizeof cwd));

	if (r == 0)
		answer(c, "%s", cwd);
	return r;
}

static int do_mount(struct call *c)
{
	char buf[PATH_MAX];

	if (!strcmp(c->argv[0], "tmpfs"))
		return sys(mount("fstest", pathname(c->argv[1], buf), "tmpfs", 0, "size=1m"));
	return sys(mount(c->argv[0], pathname(c->argv[1], buf), NULL, MS_BIND, NULL));
}

static int do_umount(struct call *c)
{
	char buf[PATH_MAX];

	return sys(umount2(pathname(c->argv[0], buf), 0));
}

static int do_umask(struct call *c)
{
	umask(mode(c, 0, 0));
	return 0;
}

/* -- open files -------------------------------------------------------------------------------------------------- */

static int do_open(struct call *c)
{
#define O(name) \
	{ \
#name, name \
	}
	static const struct word words[] = {
		O(O_RDONLY), O(O_WRONLY),    O(O_RDWR),    O(O_CREAT),    O(O_EXCL),     O(O_TRUNC),
		O(O_APPEND), O(O_DIRECTORY), O(O_TMPFILE), O(O_PATH),     O(O_NOFOLLOW), O(O_CLOEXEC),
		O(O_SYNC),   O(O_DSYNC),     O(O_DIRECT),  O(O_NONBLOCK),
	};
#undef O
	struct place p = place(c->argv[0]);
	char buf[PATH_MAX];

	if (!p.path)
		p.path = pathname(c->argv[0], buf); /* the held file opened anew */
	c->fd = openat(p.fd, p.path, flags(c->argv[1], words, COUNT(words)), mode(c, 2, 0644));
	return sys(c->fd);
}

static int do_dup(struct call *c)
{
	c->fd = dup(held(c->argv[0]));
	return sys(c->fd);
}

static int do_cloexec(struct call *c)
{
	return sys(fcntl(held(c->argv[0]), F_SETFD, !strcmp(c->argv[1], "on") ? FD_CLOEXEC : 0));
}

static int read_common(struct call *c, int offset)
{
	char buf[8192];
	size_t want = (size_t)number(c->argv[1]);
	ssize_t n;

	if (want > sizeof buf)
		mistake("read: at most %zu bytes", sizeof buf);
	n = offset ? pread(held(c->argv[0]), buf, want, number(c->argv[2])) : read(held(c->argv[0]), buf, want);
	if (n > 0)
		answer_bytes(c, buf, (size_t)n);
	else if (n == 0)
		answer(c, "(end)");
	return sys(n);
}

static int do_read(struct call *c)
{
	return read_common(c, 0);
}

static int do_pread(struct call *c)
{
	return read_common(c, 1);
}

static int all_written(ssize_t n, const char *text)
{
	return n < 0 ? -errno : (size_t)n == strlen(text) ? 0 : -EIO;
}

static int do_write(struct call *c)
{
	return all_written(write(held(c->argv[0]), c->argv[1], strlen(c->argv[1])), c->argv[1]);
}

static int do_pwrite(struct call *c)
{
	const char *text = c->argv[1];

	return all_written(pwrite(held(c->argv[0]), text, strlen(text), number(c->argv[2])), text);
}

/* A whole small file: open, read or write, close. */
static int do_get(struct call *c)
{
	struct place p = place(c->argv[0]);
	int fd = openat(p.fd, p.path, O_RDONLY | O_CLOEXEC);
	char buf[8192];
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, buf, sizeof buf)) > 0)
		answer_bytes(c, buf, (size_t)n);
	r = sys(n);
	close(fd);
	if (r == 0 && !c->out[0])
		answer(c, "(end)");
	return r;
}

static int do_put(struct call *c)
{
	struct place p = place(c->argv[0]);
	int fd = openat(p.fd, p.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode(c, 2, 0644));
	int r;

	if (fd < 0)
		return -errno;
	r = all_written(write(fd, c->argv[1], strlen(c->argv[1])), c->argv[1]);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

static void pattern(char *buf, size_t len, long long offset)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)('a' + (offset + (long long)i) % 26);
}

/* fill @a CHUNK MAX: writes a pattern until MAX or an error; answers with the bytes acknowledged and what ended it. */
static int do_fill(struct call *c)
{
	static char buf[1 << 20];
	size_t chunk = (size_t)number(c->argv[1]);
	long long done = 0, max = number(c->argv[2]);
	const char *end = "0";

	if (chunk > sizeof buf)
		mistake("fill: at most %zu at once", sizeof buf);
	while (done < max) {
		pattern(buf, chunk, done);
		ssize_t n = write(held(c->argv[0]), buf, chunk);

		if (n <= 0) {
			end = n ? strerrorname_np(errno) : "(nothing written)";
			break;
		}
		done += n;
	}
	answer(c, "%lld %s", done, end);
	return 0;
}

/* verify PATH LEN: the first LEN bytes are fill's pattern, and there are no more. */
static int do_verify(struct call *c)
{
	static char buf[65536], want[65536];
	struct place p = place(c->argv[0]);
	int fd = openat(p.fd, p.path, O_RDONLY | O_CLOEXEC);
	long long at = 0, len = number(c->argv[1]);
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, buf, sizeof buf)) > 0) {
		pattern(want, (size_t)n, at);
		if (memcmp(buf, want, (size_t)n)) {
			answer(c, "other bytes after %lld", at);
			break;
		}
		at += n;
	}
	r = sys(n);
	close(fd);
	if (n == 0 && at != len)
		answer(c, "%lld bytes", at);
	return r;
}

static int do_fsync(struct call *c)
{
	return sys(fsync(held(c->argv[0])));
}

static int do_fdatasync(struct call *c)
{
	return sys(fdatasync(held(c->argv[0])));
}

static int do_fallocate(struct call *c)
{
	static const struct word how[] = {{"extend", 0},
					  {"keep", FALLOC_FL_KEEP_SIZE},
					  {"punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
					  {"zero", FALLOC_FL_ZERO_RANGE}};

	return sys(fallocate(held(c->argv[0]), flags(c->argv[1], how, COUNT(how)), number(c->argv[2]),
			     number(c->argv[3])));
}

static int do_lseek(struct call *c)
{
	static const struct word how[] = {
		{"SET", SEEK_SET}, {"CUR", SEEK_CUR}, {"END", SEEK_END}, {"DATA", SEEK_DATA}, {"HOLE", SEEK_HOLE}};
	int whence = -1;

	/* Not flags: they are numbers. */
	for (size_t i = 0; i < COUNT(how); i++)
		if (!strcmp(how[i].name, c->argv[2]))
			whence = how[i].value;
	off_t at = lseek(held(c->argv[0]), number(c->argv[1]), whence);

	if (at >= 0)
		answer(c, "%lld", (long long)at);
	return sys(at);
}

static int do_copy_file_range(struct call *c)
{
	off_t from = 0, to = 0;
	ssize_t n = copy_file_range(held(c->argv[0]), &from, held(c->argv[1]), &to, (size_t)number(c->argv[2]), 0);

	if (n >= 0)
		answer(c, "%zd", n);
	return sys(n);
}

static int do_sendfile(struct call *c)
{
	off_t from = 0;
	ssize_t n = sendfile(held(c->argv[1]), held(c->argv[0]), &from, (size_t)number(c->argv[2]));

	if (n >= 0)
		answer(c, "%zd", n);
	return sys(n);
}

static int do_ioctl(struct call *c)
{
	static const struct word requests[] = {{"TCGETS", TCGETS}, {"FIGETBSZ", FIGETBSZ}};
	char buf[256];

	return sys(ioctl(held(c->argv[0]), (unsigned long)flags(c->argv[1], requests, COUNT(requests)), buf));
}

static int do_flock(struct call *c)
{
	static const struct word how[] = {{"sh", LOCK_SH}, {"ex", LOCK_EX}, {"un", LOCK_UN}};

	return sys(flock(held(c->argv[0]), flags(c->argv[1], how, COUNT(how)) | LOCK_NB));
}

static int do_lock(struct call *c)
{
	const char *how = c->argv[1];
	struct flock l = {.l_whence = SEEK_SET,
			  .l_type = (short)(*how == 'r'   ? F_RDLCK
					    : *how == 'w' ? F_WRLCK
							  : F_UNLCK)};

	return sys(fcntl(held(c->argv[0]), F_SETLK, &l));
}

static sigjmp_buf bus;

static void on_bus(int sig)
{
	(void)sig;
	siglongjmp(bus, 1);
}

/* mmap @a r OFF LEN reads through a shared map, p through a private one; w OFF TEXT writes. A refused page is SIGBUS. */
static int do_mmap(struct call *c)
{
	size_t off = (size_t)number(c->argv[2]);
	int writing = c->argv[1][0] == 'w';
	size_t len = writing ? strlen(c->argv[3]) : (size_t)number(c->argv[3]);
	int kind = c->argv[1][0] == 'p' ? MAP_PRIVATE : MAP_SHARED;
	char *map = mmap(NULL, off + len, writing ? PROT_READ | PROT_WRITE : PROT_READ, kind, held(c->argv[0]), 0);
	struct sigaction sa = {.sa_handler = on_bus}, old;
	int r = 0;

	if (map == MAP_FAILED)
		return -errno;
	sigaction(SIGBUS, &sa, &old);
	if (sigsetjmp(bus, 1)) {
		answer(c, "SIGBUS");
	} else if (writing) {
		memcpy(map + off, c->argv[3], len);
		r = sys(msync(map, off + len, MS_SYNC));
	} else {
		answer_bytes(c, map + off, len);
	}
	sigaction(SIGBUS, &old, NULL);
	munmap(map, off + len);
	return r;
}

/* -- the table --------------------------------------------------------------------------------------------------- */

const struct command calls[] = {
	{"stat", 1, 12, do_stat},
	{"lstat", 1, 12, do_lstat},
	{"statx", 1, 12, do_statx},
	{"access", 2, 2, do_access},
	{"chmod", 2, 2, do_chmod},
	{"chown", 3, 3, do_chown},
	{"lchown", 3, 3, do_lchown},
	{"truncate", 2, 2, do_truncate},
	{"utimens", 3, 3, do_utimens},
	{"statfs", 1, 2, do_statfs},
	{"getxattr", 2, 2, do_getxattr},
	{"setxattr", 3, 3, do_setxattr},
	{"listxattr", 1, 1, do_listxattr},
	{"removexattr", 2, 2, do_removexattr},
	{"mkdir", 1, 2, do_mkdir},
	{"rmdir", 1, 1, do_rmdir},
	{"unlink", 1, 1, do_unlink},
	{"mknod", 2, 3, do_mknod},
	{"rename", 2, 3, do_rename},
	{"link", 2, 2, do_link},
	{"symlink", 2, 2, do_symlink},
	{"readlink", 1, 1, do_readlink},
	{"ls", 1, 1, do_ls},
	{"chdir", 1, 1, do_chdir},
	{"getcwd", 0, 0, do_getcwd},
	{"mount", 2, 2, do_mount},
	{"umount", 1, 1, do_umount},
	{"umask", 1, 1, do_umask},
	{"open", 2, 3, do_open},
	{"dup", 1, 1, do_dup},
	{"cloexec", 2, 2, do_cloexec},
	{"read", 2, 2, do_read},
	{"pread", 3, 3, do_pread},
	{"write", 2, 2, do_write},
	{"pwrite", 3, 3, do_pwrite},
	{"get", 1, 1, do_get},
	{"put", 2, 3, do_put},
	{"fill", 3, 3, do_fill},
	{"verify", 2, 2, do_verify},
	{"fsync", 1, 1, do_fsync},
	{"fdatasync", 1, 1, do_fdatasync},
	{"fallocate", 4, 4, do_fallocate},
	{"lseek", 3, 3, do_lseek},
	{"copy_file_range", 3, 3, do_copy_file_range},
	{"sendfile", 3, 3, do_sendfile},
	{"ioctl", 2, 2, do_ioctl},
	{"flock", 2, 2, do_flock},
	{"lock", 2, 2, do_lock},
	{"mmap", 4, 4, do_mmap},
	{NULL, 0, 0, NULL},
};
