/* SPDX-License-Identifier: MIT */
#include "meta.h"

#include "json.h"

/* The strings are checked as their owners would: a sid names a directory, a sub decides who may enter. */
static bool meta_valid(const struct meta *m)
{
	return m->version > 0 && m->version <= INT64_MAX && sub_valid(m->sub, strlen(m->sub)) &&
	       sid_valid(m->sid, strlen(m->sid)) && (!*m->release || release_valid(m->release, strlen(m->release)));
}

int meta_parse(const char *text, size_t len, struct meta *ret)
{
	_cleanup_json_ json_t *o = NULL;
	int r = json_parse_object(text, len, &o);
	if (r < 0)
		return r;

	struct meta m = {0};
	if (!json_get_count(o, "version", false, &m.version) || !json_get_flag(o, "revoked", &m.revoked) ||
	    !json_get_text(o, "sub", false, m.sub, sizeof(m.sub)) ||
	    !json_get_text(o, "sid", false, m.sid, sizeof(m.sid)) ||
	    !json_get_text(o, "release", true, m.release, sizeof(m.release)) ||
	    !json_get_time(o, "created", &m.created) || !json_get_time(o, "expires", &m.expires) ||
	    !json_get_time(o, "last_used", &m.last_used) || !meta_valid(&m))
		return -EUCLEAN;
	*ret = m;
	return 0;
}

int meta_format(const struct meta *m, char **ret, size_t *len)
{
	if (!meta_valid(m))
		return -EINVAL;
	_cleanup_json_ json_t *o = json_pack("{sI ss ss}", "version", (json_int_t)m->version, "sub", m->sub, "sid",
					     m->sid);
	if (!o)
		return -ENOMEM;

	int r = json_set_time(o, "created", m->created);
	if (r == 0)
		r = json_set_time(o, "expires", m->expires);
	if (r == 0)
		r = json_set_time(o, "last_used", m->last_used);
	if (r < 0)
		return r;
	if ((*m->release && json_object_set_new(o, "release", json_string(m->release)) < 0) ||
	    (m->revoked && json_object_set_new(o, "revoked", json_true()) < 0))
		return -ENOMEM;

	return json_line(o, ret, len);
}
