/* SPDX-License-Identifier: MIT */
#include "creds.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "util.h"

/* On 32-bit machines the plain numbers are those of 16-bit ids. */
#ifdef SYS_setfsuid32
#define NR_SETFSUID SYS_setfsuid32
#define NR_SETFSGID SYS_setfsgid32
#define NR_SETGROUPS SYS_setgroups32
#else
#define NR_SETFSUID SYS_setfsuid
#define NR_SETFSGID SYS_setfsgid
#define NR_SETGROUPS SYS_setgroups
#endif

/* A list of groups; never changed once made, shared by the cache and the threads that have it in force. */
struct groups {
	unsigned refs; /* atomic */
	size_t n;
	gid_t gids[];
};

/* The groups of a caller, as read at a time. A slot is what its hash says: a bounded cache needs no more. */
struct slot {
	pid_t tid;
	uid_t uid;
	gid_t gid;
	int64_t read;          /* ms */
	struct groups *groups; /* a reference; NULL: empty */
};

#define SLOTS 1024
#define FRESH_MS 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot slots[SLOTS]; /* lock */

/* Root's: it needs none. */
static struct groups no_groups = {.refs = 1};

/* The daemon's own identity. Set by creds_init(), before any thread; read only afterwards. */
static bool enabled_;
static uid_t own_uid;
static gid_t own_gid;
static struct groups *own_groups;

/* What is in force on this thread; the daemon's own where not switched. */
static _Thread_local struct {
	bool switched;
	uid_t uid;
	gid_t gid;
	struct groups *groups; /* a reference */
} now_;

static struct groups *groups_new(size_t n)
{
	struct groups *g = malloc(sizeof(*g) + n * sizeof(g->gids[0]));
	if (g) {
		g->refs = 1;
		g->n = n;
	}
	return g;
}

static struct groups *groups_ref(struct groups *g)
{
	__atomic_add_fetch(&g->refs, 1, __ATOMIC_RELAXED);
	return g;
}

