/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "durable.h"
#include "json.h"
#include "proto/limits.h"
#include "record.h"
#include "tree.h"
#include "users.h"

#define FILE_SIZE_MAX 4096
#define LIST_TRIES 32
#define BASE "base"
#define DOUBT "doubt"
#define SUFFIX ".json"

/* --- the text of a file --- */

static bool in_range(int64_t n)
{
	return n >= -LIMIT_MAX && n <= LIMIT_MAX;
}

/* [bytes, files] */
static bool get_usage(const json_t *o, const char *key, struct usage *ret)
{
	const json_t *a = json_object_get(o, key), *bytes = json_array_get(a, 0), *files = json_array_get(a, 1);
	if (json_array_size(a) != 2 || !json_is_integer(bytes) || !json_is_integer(files) ||
	    !in_range(json_integer_value(bytes)) || !in_range(json_integer_value(files)))
		return false;
	*ret = (struct usage){json_integer_value(bytes), json_integer_value(files)};
	return true;
}

static json_t *usage_json(const struct usage *u)
{
	return json_pack("[I, I]", (json_int_t)u->bytes, (json_int_t)u->files);
}

static int line_parse(const char *text, size_t len, struct ledger_line *ret)
{
	_cleanup_json_ json_t *o = NULL;
	struct ledger_line l = {0};
	int r = json_parse_object(text, len, &o);
	if (r < 0)
		return r;
	if (!json_get_count(o, "version", false, &l.version) || !json_get_text(o, "run", false, l.run, sizeof(l.run)) ||
	    !run_id_valid(l.run) || !json_get_flag(o, "open", &l.open) || !json_get_flag(o, "unsure", &l.unsure) ||
	    !get_usage(o, "used", &l.used) || !get_usage(o, "granted", &l.granted) || !get_usage(o, "held", &l.held) ||
	    l.granted.bytes < l.used.bytes || l.granted.files < l.used.files || l.held.bytes < 0 || l.held.files < 0 ||
	    (!l.open && (l.granted.bytes > l.used.bytes || l.granted.files > l.used.files)))
		return -EUCLEAN;
	*ret = l;
	return 0;
}

static int base_parse(const char *text, size_t len, struct usage *ret)
{
	_cleanup_json_ json_t *o = NULL;
	int r = json_parse_object(text, len, &o);
	return r < 0 ? r : get_usage(o, "used", ret) ? 0 : -EUCLEAN;
}

/* --- reading --- */

/* A session's usage/, opened afresh. *ret stays -1 where there is none yet. */
static int open_usage(int session, int *ret)
{
	_cleanup_close_ int dir = openat(session, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ESTALE ? -ENOENT : -errno;
	int fd = openat(dir, "usage", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	*ret = fd;
	return 0;
}

static void add(struct usage *to, const struct usage *u)
{
	to->bytes += u->bytes;
	to->files += u->files;
}

/* "<instance>.json" */
static bool line_name(const char *file, char instance[static INSTANCE_NAME_MAX + 1])
{
	size_t n = strlen(file), tail = strlen(SUFFIX);
	if (n <= tail || n - tail > INSTANCE_NAME_MAX || strcmp(file + n - tail, SUFFIX) != 0)
		return false;
	snprintf(instance, INSTANCE_NAME_MAX + 1, "%.*s", (int)(n - tail), file);
	return instance_name_valid(instance);
}

/* FNV-1a over what is new with each write. */
static uint64_t stamp(const char *instance, const struct ledger_line *line)
{
	char text[INSTANCE_NAME_MAX + RUN_ID_LEN + 32];
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	snprintf(text, sizeof(text), "%s %s %" PRIu64, instance, line->run, line->version);
	for (const char *p = text; *p; p++)
		h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	return h;
}

static int read_line(int dir, const char *file, const char *instance, const char *mine, ledger_line_fn *each, void *ctx,
		     struct ledger_sum *sum)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	struct ledger_line line;
	int r = durable_read(dir, file, FILE_SIZE_MAX, &text, &len);
	if (r == 0)
		r = line_parse(text, len, &line);
	if (r == -ENOENT) /* taken away meanwhile, which only a repair does */
		return 0;
	if (r < 0 && r != -EUCLEAN)
		return r;
	sum->counted |= r == 0 && !line.unsure;
	if (r < 0) {
		sum->garbage++;
	} else if (mine && strcmp(instance, mine) == 0) {
		sum->has_mine = true;
		sum->mine = line;
	} else {
		sum->lines++;
		sum->open += line.open;
		sum->stamp += stamp(instance, &line);
		add(&sum->used, &line.used);
		add(&sum->granted, &line.granted);
		add(&sum->held, &line.held);
	}
	return each ? each(ctx, instance, r < 0 ? NULL : &line) : 0;
}

static int read_base(int dir, struct ledger_sum *sum)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = durable_read(dir, BASE, FILE_SIZE_MAX, &text, &len);
	if (r == 0)
		r = base_parse(text, len, &sum->base);
	if (r == -ENOENT)
		return 0;
	sum->has_base = sum->counted = r == 0;
	sum->garbage += r == -EUCLEAN;
	return r == -EUCLEAN ? 0 : r;
}

