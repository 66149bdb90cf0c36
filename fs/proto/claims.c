/* SPDX-License-Identifier: MIT */
#include "claims.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "../util.h"
#include "paserk.h"
#include "rfc3339.h"
#include "utf8.h"

_Static_assert(KID_LEN == PASERK_ID_TEXT_LEN, "a kid is a k4.pid");

#define DEPTH_MAX \
	32 /* jansson's own limit of 2,048 levels costs a thread's stack, and a footer is parsed unauthenticated */

static void cleanup_json(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

/* Whether brackets outside strings nest at most DEPTH_MAX deep. Says nothing else about the JSON. */
static bool is_shallow(const char *s, size_t len)
{
	int depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted && s[i] == '\\')
			i++;
		else if (s[i] == '"')
			quoted = !quoted;
		else if (!quoted && (s[i] == '{' || s[i] == '['))
			depth++;
		else if (!quoted && (s[i] == '}' || s[i] == ']'))
			depth--;
		if (depth > DEPTH_MAX)
			return false;
	}
	return true;
}

/* One JSON object and nothing after it, or NULL. jansson checks UTF-8, and refuses a NUL, raw or as \u0000. */
static json_t *load_object(const char *s, size_t len, size_t flags)
{
	if (!is_shallow(s, len))
		return NULL;
	json_t *j = json_loadb(s, len, JSON_REJECT_DUPLICATES | flags, NULL);
	if (j && !json_is_object(j)) {
		json_decref(j);
		return NULL;
	}
	return j;
}

int sub_valid(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t c;
	size_t n;

	if (len < 1 || len > SUB_MAX)
		return false;
	for (; len > 0; p += n, len -= n) {
		n = utf8_next(p, len, &c);
		if (n == 0 || c < 0x20 || (c >= 0x7f && c <= 0x9f))
			return false;
	}
	return true;
}

/* What the two readers below say of an absent claim. */
enum presence { REQUIRED, OPTIONAL };

/* Copies a string claim to dst of size bytes; an absent optional one is "". */
static bool get_string(const json_t *j, const char *name, enum presence presence, char *dst, size_t size)
{
	const json_t *v = json_object_get(j, name);
	size_t len = json_string_length(v);

	if (!v && presence == OPTIONAL)
		return true;
	if (!json_is_string(v) || len >= size || (presence == REQUIRED && len == 0))
		return false;
	memcpy(dst, json_string_value(v), len + 1);
	return true;
}

/* Reads a time claim. up rounds a fraction up: later for what starts a token, earlier for what ends it. */
static bool get_time(const json_t *j, const char *name, enum presence presence, bool up, int64_t *t)
{
	const json_t *v = json_object_get(j, name);
	uint32_t nsec;

	if (!v && presence == OPTIONAL)
		return true;
	if (!json_is_string(v) || rfc3339_parse(json_string_value(v), json_string_length(v), t, &nsec))
		return false;
	if (up && nsec > 0)
		*t += 1;
	return true;
}

static const struct {
	const char *name;
	size_t at;
} limit_claims[] = {
#define X(name) {#name, offsetof(struct limits, name)},
	LIMITS(X)
#undef X
};

/* A limit from an object whose integers were read as such. False where it is there and no count. */
static bool get_limit(const json_t *j, const char *name, int64_t *ret)
{
	const json_t *v = json_object_get(j, name);

	if (!v)
		return true;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return false;
	*ret = json_integer_value(v);
	return true;
}

static bool get_limits(const json_t *j, struct limits *l)
{
	for (size_t i = 0; i < ARRAY_LEN(limit_claims); i++)
		if (!get_limit(j, limit_claims[i].name, (int64_t *)((char *)l + limit_claims[i].at)))
			return false;
	return true;
}

/*
 * The limits of a payload that was parsed as j. Only where there are any is it parsed again, for 5 is told from 5.0
 * where integers are not read as reals.
 */
