/* SPDX-License-Identifier: MIT */
/*
 * Lists sessions: session-ls(1). What a store holds is read from the store; who is in a session only the daemon knows,
 * and it says so in a mount's .sessionfs/sessions.
 */
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <langinfo.h>
#include <locale.h>
#include <sodium.h>
#include <sys/ioctl.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

#include "mount.h"
#include "options.h"
#include "proto/rfc3339.h"
#include "store.h"
#include "util.h"

static const char usage[] =
	"usage: session-ls [--json] [--live] [--sort KEY] [--user USER] STORE|MOUNT\n"
	"       session-ls --help | --version\n"
	"KEY is id, user, state, holders, files, bytes, created, used (newest first: the default) or expires.\n";

/* In the order in which --sort state lists them. */
enum state { LIVE, IDLE, EXPIRED, REVOKED, BROKEN };
static const char *const state_names[] = {"live", "idle", "expired", "revoked", "broken"};

enum column { ID, USER, STATE, HOLDERS, FILES, BYTES, CREATED, USED, EXPIRES, RELEASE, COLUMNS };

static const struct {
	const char *key; /* of --sort, but for the last */
	const char *title;
	const char *terse; /* the title at a terminal */
	bool right;        /* aligned */
	int least;         /* what it may be cut to on a terminal that is too narrow; 0: never */
} columns[COLUMNS] = {
	[ID] = {"id", "ID", "ID", false, 12},
	[USER] = {"user", "USER", "USER", false, 8},
	[STATE] = {"state", "STATE", "STATE", false, 0},
	[HOLDERS] = {"holders", "HOLDERS", "HELD", true, 0},
	[FILES] = {"files", "FILES", "FILES", true, 0},
	[BYTES] = {"bytes", "BYTES", "BYTES", true, 0},
	[CREATED] = {"created", "CREATED", "AGE", true, 0},
	[USED] = {"used", "USED", "USED", true, 0},
	[EXPIRES] = {"expires", "EXPIRES", "LEFT", true, 0},
	[RELEASE] = {"release", "RELEASE", "RELEASE", false, 7},
};

struct row {
	char name[SID_HASH_LEN + 1]; /* in the store */
	struct meta meta;            /* of a broken session all zero */
	int error;                   /* of reading meta.json, negative errno */
	bool counted;                /* files and bytes are known */
	uint64_t files, bytes;
	json_t *live; /* what the daemon says of it; the listing's; NULL is nothing */
	size_t holders;
	enum state state;
};

struct listing {
	/* the options */
	const char *user;
	bool live_only;
	/* the source */
	struct store *store; /* owned; NULL where it can't be read */
	json_t *answer;      /* owned; NULL without a mount */
	json_t *by_sid;      /* owned; the answer's sessions */
	int64_t now;
	/* what was found */
	struct row *rows; /* owned */
	size_t n, room;
	int status;
	struct timespec began, shown; /* of the progress */
};

/* --- progress --- */

static double seconds_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) + 1e-9 * (double)(now.tv_nsec - t->tv_nsec);
}

/* Says how far it is, on a terminal and after the first second. */
static void progress(struct listing *l, const char *what, size_t done)
{
	if (!isatty(STDERR_FILENO) || seconds_since(&l->began) < 1 || seconds_since(&l->shown) < 0.2)
		return;
	clock_gettime(CLOCK_MONOTONIC, &l->shown);
	fprintf(stderr, "\r%zu sessions %s\033[K\r", done, what);
	fflush(stderr);
}

static void progress_end(const struct listing *l)
{
	if (l->shown.tv_sec)
		fputs("\r\033[K", stderr);
}

/* --- collecting --- */

static enum state state_of(const struct row *row, int64_t now)
{
	const char *said = json_string_value(json_object_get(row->live, "state"));

	if (row->error)
		return BROKEN;
	if (row->meta.revoked || (said && strcmp(said, "revoked") == 0))
		return REVOKED;
	if (row->holders)
		return LIVE;
	return row->meta.expires && row->meta.expires <= now ? EXPIRED : IDLE;
}

