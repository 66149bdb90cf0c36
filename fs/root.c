/* SPDX-License-Identifier: MIT */
#include "root.h"

#include <fcntl.h>

#include "control.h"
#include "creds.h"
#include "record.h"
#include "request.h"

/* Whose root a name is. A reference to the session, and the route to it; NULL for what is nobody's. */
static struct session *named(struct request *r, const char *name, uint64_t *route)
{
	*route = 0;
	if (name[0] != '~')
		return sid_valid(name, strlen(name)) ? session_find(r->fs->sessions, name) : NULL;
	struct binding *b = binding_by_handle(r->fs->bindings, name);
	if (!b)
		return NULL;
	struct session *s = b->session;
	session_ref(r->fs->sessions, s);
	*route = b->id;
	binding_put(r->fs->bindings, b);
	return s;
}

static int look(struct request *r, const struct session *s, int *fd, struct stat *st)
{
	creds_restore();
	return backing_look(&r->fs->backing, s->dir, "data", fd, st);
}

bool root_is_bare(const struct fs *fs, const struct session *s)
{
	struct stat st;
	return fs->config.cache == CACHE_SHARED
		       ? fstatat(s->dir, "data", &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT
		       : s->bare;
}

/*
 * A refused lookup of a name that the kernel knows would take the name from its owner, with his cwd and the mounts
 * below. So where the root of the session is live, the name alone is given; every use of it is refused.
 */
static int let_through(struct request *r, const struct session *s, uint64_t route, struct fuse_entry_param *e)
{
	struct stat st;
	struct backing_key key;
	_cleanup_close_ int fd = -1;
	if (r->fs->config.names == NAMES_HIDDEN || !s || look(r, s, &fd, &st) ||
	    backing_key(&r->fs->backing, fd, &st, &key))
		return -ENOENT;
	struct node *n = node_find(r->fs->nodes, s->id, route, &key, true);
	if (!n)
		return -ENOENT;
	request_known_entry(r, n, &st, e);
	node_put(r->fs->nodes, n);
	return 0;
}

/* What was reached for, for the audit: a sid, live or not, but never a handle's name, which is a right. */
static const char *target(const char *name)
{
	return sid_valid(name, strlen(name)) ? name : NULL;
}

void root_lookup(struct request *r, const char *name)
{
	uint64_t fixed = strcmp(name, CONTROL_DIR_NAME) == 0    ? CONTROL_DIR
			 : strcmp(name, CONTROL_LINK_NAME) == 0 ? CONTROL_LINK
								: 0;
	if (fixed) {
		control_reply_entry(r, fixed);
		return;
	}

	uint64_t route;
	struct session *s = named(r, name, &route);
	struct fuse_entry_param e;
	struct stat st;
	int fd, err = request_may(r, s ? s->id : 0, route);
	if (err) {
		request_refused(r, err, REASON_none, target(name));
		if (let_through(r, s, route, &e) == 0)
			err = 0;
	} else {
		err = look(r, s, &fd, &st);
		if (!err)
			err = request_entry(r, s->id, route, 0, fd, &st, true, &e);
	}
	session_put(r->fs->sessions, s);
	if (err)
		request_reply_err(r, err);
	else
		request_reply_entry(r, &e);
}

int root_refusal(struct request *r, const char *name)
{
	int err = r->rights ? r->rights : -EACCES;
	if (strcmp(name, CONTROL_DIR_NAME) == 0 || strcmp(name, CONTROL_LINK_NAME) == 0)
		err = -EPERM;
	else if (!r->rights && strcmp(name, r->binding->session->sid) == 0)
		return -EBUSY; /* his own: nothing to report */
	return request_refused(r, err, REASON_none, target(name));
}

static bool own(const struct request *r, const char *name)
{
	return r->rights == 0 && strcmp(name, r->binding->session->sid) == 0;
}

void root_mkdir(struct request *r, const char *name, mode_t mode)
{
	if (!own(r, name)) {
		request_reply_err(r, root_refusal(r, name));
		return;
	}
	struct session *s = r->binding->session;
	struct stat st;
	struct fuse_entry_param e;
	int fd = -1;
	creds_restore();
	int err = record_make_data(s->dir, mode & 07777 & ~(mode_t)S_ISVTX, r->uid,
				   r->gid); /* the umask is off already */
	if (!err)
		err = look(r, s, &fd, &st);
	if (!err)
		err = request_entry(r, s->id, 0, 0, fd, &st, true, &e);
	if (err) {
		request_reply_err(r, err);
		return;
	}
	s->bare = false;
	request_reply_entry(r, &e);
}

void root_rmdir(struct request *r, const char *name)
{
	if (!own(r, name)) {
		request_reply_err(r, root_refusal(r, name));
		return;
	}
	struct session *s = r->binding->session;
	creds_restore();
	int err = unlinkat(s->dir, "data", AT_REMOVEDIR) < 0 ? -errno : 0;
	if (!err)
		s->bare = true;
	request_reply_err(r, err);
}

const char *root_entry(struct request *r, size_t i, uint64_t *ino, mode_t *type)
{
	*type = S_IFDIR;
	*ino = r->ino;
	if (i < 2)
		return i ? ".." : ".";
	i -= 2;
	if (r->ino == CONTROL_UNBOUND)
		return NULL;
	if (r->ino == CONTROL_DIR) {
		const char *name = control_name(i, ino);
		if (*ino != CONTROL_UNBOUND)
			*type = S_IFREG;
		return name;
	}
	/* The root: an empty directory to the unbound. */
	if (r->rights || i > 1)
		return NULL;
	if (i == 1) {
		*ino = CONTROL_LINK;
		*type = S_IFLNK;
		return CONTROL_LINK_NAME;
	}
	*ino = UINT64_MAX; /* it has one; who wants it stats the name */
	return root_is_bare(r->fs, r->binding->session) ? "" : r->binding->session->sid;
}
