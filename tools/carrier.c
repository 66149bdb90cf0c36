/* SPDX-License-Identifier: MIT */
#include "carrier.h"

#include <fcntl.h>
#include <jansson.h>

#include "proto/grammar.h"
#include "proto/sid.h"
#include "util.h"

/*
 * The process's control file gets a number from here on: a shell script that says `exec 3>log` would close it, and with it
 * the binding, if it had one of the low numbers that scripts use.
 */
#define PROCESS_FD_MIN 100

/* --- the register --- */

static struct {
	pthread_mutex_t lock;
	struct carrier *first;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void before_fork(void)
{
	pthread_mutex_lock(&all.lock);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&all.lock);
}

/*
 * Frees nothing, since malloc need not work here: what belonged to the parent's other threads stays in the register, empty.
 * A descriptor that another thread was just opening is not there yet; but then nothing was bound through it yet either.
 */
static void after_fork_child(void)
{
	for (struct carrier *c = all.first; c; c = c->next) {
		pthread_mutex_init(&c->lock, NULL);
		c->fd = close_fd(c->fd);
	}
	pthread_mutex_unlock(&all.lock);
}

int carriers_init(void)
{
	return -pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

void carrier_enter(struct carrier *c, const char *file, const void *owner)
{
	*c = (struct carrier){.file = file, .owner = owner, .fd = -1};
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_lock(&all.lock);
	c->next = all.first;
	if (c->next)
		c->next->prev = c;
	all.first = c;
	pthread_mutex_unlock(&all.lock);
}

void carrier_leave(struct carrier *c)
{
	pthread_mutex_lock(&all.lock);
	*(c->prev ? &c->prev->next : &all.first) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	pthread_mutex_unlock(&all.lock);
	c->fd = close_fd(c->fd);
	pthread_mutex_destroy(&c->lock);
}

/* An open descriptor of one of the owner's carriers, taken from it; -1 if there is none. */
static int take_one(const void *owner)
{
	int fd = -1;

	pthread_mutex_lock(&all.lock);
	for (struct carrier *c = all.first; c && fd < 0; c = c->next) {
		if (c->owner != owner)
			continue;
		pthread_mutex_lock(&c->lock);
		fd = steal_fd(&c->fd);
		pthread_mutex_unlock(&c->lock);
	}
	pthread_mutex_unlock(&all.lock);
	return fd;
}

void carriers_shut(const void *owner)
{
	/* Closed without the lock: the daemon is told of it, and may take its time. */
	for (int fd; (fd = take_one(owner)) >= 0;)
		close(fd);
}

/* --- what is written and read --- */

/* Room for a bind line, wiped when it leaves its scope. */
struct line {
	char text[CONTROL_LINE_MAX];
	size_t len;
};

static void wipe(struct line *l)
{
	explicit_bzero(l->text, l->len);
}

static bool add(struct line *l, const char *s, size_t len)
{
	if (len > sizeof(l->text) - l->len)
		return false;
	memcpy(l->text + l->len, s, len);
	l->len += len;
	return true;
}

/* A token is printable ASCII without spaces, else it breaks the line; all else is left to the daemon. */
static bool can_be_token(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return len > 0;
}

static int line_of_bind(struct line *l, const char *token, const char *release)
{
	static const char bind[] = "bind ", with[] = " release=";
	size_t len = strlen(token), release_len = release ? strlen(release) : 0;

	if (release && !release_valid(release, release_len))
		return -EINVAL;
	if (!add(l, bind, strlen(bind)) || !add(l, token, len) || (release && !add(l, with, strlen(with))) ||
	    !add(l, release ? release : "", release_len) || !add(l, "\n", 1))
		return -EMSGSIZE;
	return can_be_token(token, len) ? 0 : -EKEYREJECTED;
}

static int send_line(int fd, const char *text, size_t len)
{
	ssize_t n;

	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : (size_t)n == len ? 0 : -EIO;
}

char *carrier_answer(int fd, const char *key)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (mount_read(fd, &text, &len))
		return NULL;
	json_t *answer = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const char *s = json_string_value(json_object_get(answer, key));
	char *copy = s ? strdup(s) : NULL;
	json_decref(answer);
	return copy;
}

/* --- bindings --- */

/* Sees to it that fd is open, and in the mount that is there now. Under the lock. */
static int open_carrier(struct carrier *c, const struct mount *m)
{
	uint64_t now;

	int r = mount_follow(m, &now);
	if (r == 0 && c->fd >= 0 && c->mount == now)
		return 0;
	c->fd = close_fd(c->fd);
	if (r == 0)
		r = mount_control(m, c->file, O_RDWR | O_CLOEXEC, &c->fd);
	if (r)
		return r;
	if (strcmp(c->file, "process") == 0) {
		/* Where the limit is lower, it stays low. */
		int high = fcntl(c->fd, F_DUPFD_CLOEXEC, PROCESS_FD_MIN);
		if (high >= 0) {
			close(c->fd);
			c->fd = high;
		}
	}
	return mount_id(c->fd, &c->mount);
}

/* Under the lock. */
static int try_bind(struct carrier *c, const struct mount *m, const struct line *l, char *reason)
{
	/*
	 * Twice, since a mount can be replaced, or its daemon, between a look at it and the write; and EACCES is for a child
	 * that after_fork_child() does not know of, made by a bare clone(2).
	 */
	for (bool again = false;; again = true) {
		int r = open_carrier(c, m);
		if (r == 0)
			r = send_line(c->fd, l->text, l->len);
		if (r == 0)
			return 0;
		/* ESTALE is the daemon's word or the kernel's. Where the daemon has refused, it says why. */
		_cleanup_free_ char *word = c->fd >= 0 ? carrier_answer(c->fd, "reason") : NULL;
		if (word) {
			snprintf(reason, REASON_MAX, "%s", word);
			return r;
		}
		c->fd = close_fd(c->fd);
		if (again || (r != -ENOTCONN && r != -EBADF && r != -ESTALE && r != -EACCES))
			return r;
	}
}

int carrier_bind(struct carrier *c, const struct mount *m, const char *token, const char *release, char *reason)
{
	_cleanup_(wipe) struct line l;

	l.len = 0;
	reason[0] = '\0';
	int r = line_of_bind(&l, token, release);
	if (r) {
		carrier_unbind(c);
		return r;
	}
	pthread_mutex_lock(&c->lock);
	r = try_bind(c, m, &l, reason);
	c->bound = r == 0;
	pthread_mutex_unlock(&c->lock);
	return r;
}

void carrier_unbind(struct carrier *c)
{
	static const char line[] = "unbind\n";

	pthread_mutex_lock(&c->lock);
	if (c->fd >= 0 && c->bound && send_line(c->fd, line, strlen(line)))
		c->fd = close_fd(c->fd);
	c->bound = false;
	pthread_mutex_unlock(&c->lock);
}

int carrier_keep_on_exec(struct carrier *c)
{
	pthread_mutex_lock(&c->lock);
	int r = c->fd < 0 || !c->bound ? -ENOKEY : fcntl(c->fd, F_SETFD, 0) < 0 ? -errno : 0;
	pthread_mutex_unlock(&c->lock);
	return r;
}