/* A time that the daemon knows: 0 where it is absent. */
static int64_t live_time(const json_t *live, const char *key)
{
	const json_t *v = json_object_get(live, key);
	int64_t t;
	uint32_t nsec;

	return v && rfc3339_parse(json_string_value(v), json_string_length(v), &t, &nsec) == 0 ? t : 0;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void copy_text(char *dst, size_t size, const json_t *text)
{
	const char *s = json_string_value(text);

	if (s)
		snprintf(dst, size, "%s", s);
}

static const char *reason_of(int error)
{
	return error == -EUCLEAN ? "damaged" : strerror(-error);
}

/* Adds a session if the options ask for it. 0 or -ENOMEM. */
static int add_row(struct listing *l, struct row *row)
{
	row->live = json_object_get(l->by_sid, row->meta.sid);
	row->holders = json_array_size(json_object_get(row->live, "holders"));
	/* The daemon writes its times to the store now and then. */
	row->meta.last_used = later(row->meta.last_used, live_time(row->live, "used"));
	row->meta.expires = later(row->meta.expires, live_time(row->live, "expires"));
	copy_text(row->meta.release, sizeof(row->meta.release), json_object_get(row->live, "release"));
	row->state = state_of(row, l->now);
	if ((l->live_only && !row->holders) || (l->user && strcmp(l->user, row->meta.sub) != 0))
		return 0;
	if (row->error)
		l->status = complain(EXIT_FAILED, "session %s: meta.json: %s", row->name, reason_of(row->error));
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct row *grown = reallocarray(l->rows, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		l->rows = grown;
		l->room = room;
	}
	l->rows[l->n++] = *row;
	return 0;
}

static int visit(void *ctx, const char *name, const struct meta *meta, int error)
{
	struct listing *l = ctx;
	struct row row = {.error = error};

	snprintf(row.name, sizeof(row.name), "%s", name);
	if (meta)
		row.meta = *meta;
	progress(l, "read", l->n);
	int r = add_row(l, &row);
	json_object_del(l->by_sid, row.meta.sid); /* what is left then is not in the store */
	return r;
}

/* Sessions that the daemon has and the store has not, or that can't be read there. */
static int add_live_rows(struct listing *l)
{
	for (void *it = json_object_iter(l->by_sid); it; it = json_object_iter_next(l->by_sid, it)) {
		const char *sid = json_object_iter_key(it);
		const json_t *live = json_object_iter_value(it);
		struct row row = {.error = 0};
		copy_text(row.meta.sid, sizeof(row.meta.sid), json_object_get(live, "sid"));
		copy_text(row.meta.sub, sizeof(row.meta.sub), json_object_get(live, "sub"));
		if (!sid_valid(sid, strlen(sid)))
			continue;
		sid_hash(sid, row.name);
		int r = add_row(l, &row);
		if (r)
			return r;
	}
	return 0;
}

static void count_rows(struct listing *l)
{
	for (size_t i = 0; i < l->n && l->store; i++) {
		struct row *row = &l->rows[i];
		int r = store_usage(l->store, row->name, &row->files, &row->bytes);
		row->counted = r == 0;
		if (r && r != -ENOENT) /* removed meanwhile */
			l->status = complain(EXIT_FAILED, "session %s: data: %s", row->name, strerror(-r));
		progress(l, "counted", i);
	}
}

/* --- sources --- */

static int open_store(struct listing *l, const char *path, const char *besides)
{
	char err[4096 + 256];

	if (store_open_existing(path, err, sizeof(err), &l->store))
		return complain(EXIT_FAILED, "%s%s", err, besides);
	return EXIT_DONE;
}

/* Asks the daemon. Returns an exit status. */
static int ask_daemon(struct listing *l, const char *path, const struct mount *mount)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	size_t len;

	int r = mount_control(mount, "sessions", O_RDONLY | O_CLOEXEC, &fd);
	if (r == 0)
		r = mount_read(fd, &text, &len);
	if (r)
		return complain(EXIT_FAILED, "%s: .sessionfs/sessions: %s%s", path, mount_strerror(r),
				r == -EACCES ? " (it is for root alone)" : "");
	l->answer = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const char *store = json_string_value(json_object_get(l->answer, "store"));
	const json_t *sessions = json_object_get(l->answer, "sessions");
	if (!store || !json_is_array(sessions))
		return complain(EXIT_FAILED, "%s: .sessionfs/sessions: not what this release understands", path);
	for (size_t i = 0; i < json_array_size(sessions); i++) {
		json_t *session = json_array_get(sessions, i);
		json_object_set(l->by_sid, json_string_value(json_object_get(session, "sid")), session);
	}
	/* Without the store, the daemon's word is still worth a listing. */
	l->status = open_store(l, store, "");
	return EXIT_DONE;
}

