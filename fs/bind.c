/* SPDX-License-Identifier: MIT */
#include "bind.h"

#include <dirent.h>
#include <fcntl.h>
#include <time.h>

#include "audit.h"
#include "caller.h"
#include "control.h"
#include "log.h"
#include "record.h"
#include "report.h"
#include "release.h"
#include "request.h"
#include "retention.h"
#include "root.h"
#include "users.h"

#define CLAIMS 3     /* tries at a session that others are dropping */
#define FDS_MAX 4096 /* looked through; a process with more is refused a thread binding */

int bind_open(struct carrier *c, struct fs *fs, enum scope scope, uint64_t ino, pid_t tid)
{
	pid_t tgid, parent;
	int err = caller_ids(tid, &tgid, &parent);
	if (err)
		return err;
	*c = (struct carrier){.fs = fs, .scope = scope, .ino = ino, .opener = tgid, .opener_pin = -1};
	return 0;
}

void bind_close(struct carrier *c)
{
	if (!c->fs)
		return; /* never opened */
	bind_end(c, "close");
	c->opener_pin = close_fd(c->opener_pin);
}

bool bind_is_opener(const struct carrier *c, const struct request *r)
{
	const struct binding *b = r->binding;
	pid_t tgid, parent;
	/* The gate has just seen that a bound thread lives; and it stays in its process. */
	if (b && b->scope == SCOPE_THREAD)
		tgid = b->pid;
	else if (caller_ids(r->tid, &tgid, &parent))
		return false;
	return tgid == c->opener && (c->opener_pin < 0 || caller_alive(c->opener_pin));
}

/* ---- the audit ---- */

static void audit_binding(const char *event, const struct binding *b, const char *reason)
{
	struct audit_event ev = {
		.event = event,
		.reason = reason,
		.tid = b->tid,
		.pid = b->pid,
		.uid = b->uid,
		.comm = b->comm[0] ? b->comm : NULL,
		.sub = b->session->sub,
		.sid = b->session->sid,
		.scope = scope_name(b->scope),
		.release = b->release[0] ? b->release : NULL,
		.exp = b->exp,
	};
	audit_write(&ev);
}

/* A bind that the caller does not get: counted, and told to whoever reads the control file. */
static int refuse_quietly(struct carrier *c, int err, enum reason reason)
{
	stats_add(STATS_binds_refused, 1);
	stats_refused(-err, reason);
	c->refused = err;
	c->reason = reason;
	return err;
}

static void audit_refused_bind(const struct carrier *c, const struct request *r, int err, enum reason reason,
			       const struct claims *claims, const char *owner, const char *release)
{
	char comm[17] = "";
	caller_comm(r->tid, comm);
	struct audit_event ev = {
		.event = "bind-refused",
		.reason = reason_word(reason),
		.error = -err,
		.tid = r->tid,
		.pid = c->opener,
		.uid = r->uid,
		.comm = comm,
		.sub = claims ? claims->sub : NULL,
		.sid = claims ? claims->sid : NULL,
		.target = owner,
		.scope = scope_name(c->scope),
		.release = release,
	};
	audit_write(&ev);
}

static int refuse(struct carrier *c, const struct request *r, int err, enum reason reason, const struct claims *claims,
		  const char *owner)
{
	audit_refused_bind(c, r, err, reason, claims, owner, NULL);
	return refuse_quietly(c, err, reason);
}

/* A worker of another release tries with each of its requests: one line says so. */
static int refuse_release(struct carrier *c, const struct request *r, const struct claims *claims, const char *release)
{
	if (release_refused(c->fs->release, c->opener, release, r->now))
		audit_refused_bind(c, r, -ESTALE, REASON_release, claims, NULL, release[0] ? release : NULL);
	stats_add(STATS_releases_refused, 1);
	return refuse_quietly(c, -ESTALE, REASON_release);
}

/* What follows the end of a binding, whoever ended it. */
static void after_end(struct fs *fs, struct binding *b, const char *why)
{
	if (b->scope == SCOPE_HANDLE)
		invalidate_hint(fs->inval, NODE_ROOT, b->handle); /* and all that the kernel keeps below it */
	session_touch(fs->sessions, b->session, time(NULL));
	audit_binding("unbind", b, why);
}

bool bind_over(struct fs *fs, struct binding *b, const char *why)
{
	bool ours = binding_end(fs->bindings, b->id);
	if (ours)
		after_end(fs, b, why);
	return ours;
}

