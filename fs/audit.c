/* SPDX-License-Identifier: MIT */
#include "audit.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/timerfd.h>
#include <time.h>

#include "log.h"
#include "priority.h"
#include "proto/claims.h"
#include "proto/sid.h"
#include "proto/utf8.h"
#include "sink.h"
#include "stats.h"
#include "util.h"

enum {
	RING_SIZE = 256 * 1024,
	WINDOW_MS = 10 * 1000, /* repeats are gathered for so long */
	SWEEP_MS = 1000,       /* how late their line may be */
	RETRY_MS = 1000,       /* between two tries of a sink that takes nothing, at most */
	CLOSE_MS = 2000,       /* what a sink that takes nothing gets at the end */
	AT_ONCE = 1,
	GATHER_NS = 10 * 1000 * 1000, /* how long an event may wait for others */
	SETS = 64,
	WAYS = 4,
};

/* An event with its strings, cut to what the names in it may be long. */
struct record {
	char event[24], op[24], reason[160], comm[17];
	char sub[SUB_MAX + 1], sid[SID_MAX + 1], target[SID_MAX + 1];
	char scope[16], release[RELEASE_MAX + 1];
	int error;
	pid_t tid, pid;
	uid_t uid;
	int64_t exp;
};

/* A byte of a string becomes six at worst (\u0000); keys and numbers are less than the rest. */
enum { LINE_SIZE = 6 * sizeof(struct record) + 512 };

/* A refusal that was written, and how often it happened again. */
struct repeat {
	bool live;
	int64_t since; /* monotonic milliseconds */
	uint64_t count;
	struct record first;
};

/* The one audit log of the process. */
static struct {
	pthread_mutex_t lock; /* guards what follows, up to the writer's own */
	bool open, stopping;
	int wake;                          /* timerfd: the ring was empty and isn't, or stopping */
	int reopened;                      /* what the writer is to go on with, or -1; owned */
	int64_t give_up;                   /* when stopping */
	size_t head, used;                 /* whole lines, each with its newline */
	uint64_t dropped;                  /* events since the last line that says so */
	unsigned live;                     /* entries of repeats[] */
	struct repeat repeats[SETS][WAYS]; /* set by hash; the oldest of a set makes room */
	char ring[RING_SIZE];
	char scratch[LINE_SIZE];

	pthread_t thread;

	/* The writer's own. */
	struct sink sink; /* its path is constant while open */
	bool complained;
	size_t len, written; /* of line[] */
	char line[LINE_SIZE];
} audit = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = -1, .reopened = -1, .sink = {.fd = -1}};

static int64_t monotonic_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

const char *errno_name(int error)
{
	static _Thread_local char number[16];
	const char *name = strerrorname_np(error);

	if (name && error > 0)
		return name;
	snprintf(number, sizeof(number), "E%d", error);
	return number;
}

/* --- one event as JSON --- */

struct text {
	char *buf; /* LINE_SIZE bytes, enough for any record */
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(t->buf + t->len, LINE_SIZE - t->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= LINE_SIZE - t->len)
		abort();
	t->len += (size_t)n;
}

static void put_bytes(struct text *t, const void *p, size_t n)
{
	if (n >= LINE_SIZE - t->len)
		abort();
	memcpy(t->buf + t->len, p, n);
	t->len += n;
}

/* C1 controls are escaped as well: some terminals obey them. */
static void put_string(struct text *t, const char *key, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;
	uint32_t c;

	if (!*s)
		return;
	put(t, "%s\"%s\":\"", t->len ? "," : "{", key);
	for (size_t n; *s; s += n ? n : 1) {
		n = utf8_next(s, strnlen((const char *)s, 4), &c);
		if (!n) {
			put_bytes(t, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT));
		} else if (c < 0x20 || (c >= 0x7f && c <= 0x9f)) {
			put(t, "\\u%04x", c);
		} else {
			put_bytes(t, "\\", c == '"' || c == '\\');
			put_bytes(t, s, n);
		}
	}
	put_bytes(t, "\"", 1);
}

static void put_number(struct text *t, const char *key, uint64_t value)
{
	put(t, ",\"%s\":%" PRIu64, key, value);
}

