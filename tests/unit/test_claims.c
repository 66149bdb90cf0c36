/* SPDX-License-Identifier: MIT */
/* What claims_parse reads into which field, and the writer. Refusals are in test_token.c, through the whole token. */
#include "proto/claims.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "tap.h"
#include "util.h"

#define T0 1768478400 /* 2026-01-15T12:00:00Z */

static enum claims_fault parse(const char *json, struct claims *c)
{
	return claims_parse(json, strlen(json), c);
}

static void test_parse(void)
{
	struct claims c;

	is_int(parse("{\"sub\":\"Ng\\u1ecdzi \xf0\x9f\x8c\x8d\",\"sid\":\"s-1\",\"aud\":\"web\",\"iat\":\"2026-01-15T12:00:00Z\","
		     "\"exp\":\"2026-01-15T14:00:00+01:00\",\"nbf\":\"2026-01-15T12:00:01Z\",\"jti\":\"j\",\"iss\":\"i\"}",
		     &c),
	       CLAIMS_OK, "all claims are read");
	is_str(c.sub, "Ng\xe1\xbb\x8dzi \xf0\x9f\x8c\x8d", "sub, with its escapes undone");
	is_str(c.sid, "s-1", "sid");
	is_str(c.aud, "web", "aud");
	is_str(c.jti, "j", "jti");
	is_str(c.iss, "i", "iss");
	is_int(c.iat, T0, "iat");
	is_int(c.exp, T0 + 3600, "exp, with its offset");
	is_int(c.nbf, T0 + 1, "nbf");

	is_int(parse(" {\"exp\":\"2026-01-15T12:00:01.999Z\",\"iat\":\"2026-01-15T12:00:00.001Z\",\"aud\":\"a\",\"sid\":\"s\",\"sub\":\"u\"}\n",
		     &c),
	       CLAIMS_OK, "the required ones suffice, in any order, with white space around");
	is_int(c.exp, T0 + 1, "a fraction of exp is cut off");
	is_int(c.iat, T0 + 1, "a fraction of iat is rounded up");
	ok(c.nbf == INT64_MIN && !c.jti[0] && !c.iss[0], "what is absent is marked so");
	is_int(parse("{\"sub\":\"u\",\"sid\":\"s\",\"aud\":\"a\",\"iat\":\"2026-01-15T12:00:00Z\",\"exp\":\"2026-01-15T12:00:01Z\","
		     "\"nbf\":\"2026-01-15T12:00:00.000000001Z\"}",
		     &c),
	       CLAIMS_OK, "nbf may have a fraction");
	is_int(c.nbf, T0 + 1, "and it is rounded up");

	memset(&c, 0x5a, sizeof(c));
	struct claims before = c;
	int r = parse("{\"sub\":\"u\"}", &c), r2 = parse("{\"sub\":\"u\"", &c);
	ok(r == CLAIMS_BAD_CLAIM && r2 == CLAIMS_BAD_JSON && memcmp(&c, &before, sizeof(c)) == 0,
	   "a fault writes nothing");
}

#define GOOD \
	"\"sub\":\"u\",\"sid\":\"s\",\"aud\":\"a\",\"iat\":\"2026-01-15T12:00:00Z\",\"exp\":\"2026-01-15T12:00:01Z\""

