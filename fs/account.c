/* SPDX-License-Identifier: MIT */
#include "account.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "count.h"
#include "stats.h"
#include "util.h"

#define TRIES 4
#define SEEN_MS 900 /* for so long at least, less than a round, a line stays open after the last operation */
#define RENEW 2000  /* ms: how old the line of an account in use may get before a round writes what has changed */
#define CURRENT_MS \
	1000 /* what is known of the others may be so old where a token's limits are below the configuration's */
#define REFUSED_MS 50  /* for so long, who is refused is refused again without asking the store */
#define FAILURES_MAX 3 /* of counts, after which an account need not stay for the next */

int64_t account_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void add(struct usage *to, const struct usage *u)
{
	to->bytes += u->bytes;
	to->files += u->files;
}

static struct usage less(const struct usage *a, const struct usage *b)
{
	return (struct usage){a->bytes - b->bytes, a->files - b->files};
}

static struct usage most_of(const struct usage *a, const struct usage *b)
{
	return (struct usage){max64(a->bytes, b->bytes), max64(a->files, b->files)};
}

static bool is_same(const struct usage *a, const struct usage *b)
{
	return a->bytes == b->bytes && a->files == b->files;
}

struct account *account_new(struct writer *w, const char *name, const char *user, int dir)
{
	struct account *a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	struct stat st;
	a->dir = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	if (a->dir < 0 || fstat(a->dir, &st) < 0) {
		close_fd(a->dir);
		free(a);
		return NULL;
	}
	a->dev = st.st_dev;
	a->ino = st.st_ino;
	a->writer = w;
	memcpy(a->name, name, sizeof(a->name));
	memcpy(a->user, user, sizeof(a->user));
	pthread_mutex_init(&a->ledger, NULL);
	pthread_mutex_init(&a->lock, NULL);
	return a;
}