static void put_time(struct text *t, const char *key, time_t seconds, long ms)
{
	struct tm tm;
	char digits[32] = "", fraction[8] = "";

	if (!gmtime_r(&seconds, &tm) || !strftime(digits, sizeof(digits), "%Y-%m-%dT%H:%M:%S", &tm))
		return;
	if (ms >= 0)
		snprintf(fraction, sizeof(fraction), ".%03d", (int)(ms % 1000));
	put(t, "%s\"%s\":\"%s%sZ\"", t->len ? "," : "{", key, digits, fraction);
}

/* Returns the length of the line, newline included. */
static size_t format(char buf[static LINE_SIZE], const struct record *r, uint64_t repeated, uint64_t count)
{
	struct text t = {.buf = buf};
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);

	put_time(&t, "time", now.tv_sec, now.tv_nsec / 1000000);
	put_string(&t, "event", r->event);
	put_string(&t, "op", r->op);
	if (r->error)
		put_string(&t, "errno", errno_name(r->error));
	put_string(&t, "reason", r->reason);
	if (r->tid)
		put_number(&t, "tid", (uint64_t)r->tid);
	if (r->pid)
		put_number(&t, "pid", (uint64_t)r->pid);
	if (r->uid != (uid_t)-1)
		put_number(&t, "uid", r->uid);
	put_string(&t, "comm", r->comm);
	put_string(&t, "sub", r->sub);
	put_string(&t, "sid", r->sid);
	put_string(&t, "target", r->target);
	put_string(&t, "scope", r->scope);
	put_string(&t, "release", r->release);
	if (r->exp)
		put_time(&t, "exp", r->exp, -1);
	if (repeated)
		put_number(&t, "repeated", repeated);
	if (count)
		put_number(&t, "count", count);
	put(&t, "}\n");
	return t.len;
}

static struct record record_of(const struct audit_event *ev)
{
	struct record r = {.error = ev->error, .tid = ev->tid, .pid = ev->pid, .uid = ev->uid, .exp = ev->exp};

#define COPY(field) snprintf(r.field, sizeof(r.field), "%s", ev->field ? ev->field : "")
	COPY(event);
	COPY(op);
	COPY(reason);
	COPY(comm);
	COPY(sub);
	COPY(sid);
	COPY(target);
	COPY(scope);
	COPY(release);
#undef COPY
	return r;
}

/* --- the queue: all under the lock --- */

static bool ring_put(const char *line, size_t n)
{
	if (n > RING_SIZE - audit.used)
		return false;

	size_t tail = (audit.head + audit.used) % RING_SIZE;
	size_t first = n < RING_SIZE - tail ? n : RING_SIZE - tail;
	memcpy(audit.ring + tail, line, first);
	memcpy(audit.ring, line + first, n - first);
	audit.used += n;
	return true;
}

/* Moves the oldest line to line[]; its length, 0 when there is none. */
static size_t ring_take(char line[static LINE_SIZE])
{
	size_t n = 0;

	while (n < audit.used) {
		char c = audit.ring[(audit.head + n) % RING_SIZE];
		line[n++] = c;
		if (c == '\n')
			break;
	}
	audit.head = (audit.head + n) % RING_SIZE;
	audit.used -= n;
	return n;
}

/*
 * An event is written a moment later, with those that came meanwhile. Waking the writer for each would have it run,
 * often enough, before the thread that replies to the request: on two cores that took a third of a bind's time.
 */
static void wake_writer(long after_ns /* > 0 */)
{
	const struct itimerspec once = {.it_value.tv_nsec = after_ns};
	if (timerfd_settime(audit.wake, 0, &once, NULL) < 0)
		abort();
}

/* Says what was dropped as soon as the queue has room for it, and before anything later. */
static bool confess(void)
{
	static const struct record dropped = {.event = "dropped", .uid = (uid_t)-1};

	if (audit.dropped && ring_put(audit.scratch, format(audit.scratch, &dropped, 0, audit.dropped)))
		audit.dropped = 0;
	return !audit.dropped;
}

static void enqueue(const struct record *r, uint64_t repeated)
{
	size_t before = audit.used;

	if (!confess() || !ring_put(audit.scratch, format(audit.scratch, r, repeated, 0))) {
		uint64_t lost = repeated ? repeated : 1;
		audit.dropped += lost;
		stats_add(STATS_audit_dropped, (int64_t)lost);
	} else if (before < RING_SIZE / 2 && audit.used >= RING_SIZE / 2) {
		wake_writer(AT_ONCE);
	} else if (!before) {
		wake_writer(GATHER_NS);
	}
}

/* --- repeats: all under the lock --- */

