/* SPDX-License-Identifier: MIT */
#include "backing.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "creds.h"
#include "util.h"

#define PROC_FD_LEN sizeof("/proc/self/fd/2147483647")

static const char *proc_fd(int fd, char buf[static PROC_FD_LEN])
{
	snprintf(buf, PROC_FD_LEN, "/proc/self/fd/%d", fd);
	return buf;
}

/*
 * Of a call on a file that we hold. ENOENT is what some network filesystems say when another host removed it: to our
 * caller, whose kernel came here by a name, it is ESTALE, which makes that kernel look the name up again.
 */
static int result(int ret)
{
	return ret >= 0 ? 0 : errno == ENOENT ? -ESTALE : -errno;
}

/* struct file_handle ends in a flexible array: this is one with room. */
union handle_room {
	struct file_handle h;
	char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

int backing_init(struct backing *b, int dirfd)
{
	struct stat st;
	_cleanup_close_ int root = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || fstat(root, &st) < 0)
		return -errno;

	struct backing try = {.root = root, .dev = st.st_dev, .handles = true};
	struct backing_key key;
	_cleanup_close_ int fd = -1;
	try.handles = backing_key(&try, root, &st, &key) == 0 && key.bytes > 0 &&
		      backing_open_key(&try, &key, &fd) == 0;
	*b = try;
	steal_fd(&root);
	return 0;
}

void backing_fini(struct backing *b)
{
	b->root = close_fd(b->root);
}

int backing_look(const struct backing *b, int dirfd, const char *name, int *fd, struct stat *st)
{
	_cleanup_close_ int found = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (found < 0)
		return -errno;
	int err = backing_stat(found, st);
	if (err)
		return err;
	if (st->st_dev != b->dev)
		return -EXDEV; /* something mounted inside the store: not ours to show */
	*fd = steal_fd(&found);
	return 0;
}

int backing_key(const struct backing *b, int fd, const struct stat *st, struct backing_key *key)
{
	struct backing_key k = {.dev = st->st_dev, .ino = st->st_ino};
	if (b->handles) {
		union handle_room room = {.h.handle_bytes = MAX_HANDLE_SZ};
		int mount_id;
		if (name_to_handle_at(fd, "", &room.h, &mount_id, AT_EMPTY_PATH) < 0)
			return -errno;
		if (room.h.handle_bytes <= BACKING_HANDLE_MAX) {
			k.type = room.h.handle_type;
			k.bytes = room.h.handle_bytes;
			memcpy(k.data, room.h.f_handle, k.bytes);
		}
	}
	*key = k;
	return 0;
}

bool backing_key_equal(const struct backing_key *a, const struct backing_key *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->type == b->type && a->bytes == b->bytes &&
	       memcmp(a->data, b->data, a->bytes) == 0;
}

int backing_open_key(const struct backing *b, const struct backing_key *key, int *fd)
{
	union handle_room room = {.h = {.handle_bytes = key->bytes, .handle_type = key->type}};
	memcpy(room.h.f_handle, key->data, key->bytes);
	creds_restore(); /* a caller's fsuid has no CAP_DAC_READ_SEARCH */
	int found = open_by_handle_at(b->root, &room.h, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (found < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	*fd = found;
	return 0;
}

int backing_reopen(int fd, int flags)
{
	char path[PROC_FD_LEN];
	int ret = open(proc_fd(fd, path), flags | O_CLOEXEC | O_NOCTTY);
	return ret < 0 ? result(ret) : ret;
}

int backing_path_fd(int fd)
{
	return backing_reopen(fd, O_PATH);
}

int backing_stat(int fd, struct stat *st)
{
	return result(fstatat(fd, "", st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
}

int backing_chmod(int fd, mode_t mode)
{
	char path[PROC_FD_LEN];
	return result(chmod(proc_fd(fd, path), mode)); /* fchmod refuses O_PATH */
}

int backing_chown(int fd, uid_t uid, gid_t gid)
{
	return result(fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
}

int backing_utimens(int fd, const struct timespec times[2])
{
	/* glibc's utimensat takes no AT_EMPTY_PATH with a name of "" on some versions; the kernel does since 5.8. */
	return result((int)syscall(SYS_utimensat, fd, "", times, AT_EMPTY_PATH));
}

int backing_truncate(int fd, off_t size)
{
	char path[PROC_FD_LEN];
	return result(truncate(proc_fd(fd, path), size));
}

int backing_access(int fd, int mask)
{
	/* AT_EACCESS: the fsuid that the thread took on, not the daemon's real uid. faccessat2 is Linux 5.8. */
	return result((int)syscall(SYS_faccessat2, fd, "", mask, AT_EMPTY_PATH | AT_EACCESS));
}

int backing_link(int fd, int dirfd, const char *name)
{
	/* AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH, which a caller's fsuid does not have. */
	char path[PROC_FD_LEN];
	return linkat(AT_FDCWD, proc_fd(fd, path), dirfd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}