static int read_all(int dir, const char *mine, ledger_line_fn *each, void *ctx, struct ledger_sum *sum)
{
	_cleanup_closedir_ DIR *d = NULL;
	const struct dirent *e;
	int r = read_base(dir, sum);
	if (r == 0)
		r = tree_opendir(dir, ".", &d);
	while (r == 0 && (errno = 0, e = readdir(d))) {
		char instance[INSTANCE_NAME_MAX + 1];
		sum->doubted |= strcmp(e->d_name, DOUBT) == 0;
		if (line_name(e->d_name, instance))
			r = read_line(dir, e->d_name, instance, mine, each, ctx, sum);
	}
	return r == 0 && errno ? -errno : r;
}

static bool is_at(const struct stat *a, const struct stat *b)
{
	return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/*
 * A line that is replaced while the directory is listed need not be in the list at all, by POSIX and on btrfs: so one
 * counts in which the directory stayed as it was.
 */
int ledger_read(int session, const char *mine, ledger_line_fn *each, void *ctx, struct ledger_sum *ret)
{
	_cleanup_close_ int fd = -1;
	struct ledger_sum sum = {0};
	struct stat before = {0}, after = {0};
	int r = open_usage(session, &fd);
	bool same = fd < 0;
	for (int i = 0; r == 0 && !same && i < LIST_TRIES; i++) {
		sum = (struct ledger_sum){0};
		if (fstat(fd, &before) < 0)
			return -errno;
		r = read_all(fd, mine, each, ctx, &sum);
		if (r == 0 && fstat(fd, &after) < 0)
			return -errno;
		same = is_at(&before, &after);
	}
	if (r != 0)
		return r;
	*ret = sum;
	return same ? 0 : -EAGAIN;
}

static int64_t at_least_0(int64_t n)
{
	return n > 0 ? n : 0;
}

struct usage ledger_total(const struct ledger_sum *sum)
{
	int64_t bytes = sum->base.bytes + sum->used.bytes + (sum->has_mine ? sum->mine.used.bytes : 0);
	int64_t files = sum->base.files + sum->used.files + (sum->has_mine ? sum->mine.used.files : 0);
	return (struct usage){at_least_0(bytes), at_least_0(files)};
}

struct user_walk {
	struct store *store;
	const char *name, *mine;
	int own;
	struct usage total;
};

static int add_session(void *ctx, const char *name)
{
	struct user_walk *w = ctx;
	struct ledger_sum sum;
	_cleanup_close_ int dir = -1;
	int r = store_session_dir(w->store, name, &dir);
	bool own = r == 0 && w->own >= 0 && strcmp(name, w->name) == 0 && record_is_same(dir, w->own);
	if (r == 0)
		r = ledger_read(dir, own ? w->mine : NULL, NULL, NULL, &sum);
	if (r == -ENOENT) /* removed, or not made yet */
		return 0;
	if (r < 0)
		return r;
	if (sum.garbage)
		return -EUCLEAN;
	add(&w->total, &sum.base);
	add(&w->total, &sum.granted);
	return 0;
}

int ledger_user(struct store *s, const char *user, const char *name, int own, const char *mine, struct usage *ret)
{
	struct user_walk w = {.store = s, .name = name, .mine = mine, .own = own};
	int r = users_each(s, user, add_session, &w);
	if (r == 0)
		*ret = w.total;
	return r;
}

/* --- writing --- */

/*
 * Made under another name and renamed, as all directories that instances share; the loser of a race finds a directory
 * that is as good.
 */
static int make_usage(int session)
{
	char temp[TEMP_NAME_MAX];
	temp_name(temp);
	if (mkdirat(session, temp, 0700) < 0)
		return -errno;
	int r = durable_place_dir(session, temp, "usage");
	if (r == 0)
		return durable_sync_dir(session, ".");
	unlinkat(session, temp, AT_REMOVEDIR);
	return r == -EEXIST ? 0 : r;
}

static int write_file(int session, const char *file, json_t *o)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = json_line(o, &text, &len);
	for (int i = 0; r == 0 && i < 3; i++) {
		_cleanup_close_ int usage = -1;
		r = open_usage(session, &usage);
		if (r < 0)
			return r;
		if (usage >= 0)
			r = durable_replace(usage, file, text, len);
		if (usage >= 0 && r != -ENOENT)
			return r;
		r = make_usage(session); /* ENOENT: ours was empty, and another's was renamed over it */
	}
	return r < 0 ? r : -EAGAIN;
}

