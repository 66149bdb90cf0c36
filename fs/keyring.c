/* SPDX-License-Identifier: MIT */
#include "keyring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "stats.h"
#include "util.h"

#define CACHE_SETS 2048 /* of two entries; 5 MB of address space, touched as it fills */
#define HASH_LEN 32

/*
 * After a change that was seen: times of files may be as coarse as a timer's tick, so two changes within one look alike;
 * and a key that is being copied is not one yet, which is not worth a line in the log.
 */
#define POLLS_AGAIN 1

struct key {
	char kid[KID_LEN + 1];
	uint8_t public[PASERK_PUBLIC_LEN];
};

struct keys {
	struct key *list; /* owned */
	size_t n;
};

/* A verified token. Used when kid is not "". */
struct entry {
	uint8_t hash[HASH_LEN];
	char kid[KID_LEN + 1];
	struct claims claims;
};

/* Two ways to a set: a new entry takes way 0 and pushes the older one to way 1. */
struct set {
	struct entry way[2];
};

struct keyring {
	/* set by keyring_open() */
	char *dir;      /* owned */
	char *audience; /* owned; rules.audience */
	struct token_rules rules;
	uint8_t hash_key[crypto_generichash_KEYBYTES];

	/* of the thread that polls */
	uint8_t seen[HASH_LEN]; /* what the files looked like at the last poll */
	int again;              /* polls that load in any case */
	bool failed;            /* to load, and it was told */

	pthread_mutex_t lock; /* guards all below */
	struct keys keys;
	struct set *cache; /* owned, CACHE_SETS */
	uint64_t hits, misses;
};

__attribute__((format(printf, 4, 5))) static int fail(int r, char *err, size_t errlen, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, errlen, fmt, ap);
	va_end(ap);
	return r;
}

/* Why an open file or directory may not say whom to trust, or NULL. */
static const char *unsafe(const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "is owned by another user";
	if (st->st_mode & 022)
		return "is writable by group or others";
	return NULL;
}

/* Reads one k4.public line from a file of the directory. */
static int read_key(int dirfd, const char *dir, const char *name, struct key *ret, char *err, size_t errlen)
{
	char text[PASERK_PUBLIC_TEXT_LEN + 2]; /* its newline, and one byte more to see that there is none */
	struct stat st;

	/* O_NONBLOCK: a fifo must not hold up the daemon's start. */
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno != ELOOP)
		return fail(-errno, err, errlen, "%s/%s: %s", dir, name, strerror(errno));
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return fail(-EINVAL, err, errlen, "%s/%s: not a regular file", dir, name);
	const char *reason = unsafe(&st);
	if (reason)
		return fail(-EPERM, err, errlen, "%s/%s: %s", dir, name, reason);

	ssize_t n = read(fd, text, sizeof(text));
	if (n < 0)
		return fail(-errno, err, errlen, "%s/%s: %s", dir, name, strerror(errno));
	size_t len = (size_t)n;
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (paserk_decode_public(text, len, ret->public)) {
		reason = len >= 10 && memcmp(text, "k4.secret.", 10) == 0 ? "holds a secret key"
									  : "not one k4.public key";
		return fail(-EINVAL, err, errlen, "%s/%s: %s", dir, name, reason);
	}
	if (!paserk_public_admissible(ret->public))
		return fail(-EINVAL, err, errlen, "%s/%s: not a valid Ed25519 public key", dir, name);
	paserk_id(ret->public, ret->kid);
	return 0;
}

static const struct key *find(const struct keys *keys, const char *kid)
{
	for (size_t i = 0; i < keys->n; i++)
		if (strcmp(keys->list[i].kid, kid) == 0)
			return &keys->list[i];
	return NULL;
}

/* *.pub, as a shell would match it. */
static bool is_key_name(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 4 && strcmp(name + len - 4, ".pub") == 0;
}

static void cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* All keys of a directory; one key in two files is one key. */
static int load(const char *dir, struct keys *ret, char *err, size_t errlen)
{
	_cleanup_(cleanup_closedir) DIR *d = NULL;
	_cleanup_free_ struct key *list = NULL;
	struct keys keys = {NULL, 0};
	struct stat st;

	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(-errno, err, errlen, "%s: %s", dir, strerror(errno));
	const char *reason = unsafe(&st);
	if (reason)
		return fail(-EPERM, err, errlen, "%s: %s", dir, reason);
	d = fdopendir(fd);
	if (!d)
		return fail(-errno, err, errlen, "%s: %s", dir, strerror(errno));
	steal_fd(&fd);

	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(d);
		if (!e && errno)
			return fail(-errno, err, errlen, "%s: %s", dir, strerror(errno));
		if (!e)
			break;
		if (!is_key_name(e->d_name))
			continue;
		struct key key;
		int r = read_key(dirfd(d), dir, e->d_name, &key, err, errlen);
		if (r)
			return r;
		if (find(&keys, key.kid))
			continue;
		struct key *grown = reallocarray(list, keys.n + 1, sizeof(*list));
		if (!grown)
			return fail(-ENOMEM, err, errlen, "%s: %s", dir, strerror(ENOMEM));
		list = keys.list = grown;
		list[keys.n++] = key;
	}
	if (keys.n == 0)
		return fail(-ENOKEY, err, errlen, "%s: no *.pub file with a key in it", dir);
	steal_ptr(&list);
	*ret = keys;
	return 0;
}

