/* SPDX-License-Identifier: MIT */
#include "quota.h"

#include <pthread.h>
#include <sys/random.h>
#include <time.h>

#include "log.h"
#include "roster.h"
#include "stats.h"
#include "users.h"
#include "util.h"

#define BUCKETS 4096
#define TRIES 4
#define RENEW 900         /* ms: how old a line that is not exact may get before the next round writes it anew */
#define STEP_MS 1000      /* between two rounds */
#define COUNT_AGAIN 30000 /* ms */
#define REFUSED_MS 50     /* for so long, who is refused is refused again without asking the store */

struct account {
	struct quota *quota;
	char name[SID_HASH_LEN + 1], user[SID_HASH_LEN + 1];

	pthread_mutex_t lock; /* guards what follows */
	bool loaded, loaded_user;
	bool unsure; /* left by a crash: the tree is to be counted */
	bool gone;   /* from the store, for good */
	bool absent; /* it was not in its place: gone, or on its way to the trash, from where it may come back (trash.h) */
	bool exact;          /* so is the line in the store */
	bool touched, dirty; /* since the last round; since the line was written */
	bool lowered;        /* some request had lower limits for the user than the configuration */
	bool knows_user;     /* siblings has been read */
	int64_t count_after; /* ms: when a count that failed is tried again */
	uint64_t version;
	struct usage used, granted, held;
	struct usage pending;  /* of used: what operations under way have taken or may remove */
	struct usage others;   /* base and grants of the others, as last read */
	struct usage siblings; /* the same of all sessions of the user, this one's others too */
	int64_t written;       /* ms, before the line was last written */
	uint64_t gives;        /* how often something was given back */
	struct {
		int64_t at; /* ms; 0: never */
		struct limits limits;
		int64_t bytes, files;
		uint64_t gives;
		bool by_user;
	} refused;

	/* table lock */
	unsigned refs;
	bool linked;
	struct account *next;          /* in its bucket */
	struct account *newer, *older; /* in the ring of its user */
};

struct quota {
	struct store *store;
	const char *instance;
	pthread_mutex_t lock;
	struct account *buckets[BUCKETS];
	struct account *users[BUCKETS]; /* rings, by the user's hash; users may share one */

	struct limits limits; /* the configuration's */
	bool crashed;         /* the last life of this instance had no orderly end */
	pthread_t threads[2]; /* quota_step() and quota_count() */
	pthread_mutex_t wake_lock;
	pthread_cond_t wake;
	unsigned started;
	bool stop;
};

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts); /* a lease runs out while the machine sleeps, too */
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

/* --- the table --- */

/* Names and users are hashes already. */
static unsigned bucket_of(const char *hash)
{
	unsigned h = 0;
	for (int i = 0; i < 8; i++)
		h = h << 4 | (unsigned)(hash[i] <= '9' ? hash[i] - '0' : hash[i] - 'a' + 10);
	return h % BUCKETS;
}

static void ring_enter(struct quota *q, struct account *a)
{
	struct account **head = &q->users[bucket_of(a->user)];
	struct account *at = *head;
	a->newer = a->older = a;
	if (at) {
		a->newer = at;
		a->older = at->older;
		at->older->newer = a;
		at->older = a;
	}
	*head = a;
}

static void ring_leave(struct quota *q, struct account *a)
{
	struct account **head = &q->users[bucket_of(a->user)];
	if (*head == a)
		*head = a->newer == a ? NULL : a->newer;
	a->newer->older = a->older;
	a->older->newer = a->newer;
	a->newer = a->older = a;
}

static void unlink_account(struct quota *q, struct account *a)
{
	for (struct account **at = &q->buckets[bucket_of(a->name)]; *at; at = &(*at)->next)
		if (*at == a) {
			*at = a->next;
			break;
		}
	ring_leave(q, a);
	a->linked = false;
}