static bool same(const struct record *a, const struct record *b)
{
	return a->error == b->error && a->pid == b->pid && a->uid == b->uid && !strcmp(a->op, b->op) &&
	       !strcmp(a->target, b->target) && !strcmp(a->sid, b->sid) && !strcmp(a->sub, b->sub) &&
	       !strcmp(a->event, b->event) && !strcmp(a->reason, b->reason);
}

/* FNV-1a. Whoever makes keys collide gets his repeats written out, no more. */
static struct repeat *set_of(const struct record *r)
{
	const char *const strings[] = {r->op, r->target, r->sid, r->reason};
	uint32_t h = 2166136261u ^ (uint32_t)r->pid ^ (uint32_t)r->error << 16;

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		for (const char *s = strings[i]; *s; s++)
			h = (h ^ (unsigned char)*s) * 16777619u;
	return audit.repeats[(h ^ h >> 16) % SETS];
}

static struct repeat *find(const struct record *r, int64_t now)
{
	struct repeat *set = set_of(r);

	for (int i = 0; i < WAYS; i++)
		if (set[i].live && now - set[i].since < WINDOW_MS && same(&set[i].first, r))
			return &set[i];
	return NULL;
}

static void retire(struct repeat *e)
{
	if (!e->live)
		return;
	if (e->count)
		enqueue(&e->first, e->count);
	e->live = false;
	audit.live--;
}

/* r is written now; what is like it will be counted for a while. */
static void remember(const struct record *r, int64_t now)
{
	struct repeat *set = set_of(r), *place = &set[0];

	for (int i = 1; i < WAYS && place->live; i++)
		if (!set[i].live || set[i].since < place->since)
			place = &set[i];
	retire(place);
	*place = (struct repeat){.live = true, .since = now, .first = *r};
	audit.live++;
}

static void sweep(int64_t now, bool all)
{
	for (int i = 0; i < SETS && audit.live; i++)
		for (int j = 0; j < WAYS; j++)
			if (all || now - audit.repeats[i][j].since >= WINDOW_MS)
				retire(&audit.repeats[i][j]);
}

/* --- the writer --- */

/* 0 or -errno; goes on where it stopped. */
static int deliver(void)
{
	while (audit.written < audit.len) {
		ssize_t n = sink_write(&audit.sink, audit.line + audit.written, audit.len - audit.written);
		if (n < 0)
			return (int)n;
		audit.written += (size_t)n;
	}
	return 0;
}

/* On stderr there is nobody to complain to. A sink that is merely full shows as dropped events. */
static void complain(int err)
{
	const char *name = sink_name(&audit.sink);

	if (!name || err == -EAGAIN || audit.complained == (err != 0))
		return;
	audit.complained = err != 0;
	if (err)
		log_error("audit: %s: %s; keeping %d KiB of events until it can be written again", name,
			  strerrordesc_np(-err), RING_SIZE / 1024);
	else
		log_info("audit: %s: written again", name);
}

