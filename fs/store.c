/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "durable.h"
#include "ended.h"
#include "probe.h"
#include "stats.h"
#include "trash.h"
#include "tree.h"
#include "users.h"
#include "util.h"

#define FORMAT_TEXT "sessionfs-store 1\nuuid "
#define FORMAT_SIZE_MAX 1024
#define UUID_LEN 36
#define SHARDS 256
#define SHARD_PATH_MAX sizeof("sessions/00")
#define SESSION_PATH_MAX (SHARD_PATH_MAX + 1 + SID_HASH_LEN)
#define TEMP_AGE 3600  /* seconds: no creation and no update takes that long */
#define ENDED_TURNS 64 /* calls of store_empty_trash() between two looks at what was told, and files looked at */
#define ENDED_BUDGET 4096
#define TRIES 8 /* how often we start again because another daemon was faster */

struct store {
	char *path; /* owned */
	char uuid[UUID_LEN + 1];
	int fd;
	struct ended ended;
	atomic_uint swept; /* shards that store_empty_trash() has looked through */
};

/*
 * --- opening
 * --------------------------------------------------------------------------------------------------------
 */

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

	char text[sizeof(FORMAT_TEXT) + UUID_LEN + 1];
	size_t n = strlen(strcpy(text, FORMAT_TEXT));
	for (size_t i = 0; i < sizeof(b); i++)
		n += (size_t)sprintf(text + n, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
	text[n++] = '\n';

	_cleanup_close_ int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? -errno : durable_create(dir, "FORMAT", text, n);
	return r == -EEXIST ? 0 : r; /* another daemon was first: its store is as good */
}

/* "sessionfs-store 1\nuuid <uuid>\n", and nothing else. */
static bool format_parse(const char *text, size_t len, char uuid[static UUID_LEN + 1])
{
	const size_t head = strlen(FORMAT_TEXT);
	if (len != head + UUID_LEN + 1 || memcmp(text, FORMAT_TEXT, head) != 0 || text[len - 1] != '\n' ||
	    strspn(text + head, "0123456789abcdef-") != UUID_LEN)
		return false;
	memcpy(uuid, text + head, UUID_LEN);
	uuid[UUID_LEN] = '\0';
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

static int open_checked(const char *given, bool create, char *err, size_t errlen, struct store **ret)
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

	char uuid[UUID_LEN + 1];
	if (r == 0 && !format_parse(text, len, uuid))
		r = -EUCLEAN;
	if (r == -EUCLEAN)
		return refuse(-EPROTONOSUPPORT, path, err, errlen, "FORMAT is not that of this release (%.*s)",
			      (int)strlen("sessionfs-store 1"), FORMAT_TEXT);
	if (r < 0)
		return refuse(r, path, err, errlen, "FORMAT: %s", strerror(-r));

	if (create) {
		r = make_dir(fd, "sessions", SHARDS);
		if (r == 0)
			r = make_dir(fd, TRASH_DIR, 0);
		if (r == 0)
			r = make_dir(fd, "nodes", 0);
		if (r == 0)
			r = make_dir(fd, LEAVING_DIR, 0);
		if (r == 0)
			r = make_dir(fd, ENDED_DIR, 0);
		if (r == 0)
			r = make_dir(fd, "users", SHARDS);
		if (r == -EROFS) /* a store of an earlier release, which had not all of them: nobody can leave it */
			r = 0;
		if (r < 0)
			return refuse(r, path, err, errlen, "making a store: %s", strerror(-r));
	}

	struct store *s = malloc(sizeof(*s));
	if (!s)
		return refuse(-ENOMEM, path, err, errlen, "%s", strerror(ENOMEM));
	s->path = steal_ptr(&path);
	s->fd = steal_fd(&fd);
	memcpy(s->uuid, uuid, sizeof(s->uuid));
	ended_init(&s->ended, s->fd);
	atomic_init(&s->swept, 0);
	*ret = s;
	return 0;
}

int store_open(const char *path, char *err, size_t errlen, struct store **ret)
{
	return open_checked(path, true, err, errlen, ret);
}

