/* SPDX-License-Identifier: MIT */
/* Where two instances of one store contradict each other, and how often that is said. */
#include "agreement.h"

#include <sodium.h>

#include "tests/unit/scratch.h"
#include "tests/unit/tap.h"
#include "util.h"

#define NOW 1767225600

static struct agreement told;
static struct keyring *ring;

/* A keyring of the keys with these seeds, in files of these names. */
static struct keyring *ring_of(const char *dir, const char *seeds, const char *names)
{
	static const struct token_rules rules = {.audience = "sessionfs"};
	struct keyring *k;
	char path[PATH_MAX + 16], why[512];
	snprintf(path, sizeof(path), "%s/%s", scratch, dir);
	must(mkdir(path, 0700));
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (; *seeds; seeds++, names++) {
		uint8_t seed[crypto_sign_SEEDBYTES], pk[PASERK_PUBLIC_LEN], sk[PASERK_SECRET_LEN];
		char text[PASERK_PUBLIC_TEXT_LEN + 1], name[] = "x.pub";
		memset(seed, *seeds, sizeof(seed));
		crypto_sign_seed_keypair(pk, sk, seed);
		paserk_encode_public(pk, text);
		name[0] = *names;
		scratch_file(fd, name, 0600, text);
	}
	if (keyring_open(path, &rules, why, sizeof(why), &k))
		abort();
	return k;
}

static void test_digest(void)
{
	struct keyring *rings[] = {ring_of("one", "1", "a"), ring_of("two", "12", "ab"), ring_of("turned", "21", "ab"),
				   ring_of("other", "13", "ab")};
	char hex[ARRAY_LEN(rings)][KEYRING_DIGEST_LEN + 1];
	for (size_t i = 0; i < ARRAY_LEN(rings); i++) {
		keyring_digest(rings[i], hex[i]);
		keyring_close(rings[i]);
	}
	ok(strcmp(hex[1], hex[2]) == 0, "the same keys have one digest, in whatever files and order");
	ok(strcmp(hex[0], hex[1]) != 0 && strcmp(hex[1], hex[3]) != 0, "and others another");
}

/* The heartbeat of an instance with this configuration, at NOW. */
static struct heartbeat beat(const char *name, const char *options)
{
	struct heartbeat h = {.beat = NOW};
	struct config c;
	if (config_init(&c) || config_override(&c, options, stderr))
		abort();
	snprintf(h.name, sizeof(h.name), "%s", name);
	agreement_describe(&c, ring, &h);
	config_free(&c);
	return h;
}

static void set(struct heartbeat *h, const char *key, const char *value)
{
	for (size_t i = 0; i < h->n_settings; i++)
		if (strcmp(h->settings[i].key, key) == 0)
			snprintf(h->settings[i].value, sizeof(h->settings[i].value), "%s", value);
}

/* All that is told of a pair, one line each. */
static const char *tells(const struct heartbeat *own, const struct heartbeat *other)
{
	static char all[4 * AGREEMENT_LINE_MAX];
	char line[AGREEMENT_LINE_MAX];
	all[0] = '\0';
	for (size_t at = 0; agreement_differs(&told, own, other, &at, line);)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s\n", line);
	return all;
}

static void test_agreed(void)
{
	struct heartbeat a = beat("a", "files.cache=shared"), b = beat("b", "files.cache=shared");
	is_str(tells(&a, &b), "", "the same configuration is agreement");
	b = beat("b", "files.cache=shared,files.io=strict,files.names=hidden,files.symlinks=allow,tokens.leeway=1s,"
		      "daemon.threads=4,audit.to=journal,mount.exec=yes");
	is_str(tells(&a, &b), "", "what is each instance's own may differ");
	b.n_settings = 0;
	is_str(tells(&a, &b), "", "one of an earlier release says nothing, and nothing is said of it");
}