static void wait_for_work(int timeout_ms)
{
	struct pollfd in = {.fd = audit.wake, .events = POLLIN};
	uint64_t ignored;

	if (poll(&in, 1, timeout_ms) > 0 && read(audit.wake, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		abort();
}

/* A line that was begun in the old file is whole in the new one. Lock held. */
static void adopt_reopened(void)
{
	if (audit.reopened < 0)
		return;
	sink_adopt(&audit.sink, steal_fd(&audit.reopened));
	audit.written = 0;
}

/*
 * Whatever the sink's trouble is (a full disk, a pipe that nobody reads, no journald), the line at hand is kept and
 * tried again, and what comes meanwhile waits in the ring: only an overflow or the end loses events.
 */
static void *writer(void *unused)
{
	int delay = 0;

	(void)unused;
	priority_lower();
	for (;;) {
		pthread_mutex_lock(&audit.lock);
		int64_t now = monotonic_ms();
		bool stopping = audit.stopping;
		adopt_reopened();
		if (!audit.used) {
			sweep(now, stopping);
			confess();
		}
		if (!audit.len)
			audit.len = ring_take(audit.line);
		int timeout = audit.live ? SWEEP_MS : -1;
		if (stopping && !delay)
			audit.give_up = now + CLOSE_MS; /* it takes what it is given, however slowly */
		bool give_up = stopping && now >= audit.give_up;
		pthread_mutex_unlock(&audit.lock);

		if ((stopping && !audit.len) || give_up)
			return NULL;
		if (!audit.len) {
			wait_for_work(timeout);
			continue;
		}

		int err = deliver();
		complain(err);
		if (!err) {
			audit.len = audit.written = 0;
			delay = 0;
			continue;
		}
		delay = stopping || !delay ? 10 : delay < RETRY_MS / 2 ? delay * 2 : RETRY_MS;
		wait_for_work(delay);
	}
}

/* --- opening and closing --- */

/* Signals are for the daemon's other threads; and here a broken pipe is an errno. */
static int start_writer(void)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = pthread_create(&audit.thread, NULL, writer, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		pthread_setname_np(audit.thread, "audit");
	return -err;
}

/* No thread any more: nothing remains. */
static void shut(void)
{
	pthread_mutex_lock(&audit.lock);
	audit.open = false;
	sink_close(&audit.sink);
	audit.wake = close_fd(audit.wake);
	audit.reopened = close_fd(audit.reopened);
	memset(audit.repeats, 0, sizeof(audit.repeats));
	audit.live = 0;
	pthread_mutex_unlock(&audit.lock);
}

int audit_open(const char *to, char *err, size_t errlen)
{
	struct sink sink;

	if (audit.open) {
		snprintf(err, errlen, "audit: %s: %s", to, strerrordesc_np(EBUSY));
		return -EBUSY;
	}
	int r = sink_open(&sink, to, err, errlen);
	if (r)
		return r;
	_cleanup_close_ int wake = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (wake < 0) {
		r = -errno;
		snprintf(err, errlen, "audit: %s: %s", to, strerrordesc_np(-r));
		sink_close(&sink);
		return r;
	}

	pthread_mutex_lock(&audit.lock);
	audit.sink = sink;
	audit.wake = steal_fd(&wake);
	audit.stopping = audit.complained = false;
	audit.head = audit.used = audit.len = audit.written = 0;
	audit.dropped = 0;
	audit.open = true;
	pthread_mutex_unlock(&audit.lock);

	r = start_writer();
	if (r) {
		snprintf(err, errlen, "audit: no thread: %s", strerrordesc_np(-r));
		shut();
	}
	return r;
}

void audit_write(const struct audit_event *ev)
{
	struct record r = record_of(ev);

	pthread_mutex_lock(&audit.lock);
	if (audit.open && !audit.stopping) {
		int64_t now = monotonic_ms();
		struct repeat *e = r.error ? find(&r, now) : NULL;
		if (e)
			e->count++;
		else {
			if (r.error)
				remember(&r, now);
			enqueue(&r, 0);
		}
	}
	pthread_mutex_unlock(&audit.lock);
}

int audit_is_repeat(const struct audit_event *ev)
{
	if (!ev->error)
		return 0;
	struct record r = record_of(ev);

	pthread_mutex_lock(&audit.lock);
	int ret = audit.open && find(&r, monotonic_ms());
	pthread_mutex_unlock(&audit.lock);
	return ret;
}

int audit_reopen(void)
{
	_cleanup_close_ int fd = -1;

	if (!audit.open)
		return 0;
	int r = sink_reopen(&audit.sink, &fd);
	if (r || fd < 0)
		return r;
	pthread_mutex_lock(&audit.lock);
	close_fd(audit.reopened);
	audit.reopened = steal_fd(&fd);
	wake_writer(AT_ONCE);
	pthread_mutex_unlock(&audit.lock);
	return 0;
}

void audit_close(void)
{
	if (!audit.open)
		return;

	pthread_mutex_lock(&audit.lock);
	audit.stopping = true;
	audit.give_up = monotonic_ms() + CLOSE_MS; /* for one that takes nothing now */
	wake_writer(AT_ONCE);
	pthread_mutex_unlock(&audit.lock);
	pthread_join(audit.thread, NULL);

	/* What is left is what the sink would not take. */
	uint64_t lost = audit.dropped + (audit.len > 0);
	for (size_t i = 0; i < audit.used; i++)
		lost += audit.ring[(audit.head + i) % RING_SIZE] == '\n';
	for (int i = 0; i < SETS; i++)
		for (int j = 0; j < WAYS; j++)
			if (audit.repeats[i][j].live)
				lost += audit.repeats[i][j].count;
	if (lost)
		log_error("audit: %" PRIu64 " events lost: nobody took them", lost);

	shut();
}