static void free_account(struct account *a)
{
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static struct account *find_or_make(struct quota *q, const char *name, const char *user)
{
	pthread_mutex_lock(&q->lock);
	struct account **head = &q->buckets[bucket_of(name)], *a = *head;
	while (a && strcmp(a->name, name) != 0)
		a = a->next;
	if (!a && (a = calloc(1, sizeof(*a)))) {
		a->quota = q;
		memcpy(a->name, name, sizeof(a->name));
		memcpy(a->user, user, sizeof(a->user));
		pthread_mutex_init(&a->lock, NULL);
		a->linked = true;
		a->next = *head;
		*head = a;
		ring_enter(q, a);
	}
	if (a)
		a->refs++;
	pthread_mutex_unlock(&q->lock);
	return a;
}

void quota_ref(struct account *a)
{
	pthread_mutex_lock(&a->quota->lock);
	a->refs++;
	pthread_mutex_unlock(&a->quota->lock);
}

/* Those in the table stay, for the thread to write and free; a retired one goes with its last user. */
void quota_put(struct account *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->quota->lock);
	bool last = --a->refs == 0 && !a->linked;
	pthread_mutex_unlock(&a->quota->lock);
	if (last)
		free_account(a);
}

void quota_retire(struct account *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->gone = true;
	pthread_mutex_unlock(&a->lock);
	pthread_mutex_lock(&a->quota->lock);
	if (a->linked)
		unlink_account(a->quota, a);
	pthread_mutex_unlock(&a->quota->lock);
}

/* --- an account and its ledger; all with the account's lock --- */

/*
 * Writes our line with this grant; exact where it may be. The version goes up also where it is not known whether the last
 * one was written; then the next round writes once more.
 */
static int put_line(struct account *a, const struct usage *granted, bool exact)
{
	struct usage away = {a->held.bytes + a->pending.bytes, a->held.files + a->pending.files};
	exact = exact && !a->unsure && !a->pending.bytes && !a->pending.files;
	struct ledger_line line = {++a->version, exact, a->used, *granted, away};
	int64_t now = now_ms();
	int r = a->gone ? -ENOENT : ledger_write(a->quota->store, a->name, a->quota->instance, &line);
	a->absent = r == -ENOENT;
	stats_add(r ? STATS_quota_faults : STATS_quota_writes, 1);
	a->exact = r == 0 && exact;
	a->dirty = r != 0;
	if (r == 0)
		a->written = now;
	return r;
}

static int load_user(struct account *a);

/* What the others have, read afresh; the user's sessions only where he is limited, for that is the dearer part. */
static int look(struct account *a, bool of_user)
{
	struct ledger_sum sum;
	struct usage user = {0, 0};
	const char *mine = a->quota->instance;
	int r = a->gone ? -ENOENT : ledger_read(a->quota->store, a->name, mine, NULL, NULL, &sum);
	if (r == 0 && sum.garbage) {
		a->unsure = true; /* counted in the next round; until then nothing may grow */
		r = -EUCLEAN;
	}
	if (r == 0 && of_user)
		r = ledger_user(a->quota->store, a->user, a->name, mine, &user);
	if (r == -EUCLEAN && of_user && !a->unsure) { /* another session's: perhaps nobody else is there to count it */
		r = load_user(a);
		if (r == 0)
			r = ledger_user(a->quota->store, a->user, a->name, mine, &user);
	}
	if (r)
		return r;
	a->others = (struct usage){sum.base.bytes + sum.granted.bytes, sum.base.files + sum.granted.files};
	if (of_user) {
		a->siblings = user;
		a->knows_user = true;
	}
	return 0;
}

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
	struct usage none = {LIMIT_MAX, LIMIT_MAX};
	if (!limits_of_user(l))
		return none;
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
	       now_ms() - a->written < LEDGER_LEASE && !a->exact;
}

/* What is asked for, and more: an eighth of what is left then, so that the less is left the less lies idle. */
static int64_t grant(int64_t used, int64_t need, int64_t room, int64_t most)
{
	return used + need + min64(max64(room - need, 0) / 8, most);
}

