/* SPDX-License-Identifier: MIT */
/*
 * deficient DEFECT DIR MOUNT
 *
 * Shows DIR at MOUNT, as a filesystem that lacks something: a store must not be put there. Stays in the foreground, until it
 * is unmounted. One thread; names are DIR's own but for `case`.
 *
 *     none        nothing
 *     link        hard links (ENOSYS)             nlink      the count of links is always 1
 *     replace     a rename that replaces (EEXIST) shadow     a rename over a file makes no change, and says 0
 *     merge       a directory takes the place of another, whatever is in it
 *     fsync       fsync (EINVAL)                  fsyncdir   that of directories
 *     mode        modes are 0777, silently        owner      owners are root's, silently      squash   chown is EPERM
 *     case        names that differ in case alone are one
 */
#define FUSE_USE_VERSION 317
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *defect, *top;

static int is(const char *name)
{
	return strcmp(defect, name) == 0;
}

static int result(int ret)
{
	return ret < 0 ? -errno : 0;
}

/* Where a path lies below. One of a few buffers, in turn. */
static const char *at(const char *path)
{
	static char paths[4][PATH_MAX];
	static int turn;
	char *p = paths[turn++ % 4];

	snprintf(p, PATH_MAX, "%s%s", top, path);
	if (is("case"))
		for (char *c = p + strlen(top); *c; c++)
			*c = (char)tolower((unsigned char)*c);
	return p;
}

static int do_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	if (lstat(at(path), st) < 0)
		return -errno;
	if (is("mode"))
		st->st_mode |= 0777;
	if (is("owner"))
		st->st_uid = st->st_gid = 0;
	if (is("nlink"))
		st->st_nlink = 1;
	if (is("mode") && strrchr(path, '/')[1] == 's') /* the store itself is as it must be */
		st->st_mode &= ~(mode_t)077;
	return 0;
}

static int do_mkdir(const char *path, mode_t mode)
{
	return result(mkdir(at(path), mode));
}

static int do_unlink(const char *path)
{
	return result(unlink(at(path)));
}

static int do_rmdir(const char *path)
{
	return result(rmdir(at(path)));
}

static int do_rename(const char *from, const char *to, unsigned flags)
{
	struct stat st;
	int there = lstat(at(to), &st) == 0;

	if (flags)
		return -EINVAL;
	if (is("replace") && there)
		return -EEXIST;
	if (is("shadow") && there && S_ISREG(st.st_mode))
		return result(unlink(at(from)));
	if (is("merge") && there && S_ISDIR(st.st_mode)) {
		char in[PATH_MAX];
		snprintf(in, sizeof(in), "%s/in", to); /* all that the probe puts there */
		rmdir(at(in));
	}
	return result(rename(at(from), at(to)));
}

static int do_link(const char *from, const char *to)
{
	return is("link") ? -ENOSYS : result(link(at(from), at(to)));
}

static int do_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	(void)fi;
	return is("mode") ? 0 : result(chmod(at(path), mode));
}

static int do_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi)
{
	(void)fi;
	return is("owner") ? 0 : is("squash") ? -EPERM : result(lchown(at(path), uid, gid));
}

static int do_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	(void)fi;
	return result(truncate(at(path), size));
}

static int do_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *fi)
{
	(void)fi;
	return result(utimensat(AT_FDCWD, at(path), times, AT_SYMLINK_NOFOLLOW));
}

static int enter(int fd, struct fuse_file_info *fi)
{
	fi->fh = (uint64_t)fd;
	return result(fd);
}

static int do_open(const char *path, struct fuse_file_info *fi)
{
	return enter(open(at(path), fi->flags & ~(O_CREAT | O_EXCL)), fi);
}

static int do_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	return enter(open(at(path), fi->flags | O_CREAT, mode), fi);
}

static int do_read(const char *path, char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	ssize_t n = pread((int)fi->fh, buf, size, off);

	(void)path;
	return n < 0 ? -errno : (int)n;
}

static int do_write(const char *path, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	ssize_t n = pwrite((int)fi->fh, buf, size, off);

	(void)path;
	return n < 0 ? -errno : (int)n;
}

static int do_release(const char *path, struct fuse_file_info *fi)
{
	(void)path;
	close((int)fi->fh);
	return 0;
}

static int do_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)path, (void)datasync;
	return is("fsync") ? -EINVAL : result(fsync((int)fi->fh));
}

static int do_fsyncdir(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)path, (void)datasync, (void)fi;
	return is("fsyncdir") ? -EINVAL : 0;
}

static int do_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t off, struct fuse_file_info *fi,
		      enum fuse_readdir_flags flags)
{
	DIR *d = opendir(at(path));
	struct dirent *e;

	(void)off, (void)fi, (void)flags;
	if (!d)
		return -errno;
	while ((e = readdir(d)))
		fill(buf, e->d_name, NULL, 0, (enum fuse_fill_dir_flags)0);
	closedir(d);
	return 0;
}

/* The library would rename an open file out of the way, before we are asked to replace it. */
static void *do_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
	(void)conn;
	config->hard_remove = 1;
	return NULL;
}

static const struct fuse_operations operations = {
	.init = do_init,
	.getattr = do_getattr,
	.mkdir = do_mkdir,
	.unlink = do_unlink,
	.rmdir = do_rmdir,
	.rename = do_rename,
	.link = do_link,
	.chmod = do_chmod,
	.chown = do_chown,
	.truncate = do_truncate,
	.utimens = do_utimens,
	.open = do_open,
	.create = do_create,
	.read = do_read,
	.write = do_write,
	.release = do_release,
	.fsync = do_fsync,
	.fsyncdir = do_fsyncdir,
	.readdir = do_readdir,
};

int main(int argc, char **argv)
{
	if (argc != 4) {
		fputs("usage: deficient DEFECT DIR MOUNT\n", stderr);
		return 2;
	}
	defect = argv[1];
	top = argv[2];
	umask(0);
	char *args[] = {argv[0], "-f", "-s", "-odefault_permissions,entry_timeout=0,attr_timeout=0,negative_timeout=0",
			argv[3], NULL};
	return fuse_main(5, args, &operations, NULL);
}