static int open_source(struct listing *l, const char *path)
{
	struct mount mount;
	int r = mount_open(path, &mount);

	if (r == 0) {
		r = ask_daemon(l, path, &mount);
		mount_close(&mount);
		return r;
	}
	if (r == -ENOTTY && l->live_only)
		return complain(EXIT_USAGE, "%s: --live needs a mount: only its daemon knows who is in a session",
				path);
	if (r == -ENOTTY)
		return open_store(l, path, " (and no sessionfs is mounted there)");
	return complain(EXIT_FAILED, "%s: %s", path, mount_strerror(r));
}

/* --- order --- */

static uint64_t number_of(const struct row *row, enum column column)
{
	switch (column) {
	case HOLDERS: return row->holders;
	case FILES: return row->files;
	case BYTES: return row->bytes;
	case CREATED: return (uint64_t)row->meta.created;
	case USED: return (uint64_t)row->meta.last_used;
	/* What ends first comes first, and last what does not end. */
	case EXPIRES: return UINT64_MAX - ((uint64_t)row->meta.expires - 1);
	case STATE: return UINT64_MAX - row->state;
	default: return 0;
	}
}

/* The greatest number first; names in their own order, which decides between equals too. */
static int compare_rows(const void *pa, const void *pb, void *by)
{
	const struct row *a = pa, *b = pb;
	enum column column = *(const enum column *)by;
	uint64_t na = number_of(a, column), nb = number_of(b, column);
	int r = column == USER ? strcmp(a->meta.sub, b->meta.sub) : (na < nb) - (na > nb);

	if (r == 0)
		r = strcmp(a->meta.sid, b->meta.sid);
	return r ? r : strcmp(a->name, b->name);
}

/* --- JSON --- */

static json_t *json_time(int64_t t)
{
	char text[RFC3339_LEN + 1];

	return t && rfc3339_format(t, text) == 0 ? json_string(text) : json_null();
}

static json_t *json_text(const char *s)
{
	return s[0] ? json_string(s) : json_null();
}

static json_t *json_count(bool known, uint64_t n)
{
	return known ? json_integer((json_int_t)n) : json_null();
}

static json_t *json_row(const struct listing *l, const struct row *row)
{
	json_t *holders = json_object_get(row->live, "holders");

	holders = holders ? json_incref(holders) : l->answer ? json_array() : json_null();
	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "id", json_text(row->meta.sid),
			 "user", json_text(row->meta.sub), "state", state_names[row->state], "holders", holders,
			 "files", json_count(row->counted, row->files), "bytes", json_count(row->counted, row->bytes),
			 "created", json_time(row->meta.created), "used", json_time(row->meta.last_used), "expires",
			 json_time(row->meta.expires), "release", json_text(row->meta.release), "name", row->name,
			 "error", json_text(row->error ? reason_of(row->error) : ""));
}

/* One session at a time: of a large store the tree would be larger than the text. */
static int print_json(const struct listing *l)
{
	fputs("{\"sessions\": [", stdout);
	for (size_t i = 0; i < l->n; i++) {
		json_t *row = json_row(l, &l->rows[i]);
		fputs(i ? ",\n  " : "\n  ", stdout);
		int r = row ? json_dumpf(row, stdout, 0) : -1;
		json_decref(row);
		if (r)
			return complain(EXIT_FAILED, "session %s: cannot be written as JSON", l->rows[i].name);
	}
	fputs(l->n ? "\n]}\n" : "]}\n", stdout);
	return EXIT_DONE;
}

/* --- the table --- */

/* Escaped, a byte takes four. */
#define CELL_MAX (4 * SUB_MAX + 1)

/*
 * Copies text so that no terminal is told anything by it, and every row has ten words: what is no visible character of
 * the locale is written \xHH, and so are spaces and backslashes.
 */
static void escape(const char *text, char cell[static CELL_MAX])
{
	mbstate_t state = {0};
	size_t left = strlen(text), used = 0;

	while (left > 0) {
		wchar_t c;
		size_t n = mbrtowc(&c, text, left, &state);
		bool whole = n != (size_t)-1 && n != (size_t)-2;
		/* wcwidth() is 0 for what turns the direction of writing. */
		if (whole && iswgraph((wint_t)c) && wcwidth(c) > 0 && c != L'\\') {
			memcpy(cell + used, text, n);
			used += n;
		} else {
			state = (mbstate_t){0};
			n = whole ? n : 1;
			for (size_t i = 0; i < n; i++)
				used += (size_t)sprintf(cell + used, "\\x%02x", (unsigned char)text[i]);
		}
		text += n;
		left -= n;
	}
	cell[used] = '\0';
}