static void rest(int i)
{
	uint16_t random = 0;
	(void)!getrandom(&random, sizeof(random), 0);
	usleep((useconds_t)random % (2000u << i));
}

static int64_t refuse(struct account *a, const struct limits *l, int64_t least, int64_t files)
{
	struct usage s = session_room(a, l);
	a->refused.at = now_ms();
	a->refused.limits = *l;
	a->refused.bytes = least;
	a->refused.files = files;
	a->refused.gives = a->gives;
	a->refused.by_user = fits(&s, least, files);
	return -EDQUOT;
}

static bool refused_just_now(const struct account *a, const struct limits *l, int64_t least, int64_t files)
{
	return a->refused.at && now_ms() - a->refused.at < REFUSED_MS && a->refused.gives == a->gives &&
	       least >= a->refused.bytes && files >= a->refused.files && memcmp(&a->refused.limits, l, sizeof(*l)) == 0;
}

/*
 * Asks the others: reads, writes the larger grant, reads again, and takes back what does not fit. Returns the bytes that
 * may be taken, or -EAGAIN where others asked at once.
 */
static int64_t claim_once(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files)
{
	/* After a lease has run out the line may have been taken for a dead one's, and the rest of its grant be void. */
	bool leased = !a->exact && now_ms() - a->written < LEDGER_LEASE;
	struct usage old = leased ? a->granted : a->used;
	int r = look(a, limits_of_user(l));
	if (r == -EUCLEAN) {
		a->refused.by_user = false;
		return -EDQUOT;
	}
	if (r)
		return r;
	struct usage left = room(a, l);
	if (!fits(&left, least, files))
		return refuse(a, l, least, files);
	int64_t take = min64(bytes, max64(left.bytes, 0));
	if ((!take && !files) || is_granted(a, take, files))
		return take; /* the limit of this request alone was in question */

	struct usage want = {max64(grant(a->used.bytes, take, left.bytes, GRANT_BYTES), old.bytes),
			     max64(grant(a->used.files, files, left.files, GRANT_FILES), old.files)};
	r = put_line(a, &want, false);
	if (r)
		return r;
	stats_add(STATS_quota_grants, 1);
	r = look(a, limits_of_user(l));
	left = room(a, l);
	if (r == 0 && fits(&left, take, files)) {
		struct usage most = {max64(a->used.bytes + max64(left.bytes, 0), old.bytes),
				     max64(a->used.files + max64(left.files, 0), old.files)};
		a->granted = (struct usage){min64(want.bytes, most.bytes), min64(want.files, most.files)};
		/* Where this write fails the line says too much, which takes from nobody for long. */
		if (memcmp(&a->granted, &want, sizeof(want)) != 0)
			(void)put_line(a, &a->granted, false);
		return take;
	}
	a->granted = old;
	int back = put_line(a, &old, false);
	return r ? r : back ? back : -EAGAIN;
}

/* Several at once may all step back, where one of them would have fitted; and a session may be out of its place. */
static int64_t claim(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files)
{
	int64_t r = -EAGAIN;
	for (int i = 0; i < TRIES && (r == -EAGAIN || (r == -ENOENT && !a->gone)); i++) {
		if (i > 0)
			rest(i);
		r = claim_once(a, l, bytes, least, files);
	}
	return r == -EAGAIN ? refuse(a, l, least, files) : r == -ENOENT ? -ESTALE : r;
}

/* --- siblings: what other sessions of the same user keep idle here --- */

static struct account *next_sibling(struct account *a, const struct account *of)
{
	struct account *at = a->newer;
	while (at != of && strcmp(at->user, of->user) != 0)
		at = at->newer;
	return at == of ? NULL : at;
}

static void give_back_idle(struct account *a)
{
	pthread_mutex_lock(&a->lock);
	if (a->loaded && !a->gone && memcmp(&a->granted, &a->used, sizeof(a->used)) != 0) {
		a->granted = a->used;
		(void)put_line(a, &a->granted, true);
	}
	pthread_mutex_unlock(&a->lock);
}

