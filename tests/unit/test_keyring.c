/* SPDX-License-Identifier: MIT */
#include "keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tap.h"
#include "util.h"

#define NOW INT64_C(1768478400)

static const struct token_rules rules = {"sessionfs", 30, 86400};
static char dir[] = "/tmp/sessionfs-keyring-XXXXXX";

struct issuer {
	uint8_t public[PASERK_PUBLIC_LEN], secret[PASERK_SECRET_LEN];
	char text[PASERK_PUBLIC_TEXT_LEN + 2], kid[KID_LEN + 1];
};

static void make_issuer(struct issuer *i, uint8_t seed_byte)
{
	uint8_t seed[32];

	memset(seed, seed_byte, sizeof(seed));
	crypto_sign_seed_keypair(i->public, i->secret, seed);
	paserk_encode_public(i->public, i->text);
	strcat(i->text, "\n");
	paserk_id(i->public, i->kid);
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text, mode_t mode)
{
	_cleanup_close_ int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fchmod(fd, mode) < 0) {
		printf("Bail out! %s: %s\n", path_of(name), strerror(errno));
		exit(1);
	}
}

static void drop(const char *name)
{
	unlink(path_of(name));
}

static void mint(const struct issuer *by, const char *sub, int64_t iat, int64_t exp, char token[static TOKEN_MAX + 1])
{
	struct claims c = {
		.sid = "s-1", .aud = "sessionfs", .iat = iat, .exp = exp, .nbf = INT64_MIN, .limits = limits_none()};

	strcpy(c.sub, sub);
	if (token_mint(&c, NULL, by->secret, token))
		abort();
}

/* Opening must fail with that errno and a line that names the file. */
static void refuses(int want, const char *name, const char *why)
{
	struct keyring *k = NULL;
	char err[512] = "";

	int r = keyring_open(dir, &rules, err, sizeof(err), &k);
	if (!ok(r == want && k == NULL && strstr(err, path_of(name)) && !strchr(err, '\n'), "refused, naming it: %s",
		why))
		printf("# got %d: %s\n", r, err);
	keyring_close(k);
}

static void test_directory(const struct issuer *a)
{
	static const struct {
		const char *why, *text;
	} bad[] = {
		{"an empty file", ""},
		{"a newline alone", "\n"},
		{"a comment", "# key\n"},
		{"two lines", "k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8\n\n"},
		{"a carriage return", "k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8\r\n"},
		{"a k3 key", "k3.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8\n"},
		{"a key that is no point", "k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8\n"},
		{"a key of small order", "k4.public.AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"},
	};
	struct keyring *k = NULL;
	char err[512];
	char secret_text[PASERK_SECRET_TEXT_LEN + 1];

	int r = keyring_open(dir, &rules, err, sizeof(err), &k);
	ok(r == -ENOKEY && strstr(err, dir), "refused, naming it: an empty directory");
	put("readme.txt", "hello", 0644);
	put(".hidden.pub", "rubbish", 0644);
	put(".pub", "rubbish", 0644);
	put("a.pub", a->text, 0644);
	is_int(keyring_open(dir, &rules, err, sizeof(err), &k), 0, "other names are ignored");
	ok(keyring_has(k, a->kid) && !keyring_has(k, "k4.pid.x"), "the key is there, and no other");
	keyring_close(k);

	put("copy.pub", a->text, 0444);
	is_int(keyring_open(dir, &rules, err, sizeof(err), &k), 0, "one key in two files is no fault");
	keyring_close(k);
	drop("copy.pub");

	char bare[PASERK_PUBLIC_TEXT_LEN + 1];
	memcpy(bare, a->text, PASERK_PUBLIC_TEXT_LEN);
	bare[PASERK_PUBLIC_TEXT_LEN] = '\0';
	put("a.pub", bare, 0644);
	is_int(keyring_open(dir, &rules, err, sizeof(err), &k), 0, "the newline may be missing");
	keyring_close(k);
	put("a.pub", a->text, 0644);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put("bad.pub", bad[i].text, 0644);
		refuses(-EINVAL, "bad.pub", bad[i].why);
	}
	paserk_encode_secret(a->secret, secret_text);
	put("bad.pub", secret_text, 0600);
	refuses(-EINVAL, "bad.pub", "a secret key");
	r = keyring_open(dir, &rules, err, sizeof(err), &k);
	ok(r < 0 && strstr(err, "secret") && !strstr(err, secret_text + 10), "which is said, but not shown");
	put("bad.pub", a->text, 0664);
	refuses(-EPERM, "bad.pub", "a file that its group may write");
	put("bad.pub", a->text, 0646);
	refuses(-EPERM, "bad.pub", "a file that others may write");
	drop("bad.pub");
	if (symlink("a.pub", path_of("bad.pub")) == 0)
		refuses(-EINVAL, "bad.pub", "a symlink");
	drop("bad.pub");
	if (mkfifo(path_of("bad.pub"), 0644) == 0)
		refuses(-EINVAL, "bad.pub", "a fifo, without waiting for it");
	drop("bad.pub");
	if (mkdir(path_of("bad.pub"), 0755) == 0)
		refuses(-EINVAL, "bad.pub", "a directory of that name");
	rmdir(path_of("bad.pub"));
	if (geteuid() == 0) {
		put("bad.pub", a->text, 0644);
		if (chown(path_of("bad.pub"), 12345, 12345) == 0)
			refuses(-EPERM, "bad.pub", "another user's file");
		drop("bad.pub");
	}
	chmod(dir, 0777);
	r = keyring_open(dir, &rules, err, sizeof(err), &k);
	ok(r == -EPERM && strstr(err, dir), "refused: a directory that others may write");
	chmod(dir, 0700);
	r = keyring_open("/nonexistent/keys.d", &rules, err, sizeof(err), &k);
	ok(r == -ENOENT && strstr(err, "/nonexistent/keys.d: "), "refused: a directory that is not there");
	drop("readme.txt");
	drop(".hidden.pub");
	drop(".pub");
}