int bind_end(struct carrier *c, const char *why)
{
	struct binding *b = binding_get(c->fs->bindings, c->binding);
	if (b)
		bind_over(c->fs, b, why);
	binding_put(c->fs->bindings, b);
	c->binding = 0;
	c->refused = 0;
	return 0;
}

/* ---- the opener's descriptors ---- */

/*
 * Those of this mount's control file: told by the inode number in /proc/PID/fdinfo. Which of several was written or
 * closed can't be told, and need not be. Reads nothing else of the process: the link in /proc/PID/fd, environ and
 * maps wait for an exec that is going on, and an exec closes descriptors, which waits for us.
 */
struct descriptors {
	int count;
	bool cloexec; /* all of them */
};

static uint64_t fdinfo_field(const char *text, const char *key, int base)
{
	const char *at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, base) : 0;
}

/* 0, or -errno: -E2BIG for a process with more than FDS_MAX descriptors. */
static int find_descriptors(const struct carrier *c, struct descriptors *ret)
{
	char path[64], text[512];
	struct descriptors found = {.cloexec = true};
	snprintf(path, sizeof(path), "/proc/%d/fdinfo", c->opener);
	DIR *dir = opendir(path);
	if (!dir)
		return -errno;

	int err = 0, seen = 0;
	for (struct dirent *d; !err && (d = readdir(dir));) {
		if (d->d_name[0] == '.')
			continue;
		_cleanup_close_ int fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		if (n < 0 && errno != ENOENT) /* closed meanwhile */
			err = -errno;
		if (++seen > FDS_MAX)
			err = -E2BIG;
		text[n > 0 ? n : 0] = '\0';
		if (fdinfo_field(text, "ino:", 10) != c->ino)
			continue;
		found.count++;
		found.cloexec &= (fdinfo_field(text, "flags:", 8) & O_CLOEXEC) != 0;
	}
	closedir(dir);
	if (!err)
		*ret = found;
	return err;
}

/*
 * A thread's binding ends with any close by its process: its descriptor closes when the thread execs, and then the
 * number changes hands. The others end when the opener has no descriptor left, whatever copies its children have: a
 * shell may close one after each redirection.
 */
void bind_flush(struct carrier *c)
{
	struct descriptors left = {0};
	if (c->binding && (c->scope == SCOPE_THREAD || find_descriptors(c, &left) || !left.count))
		bind_end(c, "close");
}

/* ---- the end of a session ---- */

static void end_all(struct fs *fs, const struct session *s, const char *why)
{
	struct binding *b;
	for (uint32_t at = 0; (b = binding_next(fs->bindings, &at));) {
		if (b->session == s)
			audit_binding("revoked", b, why);
		binding_put(fs->bindings, b);
	}
}

/*
 * Ends all rights to a session. Bindings stay, so that their holders hear EKEYREVOKED rather than ENOKEY. gone: the
 * store has no such session any more, and its sid may be bound anew.
 */
static void close_session(struct fs *fs, struct session *s, bool gone, const char *why)
{
	if (!atomic_exchange(&s->revoked, true))
		end_all(fs, s, why);
	if (gone) {
		session_retire(fs->sessions, s);
		quota_retire(s->account);
		s->untold = true;
		if (invalidate_late(fs->inval, NODE_ROOT, s->sid))
			s->untold = false;
	}
}

/* ---- binding ---- */

/*
 * Adds the session to its user's, before it is made. A store that takes nothing serves those that are there already, where
 * their number is not limited.
 */
static int admit(struct fs *fs, const struct claims *claims, bool *fresh)
{
	char name[SID_HASH_LEN + 1];
	struct limits l = limits_lower(&fs->config.limits, &claims->limits);
	sid_hash(claims->sid, name);
	int err = users_enter(fs->store, claims->sub, name, l.user_sessions, fresh);
	if (err == -EDQUOT)
		stats_add(STATS_quota_user_sessions, 1);
	return l.user_sessions == LIMIT_NONE && !limits_of_user(&l) ? 0 : err;
}

static void leave(struct fs *fs, const struct claims *claims)
{
	char name[SID_HASH_LEN + 1];
	sid_hash(claims->sid, name);
	(void)users_leave(fs->store, claims->sub, name);
}

/*
 * Whether a session is counted that this instance does not count: another one, or a token of another time, is limited. That
 * is for the store to say, which is asked no more often than what other instances do is promised to be seen.
 */
static bool is_counted(struct fs *fs, struct session *s, int64_t now)
{
	if (now - s->asked < fs->config.revalidate && now >= s->asked)
		return false;
	s->asked = now;
	return quota_is_counted(fs->quota, s->dir, s->sub);
}