static void test_differs(void)
{
	struct heartbeat a = beat("a", "files.cache=shared"), b = beat("b", "files.cache=private");
	const char *line =
		"instance b: files.cache is private there and shared here: what the other changes is seen late "
		"where it is private\n";
	is_str(tells(&a, &b), line, "a difference names the instance, the key and both values");
	is_str(tells(&a, &b), "", "and is told once");
	snprintf(b.name, sizeof(b.name), "c");
	ok(strstr(tells(&a, &b), "instance c: files.cache is private there") != NULL, "but of each instance");

	b = beat("b", "files.cache=shared,tokens.audience=other,release.policy=require");
	const char *all = tells(&a, &b);
	ok(strstr(all, "tokens.audience is other there and sessionfs here: a token that one takes the other refuses") !=
		   NULL,
	   "audience");
	ok(strstr(all, "release.policy is require there and off here: what one refuses the other serves") != NULL,
	   "the release guard");
	b = beat("b", "files.cache=shared,limits.session_bytes=1M,retention.idle=1h");
	all = tells(&a, &b);
	ok(strstr(all, "limits.session_bytes is 1048576 there and none here: what one refuses the other grants") !=
		   NULL,
	   "limits");
	ok(strstr(all,
		  "retention.idle is 3600 there and none here: the shorter one removes what the other would keep") !=
		   NULL,
	   "retention");
	b = beat("b", "files.cache=shared");
	set(&b, "tokens.keys", "0123");
	ok(strstr(tells(&a, &b), "instance b: tokens.keys is 0123 there and ") != NULL, "trusted keys");
	set(&b, "tokens.keys", "4567");
	ok(strstr(tells(&a, &b), "tokens.keys is 4567 there") != NULL, "a difference that changed is another one");
}

static void test_private(void)
{
	struct heartbeat a = beat("a", "files.cache=private"), b = beat("d", "files.cache=private");
	ok(strstr(tells(&a, &b), "instance d serves this store too, and files.cache is private on both") != NULL,
	   "two that are private agree, and are told all the same");
	is_str(tells(&a, &b), "", "once");
}

static void test_life(void)
{
	struct heartbeat a = beat("a", "files.cache=shared"), b = beat("e", "files.cache=private");
	b.stopped = true;
	is_str(tells(&a, &b), "", "one that stopped contradicts nobody");
	b.stopped = false;
	b.beat = NOW - AGREEMENT_ALIVE - 1;
	is_str(tells(&a, &b), "", "nor one that is silent");
	b.beat = NOW + AGREEMENT_CLOCK + 5;
	const char *all = tells(&a, &b);
	ok(strstr(all, "instance e: its clock is 15 s ahead of this one's") != NULL &&
		   strstr(all, "files.cache") != NULL,
	   "a clock that is ahead is told, and the rest too");
	is_str(tells(&a, &b), "", "once");
	b = beat("f", "files.cache=shared");
	b.beat = NOW + AGREEMENT_CLOCK;
	is_str(tells(&a, &b), "", "a clock that is a little ahead is none");
}

/* More differences than are remembered: no more than that is lost. */
static void test_bounded(void)
{
	struct heartbeat a = beat("a", "files.cache=shared"), b = beat("g", "files.cache=shared");
	int said = 0, again = 0;
	char value[16];
	for (int i = 0; i < 3 * AGREEMENT_TOLD_MAX; i++) {
		snprintf(value, sizeof(value), "%d", i);
		set(&b, "tokens.keys", value);
		said += *tells(&a, &b) != '\0';
		again += *tells(&a, &b) != '\0';
	}
	is_int(said, 3 * AGREEMENT_TOLD_MAX, "each of many differences is told");
	is_int(again, 0, "and not at once again");
}

int main(void)
{
	if (sodium_init() < 0)
		return 2;
	close_fd(scratch_open());
	ring = ring_of("ring", "1", "a");
	test_digest();
	test_agreed();
	test_differs();
	test_private();
	test_life();
	test_bounded();
	keyring_close(ring);
	return tap_done();
}