static void call_in(struct account *of)
{
	struct quota *q = of->quota;
	pthread_mutex_lock(&q->lock);
	struct account *a = of->linked ? next_sibling(of, of) : NULL;
	while (a) {
		a->refs++;
		pthread_mutex_unlock(&q->lock);
		give_back_idle(a);
		pthread_mutex_lock(&q->lock);
		struct account *next = a->linked && of->linked ? next_sibling(a, of) : NULL;
		bool last = --a->refs == 0 && !a->linked;
		if (last)
			free_account(a);
		a = next;
	}
	pthread_mutex_unlock(&q->lock);
}

/* --- taking and giving --- */

static void count_refusal(const struct account *a, int64_t files)
{
	bool by_user = a->refused.by_user;
	stats_add(files     ? by_user ? STATS_quota_user_files : STATS_quota_session_files
		  : by_user ? STATS_quota_user_bytes
			    : STATS_quota_session_bytes,
		  1);
}

/* Within the limits of this request, as far as is known: others may have grown by less than a second's worth. */
static bool is_free(const struct account *a, const struct limits *l, int64_t bytes, int64_t files)
{
	struct usage left = room(a, l);
	return is_granted(a, bytes, files) && (a->knows_user || !limits_of_user(l)) && fits(&left, bytes, files);
}

static void note_taken(struct account *a, int64_t bytes, int64_t files)
{
	a->used.bytes += bytes;
	a->used.files += files;
	a->pending.bytes += bytes;
	a->pending.files += files;
	a->touched = a->dirty = true;
}

static int64_t try_take(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files,
			bool again)
{
	if (is_free(a, l, bytes, files))
		return bytes;
	if (!again && refused_just_now(a, l, least, files)) {
		count_refusal(a, files);
		return -EAGAIN; /* and no sibling has to be asked */
	}
	a->lowered = a->lowered || l->user_bytes < a->quota->limits.user_bytes ||
		     l->user_files < a->quota->limits.user_files;
	int64_t r = claim(a, l, bytes, least, files);
	if (r == -EDQUOT && (again || !a->refused.by_user))
		count_refusal(a, files);
	return r;
}

bool quota_take_granted(struct account *a, const struct limits *l, int64_t bytes, int64_t files)
{
	pthread_mutex_lock(&a->lock);
	bool free = is_free(a, l, bytes, files);
	if (free)
		note_taken(a, bytes, files);
	pthread_mutex_unlock(&a->lock);
	return free;
}

int64_t quota_take(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files)
{
	pthread_mutex_lock(&a->lock);
	int64_t r = try_take(a, l, bytes, least, files, false);
	if (r == -EDQUOT && a->refused.by_user) {
		pthread_mutex_unlock(&a->lock); /* no two accounts are ever locked */
		call_in(a);
		pthread_mutex_lock(&a->lock);
		r = try_take(a, l, bytes, least, files, true);
	}
	if (r >= 0)
		note_taken(a, r, files);
	pthread_mutex_unlock(&a->lock);
	return r == -EAGAIN ? -EDQUOT : r;
}

void quota_expect(struct account *a, int64_t bytes, int64_t files)
{
	pthread_mutex_lock(&a->lock);
	a->pending.bytes += bytes;
	a->pending.files += files;
	a->touched = true;
	pthread_mutex_unlock(&a->lock);
}

void quota_settle(struct account *a, int64_t bytes, int64_t files, int64_t kept_bytes, int64_t kept_files)
{
	pthread_mutex_lock(&a->lock);
	a->pending.bytes -= bytes;
	a->pending.files -= files;
	a->used.bytes -= bytes - kept_bytes;
	a->used.files -= files - kept_files;
	/* What was there already and is only found now may go beyond the grant: the next round tells the others. */
	a->granted.bytes = max64(a->granted.bytes, a->used.bytes);
	a->granted.files = max64(a->granted.files, a->used.files);
	a->gives += bytes != kept_bytes || files != kept_files;
	a->touched = a->dirty = true;
	pthread_mutex_unlock(&a->lock);
}