static int begin_count(struct fs *fs, struct session *s, const struct limits *l)
{
	struct account *a;
	bool live = !s->account && s->used; /* since another bind */
	bool before = s->account;
	int err = quota_account(fs->quota, s->dir, s->name, s->sub, l, live, &a);
	if (err)
		return err;
	session_count(s, a);
	/* Another bind, without limits, may have come between: its operations began without the account. */
	if (!live && !before && s->used && !(err = quota_account(fs->quota, s->dir, s->name, s->sub, l, true, &a)))
		quota_put(a);
	return err;
}

/* What is live of a user, and was bound without limits: in his sum it counts. */
static void count_others(struct fs *fs, const struct session *of)
{
	const struct limits none = limits_none();
	struct session *s;
	for (uint32_t at = 0; (s = session_next(fs->sessions, &at)); session_put(fs->sessions, s))
		if (!s->account && strcmp(s->sub, of->sub) == 0)
			(void)begin_count(fs, s, &none);
}

/* Begins to count what the session has, where this binding is limited, or another was at some time. */
static int count(struct fs *fs, struct session *s, const struct limits *l, int64_t now)
{
	bool counted = s->account;
	if (counted && !limits_of_user(l))
		return 0;
	if (!limits_any(l) && !is_counted(fs, s, now))
		return 0;
	int err = begin_count(fs, s, l);
	if (!err && !counted && limits_of_user(l) && !limits_of_user(&fs->config.limits))
		count_others(fs, s);
	return err;
}

void bind_count(struct fs *fs, struct session *s)
{
	const struct limits none = limits_none();
	if (!s->account && !s->revoked && quota_is_counted(fs->quota, s->dir, s->sub))
		(void)begin_count(fs, s, &none);
}

/*
 * Finds a session in the store or makes it, and writes that it is used where that is not quite fresh there: who hears
 * that it is his must not lose it to his having been away (store_use). *dir is -1 or owned, before and after; on 0 it is its
 * directory.
 */
static int claim(struct request *r, const struct claims *claims, struct meta *meta, int *dir)
{
	struct fs *fs = r->fs;
	const struct retention_rules rules = {.idle = fs->config.idle};
	char name[SID_HASH_LEN + 1];
	sid_hash(claims->sid, name);
	int err = -ENOENT;
	/* ENOENT: the session that was there was removed at this moment; now it can be made. */
	for (int i = 0; i < CLAIMS && err == -ENOENT; i++) {
		*dir = close_fd(*dir);
		err = store_told(store_claim(fs->store, claims->sid, claims->sub, r->uid, r->gid, r->now, meta, dir));
		if (err || !retention_is_stale(&rules, meta->last_used, r->now))
			continue;
		err = store_told(store_use(fs->store, name, *dir, r->now));
		if (!err)
			meta->last_used = r->now;
		/* Where nothing is removed for its age, a full or read-only store still serves who is known to it. */
		else if (!rules.idle && err != -ENOENT && err != -EKEYREVOKED)
			err = 0;
	}
	return err;
}

/* Makes live what the store says. A reference, or NULL when the table is full. */
static struct session *enter_live(struct fs *fs, const struct claims *claims, const struct meta *meta,
				  int dir /* consumed */)
{
	struct session *s = session_find(fs->sessions, claims->sid);
	/* Was what is live here removed, which was not seen yet, and this one made since? */
	if (s && (strcmp(s->sub, claims->sub) != 0 || !record_is_same(s->dir, dir)))
		close_session(fs, s, true, "removed");
	session_put(fs->sessions, s);
	s = session_enter(fs->sessions, claims->sid, claims->sub, dir);
	if (s) {
		s->stored = meta->last_used;
		s->bare = false;
		session_recall(fs->sessions, s, meta->release);
	}
	return s;
}

/*
 * The live session of a token, made in the store where this is its first bind. A reference, or NULL with *err and
 * *reason.
 */