static void hash_stat(crypto_generichash_state *h, const struct stat *st)
{
	const uint64_t what[] = {
		st->st_dev,
		st->st_ino,
		st->st_mode,
		st->st_uid,
		(uint64_t)st->st_size,
		(uint64_t)st->st_mtim.tv_sec,
		(uint64_t)st->st_mtim.tv_nsec,
		(uint64_t)st->st_ctim.tv_sec,
		(uint64_t)st->st_ctim.tv_nsec,
	};
	crypto_generichash_update(h, (const uint8_t *)what, sizeof(what));
}

/* What the directory's files look like, without opening them. Anything that can't be seen looks like nothing. */
static void look(const char *dir, uint8_t ret[static HASH_LEN])
{
	_cleanup_(cleanup_closedir) DIR *d = opendir(dir);
	uint8_t sum[HASH_LEN] = {0};
	const struct dirent *e;
	struct stat st;

	memset(ret, 0, HASH_LEN);
	while (d && (e = readdir(d))) {
		bool itself = strcmp(e->d_name, ".") == 0;
		if ((!itself && !is_key_name(e->d_name)) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		crypto_generichash_state h;
		crypto_generichash_init(&h, NULL, 0, HASH_LEN);
		crypto_generichash_update(&h, (const uint8_t *)e->d_name, strlen(e->d_name) + 1);
		hash_stat(&h, &st);
		crypto_generichash_final(&h, sum, HASH_LEN);
		for (size_t i = 0; i < HASH_LEN; i++)
			ret[i] ^= sum[i]; /* in whatever order they come */
	}
}

static void cleanup_keyring(struct keyring **k)
{
	keyring_close(*k);
}

int keyring_open(const char *dir, const struct token_rules *rules, char *err, size_t errlen, struct keyring **ret)
{
	_cleanup_(cleanup_keyring) struct keyring *k = calloc(1, sizeof(*k));

	if (!k)
		return fail(-ENOMEM, err, errlen, "%s: %s", dir, strerror(ENOMEM));
	pthread_mutex_init(&k->lock, NULL);
	k->dir = strdup(dir);
	k->audience = strdup(rules->audience);
	k->cache = calloc(CACHE_SETS, sizeof(*k->cache));
	if (!k->dir || !k->audience || !k->cache)
		return fail(-ENOMEM, err, errlen, "%s: %s", dir, strerror(ENOMEM));
	k->rules = *rules;
	k->rules.audience = k->audience;
	randombytes_buf(k->hash_key, sizeof(k->hash_key));
	look(dir, k->seen);
	k->again = POLLS_AGAIN + 1;
	int r = load(dir, &k->keys, err, errlen);
	if (r)
		return r;
	*ret = steal_ptr(&k);
	return 0;
}

void keyring_close(struct keyring *k)
{
	if (!k)
		return;
	pthread_mutex_destroy(&k->lock);
	free(k->keys.list);
	free(k->cache);
	free(k->audience);
	free(k->dir);
	free(k);
}

/* Whether all of a's are among b's. */
static bool has_all(const struct keys *a, const struct keys *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (!find(b, a->list[i].kid)) /* a kid names one key alone */
			return false;
	return true;
}

int keyring_reload(struct keyring *k, char *err, size_t errlen)
{
	struct keys keys;

	int r = load(k->dir, &keys, err, errlen);
	if (r)
		return r;
	pthread_mutex_lock(&k->lock);
	bool same = has_all(&keys, &k->keys) && has_all(&k->keys, &keys);
	if (!same) {
		struct keys old = k->keys;
		k->keys = keys;
		keys = old;
		memset(k->cache, 0, CACHE_SETS * sizeof(*k->cache));
	}
	pthread_mutex_unlock(&k->lock);
	free(keys.list);
	return !same;
}

int keyring_poll(struct keyring *k, char *err, size_t errlen)
{
	uint8_t now[HASH_LEN];

	look(k->dir, now); /* first: what changes while they are loaded is seen at the next poll */
	if (memcmp(now, k->seen, HASH_LEN) != 0) {
		memcpy(k->seen, now, HASH_LEN);
		k->failed = false;
		k->again = POLLS_AGAIN + 1;
	}
	if (!k->again)
		return 0;
	k->again--;
	int r = keyring_reload(k, err, errlen);
	if (r >= 0) {
		k->failed = false;
	} else if (k->again || k->failed) {
		r = 0; /* a key that is being copied; or said already */
		k->again += !k->again;
	} else {
		k->failed = true;
		k->again = 1; /* until they can be read: what is the reason need not change the files' looks */
	}
	return r;
}

/* The sum of the kids' hashes: files come in no order. */
void keyring_digest(struct keyring *k, char hex[static KEYRING_DIGEST_LEN + 1])
{
	unsigned char sum[KEYRING_DIGEST_LEN / 2] = {0}, hash[sizeof(sum)];
	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < k->keys.n; i++) {
		crypto_generichash(hash, sizeof(hash), (const unsigned char *)k->keys.list[i].kid, KID_LEN, NULL, 0);
		sodium_add(sum, hash, sizeof(sum));
	}
	pthread_mutex_unlock(&k->lock);
	sodium_bin2hex(hex, KEYRING_DIGEST_LEN + 1, sum, sizeof(sum));
}

