/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <fcntl.h>
#include <pthread.h>

#include "audit.h"
#include "bind.h"
#include "log.h"
#include "proto/grammar.h"
#include "report.h"
#include "request.h"

/* ---- the table ---- */

static const struct control {
	const char *name;
	mode_t mode;                                   /* an admin's files have no bits for others: see may() */
	unsigned verbs;                                /* what may be written */
	enum scope scope;                              /* of a binding, for the files that take VERB_BIND */
	char *(*text)(struct request *r, size_t *len); /* what is read, as it was when the file was opened; owned */
} table[] = {
	{"thread", 0666, VERB_BIND | VERB_UNBIND, SCOPE_THREAD, NULL},
	{"process", 0666, VERB_BIND | VERB_UNBIND, SCOPE_PROCESS, NULL},
	{"handle", 0666, VERB_BIND | VERB_UNBIND, SCOPE_HANDLE, NULL},
	{"self", 0444, 0, 0, report_self},
	{"version", 0444, 0, 0, report_version},
	{"sessions", 0400, 0, 0, report_sessions},
	{"metrics", 0400, 0, 0, report_metrics},
	{"admin", 0200, VERB_REVOKE | VERB_DROP | VERB_RELOAD, 0, NULL},
};

static const struct control *control_of(uint64_t ino)
{
	return ino >= CONTROL_FIRST && ino < CONTROL_FIRST + ARRAY_LEN(table) ? &table[ino - CONTROL_FIRST] : NULL;
}

uint64_t control_find(const char *name)
{
	if (strcmp(name, "unbound") == 0)
		return CONTROL_UNBOUND;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strcmp(name, table[i].name) == 0)
			return CONTROL_FIRST + i;
	return 0;
}

const char *control_name(size_t i, uint64_t *ino)
{
	if (i == ARRAY_LEN(table)) {
		*ino = CONTROL_UNBOUND;
		return "unbound";
	}
	*ino = CONTROL_FIRST + i;
	return i < ARRAY_LEN(table) ? table[i].name : NULL;
}

void control_stat(const struct fs *fs, uint64_t ino, struct stat *st)
{
	const struct control *c = control_of(ino);
	*st = (struct stat){.st_ino = ino, .st_nlink = 1, .st_blksize = 4096};
	st->st_uid = fs->uid;
	st->st_atime = st->st_mtime = st->st_ctime = fs->started;
	if (c) {
		st->st_mode = S_IFREG | c->mode;
	} else if (ino == CONTROL_LINK) {
		st->st_mode = S_IFLNK | 0777;
	} else {
		/* The root says that anybody may write: applications ask before they make their own directory. */
		st->st_mode = S_IFDIR | (ino == NODE_ROOT ? 01777 : 0555);
		st->st_nlink = 2;
	}
}

static bool may(const struct request *r, const struct control *c, int mask)
{
	if (mask & X_OK)
		return false;
	mode_t bits = (mask & R_OK ? 0444 : 0) | (mask & W_OK ? 0222 : 0);
	return (c->mode & bits) == bits || (request_admin(r) && (c->mode & bits & 0700) == (bits & 0700));
}

/* ---- names and attributes ---- */

void control_reply_entry(struct request *r, uint64_t ino)
{
	struct fuse_entry_param e = {.ino = ino, .entry_timeout = ENTRY_TIMEOUT};
	control_stat(r->fs, ino, &e.attr);
	request_reply_entry(r, &e);
}

void control_lookup(struct request *r, const char *name)
{
	uint64_t ino = r->ino == CONTROL_DIR ? control_find(name) : 0;
	if (ino)
		control_reply_entry(r, ino);
	else
		request_reply_err(r, -ENOENT);
}

void control_access(struct request *r, int mask)
{
	const struct control *c = control_of(r->ino);
	bool ok = c ? may(r, c, mask) : r->ino == NODE_ROOT || !(mask & W_OK);
	request_reply_err(r, ok ? 0 : -EACCES);
}