static struct session *enter(struct request *r, const struct claims *claims, int *err, enum reason *reason, char *owner,
			     size_t owner_len)
{
	struct fs *fs = r->fs;
	const struct retention_rules rules = {.idle = fs->config.idle};
	struct session *s = session_find(fs->sessions, claims->sid);
	/*
	 * Again where it was removed, or just out of its place, between the claim and the look after it. Whether one that is
	 * revoked has been removed since, by another instance, the store knows: nobody looks at it any more (reaper.c).
	 */
	bool again = !s || s->revoked || root_is_bare(fs, s) || retention_is_stale(&rules, s->stored, r->now);
	for (int i = 0; again && i < CLAIMS; i++) {
		struct meta meta;
		_cleanup_close_ int dir = -1;
		bool fresh;
		session_put(fs->sessions, s);
		*err = admit(fs, claims, &fresh);
		*reason = *err == -EDQUOT ? REASON_too_many_sessions_of_user : REASON_store;
		if (*err)
			return NULL;
		*err = claim(r, claims, &meta, &dir);
		*reason = *err == -EKEYREJECTED  ? REASON_sid_of_another_user
			  : *err == -EKEYREVOKED ? REASON_revoked
						 : REASON_store;
		if (*err == -EKEYREJECTED)
			snprintf(owner, owner_len, "%s", meta.sub);
		if (*err && fresh)
			leave(fs, claims);
		if (*err)
			return NULL;
		s = enter_live(fs, claims, &meta, steal_fd(&dir));
		/* Revoked or dropped between the claim and here, when there was no live session to close? And made anew? */
		int read = s ? store_told(store_look(fs->store, s->name, s->dir, &meta)) : 0;
		again = read == -ENOENT || read == -ESTALE;
		if (again || (!read && meta.revoked))
			close_session(fs, s, again, "meanwhile");
	}
	if (!s) {
		*err = -ENFILE;
		*reason = REASON_too_many_sessions;
	} else if (strcmp(s->sub, claims->sub) != 0) {
		*err = -EKEYREJECTED;
		*reason = REASON_sid_of_another_user;
		snprintf(owner, owner_len, "%s", s->sub);
	} else if (s->revoked) {
		*err = -EKEYREVOKED;
		*reason = REASON_revoked;
	} else {
		return s;
	}
	session_put(fs->sessions, s);
	return NULL;
}

/* Whether a worker of a release may serve this session at `now`. */
static bool admitted(struct fs *fs, const struct session *s, const char *release, int64_t now)
{
	char served[RELEASE_MAX + 1];
	enum release_verdict verdict = release_judge(fs->release, release, now);
	if (verdict != RELEASE_DRAINING)
		return verdict == RELEASE_ADMITTED;
	session_release(fs->sessions, s, served);
	return strcmp(served, release) == 0;
}

/* Why somebody can't be pinned: he is gone, or we have no descriptor left for him. */
static enum reason reason_of_pin(int err)
{
	return err == -ESRCH ? REASON_caller_gone : REASON_other;
}

