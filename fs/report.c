/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <inttypes.h>

#include "audit.h"
#include "caller.h"
#include "exposition.h"
#include "json.h"
#include "opened.h"
#include "release.h"
#include "request.h"
#include "version.h"

#define CONTROL_PROTOCOL 1 /* of the control files; goes up when a program written for the old one would misread */

static char *dump(json_t *object /* consumed */, size_t *len)
{
	char *line;
	int err = json_line(object, &line, len);
	json_decref(object);
	return err ? NULL : line;
}

char *report_binding(const struct binding *b, int64_t now, int refused, enum reason reason, size_t *len)
{
	int rights = b ? binding_check(b, now) : -ENOKEY;
	json_t *o = json_pack("{s:b}", "bound", rights == 0);
	if (b) {
		json_object_set_new(o, "scope", json_string(scope_name(b->scope)));
		json_object_set_new(o, "sub", json_string(b->session->sub));
		json_object_set_new(o, "sid", json_string(b->session->sid));
		json_object_set_new(o, "exp", json_time_or_null(b->exp));
		if (b->handle[0])
			json_object_set_new(o, "path", json_string(b->handle));
		if (rights) {
			refused = rights;
			reason = reason_or(REASON_none, -rights);
		}
	}
	if (refused) {
		json_object_set_new(o, "error", json_string(errno_name(-refused)));
		json_object_set_new(o, "reason", json_string(reason_word(reason)));
	}
	return dump(o, len);
}

char *report_self(struct request *r, size_t *len)
{
	return report_binding(r->binding, r->now, 0, REASON_none, len);
}

char *report_version(struct request *r, size_t *len)
{
	const struct fs *fs = r->fs;
	return dump(json_pack("{s:s, s:i, s:s, s:{s:s, s:b, s:s, s:b, s:b, s:s}}", "version", SESSIONFS_VERSION,
			      "protocol", CONTROL_PROTOCOL, "instance", fs->instance, "features", "io",
			      fs->config.io == IO_STRICT ? "strict" : "guarded", "passthrough", fs->passthrough,
			      "names", fs->config.names == NAMES_HIDDEN ? "hidden" : "steady", "symlinks",
			      fs->config.symlinks, "special", fs->config.special, "release",
			      config_release_name(fs->config.release)),
		    len);
}

static json_t *holder(const struct binding *b, const struct opened *opened)
{
	char comm[17] = "";
	caller_comm(b->tid, comm);
	/* comm is the caller's own bytes: what is not UTF-8 is left out rather than guessed. */
	json_t *o = json_pack("{s:s, s:i, s:i, s:I, s:o, s:o}", "scope", scope_name(b->scope), "tid", (int)b->tid,
			      "pid", (int)b->pid, "uid", (json_int_t)b->uid, "since", json_time_or_null(b->since),
			      "exp", json_time_or_null(b->exp));
	json_object_set_new(o, "comm", json_string(comm));
	json_object_set_new(o, "open_files", json_integer((json_int_t)opened_by(opened, b->id)));
	if (b->release[0])
		json_object_set_new(o, "release", json_string(b->release));
	return o;
}

#define ID_LEN 17 /* a session's number as text */

static const char *id_text(const struct session *s, char text[static ID_LEN])
{
	snprintf(text, ID_LEN, "%" PRIx64, s->id);
	return text;
}

/* The holders of all sessions: arrays by the session's number. */
static json_t *all_holders(struct fs *fs, const struct opened *opened)
{
	char id[ID_LEN];
	json_t *all = json_object();
	struct binding *b;
	for (uint32_t at = 0; (b = binding_next(fs->bindings, &at));) {
		json_t *of_session = json_object_get(all, id_text(b->session, id));
		if (!of_session) {
			of_session = json_array();
			json_object_set_new(all, id, of_session);
		}
		json_array_append_new(of_session, holder(b, opened));
		binding_put(fs->bindings, b);
	}
	return all;
}

static json_t *session_report(struct fs *fs, struct session *s, json_t *all, const struct opened *opened)
{
	char release[RELEASE_MAX + 1], id[ID_LEN];
	session_release(fs->sessions, s, release);
	json_t *holders = json_object_get(all, id_text(s, id));
	holders = holders ? json_incref(holders) : json_array();
	json_t *o = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "sid", s->sid, "sub", s->sub, "state",
			      s->revoked                 ? "revoked"
			      : json_array_size(holders) ? "live"
							 : "idle",
			      "used", json_time_or_null(s->used), "expires", json_time_or_null(s->expires), "holders",
			      holders);
	json_object_set_new(o, "release", release[0] ? json_string(release) : json_null());
	json_object_set_new(o, "open_files", json_integer((json_int_t)opened_in(opened, s->id)));
	return o;
}

char *report_sessions(struct request *r, size_t *len)
{
	struct opened *opened = opened_count(r->fs->files);
	if (!opened)
		return NULL;
	json_t *list = json_array(), *holders = all_holders(r->fs, opened);
	struct session *s;
	for (uint32_t at = 0; (s = session_next(r->fs->sessions, &at));) {
		json_array_append_new(list, session_report(r->fs, s, holders, opened));
		session_put(r->fs->sessions, s);
	}
	json_decref(holders);
	opened_free(opened);
	return dump(json_pack("{s:s, s:o}", "store", store_path(r->fs->store), "sessions", list), len);
}

/* What is known of this mount alone; all else is the process's. */
static void print_mount(FILE *f, const struct fs *fs)
{
	uint64_t hits, misses;
	keyring_counts(fs->keys, &hits, &misses);

	exposition_family(f, "sessionfs_build_info", "gauge", "1, with the version of the daemon.");
	fputs("sessionfs_build_info{", f);
	exposition_label(f, "version", SESSIONFS_VERSION);
	fputs("} 1\n", f);
	exposition_family(f, "sessionfs_store_info", "gauge", "1, with the path and the identity of the store.");
	fputs("sessionfs_store_info{", f);
	exposition_label(f, "path", store_path(fs->store));
	fputc(',', f);
	exposition_label(f, "uuid", store_uuid(fs->store));
	fputs("} 1\n", f);
	exposition_family(f, "sessionfs_start_time_seconds", "gauge", "When the daemon started, since the epoch.");
	fprintf(f, "sessionfs_start_time_seconds %" PRId64 "\n", fs->started);
	exposition_family(f, "sessionfs_passthrough", "gauge", "Whether reads go straight to the store.");
	fprintf(f, "sessionfs_passthrough %d\n", fs->passthrough);
	exposition_family(f, "sessionfs_token_cache_hits_total", "counter",
			  "Binds whose token had been verified before.");
	fprintf(f, "sessionfs_token_cache_hits_total %" PRIu64 "\n", hits);
	exposition_family(f, "sessionfs_token_cache_misses_total", "counter",
			  "Binds whose token had to be verified, and may have been refused.");
	fprintf(f, "sessionfs_token_cache_misses_total %" PRIu64 "\n", misses);
}

char *report_metrics(struct request *r, size_t *len)
{
	_cleanup_free_ char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	if (!f)
		return NULL;
	print_mount(f, r->fs);
	stats_print(f);
	release_metrics(r->fs->release, f);
	int failed = ferror(f);
	if (fclose(f) != 0 || failed)
		return NULL;
	*len = n;
	return steal_ptr(&text);
}
