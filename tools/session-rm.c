/* SPDX-License-Identifier: MIT */
/*
 * Revokes and removes sessions: session-rm(1). On a mount its daemon does it, so that whoever is in the session loses
 * it at once; on a store it is done there, and daemons see it within [daemon] revalidate.
 */
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <sodium.h>
#include <time.h>

#include "config.h"
#include "json.h"
#include "mount.h"
#include "options.h"
#include "progress.h"
#include "proto/rfc3339.h"
#include "retention.h"
#include "source.h"
#include "table.h"
#include "util.h"

static const char usage[] =
	"usage: session-rm [--revoke] [--dry-run] [--json] STORE|MOUNT SID...\n"
	"       session-rm [--revoke] [--dry-run] [--json] [--yes] SELECTION... STORE|MOUNT\n"
	"       session-rm --help | --version\n"
	"Removes sessions; with --revoke they are kept, and nobody can enter them any more.\n"
	"SELECTION: --user USER, --idle AGE, --older AGE, --expired, --retention FILE; of several, all must hold.\n";

/* Which sessions. Nothing is chosen by default. */
struct choice {
	const char *user;
	int64_t idle, older; /* seconds; 0: not asked for */
	bool expired;
	bool by_rules; /* those of a configuration */
	struct retention_rules rules;
	int64_t now;
};

struct target {
	char name[SID_HASH_LEN + 1]; /* in the store */
	const char *word;            /* as it was given; NULL where it was chosen */
	struct meta meta;            /* all zero where it can't be read */
	int error;                   /* of that: negative errno */
	bool passed_over;            /* nothing is done, because of the error */
};

struct removal {
	bool revoke, dry, yes, json;
	struct choice choice;
	struct source source;
	json_t *live;           /* owned: what the daemon says, by sid */
	int admin;              /* owned: a mount's .sessionfs/admin, or -1 */
	struct target *targets; /* owned */
	size_t n, room, passed_over;
	int untold; /* negative errno: it was done, and other instances were not told of all of it */
	int status;
	size_t printed; /* objects */
	struct progress progress;
};

/* --- which --- */

static bool is_selection(const struct choice *c)
{
	return c->user || c->idle || c->older || c->expired || c->by_rules;
}

/* May change its mind of a session that is used: what is done then is done on a second look. */
static bool is_fickle(const struct choice *c)
{
	return c->idle || c->expired || c->by_rules;
}

static bool is_chosen(const struct meta *m, void *ctx)
{
	const struct choice *c = ctx;
	int64_t used = m->last_used > m->created ? m->last_used : m->created;
	return is_selection(c) && (!c->user || strcmp(c->user, m->sub) == 0) && (!c->idle || c->now - used > c->idle) &&
	       (!c->older || (m->created && c->now - m->created > c->older)) &&
	       (!c->expired || (m->expires && m->expires <= c->now)) &&
	       (!c->by_rules || retention_due(m, &c->rules, c->now) != RETENTION_KEEP);
}

/* How many are in it, and, where the daemon knows better than the store, when it was used last. */
static size_t ask_live(const struct removal *r, struct meta *m)
{
	const json_t *live = json_object_get(r->live, m->sid);
	const json_t *used = json_object_get(live, "used");
	int64_t t;
	uint32_t nsec;
	if (json_is_string(used) && rfc3339_parse(json_string_value(used), json_string_length(used), &t, &nsec) == 0 &&
	    t > m->last_used)
		m->last_used = t;
	return json_array_size(json_object_get(live, "holders"));
}