static void test_cache(const struct issuer *a, const struct issuer *b)
{
	char err[512], token[TOKEN_MAX + 1], other[TOKEN_MAX + 1], kid[KID_LEN + 1] = "";
	struct keyring *k = NULL;
	uint64_t hits, misses;
	struct claims c;

	put("b.pub", b->text, 0644);
	is_int(keyring_open(dir, &rules, err, sizeof(err), &k), 0, "two keys are loaded");
	mint(a, "aisha", NOW, NOW + 60, token);
	mint(b, "bello", NOW, NOW + 60, other);

	is_int(keyring_check(k, token, strlen(token), NOW, &c, kid), TOKEN_OK, "a token is verified");
	ok(strcmp(c.sub, "aisha") == 0 && strcmp(kid, a->kid) == 0, "and says whose it is and who signed it");
	memset(&c, 0, sizeof(c));
	memset(kid, 0, sizeof(kid));
	is_int(keyring_check(k, token, strlen(token), NOW + 1, &c, kid), TOKEN_OK, "and again");
	ok(strcmp(c.sub, "aisha") == 0 && strcmp(kid, a->kid) == 0, "with the same answer");
	keyring_counts(k, &hits, &misses);
	ok(hits == 1 && misses == 1, "from the cache");

	is_int(keyring_check(k, other, strlen(other), NOW, &c, kid), TOKEN_OK, "another's token is another entry");
	ok(strcmp(c.sub, "bello") == 0 && strcmp(kid, b->kid) == 0, "with its own claims and key");

	is_int(keyring_check(k, token, strlen(token), NOW + 60, &c, kid), TOKEN_EXPIRED, "a cached token expires");
	is_str(c.sub, "aisha", "and still says whose it was");
	is_int(keyring_check(k, token, strlen(token), NOW - 31, &c, kid), TOKEN_NOT_YET_VALID,
	       "a clock set back is noticed too");

	token[strlen(token) - 1] ^= 'A' ^ 'B';
	is_int(keyring_check(k, token, strlen(token), NOW, &c, kid), TOKEN_BAD_ENCODING,
	       "a changed token is not found in it");
	token[strlen(token) - 1] ^= 'A' ^ 'B';
	is_int(keyring_check(k, token, strlen(token) - 1, NOW, &c, kid), TOKEN_BAD_ENCODING, "nor a shorter one");
	char huge[TOKEN_MAX + 1];
	memset(huge, 'x', sizeof(huge));
	is_int(keyring_check(k, huge, sizeof(huge), NOW, &c, kid), TOKEN_TOO_LONG,
	       "a token too long is not even hashed");

	/* Failures and expired tokens are not kept. */
	mint(a, "late", NOW - 60, NOW, token);
	keyring_check(k, token, strlen(token), NOW, &c, kid);
	keyring_counts(k, &hits, &misses);
	uint64_t before = hits;
	is_int(keyring_check(k, token, strlen(token), NOW, &c, kid), TOKEN_EXPIRED,
	       "an expired token is verified each time");
	keyring_counts(k, &hits, &misses);
	ok(hits == before && strcmp(kid, a->kid) == 0, "since the cache holds good ones alone");

	/* Rotation. */
	drop("b.pub");
	is_int(keyring_reload(k, err, sizeof(err)), 1, "the keys are loaded again, and are others");
	is_int(keyring_reload(k, err, sizeof(err)), 0, "once more, and are the same");
	ok(keyring_has(k, a->kid) && !keyring_has(k, b->kid), "one is gone");
	is_int(keyring_check(k, other, strlen(other), NOW, &c, kid), TOKEN_UNKNOWN_KEY,
	       "and its token with it, cached or not");
	put("c.pub", "rubbish", 0644);
	is_int(keyring_reload(k, err, sizeof(err)), -EINVAL, "a bad file makes a reload fail");
	ok(strstr(err, path_of("c.pub")) && keyring_has(k, a->kid), "naming it, and the old keys stay");
	drop("c.pub");
	drop("a.pub");
	is_int(keyring_reload(k, err, sizeof(err)), -ENOKEY, "so does a directory without keys");
	ok(keyring_has(k, a->kid), "and the old keys stay");
	keyring_close(k);
}