int store_open_existing(const char *path, char *err, size_t errlen, struct store **ret)
{
	return open_checked(path, false, err, errlen, ret);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	close_fd(s->fd);
	free(s->path);
	free(s);
}

const char *store_path(const struct store *s)
{
	return s->path;
}

const char *store_uuid(const struct store *s)
{
	return s->uuid;
}

int store_fd(const struct store *s)
{
	return s->fd;
}

/*
 * --- finding
 * --------------------------------------------------------------------------------------------------------
 */

/* Names come from tools' arguments too: nothing but 64 lower-case hex digits is made part of a path. */
static bool name_valid(const char *name)
{
	return strspn(name, "0123456789abcdef") == SID_HASH_LEN && name[SID_HASH_LEN] == '\0';
}

static int open_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? -EUCLEAN : -errno;
	return fd;
}

static int open_shard(const struct store *s, const char *name)
{
	char path[SHARD_PATH_MAX];
	snprintf(path, sizeof(path), "sessions/%.2s", name);
	int fd = open_dir(s->fd, path);
	return fd == -ENOENT ? -EUCLEAN : fd; /* all were made with the store */
}

/* A session's directory, from its shard opened afresh: only so is ENOENT a proof on NFS. */
static int open_session(const struct store *s, const char *name, int *ret)
{
	if (!name_valid(name))
		return -EINVAL;
	int r = -ESTALE;
	for (int i = 0; r == -ESTALE && i < TRIES; i++) {
		_cleanup_close_ int shard = open_shard(s, name);
		r = shard < 0 ? shard : open_dir(shard, name);
	}
	if (r < 0)
		return r;
	*ret = r;
	return 0;
}

int store_session_dir(struct store *s, const char *name, int *ret)
{
	return open_session(s, name, ret);
}

static int open_trash(const struct store *s)
{
	return open_dir(s->fd, TRASH_DIR);
}

/*
 * --- meta.json
 * ------------------------------------------------------------------------------------------------------
 */