static void groups_unref(struct groups *g)
{
	if (g && __atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(g);
}

static bool groups_same(const struct groups *a, const struct groups *b)
{
	return a == b || (a->n == b->n && memcmp(a->gids, b->gids, a->n * sizeof(a->gids[0])) == 0);
}

/* All of a /proc file, NUL-terminated and owned: a caller may have 65,536 groups, 700 KB of text. */
static int read_proc(const char *path, char **ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;

	_cleanup_free_ char *text = NULL;
	size_t len = 0, size = 0;
	for (;;) {
		if (size - len < 2) {
			size = size ? size * 2 : 4096;
			char *more = realloc(text, size);
			if (!more)
				return -ENOMEM;
			text = more;
		}
		ssize_t n = read(fd, text + len, size - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	*ret = steal_ptr(&text);
	return 0;
}

/* "Groups:\t4 24 27 \n" of /proc/<tid>/status. */
static int groups_read(pid_t tid, struct groups **ret)
{
	char path[32];
	_cleanup_free_ char *status = NULL;
	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	int r = read_proc(path, &status);
	if (r < 0)
		return r;
	const char *at = strstr(status, "\nGroups:\t");
	if (!at)
		return -ESRCH;
	at += strlen("\nGroups:\t");

	size_t n = 0;
	for (const char *p = at; *p && *p != '\n'; p++)
		n += *p == ' ';
	if (n > GROUPS_MAX)
		return -E2BIG;
	struct groups *g = groups_new(n);
	if (!g)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		char *end;
		g->gids[i] = (gid_t)strtoul(at, &end, 10);
		at = end + 1;
	}
	*ret = g;
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static struct slot *slot_of(pid_t tid)
{
	return &slots[(unsigned)tid % SLOTS];
}

/* Returns a reference, NULL when none is fresh. */
static struct groups *cache_get(pid_t tid, uid_t uid, gid_t gid)
{
	struct groups *g = NULL;
	int64_t now = now_ms();
	pthread_mutex_lock(&lock);
	const struct slot *s = slot_of(tid);
	if (s->groups && s->tid == tid && s->uid == uid && s->gid == gid && now - s->read < FRESH_MS)
		g = groups_ref(s->groups);
	pthread_mutex_unlock(&lock);
	return g;
}

static void cache_put(pid_t tid, uid_t uid, gid_t gid, int64_t read, struct groups *g)
{
	pthread_mutex_lock(&lock);
	struct slot *s = slot_of(tid);
	struct groups *old = s->groups;
	*s = (struct slot){.tid = tid, .uid = uid, .gid = gid, .read = read, .groups = groups_ref(g)};
	pthread_mutex_unlock(&lock);
	groups_unref(old);
}

/* The groups of a caller, a reference. May restore the daemon's identity on the way. */
static int groups_of(pid_t tid, uid_t uid, gid_t gid, struct groups **ret)
{
	if (uid == 0) {
		*ret = groups_ref(&no_groups);
		return 0;
	}
	struct groups *g = cache_get(tid, uid, gid);
	if (!g) {
		int64_t before = now_ms();
		creds_restore(); /* a /proc mounted with hidepid would look at the fsuid */
		int r = groups_read(tid, &g);
		if (r < 0)
			return r;
		cache_put(tid, uid, gid, before, g);
	}
	*ret = g;
	return 0;
}

/* Both return the previous id and never an error: only asking again (with an invalid id) tells. */
static bool set_fsuid(uid_t uid)
{
	syscall(NR_SETFSUID, uid);
	return (uid_t)syscall(NR_SETFSUID, (uid_t)-1) == uid;
}

static bool set_fsgid(gid_t gid)
{
	syscall(NR_SETFSGID, gid);
	return (gid_t)syscall(NR_SETFSGID, (gid_t)-1) == gid;
}

/* Takes a reference of its own where it succeeds. */
static bool set_groups(struct groups *g)
{
	if (!groups_same(now_.groups, g) && syscall(NR_SETGROUPS, g->n, g->gids) < 0)
		return false;
	groups_ref(g);
	groups_unref(now_.groups);
	now_.groups = g;
	return true;
}

int creds_init(bool enabled)
{
	own_uid = geteuid();
	own_gid = getegid();
	enabled_ = enabled;
	if (!enabled)
		return 0;
	/*
	 * The kernel drops and raises capabilities only as fsuid leaves and enters 0, and not under this securebit.
	 */
	if (own_uid != 0 || prctl(PR_GET_SECUREBITS) & SECBIT_NO_SETUID_FIXUP)
		return -EPERM;

	int n = getgroups(0, NULL);
	struct groups *g = n < 0 ? NULL : groups_new((size_t)n);
	if (!g)
		return n < 0 ? -errno : -ENOMEM;
	if (getgroups(n, g->gids) != n || syscall(NR_SETGROUPS, g->n, g->gids) < 0 || !set_fsgid(own_gid + 1) ||
	    !set_fsgid(own_gid) || !set_fsuid(1) || !set_fsuid(0)) {
		groups_unref(g);
		return -EPERM;
	}
	groups_unref(own_groups);
	own_groups = g;
	return 0;
}

int creds_become(pid_t tid, uid_t uid, gid_t gid)
{
	if (!enabled_)
		return uid == own_uid ? 0 : -EACCES;

	struct groups *g;
	int r = groups_of(tid, uid, gid, &g);
	if (r < 0) {
		creds_restore();
		return r;
	}
	bool done = now_.switched && now_.uid == uid && now_.gid == gid && groups_same(now_.groups, g);
	if (!done) {
		if (!now_.switched)
			now_.groups = groups_ref(own_groups);
		now_.switched = true;
		now_.uid = uid;
		now_.gid = gid;
		done = set_groups(g) && set_fsgid(gid) && set_fsuid(uid);
	}
	groups_unref(g);
	if (!done) {
		creds_restore();
		return -EPERM;
	}
	return 0;
}

void creds_restore(void)
{
	if (!now_.switched)
		return;
	/* fsuid first: it brings the capabilities back. To go on as half a user would be worse than to end. */
	if (!set_fsuid(own_uid) || !set_fsgid(own_gid) || !set_groups(own_groups))
		abort();
	groups_unref(now_.groups);
	now_.groups = NULL;
	now_.switched = false;
}

bool creds_in_group(gid_t gid)
{
	const struct groups *g = now_.switched ? now_.groups : own_groups;
	for (size_t i = 0; g && i < g->n; i++)
		if (g->gids[i] == gid)
			return true;
	return false;
}