/* What the daemon does by itself, once a second. */
static void test_poll(const struct issuer *a, const struct issuer *b)
{
	char err[512] = "", token[TOKEN_MAX + 1], kid[KID_LEN + 1], half[PASERK_PUBLIC_TEXT_LEN];
	struct keyring *k = NULL;
	uint64_t hits, misses;
	struct claims c;
	int r = 0;

	put("a.pub", a->text, 0644);
	if (keyring_open(dir, &rules, err, sizeof(err), &k))
		abort();
	mint(a, "aisha", NOW, NOW + 60, token);
	keyring_check(k, token, strlen(token), NOW, &c, kid);
	for (int i = 0; i < 5; i++)
		r |= keyring_poll(k, err, sizeof(err));
	is_int(r, 0, "a poll finds nothing new where nothing is");
	keyring_check(k, token, strlen(token), NOW, &c, kid);
	keyring_counts(k, &hits, &misses);
	is_int((long long)hits, 1, "and keeps what was verified");

	put("b.pub", b->text, 0644);
	is_int(keyring_poll(k, err, sizeof(err)), 1, "a key that is added is found");
	ok(keyring_has(k, a->kid) && keyring_has(k, b->kid), "and trusted beside the other");
	is_int(keyring_poll(k, err, sizeof(err)), 0, "once");
	put("readme.txt", "hello", 0644);
	is_int(keyring_poll(k, err, sizeof(err)), 0, "other names are no change of keys");
	drop("readme.txt");

	/* cp(1) at work: an empty file, half a key, the key. Meanwhile one that is not needed any more goes. */
	snprintf(half, sizeof(half), "%.20s", a->text);
	drop("b.pub");
	keyring_poll(k, err, sizeof(err));
	keyring_poll(k, err, sizeof(err));
	ok(!keyring_has(k, b->kid), "a key that is taken away is not trusted any more");
	put("c.pub", "", 0644);
	is_int(keyring_poll(k, err, sizeof(err)), 0, "a file that is being written is waited for");
	put("c.pub", half, 0644);
	is_int(keyring_poll(k, err, sizeof(err)), 0, "as long as it changes");
	ok(keyring_has(k, a->kid) && !keyring_has(k, b->kid), "and the others stay trusted");
	put("c.pub", b->text, 0644);
	is_int(keyring_poll(k, err, sizeof(err)), 1, "until it is a key");
	ok(keyring_has(k, a->kid) && keyring_has(k, b->kid), "which is trusted then");

	put("c.pub", half, 0644);
	drop("a.pub");
	err[0] = '\0';
	is_int(keyring_poll(k, err, sizeof(err)), 0, "one that stays half a key");
	is_int(keyring_poll(k, err, sizeof(err)), -EINVAL, "is an error");
	ok(strstr(err, path_of("c.pub")) != NULL, "that names it");
	r = 0;
	for (int i = 0; i < 5; i++)
		r |= keyring_poll(k, err, sizeof(err));
	is_int(r, 0, "once");
	ok(keyring_has(k, a->kid) && keyring_has(k, b->kid),
	   "and all the old keys stay, those that were taken away too");
	drop("c.pub");
	is_int(keyring_poll(k, err, sizeof(err)) + (keyring_poll(k, err, sizeof(err)) == -ENOKEY), 1,
	       "a directory without keys is one too");
	put("a.pub", a->text, 0644);
	is_int(keyring_poll(k, err, sizeof(err)), 1, "what is good again counts");
	ok(keyring_has(k, a->kid) && !keyring_has(k, b->kid), "all of it");

	/* The same name, size and time: another number. */
	struct stat st;
	if (stat(path_of("a.pub"), &st) < 0)
		abort();
	keyring_poll(k, err, sizeof(err));
	put("new", b->text, 0644);
	struct timespec times[2] = {st.st_atim, st.st_mtim};
	if (utimensat(AT_FDCWD, path_of("new"), times, 0) < 0)
		abort();
	char from[256];
	snprintf(from, sizeof(from), "%s", path_of("new"));
	if (rename(from, path_of("a.pub")) < 0)
		abort();
	is_int(keyring_poll(k, err, sizeof(err)), 1,
	       "a file in place of another is a change, whatever its size and times");
	ok(!keyring_has(k, a->kid) && keyring_has(k, b->kid), "and its key the only one");
	keyring_close(k);
	drop("a.pub");
}