int ledger_write(int session, const char *instance, const struct ledger_line *line)
{
	char file[INSTANCE_NAME_MAX + sizeof(SUFFIX)];
	if (!instance_name_valid(instance))
		return -EINVAL;
	snprintf(file, sizeof(file), "%s" SUFFIX, instance);
	_cleanup_json_ json_t *o = json_pack("{s:I, s:s, s:b, s:b, s:o, s:o, s:o}", "version",
					     (json_int_t)line->version, "run", line->run, "open", line->open, "unsure",
					     line->unsure, "used", usage_json(&line->used), "granted",
					     usage_json(&line->granted), "held", usage_json(&line->held));
	return write_file(session, file, o);
}

int ledger_write_base(int session, const struct usage *base)
{
	_cleanup_json_ json_t *o = json_pack("{s:o}", "used", usage_json(base));
	return write_file(session, BASE, o);
}

int ledger_doubt(int session)
{
	_cleanup_json_ json_t *o = json_object();
	return write_file(session, DOUBT, o);
}

int ledger_believe(int session)
{
	_cleanup_close_ int usage = -1;
	int r = open_usage(session, &usage);
	return r ? r : usage >= 0 && unlinkat(usage, DOUBT, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int ledger_clear(struct store *s, int session)
{
	_cleanup_close_ int fd = -1;
	_cleanup_closedir_ DIR *d = NULL;
	int r = open_usage(session, &fd);
	if (r < 0 || fd < 0)
		return r;
	r = tree_opendir(fd, ".", &d);
	const struct dirent *e;
	while (r == 0 && (e = readdir(d))) {
		_cleanup_free_ char *text = NULL;
		size_t len;
		char instance[INSTANCE_NAME_MAX + 1];
		struct ledger_line line;
		if (!line_name(e->d_name, instance))
			continue;
		int bad = durable_read(fd, e->d_name, FILE_SIZE_MAX, &text, &len);
		if (bad == 0)
			bad = line_parse(text, len, &line);
		if (bad == -EUCLEAN && unlinkat(fd, e->d_name, 0) < 0 && errno != ENOENT && errno != EISDIR)
			r = -errno;
	}
	return r < 0 ? r : store_sweep(s, fd);
}
