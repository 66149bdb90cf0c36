/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "durable.h"
#include "ended.h"
#include "layout.h"
#include "record.h"
#include "stats.h"
#include "trash.h"
#include "tree.h"
#include "users.h"
#include "util.h"

#define SHARD_PATH_MAX sizeof("sessions/00")
#define TEMP_AGE 3600  /* seconds: no creation and no update takes that long */
#define ENDED_TURNS 64 /* calls of store_empty_trash() between two looks at what was told, and files looked at */
#define ENDED_BUDGET 4096
#define TRIES 8 /* how often we start again because another daemon was faster */

struct store {
	struct layout layout;
	struct ended ended;
	atomic_uint swept; /* shards that store_empty_trash() has looked through */
};

static int open_layout(const char *path, bool create, char *err, size_t errlen, struct store **ret)
{
	struct store *s = malloc(sizeof(*s));
	if (!s) {
		snprintf(err, errlen, "%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	int r = layout_open(path, create, err, errlen, &s->layout);
	if (r < 0) {
		free(s);
		return r;
	}
	ended_init(&s->ended, s->layout.fd);
	atomic_init(&s->swept, 0);
	*ret = s;
	return 0;
}

int store_open(const char *path, char *err, size_t errlen, struct store **ret)
{
	return open_layout(path, true, err, errlen, ret);
}

int store_open_existing(const char *path, char *err, size_t errlen, struct store **ret)
{
	return open_layout(path, false, err, errlen, ret);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	layout_close(&s->layout);
	free(s);
}

const char *store_path(const struct store *s)
{
	return s->layout.path;
}

const char *store_uuid(const struct store *s)
{
	return s->layout.uuid;
}

int store_fd(const struct store *s)
{
	return s->layout.fd;
}

int store_session_dir(struct store *s, const char *name, int *ret)
{
	return record_open(s->layout.fd, name, ret);
}

static int open_trash(const struct store *s)
{
	return tree_open(s->layout.fd, TRASH_DIR);
}

int store_meta_read(struct store *s, const char *name, struct meta *ret)
{
	_cleanup_close_ int dir = -1;
	return record_find(s->layout.fd, name, &dir, ret);
}

int store_look(struct store *s, const char *name, int dir, struct meta *ret)
{
	_cleanup_close_ int now = -1;
	struct stat st;
	struct meta m;
	int r = record_find(s->layout.fd, name, &now, &m);
	/* ENOENT and ESTALE are what network filesystems say of a directory that another host deleted. */
	if (r == 0 && fstat(dir, &st) < 0 && errno != ENOENT && errno != ESTALE)
		r = -errno;
	if (r == 0 && !record_is_same(now, dir))
		r = -ESTALE;
	if (r == 0)
		*ret = m;
	return r;
}

static bool is_no_space(int error)
{
	return error == -ENOSPC || error == -EDQUOT;
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
			r = record_revoke(dir); /* first: who reads between the two must see it */
		if (r == 0 && m->revoked && !was)
			ended_tell(&s->ended, name);
		if (r == 0)
			r = record_write(dir, m);
		if (m->revoked && is_no_space(r) && record_is_revoked(dir) > 0)
			r = 0; /* the mark says all that matters */
		if (r < 0)
			return r;

		/* Has a tombstone come in between? Then ours replaced it. */
		r = m->revoked ? 0 : record_is_revoked(dir);
		if (r == 0) {
			(void)store_sweep(s, dir); /* the update is stored, whatever becomes of older ones */
			return 0;
		}
		if (r > 0)
			r = record_read(dir, name, m);
	}
	return r;
}

int store_meta_update(struct store *s, const char *name, bool (*change)(struct meta *m, void *ctx), void *ctx)
{
	_cleanup_close_ int dir = -1;
	struct meta m;
	int r = record_find(s->layout.fd, name, &dir, &m);
	return r < 0 ? r : meta_update(s, name, dir, &m, change, ctx);
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
	int r = record_read(dir, name, &m);
	if (r == 0)
		r = meta_update(s, name, dir, &m, note_used, &now);
	/* Written through a descriptor, which reaches a session that is in the trash by now too. Is it still there? */
	int found = record_open(s->layout.fd, name, &there);
	if (found == -ENOENT || (found == 0 && !record_is_same(dir, there)))
		return -ENOENT;
	if (r == 0)
		r = found;
	if (r == 0)
		r = record_is_revoked(there);
	return r > 0 ? -EKEYREVOKED : r == -ENOENT ? -EUCLEAN : r;
}

/*
 * --- creating
 * -------------------------------------------------------------------------------------------------------
 */

/* record_find() for who wants to enter: one that was removed while it was read is not revoked, it is not there. */
static int find_session(const struct store *s, const char *name, int *dir, struct meta *ret)
{
	int r = record_find(s->layout.fd, name, dir, ret);
	if (r == 0 && ret->revoked && record_is_elsewhere(s->layout.fd, name, *dir)) {
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
		r = trash_return(s->layout.fd, name);
		if (r >= 0)
			r = find_session(s, name, &dir, &found);
		if (r == -ENOENT)
			r = record_make(s->layout.fd, name, &m, uid, gid);
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
	r = record_ensure_data(dir, uid, gid);
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
	return record_is_same(dir, *(const int *)ctx);
}

/* What stays of it there counts for nothing; one that was made anew meanwhile is the user's again. */
static void leave_user(struct store *s, const char *sub, const char *name)
{
	_cleanup_close_ int dir = -1;
	if (record_open(s->layout.fd, name, &dir) == -ENOENT)
		(void)users_leave(s, sub, name);
}

int store_remove(struct store *s, const char *name)
{
	_cleanup_close_ int dir = -1, gone = -1;
	struct meta m;
	int r = record_find(s->layout.fd, name, &dir, &m);
	bool owned = r == 0;
	if (owned) {
		r = meta_update(s, name, dir, &m, make_tombstone, NULL);
	} else if (r == -EUCLEAN) { /* the mark is tombstone enough for a damaged one */
		r = record_open(s->layout.fd, name, &dir);
		if (r == 0)
			r = record_revoke(dir);
	}
	if (is_no_space(r)) /* a full disk needs this most: the others learn of it by its absence */
		r = 0;
	if (r < 0)
		return r;
	r = -EAGAIN;
	for (int i = 0; r == -EAGAIN && i < TRIES; i++)
		r = trash_take(s->layout.fd, name, is_the_one, &dir, &gone);
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
	return record_read(dir, c->name, &m) == 0 && c->sure(&m, c->ctx);
}

int store_remove_if(struct store *s, const char *name, bool (*sure)(const struct meta *m, void *ctx), void *ctx)
{
	struct condition c = {name, sure, ctx};
	_cleanup_close_ int dir = -1, gone = -1;
	struct meta m;
	int r = record_find(s->layout.fd, name, &dir, &m);
	if (r < 0)
		return r;
	if (!sure(&m, ctx))
		return -EAGAIN;
	r = trash_take(s->layout.fd, name, is_sure, &c, &gone);
	if (r < 0)
		return r;
	/* For those who hold its directory open, here or where a network filesystem shows it for a while. */
	(void)record_revoke(gone);
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
	snprintf(path, sizeof(path), "sessions/%02x", turn % LAYOUT_SHARDS);
	_cleanup_close_ int shard = tree_open(s->layout.fd, path);
	_cleanup_close_ int trash = open_trash(s);
	if (shard < 0 || trash < 0)
		return shard < 0 ? shard : trash;
	int r = store_sweep(s, shard);
	if (r == 0)
		r = store_sweep(s, s->layout.fd); /* of a store that was being made */
	if (r == 0 && turn % ENDED_TURNS == 0)
		r = ended_sweep(s->layout.fd, ENDED_BUDGET);
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
		if (w->done == LAYOUT_SHARDS)
			return STORE_WALK_OVER;
		snprintf(path, sizeof(path), "sessions/%02x", (w->first + w->done) % LAYOUT_SHARDS);
		int r = tree_opendir(s->layout.fd, path, &d);
		if (r < 0)
			return r;
		w->dir = d;
	}
	const struct dirent *e;
	while (errno = 0, (e = readdir(w->dir)))
		if (record_is_name(e->d_name)) {
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
	int r = record_open(s->layout.fd, name, &dir);
	if (r < 0)
		return r;
	data = tree_open(dir, "data");
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