/* How many columns of a terminal a cell takes. */
static int width_of(const char *cell)
{
	mbstate_t state = {0};
	wchar_t c;
	int width = 0;

	for (size_t n; *cell && (n = mbrtowc(&c, cell, MB_CUR_MAX, &state)) <= MB_CUR_MAX; cell += n)
		width += wcwidth(c);
	return width;
}

/* Cuts a cell to a width; '+' says that it was. */
static void cut(char *cell, int width)
{
	mbstate_t state = {0};
	wchar_t c;
	int used = 0;
	size_t n;

	if (width_of(cell) <= width)
		return;
	for (; (n = mbrtowc(&c, cell, MB_CUR_MAX, &state)) <= MB_CUR_MAX && used + wcwidth(c) < width; cell += n)
		used += wcwidth(c);
	strcpy(cell, "+");
}

/* 999, 1.2K, 34M: at most five characters. */
static void short_number(uint64_t n, unsigned base, char cell[static CELL_MAX])
{
	static const char units[] = "KMGTPE";
	size_t unit = 0;

	if (n < 10000 && n < base * 10) {
		snprintf(cell, CELL_MAX, "%llu", (unsigned long long)n);
		return;
	}
	for (; n / base >= base; n /= base)
		unit++;
	unsigned long long whole = n / base, tenths = n % base * 10 / base;
	if (whole < 10)
		snprintf(cell, CELL_MAX, "%llu.%llu%c", whole, tenths, units[unit]);
	else
		snprintf(cell, CELL_MAX, "%llu%c", whole, units[unit]);
}

/* 45s, 12m, 8h, 300d. Negative for what is over. */
static void short_time(int64_t seconds, char cell[static CELL_MAX])
{
	int64_t s = seconds < 0 ? -seconds : seconds;
	const char *sign = seconds < 0 ? "-" : "";

	if (s < 120)
		snprintf(cell, CELL_MAX, "%s%llds", sign, (long long)s);
	else if (s < 2 * 3600)
		snprintf(cell, CELL_MAX, "%s%lldm", sign, (long long)s / 60);
	else if (s < 2 * 86400)
		snprintf(cell, CELL_MAX, "%s%lldh", sign, (long long)s / 3600);
	else
		snprintf(cell, CELL_MAX, "%s%lldd", sign, (long long)s / 86400);
}

static void time_cell(const struct listing *l, bool terse, int64_t t, bool ahead, char cell[static CELL_MAX])
{
	if (t == 0)
		strcpy(cell, "-");
	else if (terse)
		short_time(ahead ? t - l->now : l->now - t, cell);
	else if (rfc3339_format(t, cell))
		strcpy(cell, "?");
}

/* Terse is for people at a terminal; else numbers and times are exact. */
static void make_cell(const struct listing *l, const struct row *row, enum column column, bool terse,
		      char cell[static CELL_MAX])
{
	uint64_t number = column == FILES ? row->files : row->bytes;

	switch (column) {
	case ID: escape(row->meta.sid[0] ? row->meta.sid : row->name, cell); break;
	case USER: escape(row->meta.sub[0] ? row->meta.sub : "-", cell); break;
	case STATE: strcpy(cell, state_names[row->state]); break;
	case HOLDERS: snprintf(cell, CELL_MAX, l->answer ? "%zu" : "-", row->holders); break;
	case FILES:
	case BYTES:
		if (!row->counted)
			strcpy(cell, "-");
		else if (terse)
			short_number(number, column == FILES ? 1000 : 1024, cell);
		else
			snprintf(cell, CELL_MAX, "%llu", (unsigned long long)number);
		break;
	case CREATED: time_cell(l, terse, row->meta.created, false, cell); break;
	case USED: time_cell(l, terse, row->meta.last_used, false, cell); break;
	case EXPIRES: time_cell(l, terse, row->meta.expires, true, cell); break;
	case RELEASE: escape(row->meta.release[0] ? row->meta.release : "-", cell); break;
	case COLUMNS: abort();
	}
}