void control_setattr(struct request *r, int to_set)
{
	/* `>` in a shell truncates first: nothing to do, and nothing else may be set. */
	const struct control *c = control_of(r->ino);
	if (c && c->verbs &&
	    !(to_set & ~(FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW | FUSE_SET_ATTR_CTIME))) {
		struct stat st;
		control_stat(r->fs, r->ino, &st);
		request_reply_attr(r, &st);
		return;
	}
	request_reply_err(r, -EPERM);
}

void control_readlink(struct request *r)
{
	if (r->ino != CONTROL_LINK) {
		request_reply_err(r, -EINVAL);
		return;
	}
	if (r->rights && r->rights != -ENOKEY) {
		request_reply_err(r, request_refused(r, r->rights, REASON_none, NULL));
		return;
	}
	const char *target = r->binding ? r->binding->session->sid : CONTROL_UNBOUND_PATH;
	fuse_reply_readlink(request_replying(r), target);
}

/* ---- open files ---- */

struct control_file {
	const struct control *control; /* which */
	pthread_mutex_t lock;          /* guards the carrier */
	struct carrier carrier;        /* of the files that take VERB_BIND */
	char *text;                    /* owned; of those that give a text */
	bool whole; /* each read gives the whole, from the start: what was written is answered on the same fd */
	size_t len;
};

void control_file_free(struct control_file *cf)
{
	if (!cf)
		return;
	if (cf->control->verbs & VERB_BIND)
		bind_close(&cf->carrier);
	pthread_mutex_destroy(&cf->lock);
	free(cf->text);
	free(cf);
}

static void cleanup_control_file(struct control_file **cf)
{
	control_file_free(*cf);
}

void control_open(struct request *r, struct fuse_file_info *fi)
{
	const struct control *c = control_of(r->ino);
	int mode = fi->flags & O_ACCMODE;
	int mask = mode == O_RDONLY ? R_OK : mode == O_WRONLY ? W_OK : R_OK | W_OK;
	if (!c || !may(r, c, mask)) {
		request_reply_err(r, c ? request_refused(r, -EACCES, REASON_control_file, NULL) : -EACCES);
		return;
	}

	_cleanup_(cleanup_control_file) struct control_file *cf = calloc(1, sizeof(*cf));
	if (!cf) {
		request_reply_err(r, -ENOMEM);
		return;
	}
	cf->control = c;
	pthread_mutex_init(&cf->lock, NULL);
	int err = c->verbs & VERB_BIND ? bind_open(&cf->carrier, r->fs, c->scope, r->ino, r->tid) : 0;
	if (!err && c->text && !(cf->text = c->text(r, &cf->len)))
		err = -ENOMEM;
	struct file want = {.fd = -1, .control = cf};
	if (!err)
		err = file_enter(r->fs->files, &want, &fi->fh);
	if (err) {
		request_reply_err(r, err);
		return;
	}
	fi->direct_io = 1;
	fi->nonseekable = cf->whole = mode == O_RDWR && (c->verbs & VERB_BIND);
	steal_ptr(&cf);
	if (fuse_reply_open(request_replying(r), fi) < 0)
		file_close(r->fs->files, fi->fh);
}

static void reply_at(struct request *r, const char *text, size_t len, size_t size, off_t off)
{
	size_t at = (size_t)off < len ? (size_t)off : len;
	request_reply_buf(r, text + at, len - at < size ? len - at : size);
}

void control_read(struct request *r, size_t size, off_t off)
{
	struct control_file *cf = r->file ? r->file->control : NULL;
	if (!cf) {
		request_reply_err(r, r->ino == CONTROL_LINK ? -EINVAL : -EISDIR);
		return;
	}
	if (cf->text) {
		reply_at(r, cf->text, cf->len, size, off);
		return;
	}
	if (!(cf->control->verbs & VERB_BIND)) {
		request_reply_err(r, -EBADF);
		return;
	}
	pthread_mutex_lock(&cf->lock);
	size_t len;
	_cleanup_free_ char *text = bind_report(&cf->carrier, r->now, &len);
	pthread_mutex_unlock(&cf->lock);
	if (!text)
		request_reply_err(r, -ENOMEM);
	else if (!cf->whole)
		reply_at(r, text, len, size, off); /* an O_RDONLY fd has a position, and cat(1) an end to reach */
	else if (size < len)
		request_reply_err(r, -EMSGSIZE); /* half an object would be worse than none */
	else
		request_reply_buf(r, text, len);
}

