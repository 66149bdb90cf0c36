/* SPDX-License-Identifier: MIT */
#include "durable.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "util.h"

#define TEMP_PREFIX ".tmp-"
#define READ_TRIES 3

void temp_name(char name[static TEMP_NAME_MAX])
{
	char host[65] = "";
	uint64_t unique;
	if (getrandom(&unique, sizeof(unique), 0) != sizeof(unique))
		abort(); /* can't fail for so few bytes */
	gethostname(host, sizeof(host) - 1);
	for (char *c = host; *c; c++)
		if (*c == '/')
			*c = '_';
	snprintf(name, TEMP_NAME_MAX, TEMP_PREFIX "%s-%d-%016llx", host, (int)getpid(), (unsigned long long)unique);
}

bool temp_is(const char *name)
{
	return strncmp(name, TEMP_PREFIX, strlen(TEMP_PREFIX)) == 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int durable_fill(int dirfd, const char *name, const char *data, size_t len)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, data, len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(steal_fd(&fd)) < 0 && r == 0) /* where NFS tells of a full disk */
		r = -errno;
	if (r < 0)
		unlinkat(dirfd, name, 0);
	return r;
}

int durable_create(int dirfd, const char *name, const char *data, size_t len)
{
	char temp[TEMP_NAME_MAX];
	temp_name(temp);
	int r = durable_fill(dirfd, temp, data, len);
	if (r < 0)
		return r;
	if (linkat(dirfd, temp, dirfd, name, 0) < 0) {
		/* Repeated by the client because the reply was lost, it finds its own link: then there are two. */
		struct stat st;
		r = -errno;
		if (fstatat(dirfd, temp, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink == 2)
			r = 0;
	}
	if (unlinkat(dirfd, temp, 0) < 0 && r == 0)
		r = -errno;
	return r < 0 ? r : durable_sync_dir(dirfd, ".");
}

int durable_replace(int dirfd, const char *name, const char *data, size_t len)
{
	char temp[TEMP_NAME_MAX];
	temp_name(temp);
	int r = durable_fill(dirfd, temp, data, len);
	if (r < 0)
		return r;
	if (renameat(dirfd, temp, dirfd, name) < 0) {
		r = -errno;
		unlinkat(dirfd, temp, 0);
		return r;
	}
	return durable_sync_dir(dirfd, ".");
}

static int read_once(int dirfd, const char *name, size_t max, char **ret, size_t *len)
{
	/* O_NONBLOCK: a fifo in its place must not hang us. */
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? -EUCLEAN : -errno;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > max)
		return -EUCLEAN;

	size_t size = (size_t)st.st_size, n = 0;
	_cleanup_free_ char *text = malloc(size + 1);
	if (!text)
		return -ENOMEM;
	while (n < size) {
		ssize_t got = read(fd, text + n, size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	text[n] = '\0';
	*ret = steal_ptr(&text);
	*len = n;
	return 0;
}

int durable_read(int dirfd, const char *name, size_t max, char **ret, size_t *len)
{
	int r = -ENOENT;
	for (int i = 0; (r == -ENOENT || r == -ESTALE) && i < READ_TRIES; i++)
		r = read_once(dirfd, name, max, ret, len);
	return r;
}

int durable_place_dir(int dirfd, const char *temp, const char *name)
{
	int r = renameat2(dirfd, temp, dirfd, name, RENAME_NOREPLACE);
	if (r < 0 && (errno == EINVAL || errno == ENOSYS))
		r = renameat(dirfd, temp, dirfd, name);
	if (r < 0)
		return errno == ENOTEMPTY ? -EEXIST : -errno;
	return 0;
}

int durable_sync_dir(int dirfd, const char *name)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}