/* Takes from what may be cut, the widest first, until all fits. */
static void fit(int widths[static COLUMNS], int width)
{
	int total = COLUMNS - 1;

	for (int c = 0; c < COLUMNS; c++)
		total += widths[c];
	while (total > width) {
		int widest = -1;
		for (int c = 0; c < COLUMNS; c++)
			if (columns[c].least && widths[c] > columns[c].least &&
			    (widest < 0 || widths[c] > widths[widest]))
				widest = c;
		if (widest < 0)
			return;
		widths[widest]--;
		total--;
	}
}

static void print_cell(const char *cell, enum column c, int width)
{
	int pad = width - width_of(cell);

	if (columns[c].right)
		printf("%*s%s", pad, "", cell);
	else
		printf("%s%*s", cell, c == COLUMNS - 1 ? 0 : pad, "");
	putchar(c == COLUMNS - 1 ? '\n' : ' ');
}

static void print_table(const struct listing *l)
{
	bool terse = isatty(STDOUT_FILENO);
	struct winsize size;
	char cell[CELL_MAX];
	const char *titles[COLUMNS];
	int widths[COLUMNS];

	for (enum column c = 0; c < COLUMNS; c++) {
		titles[c] = terse ? columns[c].terse : columns[c].title;
		widths[c] = (int)strlen(titles[c]);
		for (size_t i = 0; i < l->n; i++) {
			make_cell(l, &l->rows[i], c, terse, cell);
			if (width_of(cell) > widths[c])
				widths[c] = width_of(cell);
		}
	}
	if (terse)
		fit(widths, ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80);
	for (enum column c = 0; c < COLUMNS; c++)
		print_cell(titles[c], c, widths[c]);
	for (size_t i = 0; i < l->n; i++) {
		for (enum column c = 0; c < COLUMNS; c++) {
			make_cell(l, &l->rows[i], c, terse, cell);
			if (columns[c].least)
				cut(cell, widths[c]);
			print_cell(cell, c, widths[c]);
		}
	}
}

/* --- main --- */

static int collect(struct listing *l)
{
	int r = l->store ? store_each(l->store, visit, l) : 0;

	if (r == 0)
		r = add_live_rows(l);
	if (r == 0)
		count_rows(l);
	progress_end(l);
	return r ? complain(EXIT_FAILED, "%s: %s", l->store ? store_path(l->store) : "sessions", strerror(-r))
		 : EXIT_DONE;
}

static int list(struct listing *l, const char *path, enum column order, bool json)
{
	l->by_sid = json_object();
	l->now = time(NULL);
	clock_gettime(CLOCK_MONOTONIC, &l->began);
	int status = l->by_sid ? open_source(l, path) : complain(EXIT_FAILED, "%s", strerror(ENOMEM));
	if (status == EXIT_DONE)
		status = collect(l);
	if (status != EXIT_DONE)
		return status;
	if (l->n)
		qsort_r(l->rows, l->n, sizeof(*l->rows), compare_rows, &order);
	if (json)
		status = print_json(l);
	else
		print_table(l);
	if (status == EXIT_DONE)
		status = flush_stdout();
	return status == EXIT_DONE ? l->status : status;
}

int main(int argc, char **argv)
{
	enum { JSON = 1, ONLY_LIVE, SORT, BY_USER };
	static const struct option options[] = {
		{"json", no_argument, NULL, JSON},
		{"live", no_argument, NULL, ONLY_LIVE},
		{"sort", required_argument, NULL, SORT},
		{"user", required_argument, NULL, BY_USER},
		{NULL, 0, NULL, 0},
	};
	struct listing l = {.status = EXIT_DONE};
	enum column order = USED;
	bool json = false;
	int opt, status;

	if (options_about(argc, argv, usage, &status))
		return status;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case JSON: json = true; break;
		case ONLY_LIVE: l.live_only = true; break;
		case BY_USER: l.user = optarg; break;
		case SORT:
			for (order = ID; order < RELEASE && strcmp(columns[order].key, optarg) != 0;)
				order++;
			if (order == RELEASE)
				return complain(EXIT_USAGE, "--sort %s: unknown key (see --help)", optarg);
			break;
		default: return EXIT_USAGE;
		}
	}
	if (argc - optind != 1) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (sodium_init() < 0)
		return complain(EXIT_FAILED, "libsodium does not start");
	setlocale(LC_CTYPE, "");
	json_object_seed(0);
	status = list(&l, argv[optind], order, json);
	store_close(l.store);
	json_decref(l.by_sid);
	json_decref(l.answer);
	free(l.rows);
	return status;
}