void account_free(struct account *a)
{
	close_fd(a->dir);
	pthread_mutex_destroy(&a->ledger);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* ---- the line; all with a->ledger, and without a->lock ---- */

/* With a->lock. Nothing is under way, and nothing was since the last round. */
static bool is_idle(const struct account *a)
{
	return !a->touched && !a->under_way;
}

/* With a->lock. Whether the line that we wrote is in the store still, and open: nobody took us for dead. */
static bool is_held_open(const struct account *a)
{
	const struct writer *w = a->writer;
	int64_t beat = w->beat; /* before `since`, which is set before it */
	return a->open && a->written >= w->since && account_now() - beat < LEDGER_LEASE;
}

/*
 * Writes the line: open, with this grant, or closed (NULL). From before a closed one is written until an open one is, no
 * operation begins. -EBUSY: one was begun already.
 */
static int put_line(struct account *a, const struct usage *grant)
{
	int64_t now = account_now();
	pthread_mutex_lock(&a->lock);
	/* Who has never beaten would be taken for dead at once. */
	int r = a->gone ? -ENOENT : grant && !a->writer->beat ? -ENOSPC : !grant && !is_idle(a) ? -EBUSY : 0;
	/* Others may have taken us for dead, and counted with the line as it was: this one hides it from us. */
	a->unsure = a->unsure || (a->open && !is_held_open(a));
	if (r == 0 && !grant) {
		a->granted = a->used;
		a->open = false;
	}
	struct ledger_line line = {
		.version = a->version + 1,
		.open = grant != NULL,
		.unsure = a->unsure || !a->counted,
		.used = a->used,
		.granted = grant ? most_of(grant, &a->used) : a->used,
		.held = {max64(a->held.bytes + a->away.bytes, 0), max64(a->held.files + a->away.files, 0)},
	};
	memcpy(line.run, a->writer->run, sizeof(line.run));
	a->dirty = a->dirty && r;
	pthread_mutex_unlock(&a->lock);
	if (r)
		return r;

	a->version++;
	r = ledger_write(a->dir, a->writer->instance, &line);
	a->known = r == 0; /* what was not written may be there yet */
	stats_add(r ? STATS_quota_faults : STATS_quota_writes, 1);

	pthread_mutex_lock(&a->lock);
	if (r == 0) {
		a->open = line.open;
		a->written = now;
	} else {
		a->dirty = true;
		a->gone = a->gone || r == -ENOENT;
	}
	pthread_mutex_unlock(&a->lock);
	return r;
}

/*
 * With a->lock: a look that began when so much was freed is over. Who was at work on the same had its line open all the
 * while, and has it for a round (quota.c) after; so a look that came too late tells nothing.
 */
static void credit(struct account *a, int64_t bytes, bool alone, bool closed)
{
	int64_t more = bytes;
	if (!bytes)
		return;
	if (!alone && (!closed || account_now() - a->freed_at >= SEEN_MS)) {
		more = min64(bytes, max64(a->cap - a->doubtful, 0));
		a->doubtful += bytes;
		a->unsure = true;
	}
	a->freed -= bytes;
	a->used.bytes -= more;
	a->gives++;
	a->dirty = true;
}

/* With a->lock: what was read of the others. */
static void note(struct account *a, const struct ledger_sum *sum, int64_t now)
{
	const char *run = a->writer->run;
	a->others = (struct usage){sum->base.bytes + sum->granted.bytes, sum->base.files + sum->granted.files};
	a->looked = now;
	a->counted = a->counted || (sum->counted && !sum->garbage); /* by another, since we looked */
	/* Ours was taken for a dead one's, or damaged. */
	bool changed = a->known && a->version &&
		       (!sum->has_mine || sum->mine.version != a->version || strcmp(sum->mine.run, run) != 0);
	a->unsure = a->unsure || sum->doubted || sum->garbage || changed;
	a->dirty = a->dirty || changed;
	a->open = a->open && !changed;
}

/* What the others have, read afresh; the user's sessions only where he is limited, for that is the dearer part. */
static int look(struct account *a, bool of_user)
{
	const struct writer *w = a->writer;
	struct ledger_sum sum;
	struct usage user = {0, 0};
	int64_t now = account_now();
	pthread_mutex_lock(&a->lock);
	int64_t freed = a->freed;
	pthread_mutex_unlock(&a->lock);
	int r = ledger_read(a->dir, w->instance, NULL, NULL, &sum);
	int s = r == 0 && of_user ? ledger_user(w->store, a->user, a->name, a->dir, w->instance, &user) : 0;

	pthread_mutex_lock(&a->lock);
	if (r == 0) {
		note(a, &sum, now);
		/* Where no line of another is open, nor has been written since the last look, nobody was there at all. */
		bool alone = !sum.open && sum.stamp == a->stamp;
		credit(a, freed, alone, !sum.open);
		a->stamp = sum.stamp;
		a->freed_at = now; /* what is left began since */
	} else if (r == -ENOENT) {
		a->gone = true;
	}
	if (r == 0 && s == 0 && of_user) {
		a->siblings = user;
		a->looked_user = now;
	}
	if (s == -EUCLEAN)
		a->user_counted = false; /* perhaps nobody else is there to count it */
	r = r ? r : sum.garbage ? -EUCLEAN : s;
	pthread_mutex_unlock(&a->lock);
	return r;
}

/* What was freed is not kept longer than that needs. */
static void look_after_freed(struct account *a)
{
	pthread_mutex_lock(&a->lock);
	bool some = a->loaded && !a->gone && a->freed;
	pthread_mutex_unlock(&a->lock);
	if (some)
		(void)look(a, false);
}

/* ---- room; all with a->lock ---- */

/* How far `used` may go under a limit where others have so much. Within ±2^61. */
static int64_t room_under(int64_t limit, int64_t others, int64_t used)
{
	return min64(limit, LIMIT_MAX) - others - used;
}

static struct usage session_room(const struct account *a, const struct limits *l)
{
	return (struct usage){room_under(l->session_bytes, a->others.bytes, a->used.bytes),
			      room_under(l->session_files, a->others.files, a->used.files)};
}

static struct usage user_room(const struct account *a, const struct limits *l)
{
	if (!limits_of_user(l))
		return (struct usage){LIMIT_MAX, LIMIT_MAX};
	return (struct usage){room_under(l->user_bytes, a->siblings.bytes, a->used.bytes),
			      room_under(l->user_files, a->siblings.files, a->used.files)};
}

static struct usage room(const struct account *a, const struct limits *l)
{
	struct usage s = session_room(a, l), u = user_room(a, l);
	return (struct usage){min64(s.bytes, u.bytes), min64(s.files, u.files)};
}

static bool fits(const struct usage *room, int64_t bytes, int64_t files)
{
	return (bytes == 0 || bytes <= room->bytes) && (files == 0 || files <= room->files);
}

/* Whether the grant in force covers it: no store is asked. */
static bool is_granted(const struct account *a, int64_t bytes, int64_t files)
{
	return a->used.bytes + bytes <= a->granted.bytes && a->used.files + files <= a->granted.files &&
	       is_held_open(a);
}

/*
 * Grants are within the configuration's limits, whenever they were given. Lower ones are judged by what is known of the
 * others, which must be fresh.
 */
static bool is_current(const struct account *a, const struct limits *l, int64_t now)
{
	const struct limits *c = &a->writer->limits;
	bool of_session = l->session_bytes < c->session_bytes || l->session_files < c->session_files;
	bool of_user = l->user_bytes < c->user_bytes || l->user_files < c->user_files;
	return (!of_session || now - a->looked < CURRENT_MS) && (!of_user || now - a->looked_user < CURRENT_MS) &&
	       (a->looked_user || !limits_of_user(l));
}

static bool is_free(const struct account *a, const struct limits *l, int64_t bytes, int64_t files)
{
	struct usage left = room(a, l);
	return is_granted(a, bytes, files) && is_current(a, l, account_now()) && fits(&left, bytes, files);
}

/* What is asked for, and more: an eighth of what is left then, so that the less is left the less lies idle. */
static int64_t grant_of(int64_t used, int64_t need, int64_t room, int64_t most)
{
	return used + need + min64(max64(room - need, 0) / 8, most);
}

static struct usage grant_for(const struct account *a, int64_t bytes, int64_t files, const struct usage *left)
{
	return (struct usage){grant_of(a->used.bytes, bytes, left->bytes, GRANT_BYTES),
			      grant_of(a->used.files, files, left->files, GRANT_FILES)};
}

/* ---- taking ---- */

static void begin(struct account *a, const struct usage *away)
{
	add(&a->away, away);
	a->under_way++;
	a->changes++;
	a->touched = true;
	a->dirty = a->dirty || away->bytes || away->files;
}

static void end(struct account *a, const struct usage *away)
{
	a->away = less(&a->away, away);
	a->under_way--;
	a->touched = true;
	a->dirty = a->dirty || away->bytes || away->files;
}

static void note_taken(struct account *a, int64_t bytes, int64_t files)
{
	const struct usage taken = {bytes, files};
	add(&a->used, &taken);
	begin(a, &taken);
}

bool account_take_granted(struct account *a, const struct limits *l, int64_t bytes, int64_t files)
{
	pthread_mutex_lock(&a->lock);
	bool free = is_free(a, l, bytes, files);
	if (free)
		note_taken(a, bytes, files);
	pthread_mutex_unlock(&a->lock);
	return free;
}

static int64_t refuse(struct account *a, const struct limits *l, int64_t least, int64_t files)
{
	struct usage s = session_room(a, l);
	a->refused.at = account_now();
	a->refused.limits = *l;
	a->refused.bytes = least;
	a->refused.files = files;
	a->refused.gives = a->gives;
	a->refused.by_user = a->counted && fits(&s, least, files);
	return -EDQUOT;
}

static bool refused_just_now(const struct account *a, const struct limits *l, int64_t least, int64_t files)
{
	return a->refused.at && account_now() - a->refused.at < REFUSED_MS && a->refused.gives == a->gives &&
	       least >= a->refused.bytes && files >= a->refused.files && memcmp(&a->refused.limits, l, sizeof(*l)) == 0;
}

/* With a->lock, after a look: what can be taken at once (and is); -EINPROGRESS with *want, a larger grant to be written. */
static int64_t take_or_want(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files,
			    int64_t *take, struct usage *want)
{
	struct usage left = room(a, l);
	if (!a->counted || (limits_of_user(l) && !a->user_counted) || !fits(&left, least, files))
		return refuse(a, l, least, files);
	*take = min64(bytes, max64(left.bytes, 0));
	if ((!*take && !files && is_held_open(a)) || is_granted(a, *take, files)) {
		note_taken(a, *take, files);
		return *take;
	}
	/* Where nobody knows of the old grant any more, it is none. */
	if (!is_held_open(a))
		a->granted = a->used;
	*want = grant_for(a, *take, files, &left);
	*want = most_of(want, &a->granted);
	return -EINPROGRESS;
}

/*
 * Asks the others: reads, writes the larger grant, reads again, and takes back what does not fit. Returns the bytes that
 * were taken, or -EAGAIN where others asked at once.
 */
static int64_t claim_once(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files)
{
	int64_t take = 0;
	struct usage want;
	int r = look(a, limits_of_user(l));
	if (r)
		return r;
	pthread_mutex_lock(&a->lock);
	int64_t taken = take_or_want(a, l, bytes, least, files, &take, &want);
	pthread_mutex_unlock(&a->lock);
	if (taken != -EINPROGRESS)
		return taken;

	r = put_line(a, &want);
	if (r)
		return r;
	stats_add(STATS_quota_grants, 1);
	r = look(a, limits_of_user(l));

	pthread_mutex_lock(&a->lock);
	struct usage left = room(a, l);
	bool fit = r == 0 && a->open && fits(&left, take, files);
	if (fit) {
		const struct usage reach = {a->used.bytes + max64(left.bytes, 0), a->used.files + max64(left.files, 0)};
		const struct usage most = most_of(&reach, &a->granted);
		a->granted = (struct usage){min64(want.bytes, most.bytes), min64(want.files, most.files)};
		note_taken(a, take, files);
	}
	struct usage grant = a->granted;
	pthread_mutex_unlock(&a->lock);
	/* Where this write fails the line says too much, which takes from nobody for long. */
	int back = is_same(&grant, &want) ? 0 : put_line(a, &grant);
	return fit ? take : r ? r : back ? back : -EAGAIN;
}

static void rest(int i)
{
	uint16_t random = 0;
	(void)!getrandom(&random, sizeof(random), 0);
	usleep((useconds_t)random % (2000u << i));
}

/* Several at once may all step back, where one of them would have fitted. With a->ledger. */
static int64_t claim(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files)
{
	int64_t r = -EAGAIN;
	for (int i = 0; i < TRIES && r == -EAGAIN; i++) {
		if (i > 0)
			rest(i);
		r = claim_once(a, l, bytes, least, files);
	}
	if (r == -EAGAIN || r == -EUCLEAN) {
		pthread_mutex_lock(&a->lock);
		r = refuse(a, l, least, files);
		pthread_mutex_unlock(&a->lock);
	}
	return r == -ENOENT ? -ESTALE : r;
}

static void count_refusal(const struct account *a, int64_t files)
{
	bool by_user = a->refused.by_user;
	stats_add(files     ? by_user ? STATS_quota_user_files : STATS_quota_session_files
		  : by_user ? STATS_quota_user_bytes
			    : STATS_quota_session_bytes,
		  1);
}

int64_t account_take(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files, bool again)
{
	pthread_mutex_lock(&a->ledger);
	pthread_mutex_lock(&a->lock);
	/* Who waited for the ledger may find what another was granted, or refused. */
	bool free = is_free(a, l, bytes, files), refused = !again && refused_just_now(a, l, least, files);
	if (free)
		note_taken(a, bytes, files);
	int64_t r = free ? bytes : a->gone ? -ESTALE : -EDQUOT;
	pthread_mutex_unlock(&a->lock);
	if (r == -EDQUOT && !refused)
		r = claim(a, l, bytes, least, files);

	pthread_mutex_lock(&a->lock);
	if (r == -EDQUOT && a->refused.by_user && !refused && !again)
		r = -EUSERS;
	else if (r == -EDQUOT)
		count_refusal(a, files);
	pthread_mutex_unlock(&a->lock);
	pthread_mutex_unlock(&a->ledger);
	return r;
}

/* ---- after and around an operation ---- */

/* What was there already and is only found now may go beyond the grant: the next round tells the others. */
static void keep_within_grant(struct account *a)
{
	a->granted = most_of(&a->granted, &a->used);
}

static void hold(struct account *a, const struct usage *held)
{
	a->held = (struct usage){max64(a->held.bytes + held->bytes, 0), max64(a->held.files + held->files, 0)};
	a->dirty = a->dirty || held->bytes || held->files;
}

void account_settle(struct account *a, const struct usage *taken, const struct usage *kept, const struct usage *held)
{
	pthread_mutex_lock(&a->lock);
	end(a, taken);
	a->used.bytes += kept->bytes - taken->bytes;
	a->used.files += kept->files - taken->files;
	a->gives += !is_same(taken, kept);
	hold(a, held);
	keep_within_grant(a);
	pthread_mutex_unlock(&a->lock);
}

bool account_expect_open(struct account *a, const struct usage *most)
{
	pthread_mutex_lock(&a->lock);
	bool open = is_held_open(a);
	if (open)
		begin(a, most);
	pthread_mutex_unlock(&a->lock);
	return open;
}

void account_expect(struct account *a, const struct usage *most)
{
	pthread_mutex_lock(&a->ledger);
	pthread_mutex_lock(&a->lock);
	bool open = is_held_open(a);
	if (!open)
		a->granted = a->used; /* nobody knows of an old grant any more */
	struct usage used = a->used;
	pthread_mutex_unlock(&a->lock);
	int r = open ? 0 : put_line(a, &used);
	/* Also who else is there, which is to be known before something is freed. */
	if (r == 0 && !open)
		r = look(a, false);
	pthread_mutex_lock(&a->lock);
	a->unsure = a->unsure || r;
	begin(a, most);
	pthread_mutex_unlock(&a->lock);
	pthread_mutex_unlock(&a->ledger);
}

/* With a->lock: not to be used again before a look at the others. */
static void note_freed(struct account *a, const struct limits *l, int64_t bytes)
{
	int64_t cap = min64(l->session_bytes, l->user_bytes);
	a->cap = a->freed ? min64(a->cap, cap) : cap;
	a->freed_at = a->freed ? a->freed_at : account_now();
	a->freed += bytes;
}

void account_went(struct account *a, const struct limits *l, const struct usage *most, const struct usage *went,
		  const struct usage *held)
{
	pthread_mutex_lock(&a->lock);
	end(a, most);
	if (l && went->bytes > 0)
		note_freed(a, l, went->bytes);
	else
		a->used.bytes -= went->bytes;
	a->used.files -= went->files;
	a->gives += went->bytes || went->files;
	hold(a, held);
	keep_within_grant(a);
	pthread_mutex_unlock(&a->lock);
}

void account_find(struct account *a, const struct usage *more, const struct usage *held)
{
	pthread_mutex_lock(&a->lock);
	add(&a->used, more);
	hold(a, held);
	keep_within_grant(a);
	a->changes++;
	a->touched = a->dirty = true;
	pthread_mutex_unlock(&a->lock);
}

/* ---- df ---- */

static int64_t left_of(int64_t limit, int64_t user_limit, int64_t room)
{
	return min64(limit, user_limit) == LIMIT_NONE ? LIMIT_NONE : max64(room, 0);
}

int account_report(struct account *a, const struct limits *l, struct account_report *ret)
{
	pthread_mutex_lock(&a->ledger);
	int r = look(a, limits_of_user(l));
	pthread_mutex_unlock(&a->ledger);
	if (r && r != -EUCLEAN && r != -ENOENT) /* else as it was known last */
		return r;
	pthread_mutex_lock(&a->lock);
	struct usage left = room(a, l);
	pthread_mutex_unlock(&a->lock);
	ret->limit = (struct usage){min64(l->session_bytes, l->user_bytes), min64(l->session_files, l->user_files)};
	ret->left = (struct usage){left_of(l->session_bytes, l->user_bytes, left.bytes),
				   left_of(l->session_files, l->user_files, left.files)};
	return 0;
}

/* ---- loading and counting ---- */

/*
 * A closed line of an earlier run is true, and the files it held are closed. An open one says how much at most: that
 * counts until the tree was counted.
 */
int account_load(struct account *a)
{
	struct ledger_sum sum;
	if (a->loaded)
		return 0;
	int r = ledger_read(a->dir, a->writer->instance, NULL, NULL, &sum);
	if (r)
		return r;
	pthread_mutex_lock(&a->lock);
	a->loaded = true;
	a->counted = sum.counted && !sum.garbage;
	a->unsure = !a->counted;
	if (sum.has_mine) {
		const struct ledger_line *m = &sum.mine;
		a->version = m->version;
		a->used = m->open ? m->granted : less(&m->used, &m->held);
		a->unsure = a->unsure || m->open || m->unsure;
		a->dirty = m->open || m->held.bytes || m->held.files;
	}
	a->granted = a->used;
	note(a, &sum, account_now());
	pthread_mutex_unlock(&a->lock);
	return 0;
}

static int count_with_ledger(struct account *a, struct witness *w, const struct count *c, uint64_t changes)
{
	pthread_mutex_lock(&a->lock);
	bool same = !a->under_way && a->changes == changes;
	struct usage own = less(&a->used, &a->held);
	/* Now, not when it is written: what begins meanwhile may leave a doubt of its own. */
	int64_t doubtful = same ? a->doubtful : 0, freed = same ? a->freed : 0;
	own.bytes -= freed;
	a->used.bytes -= freed;
	a->freed -= freed;
	a->doubtful -= doubtful;
	a->unsure = a->unsure && !same;
	pthread_mutex_unlock(&a->lock);
	if (!same)
		return -EAGAIN;
	/* What begins from here on changes the line as it changes the tree: the base stays right. */
	int r = count_keep(a->writer->store, a->dir, a->writer->instance, w, c, &own);
	pthread_mutex_lock(&a->lock);
	if (r == 0) {
		a->counted = true;
		a->dirty = a->dirty || a->version; /* the line says that it is unsure */
		a->gives++;                        /* what was refused a moment ago may fit */
	} else {
		a->unsure = true;
		a->doubtful += doubtful;
	}
	pthread_mutex_unlock(&a->lock);
	return r ? r : look(a, false);
}

static int take_count(struct account *a, struct witness *w, uint64_t most, struct count *c, uint64_t *changes)
{
	pthread_mutex_lock(&a->lock);
	bool quiet = !a->under_way;
	*changes = a->changes;
	pthread_mutex_unlock(&a->lock);
	return quiet ? count_take(a->dir, a->writer->instance, w, most, most == 0, c) : -EAGAIN;
}

int account_count_now(struct account *a, struct witness *w, uint64_t most)
{
	struct count c;
	uint64_t changes;
	int r = take_count(a, w, most, &c, &changes);
	return r ? r : count_with_ledger(a, w, &c, changes);
}

int account_count(struct account *a, struct witness *w, uint64_t most)
{
	struct count c;
	uint64_t changes;
	int r = -EAGAIN;
	for (int i = 0; i < TRIES && r == -EAGAIN; i++) {
		r = take_count(a, w, most, &c, &changes);
		if (r)
			continue;
		pthread_mutex_lock(&a->ledger);
		r = count_with_ledger(a, w, &c, changes);
		pthread_mutex_unlock(&a->ledger);
	}
	pthread_mutex_lock(&a->lock);
	a->failures = r ? a->failures + 1 : 0;
	a->gone = a->gone || r == -ENOENT;
	pthread_mutex_unlock(&a->lock);
	return r;
}

/* ---- rounds ---- */

/* What was removed since it was granted is not kept from the others. */
static void renew(struct account *a)
{
	pthread_mutex_lock(&a->lock);
	struct usage left = room(a, &a->writer->limits), want = grant_for(a, 0, 0, &left);
	if (!is_held_open(a)) /* what was granted before is not ours to write anew */
		want = a->used;
	a->granted = (struct usage){min64(a->granted.bytes, want.bytes), min64(a->granted.files, want.files)};
	keep_within_grant(a);
	want = a->granted;
	pthread_mutex_unlock(&a->lock);
	if (put_line(a, &want) == 0)
		(void)look(a, false);
}

void account_step(struct account *a)
{
	if (pthread_mutex_trylock(&a->ledger) != 0)
		return; /* somebody writes the line at this moment */
	pthread_mutex_lock(&a->lock);
	bool works = a->loaded && !a->gone;
	bool idle = works && is_idle(a);
	bool close = idle && (a->open || a->dirty);
	bool stale = works && !idle && a->open && a->dirty && account_now() - a->written > RENEW;
	a->touched = false;
	pthread_mutex_unlock(&a->lock);
	if (works)
		look_after_freed(a);
	if (close && put_line(a, NULL) == 0)
		(void)look(a, false); /* does somebody ask for a count? */
	else if (stale)
		renew(a);
	pthread_mutex_unlock(&a->ledger);
}

void account_give_back(struct account *a)
{
	pthread_mutex_lock(&a->ledger);
	look_after_freed(a);
	pthread_mutex_lock(&a->lock);
	bool some = a->loaded && !a->gone && a->open && !is_same(&a->granted, &a->used);
	if (some)
		a->granted = a->used;
	struct usage grant = a->granted;
	pthread_mutex_unlock(&a->lock);
	if (some)
		(void)put_line(a, &grant);
	pthread_mutex_unlock(&a->ledger);
}

int account_finish(struct account *a)
{
	look_after_freed(a);
	pthread_mutex_lock(&a->lock);
	bool write = a->loaded && !a->gone && (a->dirty || a->open || a->held.bytes || a->held.files);
	a->used = less(&a->used, &a->held);
	a->held = (struct usage){0, 0};
	a->touched = false;
	pthread_mutex_unlock(&a->lock);
	return write ? put_line(a, NULL) : 0;
}

bool account_is_settled(struct account *a)
{
	pthread_mutex_lock(&a->lock);
	bool waits = (a->unsure || a->counts_left) && a->failures < FAILURES_MAX;
	bool settled = !a->loaded || a->gone || (!a->open && !a->dirty && is_idle(a) && !waits);
	pthread_mutex_unlock(&a->lock);
	return settled;
}