void quota_hold(struct account *a, int64_t bytes, int64_t files)
{
	pthread_mutex_lock(&a->lock);
	a->held.bytes = max64(a->held.bytes + bytes, 0);
	a->held.files = max64(a->held.files + files, 0);
	a->touched = a->dirty = true;
	pthread_mutex_unlock(&a->lock);
}

static int64_t left_of(int64_t limit, int64_t user_limit, int64_t room)
{
	return min64(limit, user_limit) == LIMIT_NONE ? LIMIT_NONE : max64(room, 0);
}

int quota_report(struct account *a, const struct limits *l, struct quota_report *ret)
{
	pthread_mutex_lock(&a->lock);
	int r = look(a, limits_of_user(l));
	if (r == -EUCLEAN || r == -ENOENT)
		r = 0; /* as it was known last */
	struct usage left = room(a, l);
	pthread_mutex_unlock(&a->lock);
	if (r)
		return r;
	ret->limit = (struct usage){min64(l->session_bytes, l->user_bytes), min64(l->session_files, l->user_files)};
	ret->left = (struct usage){left_of(l->session_bytes, l->user_bytes, left.bytes),
				   left_of(l->session_files, l->user_files, left.files)};
	return 0;
}

struct ledger_line quota_line(struct account *a, bool *unsure)
{
	pthread_mutex_lock(&a->lock);
	struct ledger_line line = {a->version, a->exact, a->used, a->granted, a->held};
	*unsure = a->unsure;
	pthread_mutex_unlock(&a->lock);
	return line;
}

/* --- counting --- */

/*
 * What a line accounts for of the tree: what is held is in none. The base is what the tree has beyond that. When lines
 * change while the tree is walked, the lesser of before and after makes the greater base: never less than is there.
 */
static struct usage in_tree(const struct usage *used, const struct usage *held)
{
	return (struct usage){used->bytes - held->bytes, used->files - held->files};
}

static struct usage base_of(const struct usage *tree, const struct usage *before, const struct usage *after)
{
	return (struct usage){min64(tree->bytes - min64(before->bytes, after->bytes), LIMIT_MAX),
			      min64(tree->files - min64(before->files, after->files), LIMIT_MAX)};
}

static int count_tree(struct store *s, const char *name, bool pace, struct usage *ret)
{
	uint64_t files, bytes;
	int r = store_usage(s, name, pace, &files, &bytes);
	/* Sparse files may be as large as they like; what is more than any limit is that. */
	if (r == 0)
		*ret = (struct usage){bytes < LIMIT_MAX ? (int64_t)bytes : LIMIT_MAX, (int64_t)files};
	stats_add(STATS_quota_recounts, r == 0);
	return r;
}

/* The dead among the lines of a session: their files are closed, so that nothing is held, and their grants are void. */
struct dead {
	struct store *store;
	const char *name;
	quota_dead_fn *fn;
	void *ctx;
	struct usage held;
};

static int add_held(void *ctx, const char *instance, const struct ledger_line *line)
{
	struct dead *d = ctx;
	if (line && d->fn && !line->exact && d->fn(d->ctx, instance, line)) {
		d->held.bytes += line->held.bytes;
		d->held.files += line->held.files;
	}
	return 0;
}

/* What it did beyond its line is in the base by now. */
static int settle_line(void *ctx, const char *instance, const struct ledger_line *line)
{
	const struct dead *d = ctx;
	if (!line || line->exact || !d->fn(d->ctx, instance, line))
		return 0;
	struct ledger_line exact = {line->version + 1, true, line->used, line->used, {0, 0}};
	return ledger_write(d->store, d->name, instance, &exact);
}

/* One look at a ledger: what its lines account for of the tree. */
static int look_at(struct store *s, const char *name, struct dead *d, struct ledger_sum *sum, struct usage *ret)
{
	d->held = (struct usage){0, 0};
	int r = ledger_read(s, name, NULL, add_held, d, sum);
	struct usage held = {sum->held.bytes - d->held.bytes, sum->held.files - d->held.files};
	if (r == 0)
		*ret = in_tree(&sum->used, &held);
	return r;
}

