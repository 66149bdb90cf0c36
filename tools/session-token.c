/* SPDX-License-Identifier: MIT */
/*
 * Makes keys and tokens, and looks at tokens: session-token(1). Neither a secret nor a token is ever taken from the
 * arguments or the environment, where other users' ps and a worker's /proc/self/environ would show them.
 */
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <sodium.h>
#include <sys/stat.h>
#include <time.h>

#include "keyring.h"
#include "options.h"
#include "proto/paseto.h"
#include "proto/rfc3339.h"
#include "proto/token.h"
#include "sessionfs.h"
#include "util.h"
#include "version.h"

#define DEFAULT_AUDIENCE "sessionfs"
#define DEFAULT_LEEWAY 30             /* as the daemon's [tokens] leeway */
#define DEFAULT_LIFETIME (30 * 86400) /* as the daemon's [tokens] max_lifetime */

static void cleanup_sodium(void *pp)
{
	sodium_free(steal_ptr_(pp));
}

static void cleanup_json(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

static void cleanup_token(char **token)
{
	sessionfs_free(*token);
}

/* keygen */

/* Makes a file that must not exist yet, durable but for its name. What is half made is removed. */
static int create_file(int dirfd, const char *name, mode_t mode, const char *text, size_t len)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, text, len);
	if (n == (ssize_t)len && fchmod(fd, mode) == 0 && fsync(fd) == 0)
		return 0;
	int r = n >= 0 && n < (ssize_t)len ? -ENOSPC : -errno;
	unlinkat(dirfd, name, 0);
	return r;
}

static int cmd_keygen(int argc, char **argv)
{
	_cleanup_(cleanup_sodium) uint8_t *secret = sodium_malloc(PASERK_SECRET_LEN);
	_cleanup_(cleanup_sodium) char *text = sodium_malloc(PASERK_SECRET_TEXT_LEN + 1);
	char public_text[PASERK_PUBLIC_TEXT_LEN + 1], kid[PASERK_ID_TEXT_LEN + 1];
	uint8_t public[PASERK_PUBLIC_LEN];

	if (argc != 2)
		return complain(EXIT_USAGE, "keygen: one directory is needed");
	if (!secret || !text)
		return complain(EXIT_FAILED, "keygen: %s", strerror(ENOMEM));
	const char *dir = argv[1];
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return complain(EXIT_FAILED, "%s: %s", dir, strerror(errno));
	_cleanup_close_ int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return complain(EXIT_FAILED, "%s: %s", dir, strerror(errno));

	crypto_sign_keypair(public, secret);
	paserk_encode_secret(secret, text);
	paserk_encode_public(public, public_text);
	paserk_id(public, kid);
	text[PASERK_SECRET_TEXT_LEN] = '\n'; /* the files are lines, not strings */
	public_text[PASERK_PUBLIC_TEXT_LEN] = '\n';

	int r = create_file(dirfd, "issuer.key", 0600, text, PASERK_SECRET_TEXT_LEN + 1);
	if (r)
		return complain(EXIT_FAILED, "%s/issuer.key: %s", dir, strerror(-r));
	r = create_file(dirfd, "issuer.pub", 0644, public_text, PASERK_PUBLIC_TEXT_LEN + 1);
	if (r) {
		unlinkat(dirfd, "issuer.key", 0);
		return complain(EXIT_FAILED, "%s/issuer.pub: %s", dir, strerror(-r));
	}
	if (fsync(dirfd) < 0)
		return complain(EXIT_FAILED, "%s: %s", dir, strerror(errno));
	puts(kid);
	return flush_stdout();
}

/* mint */

static int set_string(const char **dst, const char *option, const char *value)
{
	if (value[0] == '\0' || strlen(value) > CLAIM_MAX)
		return complain(EXIT_USAGE, "mint: %s: must have 1 to %d bytes", option, CLAIM_MAX);
	*dst = value;
	return EXIT_DONE;
}

/* The limits are integers: "session_bytes=1048576". False for other claims. */
static bool is_limit(const char *name)
{
#define X(limit) strcmp(name, #limit) == 0 ||
	return LIMITS(X) false;
#undef X
}

static json_t *limit_value(const char *text)
{
	char *end;
	errno = 0;
	long long n = strtoll(text, &end, 10);
	return errno || *end || text[0] < '0' || text[0] > '9' ? NULL : json_integer(n);
}