/* Many more tokens than the cache has room for: each stays right. */
static void test_bound(const struct issuer *a)
{
	char err[512], kid[KID_LEN + 1], sub[32];
	static char tokens[6000][512];
	char token[TOKEN_MAX + 1];
	struct keyring *k = NULL;
	uint64_t hits, misses;
	struct claims c;
	int wrong = 0;

	put("a.pub", a->text, 0644);
	if (keyring_open(dir, &rules, err, sizeof(err), &k))
		abort();
	for (int i = 0; i < 6000; i++) {
		snprintf(sub, sizeof(sub), "user-%d", i);
		mint(a, sub, NOW, NOW + 60, token);
		strcpy(tokens[i], token);
	}
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 6000; i++) {
			snprintf(sub, sizeof(sub), "user-%d", i);
			wrong += keyring_check(k, tokens[i], strlen(tokens[i]), NOW, &c, kid) != TOKEN_OK ||
				 strcmp(c.sub, sub) != 0;
		}
	keyring_counts(k, &hits, &misses);
	is_int(wrong, 0, "6000 tokens in a cache of 4096 are each their own");
	ok(hits > 0 && misses > 6000 && hits + misses == 12000, "some were found, some made room");
	keyring_close(k);
}

struct worker {
	struct keyring *k;
	const char *token, *sub;
	int wrong;
};

static void *check_often(void *arg)
{
	struct worker *w = arg;
	char kid[KID_LEN + 1];
	struct claims c;

	for (int i = 0; i < 2000; i++)
		w->wrong += keyring_check(w->k, w->token, strlen(w->token), NOW, &c, kid) != TOKEN_OK ||
			    strcmp(c.sub, w->sub) != 0;
	return NULL;
}

static void test_threads(const struct issuer *a)
{
	char err[512], tokens[4][TOKEN_MAX + 1];
	static const char *const subs[] = {"u0", "u1", "u2", "u3"};
	struct worker w[4];
	pthread_t t[4];
	struct keyring *k = NULL;
	int wrong = 0;

	if (keyring_open(dir, &rules, err, sizeof(err), &k))
		abort();
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		mint(a, subs[i], NOW, NOW + 60, tokens[i]);
		w[i] = (struct worker){k, tokens[i], subs[i], 0};
		if (pthread_create(&t[i], NULL, check_often, &w[i]))
			abort();
	}
	for (int i = 0; i < 50; i++)
		wrong += keyring_reload(k, err, sizeof(err)) != 0; /* the same keys */
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		pthread_join(t[i], NULL);
		wrong += w[i].wrong;
	}
	is_int(wrong, 0, "four threads check 8000 times while the keys are loaded 50 times, without a wrong answer");
	keyring_close(k);
}

int main(void)
{
	struct issuer a, b;

	if (sodium_init() < 0 || !mkdtemp(dir))
		return 1;
	make_issuer(&a, 1);
	make_issuer(&b, 2);
	test_directory(&a);
	test_cache(&a, &b);
	test_poll(&a, &b);
	test_bound(&a);
	test_threads(&a);
	drop("a.pub");
	ok(rmdir(dir) == 0, "nothing is left behind");
	return tap_done();
}