int quota_recount(struct store *s, const char *name, quota_dead_fn *dead, void *ctx, struct usage *was,
		  struct usage *is)
{
	struct dead d = {.store = s, .name = name, .fn = dead, .ctx = ctx};
	struct ledger_sum sum = {0};
	struct usage tree = {0, 0}, before, after;
	int r = -EAGAIN;
	for (int i = 0; i < TRIES && r == -EAGAIN; i++) {
		r = look_at(s, name, &d, &sum, &before);
		if (r == 0)
			r = count_tree(s, name, false, &tree);
		if (r == 0)
			r = look_at(s, name, &d, &sum, &after);
		if (r == 0 && memcmp(&before, &after, sizeof(before)) != 0 && i + 1 < TRIES)
			r = -EAGAIN;
	}
	if (r)
		return r;
	struct usage base = base_of(&tree, &before, &after), total = ledger_total(&sum);
	/* Where nothing was ever written, a base of nothing says nothing. */
	if (memcmp(&base, &sum.base, sizeof(base)) != 0 || sum.garbage)
		r = ledger_write_base(s, name, &base);
	if (r == 0 && sum.garbage)
		r = ledger_clear(s, name);
	sum.base = base;
	struct usage now = ledger_total(&sum);
	if (r == 0 && dead && sum.loose)
		r = ledger_read(s, name, NULL, settle_line, &d, &sum);
	if (r)
		return r;
	if (was)
		*was = total;
	if (is)
		*is = now;
	return 0;
}

/* With the account's lock. */
static struct usage mine_in_tree(const struct account *a)
{
	return (struct usage){a->used.bytes - a->held.bytes - a->pending.bytes,
			      a->used.files - a->held.files - a->pending.files};
}

/* The same for a session that is live here, whose own line is known to the byte. Without the account's lock. */
static int recount_live(struct account *a)
{
	struct store *s = a->quota->store;
	struct ledger_sum before, after;
	struct usage tree = {0, 0}, mine;
	int r = ledger_read(s, a->name, a->quota->instance, NULL, NULL, &before);
	pthread_mutex_lock(&a->lock);
	mine = mine_in_tree(a);
	pthread_mutex_unlock(&a->lock);
	if (r == 0)
		r = count_tree(s, a->name, true, &tree);
	if (r)
		return r;

	pthread_mutex_lock(&a->lock);
	r = ledger_read(s, a->name, a->quota->instance, NULL, NULL, &after);
	if (r == 0) {
		struct usage u = in_tree(&before.used, &before.held), v = in_tree(&after.used, &after.held);
		struct usage now = mine_in_tree(a);
		u = (struct usage){u.bytes + mine.bytes, u.files + mine.files};
		v = (struct usage){v.bytes + now.bytes, v.files + now.files};
		struct usage base = base_of(&tree, &u, &v);
		r = ledger_write_base(s, a->name, &base);
	}
	if (r == 0 && after.garbage)
		r = ledger_clear(s, a->name);
	if (r == 0) {
		a->unsure = false;
		a->dirty = true; /* the line may be exact again */
		r = look(a, false);
	}
	pthread_mutex_unlock(&a->lock);
	return r;
}

/* --- loading --- */

static int count_if_new(struct store *s, const char *name)
{
	struct ledger_sum sum;
	int r = ledger_read(s, name, NULL, NULL, NULL, &sum);
	return r || (sum.there && !sum.garbage) ? r : quota_recount(s, name, NULL, NULL, NULL, NULL);
}

static int count_session(void *ctx, const char *name)
{
	int r = count_if_new(ctx, name);
	return r == -ENOENT ? 0 : r;
}

/*
 * Our own line of an earlier life. An exact one is true; the files it held are closed. Another says how much at most:
 * that counts until the tree was counted.
 */