/* --claim name=value: jti, iss and nbf are claims that we know, anything else goes to extra. */
static int set_claim(const char *arg, struct sessionfs_claims *c, json_t *extra)
{
	static const char *const options[] = {"sub", "sid", "aud", "iat", "exp"};
	const char *eq = strchr(arg, '=');
	uint32_t nsec;

	if (!eq || eq == arg)
		return complain(EXIT_USAGE, "mint: --claim %s: must be name=value", arg);
	_cleanup_free_ char *name = strndup(arg, (size_t)(eq - arg));
	const char *value = eq + 1;
	if (!name)
		return complain(EXIT_FAILED, "mint: %s", strerror(ENOMEM));
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strcmp(name, options[i]) == 0)
			return complain(EXIT_USAGE, "mint: --claim %s: has an option of its own (--%s)", name,
					i < 3 ? name : "ttl");
	if (strcmp(name, "jti") == 0)
		return set_string(&c->jti, "--claim jti", value);
	if (strcmp(name, "iss") == 0)
		return set_string(&c->iss, "--claim iss", value);
	if (strcmp(name, "nbf") == 0) {
		if (rfc3339_parse(value, strlen(value), &c->nbf, &nsec) || nsec)
			return complain(EXIT_USAGE, "mint: --claim nbf: must be a time such as 2026-01-31T23:59:59Z");
		return EXIT_DONE;
	}
	if (json_object_get(extra, name))
		return complain(EXIT_USAGE, "mint: --claim %s: given twice", name);
	json_t *number = is_limit(name) ? limit_value(value) : NULL;
	if (is_limit(name) && !number)
		return complain(EXIT_USAGE, "mint: --claim %s: must be a whole number, in bytes or files", name);
	if (json_object_set_new(extra, name, number ? number : json_string(value)))
		return complain(EXIT_USAGE, "mint: --claim %s: not UTF-8", name);
	return EXIT_DONE;
}

static int cmd_mint(int argc, char **argv)
{
	enum { KEY = 1, SUB, SID, AUD, TTL, CLAIM };
	static const struct option options[] = {
		{"key", required_argument, NULL, KEY},
		{"sub", required_argument, NULL, SUB},
		{"sid", required_argument, NULL, SID},
		{"aud", required_argument, NULL, AUD},
		{"ttl", required_argument, NULL, TTL},
		{"claim", required_argument, NULL, CLAIM},
		{NULL, 0, NULL, 0},
	};
	_cleanup_json_ json_t *extra = json_object();
	_cleanup_free_ char *extra_text = NULL;
	struct sessionfs_claims c = {.sub = NULL};
	const char *key = NULL, *reason;
	_cleanup_(cleanup_token) char *token = NULL;
	int opt, r = EXIT_DONE;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1 && r == EXIT_DONE) {
		switch (opt) {
		case KEY: key = optarg; break;
		case SUB:
			if (!sub_valid(optarg, strlen(optarg)))
				return complain(EXIT_USAGE,
						"mint: --sub: must be 1 to %d bytes of UTF-8 without control "
						"characters",
						SUB_MAX);
			c.sub = optarg;
			break;
		case SID:
			if (!sid_valid(optarg, strlen(optarg)))
				return complain(EXIT_USAGE,
						"mint: --sid: must be 1 to %d of A-Z a-z 0-9 . _ -, not starting "
						"with . or ~, and not \"self\"",
						SID_MAX);
			c.sid = optarg;
			break;
		case AUD: r = set_string(&c.aud, "--aud", optarg); break;
		case TTL:
			if (options_duration(optarg, &c.ttl) || c.ttl == 0)
				return complain(EXIT_USAGE,
						"mint: --ttl %s: must be a duration such as 90s, 15m, 8h or 30d",
						optarg);
			break;
		case CLAIM: r = set_claim(optarg, &c, extra); break;
		default: return EXIT_USAGE;
		}
	}
	if (r != EXIT_DONE)
		return r;
	if (optind != argc)
		return complain(EXIT_USAGE, "mint: takes options alone; a token or key is never an argument");
	if (!key || !c.sub)
		return complain(EXIT_USAGE, "mint: --key and --sub are needed");
	extra_text = json_dumps(extra, JSON_COMPACT);
	if (!extra_text)
		return complain(EXIT_FAILED, "mint: %s", strerror(ENOMEM));
	c.extra = extra_text;
	r = sessionfs_mint(key, &c, &token, &reason);
	if (r) /* the claims' fault, or the key file's */
		return complain(EXIT_FAILED, "%s: %s", r == -EINVAL || r == -EMSGSIZE ? "mint" : key, reason);
	puts(token);
	return flush_stdout();
}

/* show and verify */

/* Reads one token from stdin; a newline may end it. buf has room for TOKEN_MAX + 2 bytes. */
static int read_token(char *buf, size_t *len)
{
	size_t n = fread(buf, 1, TOKEN_MAX + 2, stdin);

	if (ferror(stdin))
		return complain(EXIT_FAILED, "standard input: %s", strerror(errno));
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	if (n == 0)
		return complain(EXIT_FAILED, "standard input: no token");
	if (n > TOKEN_MAX)
		return complain(EXIT_FAILED, "standard input: longer than a token of %d bytes", TOKEN_MAX);
	*len = n;
	return EXIT_DONE;
}