static void test_limits(void)
{
	static const char *const bad[] = {"-1",    "1.0",   "1e3",
					  "\"1\"", "null",  "true",
					  "[1]",   "{}",    "9223372036854775808",
					  "-0.0",  "1E400", "18446744073709551617"};
	char json[512];
	struct claims c;

	is_int(parse("{" GOOD "}", &c), CLAIMS_OK, "without limits");
	ok(!limits_any(&c.limits), "there are none");
	is_int(parse("{" GOOD ",\"session_bytes\":1048576,\"session_files\":0,\"file_bytes\":1,\"user_bytes\":2,"
		     "\"user_files\":3,\"user_sessions\":9223372036854775807}",
		     &c),
	       CLAIMS_OK, "all limits are read");
	ok(c.limits.session_bytes == 1048576 && c.limits.session_files == 0 && c.limits.file_bytes == 1 &&
		   c.limits.user_bytes == 2 && c.limits.user_files == 3 && c.limits.user_sessions == LIMIT_NONE,
	   "each in its place");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(json, sizeof(json), "{" GOOD ",\"user_files\":%s}", bad[i]);
		ok(parse(json, &c) != CLAIMS_OK, "%s is no limit", bad[i]);
	}
	is_int(parse("{" GOOD ",\"file_bytes\":1,\"file_bytes\":1}", &c), CLAIMS_BAD_JSON, "nor is one given twice");
	is_int(parse("{" GOOD ",\"n\":18446744073709551617}", &c), CLAIMS_OK, "other claims may be any number");
	is_int(parse("{" GOOD ",\"n\":18446744073709551617,\"file_bytes\":1}", &c), CLAIMS_BAD_CLAIM,
	       "but not beside a limit, which is then not told from a fraction");
	is_int(parse("{" GOOD ",\"x\":{\"file_bytes\":\"no\"},\"FILE_BYTES\":-1}", &c), CLAIMS_OK,
	       "what is nested, or spelled otherwise, is another claim");
}

