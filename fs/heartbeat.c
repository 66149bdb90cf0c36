/* SPDX-License-Identifier: MIT */
#include "heartbeat.h"

#include "json.h"

bool instance_name_valid(const char *s)
{
	size_t len = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
	return len >= 1 && len <= INSTANCE_NAME_MAX && s[len] == '\0' && s[0] != '.';
}

bool run_id_valid(const char *s)
{
	return strspn(s, "0123456789abcdef") == RUN_ID_LEN && s[RUN_ID_LEN] == '\0';
}

static bool release_or_none(const char *s)
{
	return s[0] == '\0' || release_valid(s, strlen(s));
}

static bool get_release(const json_t *o, struct heartbeat_release *r)
{
	return json_is_object(o) && json_get_text(o, "release", true, r->release, sizeof(r->release)) &&
	       release_or_none(r->release) && json_get_count(o, "workers", false, &r->workers) &&
	       json_get_count(o, "refused", true, &r->refused) && json_get_count(o, "sessions", false, &r->sessions) &&
	       json_get_count(o, "binds", false, &r->binds) && json_get_time(o, "last", &r->last);
}

static bool get_releases(const json_t *list, struct heartbeat *h)
{
	size_t i;
	const json_t *o;
	if (list && (!json_is_array(list) || json_array_size(list) > HEARTBEAT_RELEASES_MAX))
		return false;
	json_array_foreach(list, i, o)
	{
		if (!get_release(o, &h->releases[i]))
			return false;
		h->n_releases = i + 1;
	}
	return true;
}

/* It ends up in a log: no line of its own. */
static bool is_plain(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

/* Optional: releases before it had none. */
static bool get_settings(json_t *o, struct heartbeat *h)
{
	const char *key;
	const json_t *value;
	if (o && (!json_is_object(o) || json_object_size(o) > HEARTBEAT_SETTINGS_MAX))
		return false;
	json_object_foreach(o, key, value)
	{
		struct heartbeat_setting *s = &h->settings[h->n_settings];
		if (strlen(key) > HEARTBEAT_KEY_MAX || !is_plain(key) ||
		    !json_get_text(o, key, true, s->value, sizeof(s->value)) || !is_plain(s->value))
			return false;
		snprintf(s->key, sizeof(s->key), "%s", key);
		h->n_settings++;
	}
	return true;
}

int heartbeat_parse(const char *text, size_t len, struct heartbeat *ret)
{
	_cleanup_json_ json_t *o = NULL;
	int r = json_parse_object(text, len, &o);
	if (r < 0)
		return r;

	struct heartbeat h = {0};
	if (!json_get_text(o, "name", false, h.name, sizeof(h.name)) || !instance_name_valid(h.name) ||
	    !json_get_text(o, "run", false, h.run, sizeof(h.run)) || !run_id_valid(h.run) ||
	    !json_get_text(o, "version", false, h.version, sizeof(h.version)) ||
	    !json_get_text(o, "host", false, h.host, sizeof(h.host)) ||
	    !json_get_text(o, "mount", false, h.mount, sizeof(h.mount)) || !json_get_count(o, "pid", false, &h.pid) ||
	    !json_get_time(o, "since", &h.since) || !json_get_time(o, "beat", &h.beat) || h.beat == 0 ||
	    !json_get_count(o, "every", false, &h.every) || !json_get_flag(o, "stopped", &h.stopped) ||
	    !json_get_text(o, "policy", false, h.policy, sizeof(h.policy)) ||
	    !json_get_count(o, "sessions", false, &h.sessions) || !json_get_count(o, "bindings", false, &h.bindings) ||
	    !json_get_count(o, "mixed", false, &h.mixed) || !get_settings(json_object_get(o, "settings"), &h) ||
	    !get_releases(json_object_get(o, "releases"), &h))
		return -EUCLEAN;
	*ret = h;
	return 0;
}

static json_t *release_object(const struct heartbeat_release *r)
{
	json_t *o = json_pack("{ss sI sI sI sI}", "release", r->release, "workers", (json_int_t)r->workers, "refused",
			      (json_int_t)r->refused, "sessions", (json_int_t)r->sessions, "binds",
			      (json_int_t)r->binds);
	if (o && json_set_time(o, "last", r->last) < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

int heartbeat_format(const struct heartbeat *h, char **ret, size_t *len)
{
	if (!instance_name_valid(h->name) || !run_id_valid(h->run) || h->beat == 0)
		return -EINVAL;
	_cleanup_json_ json_t *o = json_pack(
		"{ss ss ss ss ss sI sI sb ss sI sI sI s{} s[]}", "name", h->name, "run", h->run, "version", h->version,
		"host", h->host, "mount", h->mount, "pid", (json_int_t)h->pid, "every", (json_int_t)h->every, "stopped",
		h->stopped, "policy", h->policy, "sessions", (json_int_t)h->sessions, "bindings",
		(json_int_t)h->bindings, "mixed", (json_int_t)h->mixed, "settings", "releases");
	if (!o)
		return -EINVAL; /* a host or a mount that is not UTF-8 */
	int r = json_set_time(o, "since", h->since);
	if (r == 0)
		r = json_set_time(o, "beat", h->beat);
	for (size_t i = 0; r == 0 && i < h->n_settings; i++)
		if (json_object_set_new(json_object_get(o, "settings"), h->settings[i].key,
					json_string(h->settings[i].value)) < 0)
			r = -EINVAL;
	for (size_t i = 0; r == 0 && i < h->n_releases; i++)
		if (!release_or_none(h->releases[i].release) ||
		    json_array_append_new(json_object_get(o, "releases"), release_object(&h->releases[i])) < 0)
			r = -EINVAL;
	return r < 0 ? r : json_line(o, ret, len);
}
