/* SPDX-License-Identifier: MIT */
#include "mount.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "util.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif
#define ROOT_INO 1     /* FUSE's own, in include/uapi/linux/fuse.h */
#define PROTOCOL 1     /* of sessionfs-control(5) */
#define DEPTH_MAX 4096 /* of a path inside a mount */
#define CHUNK 65536
#define ANSWER_MAX (1024 * CHUNK)

/*
 * What the kernel knows of path below dirfd, without asking the daemon: whether it is gone is noticed by the openat()
 * that follows.
 */
static int look_at(int dirfd, const char *path, struct statx *ret)
{
	int flags = AT_STATX_DONT_SYNC | (path[0] ? 0 : AT_EMPTY_PATH);

	return statx(dirfd, path, flags, STATX_TYPE | STATX_INO | STATX_MNT_ID, ret) < 0 ? -errno : 0;
}

int mount_id(int fd, uint64_t *ret)
{
	struct statx sx;
	int r = look_at(fd, "", &sx);

	if (r == 0)
		*ret = sx.stx_mnt_id;
	return r;
}

/* Climbs from path to the root of the FUSE filesystem that it is in. 0 and an owned descriptor, or -errno. */
static int find_root(const char *path, int *ret)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;
	struct statx sx;
	struct statfs sf;

	if (fd < 0)
		return -errno;
	if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		if (fstatfs(fd, &sf) < 0)
			return -errno;
		if (sf.f_type != FUSE_SUPER_MAGIC)
			return -ENOTTY;
		int r = look_at(fd, "", &sx);
		if (r)
			return r;
		/* The root of a mount alone is not enough: a bind mount of a session has one (Linux 5.8). */
		if (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT && sx.stx_ino == ROOT_INO) {
			*ret = steal_fd(&fd);
			return 0;
		}
		int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (up < 0)
			return -errno;
		close(fd);
		fd = up;
	}
	return -ENOTTY;
}

/* 0 if what answers is a sessionfs, and one that we can talk to. */
static int check_protocol(int control)
{
	_cleanup_close_ int fd = openat(control, "version", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (fd < 0)
		return -errno;
	int r = mount_read(fd, &text, &len);
	if (r)
		return r;
	json_t *version = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	r = json_integer_value(json_object_get(version, "protocol")) == PROTOCOL ? 0 : -EPROTO;
	json_decref(version);
	return r;
}

/* The root's path, as the caller sees it. 0, or -ENOTTY where it is not to be seen there. */
static int path_of(int root, char **ret)
{
	char link[sizeof("/proc/self/fd/") + 3 * sizeof(int)], path[PATH_MAX];
	uint64_t id;
	struct statx sx;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", root);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	int r = mount_id(root, &id);
	if (r)
		return r;
	/* A mount that is detached, or below another, has no path, or not this one. */
	if (path[0] != '/' || look_at(AT_FDCWD, path, &sx) || sx.stx_mnt_id != id)
		return -ENOTTY;
	*ret = strdup(path);
	return *ret ? 0 : -ENOMEM;
}

int mount_open(const char *path, struct mount *ret)
{
	_cleanup_close_ int root = -1, control = -1;
	_cleanup_free_ char *name = NULL;

	int r = find_root(path, &root);
	if (r)
		return r;
	control = openat(root, ".sessionfs", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = control < 0 ? -errno : check_protocol(control);
	if (r) /* What another filesystem says of a name that it does not have. */
		return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EISDIR ? -ENOTTY : r;
	r = path_of(root, &name);
	if (r)
		return r;
	ret->path = steal_ptr(&name);
	ret->control = steal_fd(&control);
	return 0;
}

void mount_close(struct mount *m)
{
	free(steal_ptr(&m->path));
	m->control = close_fd(m->control);
}

int mount_follow(const struct mount *m, uint64_t *id)
{
	struct mount now;
	struct statx here;
	uint64_t held;

	int r = mount_id(m->control, &held);
	if (r)
		return r;
	/* After chroot(2) or setuid(2) the path may lead nowhere, and the mount still be good. */
	if (look_at(AT_FDCWD, m->path, &here) || here.stx_mnt_id == held) {
		*id = held;
		return 0;
	}
	r = mount_open(m->path, &now);
	if (r)
		return r;
	r = dup3(now.control, m->control, O_CLOEXEC) < 0 ? -errno : mount_id(now.control, id);
	mount_close(&now);
	return r;
}

int mount_control(const struct mount *m, const char *file, int flags, int *ret)
{
	int fd = openat(m->control, file, flags | O_NOFOLLOW | O_NOCTTY);

	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

int mount_read(int control, char **ret, size_t *len)
{
	_cleanup_free_ char *text = NULL;
	size_t used = 0;
	ssize_t n;

	/* A short read is the end: what can be bound through has no position, and would say it all again. */
	do {
		char *grown = used < ANSWER_MAX ? realloc(text, used + CHUNK + 1) : NULL;
		if (!grown)
			return used < ANSWER_MAX ? -ENOMEM : -EFBIG;
		text = grown;
		n = read(control, text + used, CHUNK);
		if (n < 0)
			return -errno;
		used += (size_t)n;
	} while (n == CHUNK);
	text[used] = '\0';
	*len = used;
	*ret = steal_ptr(&text);
	return 0;
}

const char *mount_strerror(int error)
{
	static const struct {
		int error;
		const char *text;
	} texts[] = {
		{ENOTTY, "no sessionfs is mounted here"},
		{ENOTCONN, "its daemon is gone (clear the mount with umount -l, and mount it again)"},
		{EPROTO, "its daemon speaks another protocol; use the client of its release"},
		{EKEYREJECTED, "the token is not accepted here"},
		{EKEYEXPIRED, "the token has expired; get a new one"},
		{EKEYREVOKED, "the session has been revoked"},
		{ESTALE, "this release of the application is not admitted"},
		{EMSGSIZE, "the token is too long"},
		{EINVAL, "the daemon does not understand the request; is it of another version?"},
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].error == -error)
			return texts[i].text;
	const char *text = strerrordesc_np(-error); /* static, where strerror() may write */
	return text ? text : "unknown error";
}