/* Since when, in Unix seconds of whoever keeps the filesystem's time; 0 if it is not revoked; -errno. */
static int64_t revoked_since(int dir)
{
	struct stat st;
	if (fstatat(dir, "revoked", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return st.st_mtime > 0 ? st.st_mtime : 1;
	return errno == ENOENT ? 0 : -errno;
}

static int is_revoked(int dir)
{
	int64_t since = revoked_since(dir);
	return since > 0 ? 1 : (int)since;
}

static int meta_read(int dir, const char *name, struct meta *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	struct meta m;
	int r = durable_read(dir, "meta.json", META_SIZE_MAX, &text, &len);
	if (r == 0)
		r = meta_parse(text, len, &m);
	if (r < 0)
		return r;

	char hash[SID_HASH_LEN + 1];
	sid_hash(m.sid, hash);
	if (strcmp(hash, name) != 0)
		return -EUCLEAN;
	int64_t since = revoked_since(dir);
	if (since < 0)
		return (int)since;
	m.revoked = m.revoked || since > 0;
	m.revoked_at = since;
	*ret = m;
	return 0;
}

/* A session's directory and what its meta.json says. */
static int read_session(const struct store *s, const char *name, int *dir, struct meta *ret)
{
	/*
	 * A meta.json that is missing is damage, unless the session was on its way to the trash: then it is gone now.
	 */
	int r = -ENOENT;
	for (int i = 0; r == -ENOENT && i < TRIES; i++) {
		_cleanup_close_ int fd = -1;
		r = open_session(s, name, &fd);
		if (r < 0)
			return r;
		r = meta_read(fd, name, ret);
		if (r == 0)
			*dir = steal_fd(&fd);
	}
	return r == -ENOENT ? -EUCLEAN : r;
}

int store_meta_read(struct store *s, const char *name, struct meta *ret)
{
	_cleanup_close_ int dir = -1;
	return read_session(s, name, &dir, ret);
}

bool store_is_same(int dir, int other)
{
	struct stat a, b;
	return fstat(dir, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int store_look(struct store *s, const char *name, int dir, struct meta *ret)
{
	_cleanup_close_ int now = -1;
	struct stat st;
	struct meta m;
	int r = read_session(s, name, &now, &m);
	/* ENOENT and ESTALE are what network filesystems say of a directory that another host deleted. */
	if (r == 0 && fstat(dir, &st) < 0 && errno != ENOENT && errno != ESTALE)
		r = -errno;
	if (r == 0 && !store_is_same(now, dir))
		r = -ESTALE;
	if (r == 0)
		*ret = m;
	return r;
}

static int meta_replace(int dir, const struct meta *m)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = meta_format(m, &text, &len);
	return r < 0 ? r : durable_replace(dir, "meta.json", text, len);
}

static bool is_no_space(int error)
{
	return error == -ENOSPC || error == -EDQUOT;
}

static int mark_revoked(int dir)
{
	int r = durable_create(dir, "revoked", "", 0);
	return r == -EEXIST ? 0 : r;
}

/* Takes temporaries of crashed creations and updates out of a directory of ours. */
int store_sweep(const struct store *s, int dir)
{
	_cleanup_closedir_ DIR *d = NULL;
	int r = tree_opendir(dir, ".", &d);
	const struct dirent *e;
	while (r == 0 && (e = readdir(d))) {
		struct stat st;
		if (!temp_is(e->d_name) || fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    time(NULL) - st.st_mtime < TEMP_AGE)
			continue;
		_cleanup_close_ int trash = open_trash(s);
		if (trash < 0)
			r = trash;
		else if (renameat(dir, e->d_name, trash, e->d_name) < 0 && errno != ENOENT)
			r = -errno; /* ENOENT: another daemon sweeps too */
	}
	return r;
}

/* store_meta_update() for a session that was opened and read. */
static int meta_update(struct store *s, const char *name, int dir, struct meta *m,
		       bool (*change)(struct meta *m, void *ctx), void *ctx)
{
	int r = 0;
	for (int i = 0; r == 0 && i < TRIES; i++) {
		bool was = m->revoked;
		if (!change(m, ctx))
			return 0;
		m->revoked = m->revoked || was;
		m->version++;
		if (m->revoked)
			r = mark_revoked(dir); /* first: who reads between the two must see it */
		if (r == 0 && m->revoked && !was)
			ended_tell(&s->ended, name);
		if (r == 0)
			r = meta_replace(dir, m);
		if (m->revoked && is_no_space(r) && is_revoked(dir) > 0)
			r = 0; /* the mark says all that matters */
		if (r < 0)
			return r;

		/* Has a tombstone come in between? Then ours replaced it. */
		r = m->revoked ? 0 : is_revoked(dir);
		if (r == 0) {
			(void)store_sweep(s, dir); /* the update is stored, whatever becomes of older ones */
			return 0;
		}
		if (r > 0)
			r = meta_read(dir, name, m);
	}
	return r;
}

int store_meta_update(struct store *s, const char *name, bool (*change)(struct meta *m, void *ctx), void *ctx)
{
	_cleanup_close_ int dir = -1;
	struct meta m;
	int r = read_session(s, name, &dir, &m);
	return r < 0 ? r : meta_update(s, name, dir, &m, change, ctx);
}

/* Whether what dir is of is not in the place of that name any more. */
static bool is_elsewhere(const struct store *s, const char *name, int dir)
{
	_cleanup_close_ int there = -1;
	int r = open_session(s, name, &there);
	return r == -ENOENT || (r == 0 && !store_is_same(dir, there));
}

static bool note_used(struct meta *m, void *ctx)
{
	int64_t now = *(const int64_t *)ctx;
	bool later = now > m->last_used && !m->revoked;
	if (later)
		m->last_used = now;
	return later;
}

int store_use(struct store *s, const char *name, int dir, int64_t now)
{
	_cleanup_close_ int there = -1;
	struct meta m;
	int r = meta_read(dir, name, &m);
	if (r == 0)
		r = meta_update(s, name, dir, &m, note_used, &now);
	/* Written through a descriptor, which reaches a session that is in the trash by now too. Is it still there? */
	int found = open_session(s, name, &there);
	if (found == -ENOENT || (found == 0 && !store_is_same(dir, there)))
		return -ENOENT;
	if (r == 0)
		r = found;
	if (r == 0)
		r = is_revoked(there);
	return r > 0 ? -EKEYREVOKED : r == -ENOENT ? -EUCLEAN : r;
}

/*
 * --- creating
 * -------------------------------------------------------------------------------------------------------
 */

/*
 * Makes an empty data/ under some name. The directory is ours alone until it is renamed: no link can be in its place.
 */
static int make_data(int dir, const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	if (mkdirat(dir, name, 0700) < 0)
		return -errno;
	int r = 0;
	if (fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 || fchmodat(dir, name, mode, 0) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir, name, AT_REMOVEDIR);
	return r;
}

int store_make_data(int dir, mode_t mode, uid_t uid, gid_t gid)
{
	struct stat st;
	if (fstatat(dir, "data", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	if (errno != ENOENT)
		return -errno;

	char temp[TEMP_NAME_MAX];
	temp_name(temp);
	int r = make_data(dir, temp, mode, uid, gid);
	if (r < 0)
		return r;
	/*
	 * An empty directory may be renamed over another empty one, which another daemon has just made and shows
	 * already. No network filesystem has NOREPLACE: there, the loser's users get ESTALE until they look again.
	 */
	r = durable_place_dir(dir, temp, "data");
	if (r < 0)
		unlinkat(dir, temp, AT_REMOVEDIR);
	return r;
}

/* Makes data/ again where its owner has removed it. */
static int ensure_data(int dir, uid_t uid, gid_t gid)
{
	struct stat st;
	int r = store_make_data(dir, 0777, uid, gid);
	if (r == -EEXIST)
		return fstatat(dir, "data", &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode) ? -EUCLEAN : 0;
	if (r == 0)
		r = durable_sync_dir(dir, "data");
	return r < 0 ? r : durable_sync_dir(dir, ".");
}

/* Fills a new session's directory and renames it into place. 0 also when another daemon was first. */
static int fill_session(int shard, const char *temp, const char *name, const struct meta *m, uid_t uid, gid_t gid)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = meta_format(m, &text, &len);
	if (r < 0)
		return r;
	_cleanup_close_ int dir = open_dir(shard, temp);
	if (dir < 0)
		return dir;
	r = durable_fill(dir, "meta.json", text, len);
	if (r == 0)
		r = make_data(dir, "data", 0777, uid, gid);
	if (r == 0)
		r = durable_sync_dir(dir, "data");
	if (r == 0 && fsync(dir) < 0)
		r = -errno;
	if (r == 0 && renameat(shard, temp, shard, name) == 0)
		return durable_sync_dir(shard, ".");
	if (r == 0 && errno != EEXIST && errno != ENOTEMPTY)
		r = -errno;

	/* ENOENT may be the answer to a rename that was sent twice: then it is in place, and not here. */
	struct stat st;
	if (r == -ENOENT && fstatat(shard, temp, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return durable_sync_dir(shard, ".");
	unlinkat(dir, "meta.json", 0);
	unlinkat(dir, "data", AT_REMOVEDIR);
	unlinkat(shard, temp, AT_REMOVEDIR);
	return r;
}

static int create_session(const struct store *s, const char *name, const struct meta *m, uid_t uid, gid_t gid)
{
	char temp[TEMP_NAME_MAX];
	_cleanup_close_ int shard = open_shard(s, name);
	if (shard < 0)
		return shard;
	temp_name(temp);
	if (mkdirat(shard, temp, 0700) < 0)
		return -errno;
	return fill_session(shard, temp, name, m, uid, gid);
}

/* read_session() for who wants to enter: one that was removed while it was read is not revoked, it is not there. */
static int find_session(const struct store *s, const char *name, int *dir, struct meta *ret)
{
	int r = read_session(s, name, dir, ret);
	if (r == 0 && ret->revoked && is_elsewhere(s, name, *dir)) {
		*dir = close_fd(*dir);
		r = -ENOENT;
	}
	return r;
}

int store_claim(struct store *s, const char *sid, const char *sub, uid_t uid, gid_t gid, int64_t now, struct meta *ret,
		int *dirfd)
{
	char name[SID_HASH_LEN + 1];
	if (!sid_valid(sid, strlen(sid)) || !sub_valid(sub, strlen(sub)))
		return -EINVAL;
	sid_hash(sid, name);

	struct meta m = {.version = 1, .created = now, .last_used = now};
	memcpy(m.sid, sid, strlen(sid));
	memcpy(m.sub, sub, strlen(sub));
	_cleanup_close_ int dir = -1;
	struct meta found;
	int r = find_session(s, name, &dir, &found);
	for (int i = 0; r == -ENOENT && i < TRIES; i++) {
		/*
		 * It may be on its way out, and not over yet: then it is back now. Looked for between two looks at the
		 * place, since it may also have gone back by itself.
		 */
		r = trash_return(s->fd, name);
		if (r >= 0)
			r = find_session(s, name, &dir, &found);
		if (r == -ENOENT)
			r = create_session(s, name, &m, uid, gid);
		if (r == 0 && dir < 0)
			r = find_session(s, name, &dir, &found);
	}
	if (r < 0)
		return r;

	bool ours = strcmp(found.sub, sub) == 0;
	if (!ours || found.revoked) {
		*ret = found;
		return ours ? -EKEYREVOKED : -EKEYREJECTED;
	}
	r = ensure_data(dir, uid, gid);
	if (r < 0)
		return r;
	int fd = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret = found;
	*dirfd = fd;
	return 0;
}

/*
 * --- removing
 * -------------------------------------------------------------------------------------------------------
 */

static bool make_tombstone(struct meta *m, void *ctx)
{
	(void)ctx;
	bool change = !m->revoked;
	m->revoked = true;
	return change;
}

/* Whether what was taken is what the tombstone was made for. */
static bool is_the_one(int dir, void *ctx)
{
	return store_is_same(dir, *(const int *)ctx);
}

/* What stays of it there counts for nothing; one that was made anew meanwhile is the user's again. */
static void leave_user(struct store *s, const char *sub, const char *name)
{
	_cleanup_close_ int dir = -1;
	if (open_session(s, name, &dir) == -ENOENT)
		(void)users_leave(s, sub, name);
}

int store_remove(struct store *s, const char *name)
{
	_cleanup_close_ int dir = -1, gone = -1;
	struct meta m;
	int r = read_session(s, name, &dir, &m);
	bool owned = r == 0;
	if (owned) {
		r = meta_update(s, name, dir, &m, make_tombstone, NULL);
	} else if (r == -EUCLEAN) { /* the mark is tombstone enough for a damaged one */
		r = open_session(s, name, &dir);
		if (r == 0)
			r = mark_revoked(dir);
	}
	if (is_no_space(r)) /* a full disk needs this most: the others learn of it by its absence */
		r = 0;
	if (r < 0)
		return r;
	r = -EAGAIN;
	for (int i = 0; r == -EAGAIN && i < TRIES; i++)
		r = trash_take(s->fd, name, is_the_one, &dir, &gone);
	if (r == 0)
		ended_tell(&s->ended, name);
	if (r == 0 && owned)
		leave_user(s, m.sub, name);
	return r == -EAGAIN ? -ENOENT : r; /* removed by another, and another one is there */
}

struct condition {
	const char *name;
	bool (*sure)(const struct meta *m, void *ctx);
	void *ctx;
};

static bool is_sure(int dir, void *ctx)
{
	const struct condition *c = ctx;
	struct meta m;
	return meta_read(dir, c->name, &m) == 0 && c->sure(&m, c->ctx);
}

int store_remove_if(struct store *s, const char *name, bool (*sure)(const struct meta *m, void *ctx), void *ctx)
{
	struct condition c = {name, sure, ctx};
	_cleanup_close_ int dir = -1, gone = -1;
	struct meta m;
	int r = read_session(s, name, &dir, &m);
	if (r < 0)
		return r;
	if (!sure(&m, ctx))
		return -EAGAIN;
	r = trash_take(s->fd, name, is_sure, &c, &gone);
	if (r < 0)
		return r;
	/* For those who hold its directory open, here or where a network filesystem shows it for a while. */
	(void)mark_revoked(gone);
	ended_tell(&s->ended, name);
	leave_user(s, m.sub, name);
	return 0;
}

int store_tell_again(struct store *s)
{
	return ended_tell_again(&s->ended);
}

int store_empty_trash(struct store *s, unsigned budget)
{
	char path[SHARD_PATH_MAX];
	unsigned turn = atomic_fetch_add(&s->swept, 1);
	snprintf(path, sizeof(path), "sessions/%02x", turn % SHARDS);
	_cleanup_close_ int shard = open_dir(s->fd, path);
	_cleanup_close_ int trash = open_trash(s);
	if (shard < 0 || trash < 0)
		return shard < 0 ? shard : trash;
	int r = store_sweep(s, shard);
	if (r == 0)
		r = store_sweep(s, s->fd); /* of a store that was being made */
	if (r == 0 && turn % ENDED_TURNS == 0)
		r = ended_sweep(s->fd, ENDED_BUDGET);
	if (r == -ENOENT) /* of an earlier release, and read-only */
		r = 0;
	int left = tree_empty(trash, budget);
	return r < 0 ? r : left;
}

/*
 * --- looking
 * --------------------------------------------------------------------------------------------------------
 */

void store_walk_end(struct store_walk *w)
{
	if (w->dir)
		closedir(w->dir);
	*w = (struct store_walk){.first = w->first};
}

int store_walk_next(struct store *s, struct store_walk *w, char name[static SID_HASH_LEN + 1])
{
	if (!w->dir) {
		char path[SHARD_PATH_MAX];
		DIR *d;
		if (w->done == SHARDS)
			return STORE_WALK_OVER;
		snprintf(path, sizeof(path), "sessions/%02x", (w->first + w->done) % SHARDS);
		int r = tree_opendir(s->fd, path, &d);
		if (r < 0)
			return r;
		w->dir = d;
	}
	const struct dirent *e;
	while (errno = 0, (e = readdir(w->dir)))
		if (name_valid(e->d_name)) {
			memcpy(name, e->d_name, SID_HASH_LEN + 1);
			return STORE_WALK_NAME;
		}
	if (errno)
		return -errno;
	closedir(steal_ptr(&w->dir));
	w->done++;
	return STORE_WALK_ON;
}

static void cleanup_walk(struct store_walk *w)
{
	store_walk_end(w);
}

int store_each(struct store *s, store_visit_fn *visit, void *ctx)
{
	_cleanup_(cleanup_walk) struct store_walk w = {.first = 0};
	char name[SID_HASH_LEN + 1];
	int at, r = 0;
	while (r == 0 && (at = store_walk_next(s, &w, name)) != STORE_WALK_OVER) {
		struct meta m;
		if (at < 0)
			return at;
		if (at == STORE_WALK_ON)
			continue;
		r = store_meta_read(s, name, &m);
		r = r == -ENOENT ? 0 : visit(ctx, name, r < 0 ? NULL : &m, r); /* ENOENT: removed meanwhile */
	}
	return r;
}

int store_usage(struct store *s, const char *name, bool pace, uint64_t *files, uint64_t *bytes)
{
	_cleanup_close_ int dir = -1, data = -1;
	int r = open_session(s, name, &dir);
	if (r < 0)
		return r;
	data = open_dir(dir, "data");
	if (data == -ENOENT) { /* its owner has removed it */
		*files = *bytes = 0;
		return 0;
	}
	if (data < 0)
		return data;
	r = -EAGAIN;
	for (int i = 0; r == -EAGAIN && i < TRIES; i++)
		r = tree_usage(data, pace, 0, files, bytes);
	return r;
}

int store_told(int r)
{
	switch (-r) {
	case ENOENT:       /* no such session */
	case EKEYREJECTED: /* another's */
	case EKEYREVOKED:  /* over */
	case EAGAIN:       /* not now */
	case EINVAL: /* no name */ break;
	default:
		if (r < 0)
			stats_add(STATS_store_errors, 1);
	}
	return r;
}
