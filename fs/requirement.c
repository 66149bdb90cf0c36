/* SPDX-License-Identifier: MIT */
#include "requirement.h"

#include "durable.h"
#include "json.h"

#define FILE_NAME "release.json"
#define SIZE_MAX_BYTES 4096

static bool is_valid(const struct requirement *r)
{
	return r->version > 0 && r->version <= INT64_MAX &&
	       (!*r->required || release_valid(r->required, strlen(r->required))) &&
	       (!*r->draining || (release_valid(r->draining, strlen(r->draining)) && r->until && *r->required));
}

int requirement_read(int storefd, struct requirement *ret)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *o = NULL;
	size_t len;
	int err = durable_read(storefd, FILE_NAME, SIZE_MAX_BYTES, &text, &len);
	if (!err)
		err = json_parse_object(text, len, &o);
	if (err)
		return err;
	struct requirement r = {0};
	if (!json_get_count(o, "version", false, &r.version) ||
	    !json_get_text(o, "required", true, r.required, sizeof(r.required)) ||
	    !json_get_time(o, "since", &r.since) ||
	    !json_get_text(o, "draining", true, r.draining, sizeof(r.draining)) ||
	    !json_get_time(o, "until", &r.until) || !is_valid(&r))
		return -EUCLEAN;
	*ret = r;
	return 0;
}

int requirement_write(int storefd, const struct requirement *r)
{
	if (!is_valid(r))
		return -EINVAL;
	_cleanup_json_ json_t *o = json_pack("{sI}", "version", (json_int_t)r->version);
	_cleanup_free_ char *text = NULL;
	size_t len;
	if (!o || (*r->required && json_object_set_new(o, "required", json_string(r->required)) < 0) ||
	    (*r->draining && json_object_set_new(o, "draining", json_string(r->draining)) < 0))
		return -ENOMEM;
	int err = json_set_time(o, "since", r->since);
	if (!err)
		err = json_set_time(o, "until", r->until);
	if (!err)
		err = json_line(o, &text, &len);
	return err ? err : durable_replace(storefd, FILE_NAME, text, len);
}