static int add_target(struct removal *r, const struct target *t)
{
	if (r->n == r->room) {
		size_t room = r->room ? r->room * 2 : 64;
		struct target *grown = reallocarray(r->targets, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		r->targets = grown;
		r->room = room;
	}
	r->targets[r->n++] = *t;
	r->passed_over += t->passed_over;
	return 0;
}

static const char *reason_of(int error)
{
	return error == -EUCLEAN ? "damaged" : error == -ENOENT ? "no such session" : strerror(-error);
}

static int choose(void *ctx, const char *name, const struct meta *meta, int error)
{
	struct removal *r = ctx;
	struct target t = {.error = error, .passed_over = !meta};
	progress_say(&r->progress, "%zu sessions chosen", r->n - r->passed_over);
	memcpy(t.name, name, sizeof(t.name));
	if (!meta)
		return add_target(r, &t);
	t.meta = *meta;
	/* Nobody's age ends who is in it, but by its creation. */
	bool held = ask_live(r, &t.meta) > 0;
	if (!is_chosen(&t.meta, &r->choice) || (held && (r->choice.idle || r->choice.expired)) ||
	    (r->revoke && meta->revoked))
		return 0;
	if (held && r->choice.by_rules && retention_due(&t.meta, &r->choice.rules, r->choice.now) == RETENTION_IDLE)
		return 0;
	return add_target(r, &t);
}

/* One that was named: by its id, or, where there is none of that id, by its directory. */
static int name_target(struct removal *r, const char *word)
{
	struct target t = {.word = word};
	if (!sid_valid(word, strlen(word)))
		return complain(EXIT_USAGE, "'%s': not a session id", word);
	sid_hash(word, t.name);
	t.error = store_meta_read(r->source.store, t.name, &t.meta);
	struct meta m;
	if (t.error == -ENOENT && strlen(word) == SID_HASH_LEN) {
		int error = store_meta_read(r->source.store, word, &m);
		if (error == 0 || error == -EUCLEAN) {
			memcpy(t.name, word, sizeof(t.name));
			t.error = error;
			t.meta = error ? t.meta : m;
		}
	}
	/* A session that is on disk and damaged can be removed, by either name; what is not there can't. */
	t.passed_over = t.error && t.error != -EUCLEAN;
	return add_target(r, &t) ? complain(EXIT_FAILED, "%s", strerror(ENOMEM)) : EXIT_DONE;
}

/* --- doing --- */

/* Not one that has come to be used since it was chosen. */
static bool set_revoked(struct meta *m, void *ctx)
{
	const struct choice *c = ctx;
	if (m->revoked || (is_selection(c) && !is_chosen(m, ctx)))
		return false;
	m->revoked = true;
	return true;
}

/* By the daemon. 0 or -errno. */
static int tell_daemon(const struct removal *r, const char *sid)
{
	char line[SID_MAX + 16];
	int n = snprintf(line, sizeof(line), "%s %s\n", r->revoke ? "revoke" : "drop", sid);
	return write(r->admin, line, (size_t)n) == n ? 0 : -errno;
}

static bool is_past_lifetime(const struct removal *r, const struct meta *m)
{
	const struct choice *c = &r->choice;
	return c->by_rules && retention_due(m, &c->rules, c->now) == RETENTION_LIFETIME;
}

static int act(struct removal *r, const struct target *t)
{
	struct store *store = r->source.store;
	bool readable = !t->error;
	bool second_look = readable && is_fickle(&r->choice) && !is_past_lifetime(r, &t->meta);
	if (readable && r->admin >= 0 && !second_look)
		return tell_daemon(r, t->meta.sid);
	if (!r->revoke)
		return second_look ? store_remove_if(store, t->name, is_chosen, &r->choice)
				   : store_remove(store, t->name);
	struct meta m;
	int err = store_meta_update(store, t->name, set_revoked, &r->choice);
	if (err == 0)
		err = store_meta_read(store, t->name, &m);
	if (err)
		return err;
	return m.revoked ? 0 : -EAGAIN;
}

static const char *verb_of(const struct removal *r)
{
	static const char *const verbs[2][2] = {{"removed", "revoked"}, {"would-remove", "would-revoke"}};
	return verbs[r->dry][r->revoke];
}

static void print_line(const struct removal *r, const struct target *t)
{
	char user[TABLE_CELL], used[TABLE_CELL];
	table_text(t->meta.sub, user);
	table_past(t->meta.last_used, r->choice.now, false, used);
	printf("%s %s %s %s\n", verb_of(r), t->meta.sid[0] ? t->meta.sid : t->name, user, used);
}

/* error is a negative errno; 0: it was done. */
static void print_object(struct removal *r, const struct target *t, int error)
{
	const char *id = t->meta.sid[0] || !t->word || strcmp(t->word, t->name) == 0 ? t->meta.sid : t->word;
	_cleanup_json_ json_t *o = json_pack(
		"{s:o, s:o, s:o, s:o, s:s, s:o}", "id", json_text_or_null(id), "user", json_text_or_null(t->meta.sub),
		"done", json_text_or_null(error ? "" : verb_of(r)), "used", json_time_or_null(t->meta.last_used),
		"name", t->name, "error", json_text_or_null(error ? reason_of(error) : ""));
	fputs(r->printed++ ? ",\n  " : "\n  ", stdout);
	if (!o || json_dumpf(o, stdout, 0) < 0)
		r->status = complain(EXIT_FAILED, "session %s: cannot be written as JSON", t->name);
}

static void tell(struct removal *r, const struct target *t, int error)
{
	if (t->passed_over && !t->word)
		r->status = complain(EXIT_FAILED, "session %s: meta.json: %s", t->name, reason_of(error));
	else if (error)
		r->status = complain(EXIT_FAILED, "session %s: %s", t->word ? t->word : t->meta.sid, reason_of(error));
	if (r->json)
		print_object(r, t, error);
	else if (!error)
		print_line(r, t);
}

static void act_on_all(struct removal *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct target *t = &r->targets[i];
		int err = t->passed_over ? t->error : r->dry ? 0 : act(r, t);
		if (err == -ECOMM) { /* done, says the daemon */
			r->untold = err;
			err = 0;
		}
		progress_say(&r->progress, "%zu of %zu sessions", i, r->n);
		/* Used since it was chosen, or gone: it is not what was asked for any more. */
		if (t->word || (err != -EAGAIN && err != -ENOENT))
			tell(r, t, err);
	}
	progress_end(&r->progress);
}