static bool parse_limits(const json_t *j, const char *json, size_t len, struct limits *l)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_LEN(limit_claims); i++)
		any = any || json_object_get(j, limit_claims[i].name);
	if (!any)
		return true;
	_cleanup_json_ json_t *exact = load_object(json, len, 0);
	return exact && get_limits(exact, l);
}

enum claims_fault claims_parse(const char *json, size_t len, struct claims *ret)
{
	struct claims c = {.nbf = INT64_MIN};

	c.limits = limits_none();

	/* Integers as reals: an unknown claim of more than 64 bits is ignored like any other. */
	_cleanup_json_ json_t *j = load_object(json, len, JSON_DECODE_INT_AS_REAL);
	if (!j)
		return CLAIMS_BAD_JSON;
	if (!get_string(j, "sub", REQUIRED, c.sub, sizeof(c.sub)) || !sub_valid(c.sub, strlen(c.sub)) ||
	    !get_string(j, "sid", REQUIRED, c.sid, sizeof(c.sid)) || !sid_valid(c.sid, strlen(c.sid)) ||
	    !get_string(j, "aud", REQUIRED, c.aud, sizeof(c.aud)) ||
	    !get_string(j, "jti", OPTIONAL, c.jti, sizeof(c.jti)) ||
	    !get_string(j, "iss", OPTIONAL, c.iss, sizeof(c.iss)) || !get_time(j, "iat", REQUIRED, true, &c.iat) ||
	    !get_time(j, "exp", REQUIRED, false, &c.exp) || !get_time(j, "nbf", OPTIONAL, true, &c.nbf) ||
	    !parse_limits(j, json, len, &c.limits))
		return CLAIMS_BAD_CLAIM;
	*ret = c;
	return CLAIMS_OK;
}

/* Adds extra to j. -EINVAL when it is no object, names a claim of ours, or has a limit that is none. */
static int add_extra(json_t *j, const char *extra)
{
	static const char *const ours[] = {"sub", "sid", "aud", "iat", "exp", "nbf", "jti", "iss"};

	struct limits l;
	_cleanup_json_ json_t *more = load_object(extra, strlen(extra), 0);
	if (!more || !get_limits(more, &l))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (json_object_get(more, ours[i]))
			return -EINVAL;
	return json_object_update(j, more) ? -EINVAL : 0;
}

int claims_format(const struct claims *c, const char *extra, char **ret, size_t *len)
{
	char iat[RFC3339_LEN + 1], exp[RFC3339_LEN + 1], nbf[RFC3339_LEN + 1];

	if (!sub_valid(c->sub, strlen(c->sub)) || !sid_valid(c->sid, strlen(c->sid)) || c->aud[0] == '\0')
		return -EINVAL;
	if (rfc3339_format(c->iat, iat) || rfc3339_format(c->exp, exp))
		return -EINVAL;
	if (c->nbf != INT64_MIN && rfc3339_format(c->nbf, nbf))
		return -EINVAL;

	/* "s*" leaves a NULL out; a string that is not UTF-8 makes the whole NULL. */
	_cleanup_json_ json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*, s:s*, s:s*}", "sub", c->sub, "sid",
					     c->sid, "aud", c->aud, "iat", iat, "exp", exp, "nbf",
					     c->nbf != INT64_MIN ? nbf : NULL, "jti", c->jti[0] ? c->jti : NULL, "iss",
					     c->iss[0] ? c->iss : NULL);
	if (!j || (extra && add_extra(j, extra)))
		return -EINVAL;
	char *text = json_dumps(j, JSON_COMPACT);
	if (!text)
		return -EINVAL;
	*ret = text;
	*len = strlen(text);
	return 0;
}

int claims_footer_kid(const char *json, size_t len, char kid[static KID_LEN + 1])
{
	_cleanup_json_ json_t *j = load_object(json, len, JSON_DECODE_INT_AS_REAL);
	const json_t *v = json_object_get(j, "kid");

	if (!json_is_string(v) || !paserk_id_valid(json_string_value(v), json_string_length(v)))
		return -EINVAL;
	memcpy(kid, json_string_value(v), KID_LEN + 1);
	return 0;
}