static int load(struct account *a)
{
	struct store *s = a->quota->store;
	struct ledger_sum sum;
	int r = count_if_new(s, a->name);
	if (r == 0)
		r = ledger_read(s, a->name, a->quota->instance, NULL, NULL, &sum);
	if (r == 0 && sum.has_mine) {
		const struct ledger_line *m = &sum.mine;
		a->version = m->version;
		/* What was removed just before a crash is in a line that is exact still. */
		a->unsure = !m->exact || a->quota->crashed;
		a->used = a->unsure ? m->granted : in_tree(&m->used, &m->held);
		a->dirty = true;
	}
	if (r)
		return r;
	a->granted = a->used;
	a->exact = true; /* no grant */
	a->loaded = true;
	return look(a, false);
}

/* Counts sessions of the user from before anybody did, and those whose ledger is damaged. */
static int load_user(struct account *a)
{
	int r = users_each(a->quota->store, a->user, count_session, a->quota->store);
	a->loaded_user = r == 0;
	return r;
}

bool quota_is_counted(struct quota *q, const char *name)
{
	struct ledger_sum sum;
	return ledger_read(q->store, name, NULL, NULL, NULL, &sum) == 0 && sum.there;
}

int quota_account(struct quota *q, const char *name, const char *sub, const struct limits *l, struct account **ret)
{
	char user[SID_HASH_LEN + 1];
	user_hash(sub, user);
	struct account *a = find_or_make(q, name, user);
	if (!a)
		return -ENOMEM;
	pthread_mutex_lock(&a->lock);
	int r = a->loaded ? 0 : load(a);
	if (r == 0 && limits_of_user(l) && !a->loaded_user)
		r = load_user(a);
	pthread_mutex_unlock(&a->lock);
	if (r) {
		quota_put(a);
		return r;
	}
	*ret = a;
	return 0;
}

/* --- the thread --- */

/* Writes what changed: an idle account's line exact and without a grant, that of one in use with what it has. */
static void step_account(struct account *a, int64_t now)
{
	pthread_mutex_lock(&a->lock);
	if (a->loaded && !a->gone) {
		bool idle = !a->touched && !a->pending.bytes && !a->pending.files;
		bool rest = memcmp(&a->granted, &a->used, sizeof(a->used)) != 0;
		a->touched = false;
		if (rest && !a->exact && now - a->written >= LEDGER_LEASE)
			a->granted = a->used; /* it may have been taken for a dead one's */
		if (idle && (a->dirty || rest || (!a->exact && !a->unsure))) {
			struct usage used = a->used;
			if (put_line(a, &used, true) == 0)
				a->granted = used;
		} else if (!idle) {
			/* What was removed since it was granted is not kept from the others: the line, which says more, follows. */
			struct usage left = room(a, &a->quota->limits);
			a->granted.bytes = min64(a->granted.bytes, grant(a->used.bytes, 0, left.bytes, GRANT_BYTES));
			a->granted.files = min64(a->granted.files, grant(a->used.files, 0, left.files, GRANT_FILES));
		}
		if (!idle && (a->exact || now - a->written > RENEW)) {
			(void)put_line(a, &a->granted, false);
			(void)look(a, a->lowered);
		}
	}
	pthread_mutex_unlock(&a->lock);
}

static void count_account(struct account *a, int64_t now)
{
	pthread_mutex_lock(&a->lock);
	bool due = a->loaded && !a->gone && a->unsure && now >= a->count_after;
	a->count_after = due ? now + COUNT_AGAIN : a->count_after;
	pthread_mutex_unlock(&a->lock);
	if (!due)
		return;
	int r = recount_live(a);
	if (r)
		log_warn("session %.12s: cannot be counted: %s", a->name, strerror(-r));
	else
		log_info("session %.12s: counted anew, after a crash or damage", a->name);
}

static bool settled(struct account *a)
{
	pthread_mutex_lock(&a->lock);
	bool done = !a->loaded || a->gone || a->absent || (!a->dirty && !a->touched && a->exact);
	pthread_mutex_unlock(&a->lock);
	return done;
}

