/* SPDX-License-Identifier: MIT */
#include "json.h"

#include "proto/rfc3339.h"

int json_parse_object(const char *text, size_t len, json_t **ret)
{
	json_error_t error;
	_cleanup_json_ json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!o)
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EUCLEAN;
	if (!json_is_object(o))
		return -EUCLEAN;
	*ret = steal_ptr(&o);
	return 0;
}

bool json_get_text(const json_t *o, const char *key, bool optional, char *buf, size_t size)
{
	const json_t *j = json_object_get(o, key);
	if (!j)
		return optional;
	if (!json_is_string(j) || json_string_length(j) >= size)
		return false;
	memcpy(buf, json_string_value(j), json_string_length(j) + 1); /* no NUL inside: JSON_ALLOW_NUL is not given */
	return true;
}

bool json_get_time(const json_t *o, const char *key, int64_t *ret)
{
	const json_t *j = json_object_get(o, key);
	uint32_t nsec;
	return !j || (json_is_string(j) && rfc3339_parse(json_string_value(j), json_string_length(j), ret, &nsec) == 0);
}

bool json_get_count(const json_t *o, const char *key, bool optional, uint64_t *ret)
{
	const json_t *j = json_object_get(o, key);
	if (!j)
		return optional;
	if (!json_is_integer(j) || json_integer_value(j) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(j);
	return true;
}

bool json_get_flag(const json_t *o, const char *key, bool *ret)
{
	const json_t *j = json_object_get(o, key);
	if (j && !json_is_boolean(j))
		return false;
	*ret = json_is_true(j);
	return true;
}

int json_set_time(json_t *o, const char *key, int64_t t)
{
	char text[RFC3339_LEN + 1];
	if (t == 0)
		return 0;
	if (rfc3339_format(t, text) < 0)
		return -EINVAL;
	return json_object_set_new(o, key, json_string(text)) < 0 ? -ENOMEM : 0;
}

json_t *json_time_or_null(int64_t t)
{
	char text[RFC3339_LEN + 1];
	return t > 0 && rfc3339_format(t, text) == 0 ? json_string(text) : json_null();
}

json_t *json_text_or_null(const char *s)
{
	return s[0] ? json_string(s) : json_null();
}

int json_line(const json_t *o, char **ret, size_t *len)
{
	_cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
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