/* ---- writing: one line, one verb ---- */

static int drop_or_revoke(struct request *r, const struct command *cmd)
{
	char sid[SID_MAX + 1];
	if (!sid_valid(cmd->arg, cmd->arg_len))
		return -EINVAL;
	snprintf(sid, sizeof(sid), "%.*s", (int)cmd->arg_len, cmd->arg);
	int err = cmd->verb == VERB_DROP ? bind_drop(r->fs, sid) : bind_revoke(r->fs, sid);
	if (!err && store_tell_again(r->fs->store))
		err = -ECOMM; /* done, and the others see it late */
	struct audit_event ev = {
		.event = cmd->verb == VERB_DROP ? "drop" : "revoke",
		.op = stats_op_name(r->op),
		.error = -err,
		.tid = r->tid,
		.uid = r->uid,
		.target = sid,
	};
	audit_write(&ev);
	return err;
}

static int command(struct request *r, struct control_file *cf, const struct command *cmd)
{
	switch (cmd->verb) {
	case VERB_BIND: return bind_token(&cf->carrier, r, cmd);
	case VERB_UNBIND: return bind_end(&cf->carrier, "unbind");
	case VERB_REVOKE:
	case VERB_DROP: return drop_or_revoke(r, cmd);
	case VERB_RELOAD: return control_reload(r->fs);
	}
	return -EINVAL;
}

void control_write(struct request *r, const char *buf, size_t size)
{
	struct control_file *cf = r->file ? r->file->control : NULL;
	struct command cmd;
	int err = cf && cf->control->verbs ? 0 : -EBADF;
	if (!err && cf->control->verbs & VERB_BIND && !bind_is_opener(&cf->carrier, r))
		err = request_refused(r, -EACCES, REASON_not_the_opener, NULL);
	if (!err)
		err = grammar_parse(buf, size, cf->control->verbs, &cmd);
	if (!err) {
		pthread_mutex_lock(&cf->lock);
		err = command(r, cf, &cmd);
		pthread_mutex_unlock(&cf->lock);
	}
	if (err) {
		request_reply_err(r, err);
		return;
	}
	fuse_reply_write(request_replying(r), size);
}

void control_flush(struct request *r)
{
	struct control_file *cf = r->file ? r->file->control : NULL;
	if (cf && cf->control->verbs & VERB_BIND && bind_is_opener(&cf->carrier, r)) {
		pthread_mutex_lock(&cf->lock);
		bind_flush(&cf->carrier);
		pthread_mutex_unlock(&cf->lock);
	}
	request_reply_err(r, 0);
}

void control_poll_keys(struct fs *fs)
{
	char why[512];
	int r = keyring_poll(fs->keys, why, sizeof(why));
	if (r < 0)
		log_error("%s; the old keys stay, all of them", why);
	if (r <= 0)
		return;
	bind_recheck_keys(fs);
	stats_add(STATS_key_changes, 1);
	log_info("%s has changed: other keys are trusted", fs->config.keys);
}

int control_reload(struct fs *fs)
{
	char why[512];
	int err = keyring_reload(fs->keys, why, sizeof(why));
	if (err < 0) {
		log_error("reload: %s; the old keys stay", why);
		return err;
	}
	stats_add(STATS_key_changes, err);
	bind_recheck_keys(fs);
	err = audit_reopen();
	if (err)
		log_error("reload: %s: %s; the old audit file stays", fs->config.audit, strerror(-err));
	else
		log_info("keys and audit reloaded");
	return err;
}
