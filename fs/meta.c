/* SPDX-License-Identifier: MIT */
#include "meta.h"

#include <jansson.h>

#include "proto/rfc3339.h"
#include "util.h"

static void cleanup_json(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

/* The strings are checked as their owners would: a sid names a directory, a sub decides who may enter. */
static bool meta_valid(const struct meta *m)
{
	return m->version > 0 && m->version <= INT64_MAX && sub_valid(m->sub, strlen(m->sub)) &&
	       sid_valid(m->sid, strlen(m->sid)) && (!*m->release || release_valid(m->release, strlen(m->release)));
}

static bool get_string(const json_t *o, const char *key, bool optional, char *buf, size_t size)
{
	const json_t *j = json_object_get(o, key);
	if (!j)
		return optional;
	if (!json_is_string(j) || json_string_length(j) >= size)
		return false;
	memcpy(buf, json_string_value(j), json_string_length(j) + 1); /* no NUL inside: JSON_ALLOW_NUL is not given */
	return true;
}

static bool get_time(const json_t *o, const char *key, int64_t *ret)
{
	const json_t *j = json_object_get(o, key);
	uint32_t nsec;
	return !j || (json_is_string(j) && rfc3339_parse(json_string_value(j), json_string_length(j), ret, &nsec) == 0);
}

int meta_parse(const char *text, size_t len, struct meta *ret)
{
	json_error_t error;
	_cleanup_json_ json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!o)
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EUCLEAN;

	struct meta m = {0};
	const json_t *version = json_object_get(o, "version"), *revoked = json_object_get(o, "revoked");
	if (!json_is_integer(version) || (revoked && !json_is_boolean(revoked)))
		return -EUCLEAN;
	m.version = (uint64_t)json_integer_value(version); /* a negative one is too large to be valid */
	m.revoked = json_is_true(revoked);
	if (!get_string(o, "sub", false, m.sub, sizeof(m.sub)) || !get_string(o, "sid", false, m.sid, sizeof(m.sid)) ||
	    !get_string(o, "release", true, m.release, sizeof(m.release)) || !get_time(o, "created", &m.created) ||
	    !get_time(o, "expires", &m.expires) || !get_time(o, "last_used", &m.last_used) || !meta_valid(&m))
		return -EUCLEAN;
	*ret = m;
	return 0;
}

static int set_time(json_t *o, const char *key, int64_t t)
{
	char text[RFC3339_LEN + 1];
	if (t == 0)
		return 0;
	if (rfc3339_format(t, text) < 0)
		return -EINVAL;
	return json_object_set_new(o, key, json_string(text)) < 0 ? -ENOMEM : 0;
}

int meta_format(const struct meta *m, char **ret, size_t *len)
{
	if (!meta_valid(m))
		return -EINVAL;
	_cleanup_json_ json_t *o = json_pack("{sI ss ss}", "version", (json_int_t)m->version, "sub", m->sub, "sid",
					     m->sid);
	if (!o)
		return -ENOMEM;

	int r = set_time(o, "created", m->created);
	if (r == 0)
		r = set_time(o, "expires", m->expires);
	if (r == 0)
		r = set_time(o, "last_used", m->last_used);
	if (r < 0)
		return r;
	if ((*m->release && json_object_set_new(o, "release", json_string(m->release)) < 0) ||
	    (m->revoked && json_object_set_new(o, "revoked", json_true()) < 0))
		return -ENOMEM;

	_cleanup_free_ char *text = json_dumps(o, JSON_COMPACT);
	size_t n = text ? strlen(text) : 0;
	char *line = text ? realloc(text, n + 2) : NULL;
	if (!line)
		return -ENOMEM;
	memcpy(line + n, "\n", 2);
	text = NULL;
	*ret = line;
	*len = n + 1;
	return 0;
}
