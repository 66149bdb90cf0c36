/* SPDX-License-Identifier: MIT */
#include "request.h"

#include <time.h>

#include "audit.h"
#include "caller.h"
#include "control.h"
#include "creds.h"

/* Handles are many and short-lived: their names are looked up again rather than told. */
#define HANDLE_ENTRY_TIMEOUT 1.0
#define ROOT_ATTR_TIMEOUT 1.0
#define PREFERRED_IO (256 * 1024) /* of each file; a power of two */

/* ---- the table: what each operation needs ---- */

enum need {
	SEARCH = 1,        /* by path: the directories above must be searchable */
	SEARCH_IDLE = 2,   /* the same, but not while this user has it open: fstat() can't be told from stat() */
	PATH_FD = 4,       /* an O_PATH descriptor of the node */
	FILE_FD = 8,       /* an open file of the node */
	ROOT = 16,         /* may be asked of the root; what it does there is root.c's to say */
	ROOT_ALWAYS = 32,  /* and by anybody, whatever became of his binding */
	CONTROL = 64,      /* may be asked of control files, which have rules of their own (control.c) */
	FROM_MEMORY = 128, /* of the root and control files it answers without a call to the system */
	RENAMES = 256,     /* takes names away: the route of <sid> has to be told what a handle's did */
};

static const unsigned needs[STATS_OP_COUNT] = {
	[STATS_OP_lookup] = SEARCH | PATH_FD | ROOT | ROOT_ALWAYS | CONTROL,
	[STATS_OP_getattr] = SEARCH_IDLE | PATH_FD | ROOT | ROOT_ALWAYS | CONTROL | FROM_MEMORY,
	[STATS_OP_setattr] = SEARCH_IDLE | PATH_FD | CONTROL,
	[STATS_OP_access] = SEARCH | PATH_FD | ROOT | CONTROL,
	[STATS_OP_readlink] = SEARCH | PATH_FD | CONTROL | FROM_MEMORY,
	[STATS_OP_statfs] = PATH_FD | ROOT | CONTROL,

	[STATS_OP_mkdir] = SEARCH | PATH_FD | ROOT,
	[STATS_OP_rmdir] = SEARCH | PATH_FD | ROOT | RENAMES,
	[STATS_OP_unlink] = SEARCH | PATH_FD | ROOT | RENAMES,
	[STATS_OP_rename] = SEARCH | PATH_FD | ROOT | RENAMES,
	[STATS_OP_link] = SEARCH | PATH_FD,
	[STATS_OP_symlink] = SEARCH | PATH_FD,
	[STATS_OP_mknod] = SEARCH | PATH_FD,
	[STATS_OP_create] = SEARCH | PATH_FD,
	[STATS_OP_tmpfile] = SEARCH | PATH_FD,

	[STATS_OP_open] = SEARCH | PATH_FD | CONTROL,
	[STATS_OP_opendir] = SEARCH | PATH_FD | ROOT | CONTROL,
	[STATS_OP_read] = FILE_FD | CONTROL,
	[STATS_OP_write] = FILE_FD | CONTROL,
	[STATS_OP_flush] = FILE_FD | CONTROL,
	[STATS_OP_fsync] = FILE_FD,
	[STATS_OP_fallocate] = FILE_FD,
	[STATS_OP_lseek] = FILE_FD,
	[STATS_OP_copy_file_range] = FILE_FD,
	[STATS_OP_readdir] = FILE_FD | ROOT | CONTROL,
	[STATS_OP_readdirplus] = FILE_FD | ROOT | CONTROL,
	[STATS_OP_fsyncdir] = FILE_FD | ROOT | CONTROL,
};

/* ---- deciding ---- */

static void find_caller(struct request *r)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(r->req);
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	r->now = ts.tv_sec;
	r->tid = ctx->pid;
	r->uid = ctx->uid;
	r->gid = ctx->gid;
	int err = r->tid > 0 ? binding_of(r->fs->bindings, r->tid, &r->binding) : 0;
	/* Whose binding can't be told is not taken for unbound: he has no right to anything, by no handle either. */
	r->rights = err ? -EACCES : r->binding ? binding_check(r->binding, r->now) : -ENOKEY;
}