/* What was done is done. But who promises that everybody knows of it within seconds says when that is not so. */
static void tell_others(struct removal *r, const char *path)
{
	int err = r->dry ? 0 : store_tell_again(r->source.store);
	r->untold = err ? err : r->untold;
	if (r->untold)
		r->status = complain(EXIT_FAILED,
				     "%s: other instances could not be told: %s; with many sessions they see it late, "
				     "after 96 s at most (48 times daemon.revalidate)",
				     path, r->untold == -ECOMM ? "the daemon's log says why" : strerror(-r->untold));
}

/* For who sits before it: a selection may be larger than was thought. */
static bool is_meant(const struct removal *r, const char *path)
{
	char line[16];
	size_t n = r->n - r->passed_over;
	if (r->dry || r->yes || !n || !is_selection(&r->choice) || !isatty(STDIN_FILENO))
		return true;
	fprintf(stderr, "%s %zu sessions of %s? [y/N] ", r->revoke ? "Revoke" : "Remove", n, path);
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

/* --- the whole --- */

static int open_both(struct removal *r, const char *path)
{
	struct mount mount;
	int status = source_open_store(&r->source, path);
	if (status != EXIT_DONE)
		return status;
	r->live = source_live(&r->source);
	if (!r->live)
		return complain(EXIT_FAILED, "%s", strerror(ENOMEM));
	if (!r->source.answer || r->dry)
		return EXIT_DONE;
	int err = mount_open(path, &mount);
	if (err == 0) {
		err = mount_control(&mount, "admin", O_WRONLY | O_CLOEXEC, &r->admin);
		mount_close(&mount);
	}
	return err ? complain(EXIT_FAILED, "%s: .sessionfs/admin: %s", path, mount_strerror(err)) : EXIT_DONE;
}

static int run(struct removal *r, const char *path, char **words, int nwords)
{
	int status = open_both(r, path);
	if (status != EXIT_DONE)
		return status;
	progress_begin(&r->progress);
	for (int i = 0; i < nwords && status == EXIT_DONE; i++)
		status = name_target(r, words[i]);
	int err = nwords ? 0 : store_each(r->source.store, choose, r);
	progress_end(&r->progress);
	if (err)
		status = complain(EXIT_FAILED, "%s: %s", path, strerror(-err));
	if (status != EXIT_DONE)
		return status;
	if (!is_meant(r, path))
		return complain(EXIT_FAILED, "nothing was %s", r->revoke ? "revoked" : "removed");
	progress_begin(&r->progress);
	fputs(r->json ? "{\"sessions\": [" : "", stdout);
	act_on_all(r);
	tell_others(r, path);
	if (r->json)
		printf("%s], \"told\": %s}\n", r->printed ? "\n" : "", r->untold ? "false" : "true");
	status = flush_stdout();
	return status == EXIT_DONE ? r->status : status;
}

/* --- arguments --- */

static int read_age(const char *option, const char *text, int64_t least, const char *said, int64_t *ret)
{
	if (options_duration(text, ret) || *ret < least)
		return complain(EXIT_USAGE, "--%s '%s': must be a time of %s or more, as in 90m, 12h or 30d", option,
				text, said);
	return EXIT_DONE;
}

static int read_rules(const char *file, struct choice *c)
{
	struct config config;
	if (config_init(&config))
		return complain(EXIT_FAILED, "%s", strerror(ENOMEM));
	int status = config_read(&config, file, stderr) ? EXIT_FAILED : EXIT_DONE;
	c->by_rules = true;
	c->rules = (struct retention_rules){config.idle, config.lifetime, config.max_lifetime + config.leeway};
	if (status == EXIT_DONE && !config.idle && !config.lifetime)
		status = complain(EXIT_FAILED, "%s: [retention] has neither idle nor lifetime", file);
	config_free(&config);
	return status;
}

int main(int argc, char **argv)
{
	enum { REVOKE = 1, DRY, YES, JSON, BY_USER, IDLE, OLDER, EXPIRED, RULES };
	static const struct option options[] = {
		{"revoke", no_argument, NULL, REVOKE},
		{"dry-run", no_argument, NULL, DRY},
		{"yes", no_argument, NULL, YES},
		{"json", no_argument, NULL, JSON},
		{"user", required_argument, NULL, BY_USER},
		{"idle", required_argument, NULL, IDLE},
		{"older", required_argument, NULL, OLDER},
		{"expired", no_argument, NULL, EXPIRED},
		{"retention", required_argument, NULL, RULES},
		{NULL, 0, NULL, 0},
	};
	struct removal r = {.admin = -1, .status = EXIT_DONE, .choice.now = time(NULL)};
	struct choice *c = &r.choice;
	int opt, status = EXIT_DONE;

	if (options_about(argc, argv, usage, &status))
		return status;
	while (status == EXIT_DONE && (opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case REVOKE: r.revoke = true; break;
		case DRY: r.dry = true; break;
		case YES: r.yes = true; break;
		case JSON: r.json = true; break;
		case BY_USER:
			c->user = optarg;
			if (!sub_valid(optarg, strlen(optarg)))
				status = complain(EXIT_USAGE, "--user '%s': not a user", optarg);
			break;
		/* Who is in a session without a pause is written to be so four times an hour (retention.h): not oftener. */
		case IDLE: status = read_age("idle", optarg, RETENTION_SAFE, "1h", &c->idle); break;
		case OLDER: status = read_age("older", optarg, 1, "1s", &c->older); break;
		case EXPIRED: c->expired = true; break;
		case RULES: status = read_rules(optarg, c); break;
		default: return EXIT_USAGE;
		}
	}
	if (status != EXIT_DONE)
		return status;
	/* Either sessions are named, or chosen: an empty list chooses nothing. */
	if (argc - optind < 1 || is_selection(c) != (argc - optind == 1)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (r.revoke && c->by_rules)
		return complain(EXIT_USAGE, "--retention removes: it does not go with --revoke");
	if (sodium_init() < 0)
		return complain(EXIT_FAILED, "libsodium does not start");
	setlocale(LC_CTYPE, "");
	json_object_seed(0);
	status = run(&r, argv[optind], argv + optind + 1, argc - optind - 1);
	close_fd(r.admin);
	source_close(&r.source);
	json_decref(r.live);
	free(r.targets);
	return status;
}
