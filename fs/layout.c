/* SPDX-License-Identifier: MIT */
#include "layout.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "durable.h"
#include "ended.h"
#include "probe.h"
#include "trash.h"
#include "tree.h"
#include "util.h"

#define FORMAT_TEXT "sessionfs-store 1\nuuid "
#define FORMAT_SIZE_MAX 1024

__attribute__((format(printf, 5, 6))) static int refuse(int error, const char *path, char *err, size_t errlen,
							const char *fmt, ...)
{
	int n = snprintf(err, errlen, "%s: ", path);
	va_list ap;
	va_start(ap, fmt);
	if (n >= 0 && (size_t)n < errlen)
		vsnprintf(err + n, errlen - (size_t)n, fmt, ap);
	va_end(ap);
	return error;
}

/* Whether nothing is in it but what a filesystem brings, and what a crash while it was made a store left behind. */
static int is_empty(int fd)
{
	_cleanup_closedir_ DIR *d = NULL;
	int r = tree_opendir(fd, ".", &d);
	if (r < 0)
		return r;
	const struct dirent *e;
	while (errno = 0, (e = readdir(d)))
		if (!tree_is_dots(e->d_name) && !temp_is(e->d_name) && strcmp(e->d_name, "lost+found") != 0)
			return 0;
	return errno ? -errno : 1;
}

static int format_create(int fd)
{
	uint8_t b[16];
	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return -EIO;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 4122, version 4 */
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);

	char text[sizeof(FORMAT_TEXT) + LAYOUT_UUID_LEN + 1];
	size_t n = strlen(strcpy(text, FORMAT_TEXT));
	for (size_t i = 0; i < sizeof(b); i++)
		n += (size_t)sprintf(text + n, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
	text[n++] = '\n';

	_cleanup_close_ int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? -errno : durable_create(dir, "FORMAT", text, n);
	return r == -EEXIST ? 0 : r; /* another daemon was first: its store is as good */
}

/* "sessionfs-store 1\nuuid <uuid>\n", and nothing else. */
static bool format_parse(const char *text, size_t len, char uuid[static LAYOUT_UUID_LEN + 1])
{
	const size_t head = strlen(FORMAT_TEXT);
	if (len != head + LAYOUT_UUID_LEN + 1 || memcmp(text, FORMAT_TEXT, head) != 0 || text[len - 1] != '\n' ||
	    strspn(text + head, "0123456789abcdef-") != LAYOUT_UUID_LEN)
		return false;
	memcpy(uuid, text + head, LAYOUT_UUID_LEN);
	uuid[LAYOUT_UUID_LEN] = '\0';
	return true;
}

/* Makes a directory with so many numbered ones in it, whole or not at all. */
static int make_dir(int fd, const char *name, unsigned shards)
{
	char temp[TEMP_NAME_MAX], shard[3];
	struct stat st;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	if (errno != ENOENT)
		return -errno;

	temp_name(temp);
	if (mkdirat(fd, temp, 0700) < 0)
		return -errno;
	_cleanup_close_ int dir = openat(fd, temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	for (unsigned i = 0; i < shards; i++) {
		snprintf(shard, sizeof(shard), "%02x", i & 0xff);
		if (mkdirat(dir, shard, 0700) < 0)
			return -errno;
	}
	if (fsync(dir) < 0)
		return -errno;
	if (renameat(fd, temp, fd, name) < 0) {
		if (errno != EEXIST && errno != ENOTEMPTY)
			return -errno;
		tree_empty(dir, UINT32_MAX); /* another daemon was first */
		unlinkat(fd, temp, AT_REMOVEDIR);
	}
	return durable_sync_dir(fd, ".");
}

static int make_dirs(int fd)
{
	static const struct {
		const char *name;
		unsigned shards;
	} dirs[] = {
		{"sessions", LAYOUT_SHARDS}, {TRASH_DIR, 0}, {"nodes", 0}, {LEAVING_DIR, 0}, {ENDED_DIR, 0},
		{"users", LAYOUT_SHARDS},
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(dirs); i++)
		r = make_dir(fd, dirs[i].name, dirs[i].shards);
	return r == -EROFS ? 0 : r; /* a store of an earlier release, which had not all of them: nobody can leave it */
}

int layout_open(const char *given, bool create, char *err, size_t errlen, struct layout *ret)
{
	_cleanup_free_ char *path = realpath(given, NULL);
	if (!path)
		return refuse(-errno, given, err, errlen, "%s", strerror(errno));
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return refuse(-errno, path, err, errlen, "%s", strerror(errno));
	if (st.st_uid != geteuid())
		return refuse(-EPERM, path, err, errlen, "belongs to uid %u, not to uid %u, who runs this", st.st_uid,
			      geteuid());
	if ((st.st_mode & 0777) != 0700)
		return refuse(-EPERM, path, err, errlen, "has mode %04o; a store must be 0700", st.st_mode & 07777);

	char lacks[256];
	int r = create ? probe_filesystem(fd, lacks, sizeof(lacks)) : 0;
	if (r < 0)
		return refuse(r, path, err, errlen, "%s", lacks);

	_cleanup_free_ char *text = NULL;
	size_t len;
	r = durable_read(fd, "FORMAT", FORMAT_SIZE_MAX, &text, &len);
	if (r == -ENOENT && create) {
		r = is_empty(fd);
		if (r > 0)
			r = format_create(fd);
		if (r < 0)
			return refuse(r, path, err, errlen, "making a store: %s", strerror(-r));
		/* Not empty may mean that another daemon has made it a store just now. */
		r = durable_read(fd, "FORMAT", FORMAT_SIZE_MAX, &text, &len);
		if (r == -ENOENT)
			return refuse(-ENOTEMPTY, path, err, errlen, "not empty, and not a store");
	}
	if (r == -ENOENT)
		return refuse(r, path, err, errlen, "not a store: there is no FORMAT in it");

	char uuid[LAYOUT_UUID_LEN + 1];
	if (r == 0 && !format_parse(text, len, uuid))
		r = -EUCLEAN;
	if (r == -EUCLEAN)
		return refuse(-EPROTONOSUPPORT, path, err, errlen, "FORMAT is not that of this release (%.*s)",
			      (int)strlen("sessionfs-store 1"), FORMAT_TEXT);
	if (r < 0)
		return refuse(r, path, err, errlen, "FORMAT: %s", strerror(-r));

	r = create ? make_dirs(fd) : 0;
	if (r < 0)
		return refuse(r, path, err, errlen, "making a store: %s", strerror(-r));
	ret->path = steal_ptr(&path);
	ret->fd = steal_fd(&fd);
	memcpy(ret->uuid, uuid, sizeof(ret->uuid));
	return 0;
}

void layout_close(struct layout *l)
{
	l->fd = close_fd(l->fd);
	free(l->path);
	l->path = NULL;
}