/* Integers as they are where they fit; a claim that does not is shown as a real. */
static json_t *parse_json(struct bytes b)
{
	json_t *j = b.len > 0 ? json_loadb(b.p, b.len, JSON_REJECT_DUPLICATES, NULL) : NULL;

	return j || b.len == 0 ? j : json_loadb(b.p, b.len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
}

/* The one shape of both commands: {"verified":…,"claims":{…},"footer":{…}}. */
static int print_token(const char *token, size_t len, bool verified)
{
	uint8_t buf[TOKEN_MAX];
	struct paseto p;

	int r = paseto_split(token, len, buf, &p);
	if (r)
		return complain(EXIT_FAILED, "standard input: %s",
				token_fault_name(r == -EPROTO ? TOKEN_BAD_HEADER : TOKEN_BAD_ENCODING));
	_cleanup_json_ json_t *claims = parse_json(p.payload), *footer = parse_json(p.footer);
	if (!json_is_object(claims))
		return complain(EXIT_FAILED, "standard input: %s", token_fault_name(TOKEN_BAD_JSON));
	if (!footer)
		footer = json_null();
	_cleanup_json_ json_t *all = json_pack("{s:b, s:O, s:O}", "verified", verified, "claims", claims, "footer",
					       footer);
	if (!all || json_dumpf(all, stdout, JSON_INDENT(2)))
		return complain(EXIT_FAILED, "standard output: cannot write");
	putchar('\n');
	return flush_stdout();
}

static int cmd_show(int argc, char **argv)
{
	char token[TOKEN_MAX + 2];
	size_t len;

	(void)argv;
	if (argc != 1)
		return complain(EXIT_USAGE, "show: takes no arguments; the token comes on standard input");
	int r = read_token(token, &len);
	return r ? r : print_token(token, len, false);
}

static void cleanup_keyring(struct keyring **k)
{
	keyring_close(*k);
}

static int cmd_verify(int argc, char **argv)
{
	enum { KEYS = 1, AUD };
	static const struct option options[] = {
		{"keys", required_argument, NULL, KEYS},
		{"aud", required_argument, NULL, AUD},
		{NULL, 0, NULL, 0},
	};
	_cleanup_(cleanup_keyring) struct keyring *keyring = NULL;
	struct token_rules rules = {DEFAULT_AUDIENCE, DEFAULT_LEEWAY, DEFAULT_LIFETIME};
	const char *keys = NULL;
	char token[TOKEN_MAX + 2], err[512], kid[KID_LEN + 1];
	struct claims c;
	size_t len;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == KEYS)
			keys = optarg;
		else if (opt == AUD)
			rules.audience = optarg;
		else
			return EXIT_USAGE;
	}
	if (optind != argc)
		return complain(EXIT_USAGE, "verify: takes options alone; the token comes on standard input");
	if (!keys)
		return complain(EXIT_USAGE, "verify: --keys is needed");
	if (keyring_open(keys, &rules, err, sizeof(err), &keyring))
		return complain(EXIT_FAILED, "%s", err);
	int r = read_token(token, &len);
	if (r)
		return r;
	enum token_fault fault = keyring_check(keyring, token, len, time(NULL), &c, kid);
	if (fault != TOKEN_OK)
		return complain(EXIT_FAILED, "token refused: %s", token_fault_name(fault));
	return print_token(token, len, true);
}

static const struct command {
	const char *name, *args, *what;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"keygen", "DIR", "make issuer.key and issuer.pub in DIR; print the key id", cmd_keygen},
	{"mint", "--key FILE --sub USER [--sid SID] [--aud AUD] [--ttl 8h] [--claim NAME=VALUE]...", "print one token",
	 cmd_mint},
	{"show", "", "print what the token on standard input says, without verifying it", cmd_show},
	{"verify", "--keys DIR [--aud AUD]", "verify the token on standard input as the daemon would", cmd_verify},
};

static void usage(FILE *f)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(f, "%s session-token %s%s%s\n           %s\n", i == 0 ? "usage:" : "      ", commands[i].name,
			commands[i].args[0] ? " " : "", commands[i].args, commands[i].what);
	fputs("       session-token --help | --version\n", f);
}

int main(int argc, char **argv)
{
	const struct command *command = NULL;

	for (int i = 1; i < argc && i < 3; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			usage(stdout);
			return flush_stdout();
		}
		if (strcmp(argv[i], "--version") == 0) {
			puts("session-token " SESSIONFS_VERSION);
			return flush_stdout();
		}
	}
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			command = &commands[i];
	if (!command) {
		if (argc > 1)
			complain(EXIT_USAGE, "%s: no such command", argv[1]);
		usage(stderr);
		return EXIT_USAGE;
	}
	if (sodium_init() < 0)
		return complain(EXIT_FAILED, "libsodium does not start");
	json_object_seed(0);
	argv[1] = argv[0]; /* getopt's messages begin with the program's name */
	return command->run(argc - 1, argv + 1);
}