/* Rule 3 of the header. */
int request_may(struct request *r, uint64_t session, uint64_t route)
{
	if (r->binding) {
		if (r->rights)
			return r->rights; /* past exp or revoked it says so, on foreign names too */
		return r->binding->session->id == session ? 0 : -EACCES;
	}
	if (r->rights != -ENOKEY || !route)
		return r->rights;
	struct binding *handle = binding_get(r->fs->bindings, route);
	int err = handle ? binding_check(handle, r->now) : -ENOKEY;
	binding_put(r->fs->bindings, r->via);
	r->via = handle;
	return err;
}

static int authority_root(const struct request *r, unsigned need)
{
	if (!(need & ROOT))
		return r->rights ? r->rights : -EACCES;
	/* To the unbound the root is an empty directory; who holds a right that ended is told so. */
	return r->rights == 0 || r->rights == -ENOKEY || (need & ROOT_ALWAYS) ? 0 : r->rights;
}

static int find_node(struct request *r, uint64_t ino, unsigned need, struct node **ret)
{
	if (ino == NODE_ROOT)
		return authority_root(r, need);
	if (ino < NODE_FIRST && need & CONTROL)
		return 0;
	if (ino == CONTROL_UNBOUND) /* where `self` leads the unbound: they hear why nothing can be made there */
		return r->rights ? r->rights : -EACCES;
	if (ino < NODE_FIRST)
		return -EPERM;
	*ret = node_get(r->fs->nodes, ino);
	return *ret ? request_may(r, (*ret)->session, (*ret)->route) : -ESTALE;
}

/* The file must be one of this very node: a number from one file can't open the door to another. */
static int find_file(struct request *r, const struct fuse_file_info *fi, const struct node *n, struct file **ret)
{
	*ret = fi ? file_get(r->fs->files, fi->fh) : NULL;
	return *ret && (*ret)->node == n ? 0 : -EBADF;
}

static int pin(struct request *r, struct node *n, int *fd)
{
	return n ? node_pin(r->fs->nodes, n, fd) : 0;
}

/*
 * A file that another instance removed is still behind the name that this kernel remembers: ESTALE makes it look the name
 * up again. One that lost its last name within this second may be going right now, by this mount: then whoever got hold
 * of it first simply has it, as on any filesystem. An open one may well be nameless, and is used by its descriptor.
 */
static int still_named(struct request *r)
{
	struct stat st;
	if (r->fd < 0 || !S_ISREG(r->node->type) || backing_stat(r->fd, &st) || st.st_nlink)
		return 0;
	return r->now - st.st_ctime < 2 || node_is_open(r->fs->nodes, r->node) ? 0 : -ESTALE;
}

static int check(struct request *r, unsigned need, struct fuse_file_info *fi)
{
	if (r->tid <= 0)
		return -EACCES;
	int err = find_node(r, r->ino, need, &r->node);
	if (!err && (need & FILE_FD || fi))
		err = find_file(r, fi, r->node, &r->file);
	if (!err && need & PATH_FD && !r->file)
		err = pin(r, r->node, &r->fd);
	return err ? err : still_named(r);
}

/* Rules 4 and 5: what is judged as the caller. */
static int become(struct request *r, unsigned need)
{
	if (!r->node) {
		/*
		 * The root and the control files are the daemon's. But `self` is read between any two uses of a path: to
		 * put off one identity and take on the other each time were twenty system calls for what needs none.
		 */
		if (!(need & FROM_MEMORY))
			creds_restore();
		return 0;
	}
	int err = creds_become(r->tid, r->uid, r->gid);
	if (err)
		return err;
	bool search = need & SEARCH || (need & SEARCH_IDLE && !node_is_open_by(r->fs->nodes, r->node, r->uid));
	if (search && !node_searchable(r->fs->nodes, r->node, r->uid, r->gid, creds_in_group))
		return -EACCES;
	if (need & RENAMES && r->node->route && invalidate_full(r->fs->inval))
		return -EAGAIN;
	return 0;
}

static void start(struct request *r, fuse_req_t req, enum stats_op op, fuse_ino_t ino)
{
	stats_op(op);
	*r = (struct request){.fs = fuse_req_userdata(req), .req = req, .op = op, .ino = ino, .fd = -1, .fd2 = -1};
	find_caller(r);
}

/* An errno that is the gate's own, and not what the file below said. */
static bool is_refusal(int err)
{
	return err == -EACCES || err == -ENOKEY || err == -EKEYEXPIRED || err == -EKEYREVOKED || err == -EPERM;
}