bool keyring_has(struct keyring *k, const char *kid)
{
	pthread_mutex_lock(&k->lock);
	bool has = find(&k->keys, kid) != NULL;
	pthread_mutex_unlock(&k->lock);
	return has;
}

static struct set *set_of(struct keyring *k, const uint8_t hash[static HASH_LEN])
{
	uint32_t n;

	memcpy(&n, hash, sizeof(n));
	return &k->cache[n % CACHE_SETS];
}

/* Whether this token was verified before; then claims and kid. */
static bool cache_get(struct keyring *k, const uint8_t hash[static HASH_LEN], struct claims *claims,
		      char kid[static KID_LEN + 1])
{
	const struct entry *hit = NULL;

	pthread_mutex_lock(&k->lock);
	const struct set *set = set_of(k, hash);
	for (size_t i = 0; i < ARRAY_LEN(set->way) && !hit; i++)
		if (set->way[i].kid[0] && sodium_memcmp(set->way[i].hash, hash, HASH_LEN) == 0)
			hit = &set->way[i];
	if (hit) {
		*claims = hit->claims;
		memcpy(kid, hit->kid, KID_LEN + 1);
		k->hits++;
	} else {
		k->misses++;
	}
	pthread_mutex_unlock(&k->lock);
	return hit != NULL;
}

/* Keeps a verified token; the lock is held. */
static void cache_put(struct keyring *k, const uint8_t hash[static HASH_LEN], const struct claims *claims,
		      const char kid[static KID_LEN + 1])
{
	struct set *set = set_of(k, hash);

	set->way[1] = set->way[0];
	set->way[0].claims = *claims;
	memcpy(set->way[0].hash, hash, HASH_LEN);
	memcpy(set->way[0].kid, kid, KID_LEN + 1);
}

struct lookup {
	struct keyring *k;
	char kid[KID_LEN + 1]; /* the kid that was asked for */
};

static int find_key(void *ctx, const char *kid, uint8_t public[static PASERK_PUBLIC_LEN])
{
	struct lookup *l = ctx;

	pthread_mutex_lock(&l->k->lock);
	const struct key *key = find(&l->k->keys, kid);
	if (key)
		memcpy(public, key->public, PASERK_PUBLIC_LEN);
	pthread_mutex_unlock(&l->k->lock);
	memcpy(l->kid, kid, KID_LEN + 1);
	return key ? 0 : -ENOENT;
}

enum token_fault keyring_check(struct keyring *k, const char *token, size_t len, int64_t now, struct claims *claims,
			       char kid[static KID_LEN + 1])
{
	uint8_t hash[HASH_LEN];
	struct lookup l = {.k = k};
	struct claims c;
	enum token_fault fault;

	if (len > TOKEN_MAX)
		return TOKEN_TOO_LONG;
	crypto_generichash(hash, sizeof(hash), (const uint8_t *)token, len, k->hash_key, sizeof(k->hash_key));
	if (cache_get(k, hash, &c, l.kid)) {
		fault = token_check_times(&c, &k->rules, now);
	} else {
		fault = token_verify(token, len, &k->rules, now, find_key, &l, &c);
		if (fault != TOKEN_OK && fault != TOKEN_EXPIRED)
			return fault;
		/*
		 * The keys may have changed while the signature was verified. A kid names one key alone, so if it is
		 * still here the token is still good; if not, keeping it would outlive the emptying of the cache.
		 */
		pthread_mutex_lock(&k->lock);
		bool trusted = find(&k->keys, l.kid) != NULL;
		if (trusted && fault == TOKEN_OK)
			cache_put(k, hash, &c, l.kid);
		pthread_mutex_unlock(&k->lock);
		if (!trusted)
			return TOKEN_UNKNOWN_KEY;
	}
	if (fault == TOKEN_OK || fault == TOKEN_EXPIRED) {
		*claims = c;
		memcpy(kid, l.kid, KID_LEN + 1);
	}
	return fault;
}

void keyring_counts(struct keyring *k, uint64_t *hits, uint64_t *misses)
{
	pthread_mutex_lock(&k->lock);
	*hits = k->hits;
	*misses = k->misses;
	pthread_mutex_unlock(&k->lock);
}