static void each_account(struct quota *q, void (*visit)(struct account *a, int64_t now), int64_t now)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		pthread_mutex_lock(&q->lock);
		struct account *a = q->buckets[i];
		while (a) {
			a->refs++;
			pthread_mutex_unlock(&q->lock);
			visit(a, now);
			bool done = settled(a);
			pthread_mutex_lock(&q->lock);
			struct account *next = a->linked ? a->next : q->buckets[i]; /* some are visited twice then */
			if (--a->refs == 0 && (done || !a->linked)) {
				if (a->linked)
					unlink_account(q, a);
				free_account(a);
			}
			a = next;
		}
		pthread_mutex_unlock(&q->lock);
	}
}

void quota_step(struct quota *q, int64_t now)
{
	each_account(q, step_account, now);
}

void quota_count(struct quota *q, int64_t now)
{
	each_account(q, count_account, now);
}

/* False when it is time to end. */
static bool sleep_until_next(struct quota *q)
{
	struct timespec next;
	clock_gettime(CLOCK_MONOTONIC, &next);
	next.tv_nsec += STEP_MS * 1000000L;
	next.tv_sec += next.tv_nsec / 1000000000L;
	next.tv_nsec %= 1000000000L;
	pthread_mutex_lock(&q->wake_lock);
	while (!q->stop && pthread_cond_timedwait(&q->wake, &q->wake_lock, &next) == 0)
		;
	bool stop = q->stop;
	pthread_mutex_unlock(&q->wake_lock);
	return !stop;
}

static void *run_steps(void *arg)
{
	while (sleep_until_next(arg))
		quota_step(arg, now_ms());
	return NULL;
}

/* A thread of its own: a tree may take long, and grants have to be renewed meanwhile. */
static void *run_counts(void *arg)
{
	while (sleep_until_next(arg))
		quota_count(arg, now_ms());
	return NULL;
}

struct quota *quota_new(struct store *s, const char *instance, const struct limits *l)
{
	struct quota *q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->store = s;
	q->instance = instance;
	q->limits = *l;
	_cleanup_free_ struct heartbeat *last = malloc(sizeof(*last));
	q->crashed = last && roster_read(store_fd(s), instance, last) == 0 && !last->stopped;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&q->lock, NULL);
	pthread_mutex_init(&q->wake_lock, NULL);
	pthread_cond_init(&q->wake, &attr);
	pthread_condattr_destroy(&attr);
	return q;
}

static void stop_threads(struct quota *q)
{
	pthread_mutex_lock(&q->wake_lock);
	q->stop = true;
	pthread_cond_broadcast(&q->wake);
	pthread_mutex_unlock(&q->wake_lock);
	while (q->started > 0)
		pthread_join(q->threads[--q->started], NULL);
}

int quota_start(struct quota *q)
{
	void *(*const runs[])(void *) = {run_steps, run_counts};
	for (size_t i = 0; i < ARRAY_LEN(runs); i++, q->started++) {
		int r = pthread_create(&q->threads[i], NULL, runs[i], q);
		if (r) {
			stop_threads(q);
			return -r;
		}
	}
	return 0;
}

static void finish_account(struct account *a)
{
	pthread_mutex_lock(&a->lock);
	a->used = in_tree(&a->used, &a->held);
	a->held = (struct usage){0, 0};
	if (a->loaded && !a->gone && (a->dirty || !a->exact)) {
		int r = put_line(a, &a->used, true);
		if (r)
			log_warn("session %.12s: usage: %s; it is counted at the next bind", a->name, strerror(-r));
	}
	pthread_mutex_unlock(&a->lock);
}

void quota_free(struct quota *q)
{
	if (!q)
		return;
	stop_threads(q);
	for (unsigned i = 0; i < BUCKETS; i++)
		while (q->buckets[i]) {
			struct account *a = q->buckets[i];
			finish_account(a);
			unlink_account(q, a);
			free_account(a);
		}
	free(q);
}