int bind_token(struct carrier *c, struct request *r, const struct command *cmd)
{
	struct fs *fs = c->fs;
	/* A thread that execs takes over its leader's number: the closing of its descriptor is what tells. */
	if (c->scope == SCOPE_THREAD && !c->cloexec) {
		struct descriptors fds;
		int err = find_descriptors(c, &fds);
		if (err || !fds.count || !fds.cloexec)
			return err ? err : -EINVAL;
		c->cloexec = true;
	}
	if (c->opener_pin < 0) {
		int err = caller_pin_process(c->opener, &c->opener_pin);
		if (err)
			return refuse(c, r, err, reason_of_pin(err), NULL, NULL);
	}

	struct claims claims;
	struct binding want = {
		.scope = c->scope, .tid = r->tid, .pid = c->opener, .uid = r->uid, .pin = -1, .since = r->now};
	enum token_fault fault = keyring_check(fs->keys, cmd->arg, cmd->arg_len, r->now, &claims, want.kid);
	if (cmd->release)
		snprintf(want.release, sizeof(want.release), "%.*s", (int)cmd->release_len, cmd->release);
	bind_end(c, "rebind");
	if (fault)
		return refuse(c, r, token_fault_errno(fault), reason_of_fault(fault),
			      fault == TOKEN_EXPIRED ? &claims : NULL, NULL);
	if (release_judge(fs->release, want.release, r->now) == RELEASE_REFUSED)
		return refuse_release(c, r, &claims, want.release);

	int err = 0;
	enum reason reason = REASON_none;
	char owner[SUB_MAX + 1] = "";
	want.session = enter(r, &claims, &err, &reason, owner, sizeof(owner));
	if (!want.session)
		return refuse(c, r, err, reason, &claims, owner[0] ? owner : NULL);

	if (!admitted(fs, want.session, want.release, r->now)) {
		session_put(fs->sessions, want.session);
		return refuse_release(c, r, &claims, want.release);
	}

	caller_comm(r->tid, want.comm);
	want.exp = claims.exp;
	want.limits = limits_lower(&fs->config.limits, &claims.limits);
	err = count(fs, want.session, &want.limits, r->now);
	if (err) {
		session_put(fs->sessions, want.session);
		return refuse(c, r, err, REASON_store, &claims, NULL);
	}
	if (c->scope == SCOPE_THREAD)
		err = caller_pin_thread(r->tid, &want.pin);
	else if (c->scope == SCOPE_PROCESS)
		err = caller_pin_process(c->opener, &want.pin);
	if (err) {
		session_put(fs->sessions, want.session);
		return refuse(c, r, err, reason_of_pin(err), &claims, NULL);
	}

	session_bound(fs->sessions, want.session, r->now, claims.exp, want.release);
	session_ref(fs->sessions, want.session); /* for the line below: the binding may be over by then */
	struct binding *displaced = NULL;
	err = binding_make(fs->bindings, &want, &c->binding, &displaced);
	if (displaced)
		after_end(fs, displaced, "displaced");
	binding_put(fs->bindings, displaced);
	if (!err) {
		stats_add((enum stats_value)(STATS_bind_thread + c->scope), 1);
		audit_binding("bind", &want, NULL);
	}
	session_put(fs->sessions, want.session);
	if (err)
		return refuse(c, r, err, REASON_too_many_bindings, &claims, NULL);
	/* A reload that removed the key between the check and the insertion did not see this binding. */
	if (!keyring_has(fs->keys, want.kid)) {
		bind_end(c, "key-removed");
		return refuse(c, r, -EKEYREJECTED, reason_of_fault(TOKEN_UNKNOWN_KEY), &claims, NULL);
	}
	/* Nor one by which another release came to be required. */
	if (release_judge(fs->release, want.release, r->now) == RELEASE_REFUSED) {
		bind_end(c, "release");
		return refuse_release(c, r, &claims, want.release);
	}
	release_bound(fs->release, c->opener, want.release, r->now);
	return 0;
}

char *bind_report(const struct carrier *c, int64_t now, size_t *len)
{
	struct binding *b = c->binding ? binding_get(c->fs->bindings, c->binding) : NULL;
	char *text = report_binding(b, now, c->refused, c->reason, len);
	binding_put(c->fs->bindings, b);
	return text;
}

/* ---- ending from outside ---- */

static bool set_revoked(struct meta *m, void *ctx)
{
	(void)ctx;
	bool was = m->revoked;
	m->revoked = true;
	return !was;
}

/*
 * The session first, in memory: from here on each request is refused, whatever becomes of the store. Then the store;
 * then once more, for a session that was bound meanwhile: its bind either finds the tombstone (enter) or is found
 * here.
 */
static void close_live(struct fs *fs, const char *sid, bool gone, const char *why)
{
	struct session *s = session_find(fs->sessions, sid);
	if (s)
		close_session(fs, s, gone, why);
	session_put(fs->sessions, s);
}

int bind_revoke(struct fs *fs, const char *sid)
{
	char name[SID_HASH_LEN + 1];
	sid_hash(sid, name);
	close_live(fs, sid, false, "revoke");
	int err = store_told(store_meta_update(fs->store, name, set_revoked, NULL));
	close_live(fs, sid, false, "revoke");
	return err;
}

int bind_drop(struct fs *fs, const char *sid)
{
	char name[SID_HASH_LEN + 1];
	sid_hash(sid, name);
	close_live(fs, sid, false, "drop");
	int err = store_told(store_remove(fs->store, name));
	close_live(fs, sid, !err, "drop");
	stats_add(STATS_removed_drop, !err);
	return err;
}

void bind_ended(struct fs *fs, struct session *s, bool gone, const char *why)
{
	close_session(fs, s, gone, why);
}

void bind_recheck_keys(struct fs *fs)
{
	struct binding *b;
	for (uint32_t at = 0; (b = binding_next(fs->bindings, &at));) {
		if (!keyring_has(fs->keys, b->kid))
			bind_over(fs, b, "key-removed");
		binding_put(fs->bindings, b);
	}
}

void bind_recheck_releases(struct fs *fs)
{
	struct binding *b;
	release_refresh(fs->release);
	for (uint32_t at = 0; (b = binding_next(fs->bindings, &at));) {
		if (release_judge(fs->release, b->release, time(NULL)) == RELEASE_REFUSED)
			bind_over(fs, b, "release");
		binding_put(fs->bindings, b);
	}
}