static void audit_refusal(struct request *r, int err)
{
	const char *target = NULL;
	struct session *other = NULL;
	const struct node *n = r->node2 && !(r->binding && r->node2->session == r->binding->session->id) ? r->node2
													 : r->node;
	if (n && !(r->binding && r->binding->session->id == n->session)) {
		other = session_get(r->fs->sessions, n->session);
		target = other ? other->sid : NULL;
	}
	enum reason reason = r->tid <= 0 ? REASON_no_caller : !n && err == -EACCES ? REASON_root : REASON_none;
	request_refused(r, err, reason, target);
	session_put(r->fs->sessions, other);
}

int request_check(struct request *r, fuse_req_t req, enum stats_op op, fuse_ino_t ino, struct fuse_file_info *fi)
{
	start(r, req, op, ino);
	int err = check(r, needs[op], fi);
	if (is_refusal(err))
		audit_refusal(r, err);
	return err ? err : become(r, needs[op]);
}

bool request_begin(struct request *r, fuse_req_t req, enum stats_op op, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int err = request_check(r, req, op, ino, fi);
	if (err) {
		request_reply_err(r, err);
		request_end(r);
	}
	return !err;
}

/*
 * Two nodes must be the caller's own, both, and of one tree: between two routes to one session the kernel has two
 * filesystems' worth of names, and EXDEV makes mv copy. Toward another session the errno is the foreign node's.
 */
static int check2(struct request *r, unsigned need, fuse_ino_t ino2, struct fuse_file_info *fi2, struct file **file2)
{
	int err = find_node(r, ino2, need, &r->node2);
	if (err)
		return err;
	if (r->node && r->node2 && r->node->session != r->node2->session)
		return -EACCES; /* two handles, presented by one who is not bound */
	if (file2)
		return find_file(r, fi2, r->node2, file2);
	if (r->node && r->node2 && r->node->route != r->node2->route)
		return -EXDEV;
	return pin(r, r->node2, &r->fd2);
}

bool request_begin2(struct request *r, fuse_req_t req, enum stats_op op, fuse_ino_t ino, struct fuse_file_info *fi,
		    fuse_ino_t ino2, struct fuse_file_info *fi2, struct file **file2)
{
	start(r, req, op, ino);
	int err = check(r, needs[op], fi);
	if (!err)
		err = check2(r, needs[op], ino2, fi2, file2);
	if (is_refusal(err))
		audit_refusal(r, err);
	if (!err)
		err = become(r, needs[op]);
	if (!err && needs[op] & SEARCH && r->node2 &&
	    !node_searchable(r->fs->nodes, r->node2, r->uid, r->gid, creds_in_group))
		err = -EACCES;
	if (err) {
		if (file2 && *file2) {
			file_put(r->fs->files, *file2);
			*file2 = NULL;
		}
		request_reply_err(r, err);
		request_end(r);
	}
	return !err;
}

void request_end(struct request *r)
{
	if (!r->replied)
		abort(); /* an operation that forgot its reply would leave its caller hanging for ever */
	if (r->fd >= 0)
		node_unpin(r->fs->nodes, r->node);
	if (r->fd2 >= 0)
		node_unpin(r->fs->nodes, r->node2);
	node_put(r->fs->nodes, r->node);
	node_put(r->fs->nodes, r->node2);
	file_put(r->fs->files, r->file);
	binding_put(r->fs->bindings, r->binding);
	binding_put(r->fs->bindings, r->via);
	r->fd = r->fd2 = -1;
	r->node = r->node2 = NULL;
	r->file = NULL;
	r->binding = r->via = NULL;
}

struct fs *request_unchecked(fuse_req_t req, enum stats_op op)
{
	stats_op(op);
	return fuse_req_userdata(req);
}

int request_refused(struct request *r, int err, enum reason reason, const char *target)
{
	struct audit_event ev = {
		.event = "refused",
		.op = stats_op_name(r->op),
		.reason = reason_word(reason_or(reason, -err)),
		.error = -err,
		.tid = r->tid,
		.uid = r->uid,
		.sub = r->binding ? r->binding->session->sub : NULL,
		.sid = r->binding ? r->binding->session->sid : NULL,
		.target = target,
	};
	char comm[17] = "";
	pid_t parent;
	stats_refused(-err, reason);
	if (r->tid > 0)
		caller_ids(r->tid, &ev.pid, &parent);
	if (!audit_is_repeat(&ev) && r->tid > 0) {
		creds_restore(); /* a /proc mounted with hidepid would look at the fsuid */
		caller_comm(r->tid, comm);
		ev.comm = comm;
	}
	audit_write(&ev);
	return err;
}