static void test_sub(void)
{
	static const struct {
		const char *why, *s;
		size_t len;
	} bad[] = {
		{"nothing", "", 0},
		{"a NUL", "\0", 1},
		{"a newline", "a\n", 2},
		{"an escape", "\x1b[m", 3},
		{"a DEL", "\x7f", 1},
		{"U+0080", "\xc2\x80", 2},
		{"U+009F", "\xc2\x9f", 2},
		{"a lone continuation", "\x80", 1},
		{"0xff", "\xff", 1},
		{"a cut sequence", "\xe1\xbb", 2},
		{"an overlong slash", "\xc0\xaf", 2},
		{"an overlong of three", "\xe0\x80\xaf", 3},
		{"an overlong of four", "\xf0\x80\x80\xaf", 4},
		{"a surrogate", "\xed\xa0\x80", 3},
		{"U+110000", "\xf4\x90\x80\x80", 4},
		{"a five-byte form", "\xf8\x88\x80\x80\x80", 5},
		{"a lead where a continuation belongs", "\xe1\xe1\x80", 3},
	};
	static const char *const good[] = {"a",
					   " ",
					   "a b",
					   "\xc2\xa0",
					   "\xdf\xbf",
					   "\xe0\xa0\x80",
					   "\xed\x9f\xbf",
					   "\xee\x80\x80",
					   "\xf0\x90\x80\x80",
					   "\xf4\x8f\xbf\xbf",
					   "../x",
					   "\"\\"};
	char s[SUB_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ok(!sub_valid(bad[i].s, bad[i].len), "%s is no sub", bad[i].why);
	int n = 0;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		n += sub_valid(good[i], strlen(good[i]));
	is_int(n, ARRAY_LEN(good), "every other character is allowed, at the edges of each length");
	memset(s, 'x', sizeof(s));
	ok(sub_valid(s, SUB_MAX) && !sub_valid(s, SUB_MAX + 1), "255 bytes, not 256");
}

static void test_format(void)
{
	struct claims c = {"u\"1", "s", "a", "", "", T0, T0 + 60, INT64_MIN, {0}}, back;
	_cleanup_free_ char *plain = NULL, *full = NULL, *never = NULL;
	size_t len;

	c.limits = limits_none();

	is_int(claims_format(&c, NULL, &plain, &len), 0, "the required claims are written");
	is_str(plain,
	       "{\"sub\":\"u\\\"1\",\"sid\":\"s\",\"aud\":\"a\",\"iat\":\"2026-01-15T12:00:00Z\",\"exp\":\"2026-01-15T12:01:00Z\"}",
	       "compact, and nothing else");
	is_int((long long)len, (long long)strlen(plain), "their length is given");
	ok(parse(plain, &back) == CLAIMS_OK && memcmp(&back, &c, sizeof(c)) == 0, "and read back alike");

	strcpy(c.jti, "j");
	strcpy(c.iss, "i");
	c.nbf = T0 + 5;
	is_int(claims_format(&c, "{\"roles\":[\"x\",{\"y\":1}],\"n\":7}", &full, &len), 0,
	       "the optional ones too, and extra ones");
	ok(full && strstr(full,
			  "\"nbf\":\"2026-01-15T12:00:05Z\",\"jti\":\"j\",\"iss\":\"i\",\"roles\":[\"x\",{\"y\":1}],\"n\":7}"),
	   "as they were given");
	ok(parse(full, &back) == CLAIMS_OK && memcmp(&back, &c, sizeof(c)) == 0, "and ours are read back alike");

	static const char *const extras[] = {"{\"sub\":\"x\"}",
					     "{\"e\\u0078p\":\"x\"}",
					     "{\"nbf\":1}",
					     "[]",
					     "{",
					     "{\"a\":1,\"a\":2}",
					     "{} x",
					     "\"a\"",
					     "",
					     "{\"file_bytes\":1.5}",
					     "{\"iat\":null}"};
	for (size_t i = 0; i < ARRAY_LEN(extras); i++)
		is_int(claims_format(&c, extras[i], &never, &len), -EINVAL, "extra claims '%s' are refused", extras[i]);

	static const struct {
		const char *why;
		struct claims c;
	} bad[] = {
		{"no sub", {"", "s", "a", "", "", T0, T0 + 1, INT64_MIN, {0}}},
		{"a control character in sub", {"a\x1f", "s", "a", "", "", T0, T0 + 1, INT64_MIN, {0}}},
		{"a sid of self", {"u", "self", "a", "", "", T0, T0 + 1, INT64_MIN, {0}}},
		{"no aud", {"u", "s", "", "", "", T0, T0 + 1, INT64_MIN, {0}}},
		{"an aud that is not UTF-8", {"u", "s", "\xff", "", "", T0, T0 + 1, INT64_MIN, {0}}},
		{"a jti that is not UTF-8", {"u", "s", "a", "\xff", "", T0, T0 + 1, INT64_MIN, {0}}},
		{"an iat before 1970", {"u", "s", "a", "", "", -1, T0 + 1, INT64_MIN, {0}}},
		{"an exp after 9999", {"u", "s", "a", "", "", T0, INT64_C(253402300800), INT64_MIN, {0}}},
		{"an nbf before 1970", {"u", "s", "a", "", "", T0, T0 + 1, -1, {0}}},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		is_int(claims_format(&bad[i].c, NULL, &never, &len), -EINVAL, "%s is not written", bad[i].why);
	ok(never == NULL, "a refusal writes nothing");
}

#define KID "k4.pid.S_XQmeEwHbbvRmiyfXfHYpLGjXGzjTRSDoT1YtTakWFE"

static void test_footer(void)
{
	static const char *const good[] = {"{\"kid\":\"" KID "\"}", "{\"wpk\":\"x\",\"kid\":\"" KID "\",\"n\":[1,{}]}",
					   " { \"k\\u0069d\" : \"" KID "\" } "};
	char kid[KID_LEN + 1] = "";

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		memset(kid, 0, sizeof(kid));
		is_int(claims_footer_kid(good[i], strlen(good[i]), kid), 0, "a footer %s is taken", good[i]);
		is_str(kid, KID, "and its kid is found");
	}
	strcpy(kid, "kept");
	is_int(claims_footer_kid("{}", 2, kid), -EINVAL, "a footer without kid is refused");
	is_str(kid, "kept", "and nothing written");
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
	test_parse();
	test_limits();
	test_sub();
	test_format();
	test_footer();
	return tap_done();
}