uint64_t request_right(const struct request *r, const struct node *n)
{
	return !n ? 0 : r->binding ? r->binding->id : n->route;
}

bool request_admin(const struct request *r)
{
	return r->uid == 0 || r->uid == r->fs->uid;
}

/* ---- replying ---- */

fuse_req_t request_replying(struct request *r)
{
	if (r->replied)
		abort();
	r->replied = true;
	return r->req;
}

void request_reply_err(struct request *r, int err)
{
	fuse_reply_err(request_replying(r), -err);
}

/*
 * How a file's attributes are shown to callers.
 *
 * The preferred size of an I/O is a large one, as over NFS: stdio and Python take their buffers of that size, and each
 * write(2) is a request. An upload of 1 MB that an application copies by 16 KiB is 4 requests so, rather than 64.
 *
 * Where special files are forbidden, one that lies there all the same (from before, or by another way) is shown as a
 * plain file: the kernel would open a fifo or a socket without asking, a plain file's open comes here and is refused.
 */
static struct stat shown(const struct request *r, const struct stat *st)
{
	struct stat as = *st;
	as.st_blksize = PREFERRED_IO;
	if (!r->fs->config.special && !S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode) && !S_ISLNK(st->st_mode)) {
		as.st_mode = S_IFREG | (st->st_mode & 07777);
		as.st_rdev = 0;
	}
	return as;
}

void request_reply_attr(struct request *r, const struct stat *st)
{
	struct stat as = shown(r, st);
	/* The root alone is the same for everybody, and never changes: the kernel may keep it, until the mount may be dead. */
	fuse_reply_attr(request_replying(r), &as, r->ino == NODE_ROOT ? ROOT_ATTR_TIMEOUT : 0);
}

void request_reply_buf(struct request *r, const void *buf, size_t size)
{
	fuse_reply_buf(request_replying(r), buf, size);
}

void request_known_entry(struct request *r, const struct node *n, const struct stat *st, struct fuse_entry_param *e)
{
	/*
	 * The kernel opens fifos, sockets and devices by itself: only a LOOKUP each time brings their users here.
	 * Hidden names are looked up each time, so that a foreign user is refused there. Shared ones are, because
	 * another instance may have replaced, renamed or removed what they stood for.
	 */
	const struct config *c = &r->fs->config;
	bool plain = S_ISREG(n->type) || S_ISDIR(n->type) || S_ISLNK(n->type);
	*e = (struct fuse_entry_param){
		.ino = n->id,
		.attr = shown(r, st),
		.entry_timeout = !plain || c->names == NAMES_HIDDEN || c->cache == CACHE_SHARED ? 0
				 : n->route                                                     ? HANDLE_ENTRY_TIMEOUT
												: ENTRY_TIMEOUT,
	};
}

int request_entry(struct request *r, uint64_t session, uint64_t route, uint64_t parent, int fd, const struct stat *st,
		  bool keep, struct fuse_entry_param *e)
{
	struct backing_key key;
	int err = backing_key(&r->fs->backing, fd, st, &key);
	struct session *s = err ? NULL : session_get(r->fs->sessions, session);
	if (!s) {
		close_fd(fd);
		return err ? err : -ESTALE;
	}
	bool fresh;
	struct node *n = node_intern(r->fs->nodes, session, route, &key, st, parent, fd, keep, &fresh);
	if (!fresh)
		session_put(r->fs->sessions, s);
	if (!n)
		return -ENOMEM; /* the one errno by which a LOOKUP leaves what the kernel knows alone */
	request_known_entry(r, n, st, e);
	node_put(r->fs->nodes, n);
	return 0;
}

void request_reply_entry(struct request *r, const struct fuse_entry_param *e)
{
	if (fuse_reply_entry(request_replying(r), e) < 0)
		node_forget(r->fs->nodes, e->ino, 1); /* the caller was killed meanwhile: nobody took it */
}
