/* SPDX-License-Identifier: MIT */
/* Lists sessions, and who is in them: session-ls(1). */
#include <getopt.h>
#include <locale.h>
#include <sodium.h>
#include <time.h>

#include "listing.h"
#include "nodes.h"
#include "options.h"
#include "recount.h"
#include "show.h"
#include "table.h"
#include "util.h"
#include "watch.h"

static const char usage[] =
	"usage: session-ls [--json] [--live [--watch[=SECONDS]]] [--sort KEY] [--user USER] STORE|MOUNT\n"
	"       session-ls [--json] --nodes | --releases | --recount STORE|MOUNT\n"
	"       session-ls --help | --version\n"
	"KEY is id, user, state, holders, files, bytes, created, used (newest first: the default) or expires.\n";

/* What --watch takes, in seconds. */
#define WATCH_LEAST 0.1
#define WATCH_MOST 3600.0

/* What was asked for. */
struct wanted {
	const char *path, *user;
	bool json, live;
	enum column order;
	double every;                                /* seconds; 0 is once */
	int (*instead)(const char *path, bool json); /* of the sessions */
};

static int collect(const struct wanted *w, bool quiet, struct listing *l)
{
	/* How much they hold is not in the table of holders, and would be counted for the order alone. */
	bool uncounted = w->live && !w->json && w->order != COLUMN_FILES && w->order != COLUMN_BYTES;

	*l = (struct listing){.user = w->user, .live_only = w->live, .uncounted = uncounted, .progress.off = quiet};
	int status = listing_collect(l, w->path);
	if (status == EXIT_DONE)
		listing_sort(l, w->order);
	return status;
}

static int show(const struct wanted *w, const struct listing *l, FILE *f, int width)
{
	if (w->json)
		return show_json(f, l, w->every == 0);
	if (!w->live)
		show_table(f, l, width);
	else if (show_holders(f, l, width))
		return complain(EXIT_FAILED, "%s", strerror(ENOMEM));
	return EXIT_DONE;
}

static int list_once(const struct wanted *w)
{
	struct listing l;
	int status = collect(w, false, &l);

	if (status == EXIT_DONE)
		status = show(w, &l, stdout, table_width(STDOUT_FILENO));
	if (status == EXIT_DONE)
		status = flush_stdout();
	if (status == EXIT_DONE)
		status = l.status;
	listing_free(&l);
	return status;
}

/* --- again and again --- */

/* Until something is wrong: nobody looks at the complaints of a program that goes on. */
static int list_on(const struct wanted *w)
{
	const int64_t every = (int64_t)(w->every * 1e9);
	struct timespec next;
	int status;

	clock_gettime(CLOCK_MONOTONIC, &next);
	while ((status = list_once(w)) == EXIT_DONE) {
		next.tv_nsec += every % 1000000000;
		next.tv_sec += every / 1000000000 + next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	return status;
}

static void print_head(const struct wanted *w, const struct listing *l, FILE *f)
{
	size_t holders = 0;
	char clock[16] = "";
	struct tm tm;

	for (size_t i = 0; i < l->n; i++)
		holders += l->rows[i].holders;
	if (localtime_r(&l->now, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	fprintf(f, "%s  %zu sessions, %zu holders  (each %gs; q ends)\n\n", clock, l->n, holders, w->every);
}

/* A daemon that is gone may come again: what is wrong is shown, and it is tried on. */
static void draw(void *ctx, FILE *f, int width)
{
	const struct wanted *w = ctx;
	_cleanup_free_ char *complaints = NULL;
	size_t n;
	FILE *said = open_memstream(&complaints, &n);
	struct listing l;

	if (!said)
		return;
	complain_into(said);
	int status = collect(w, true, &l);
	complain_into(NULL);
	fclose(said);
	print_head(w, &l, f);
	fputs(complaints, f);
	if (status == EXIT_DONE)
		(void)show(w, &l, f, width);
	listing_free(&l);
}

/* What is wrong from the start is said as ever, and the screen is left alone. */
static int list_screen(struct wanted *w)
{
	struct listing l;
	int status = collect(w, false, &l);

	listing_free(&l);
	return status == EXIT_DONE ? watch_terminal(w->every, draw, w) : status;
}

/* --- options --- */

static bool parse_seconds(const char *text, double *ret)
{
	char *end;

	/* strtod() takes spaces, infinities and hexadecimals too. */
	if (strspn(text, "0123456789.") != strlen(text))
		return false;
	double seconds = strtod(text, &end);
	if (end == text || *end || seconds < WATCH_LEAST || seconds > WATCH_MOST)
		return false;
	*ret = seconds;
	return true;
}

/* EXIT_DONE when there is something to do, else what to end with. */
static int parse(int argc, char **argv, struct wanted *w)
{
	enum { JSON = 1, ONLY_LIVE, SORT, BY_USER, WATCH, NODES, RELEASES, RECOUNT };
	static const struct option options[] = {
		{"json", no_argument, NULL, JSON},
		{"live", no_argument, NULL, ONLY_LIVE},
		{"sort", required_argument, NULL, SORT},
		{"user", required_argument, NULL, BY_USER},
		{"watch", optional_argument, NULL, WATCH},
		{"nodes", no_argument, NULL, NODES},
		{"releases", no_argument, NULL, RELEASES},
		{"recount", no_argument, NULL, RECOUNT},
		{NULL, 0, NULL, 0},
	};
	bool of_sessions = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		of_sessions |= opt == ONLY_LIVE || opt == SORT || opt == BY_USER || opt == WATCH;
		switch (opt) {
		case JSON: w->json = true; break;
		case NODES: w->instead = nodes_list; break;
		case RELEASES: w->instead = nodes_releases; break;
		case RECOUNT: w->instead = recount_sessions; break;
		case ONLY_LIVE: w->live = true; break;
		case BY_USER: w->user = optarg; break;
		case SORT:
			w->order = show_key(optarg);
			if (w->order == COLUMNS)
				return complain(EXIT_USAGE, "--sort %s: unknown key (see --help)", optarg);
			break;
		case WATCH:
			w->every = 2;
			if (optarg && !parse_seconds(optarg, &w->every))
				return complain(EXIT_USAGE, "--watch=%s: must be a number of seconds from %g to %g",
						optarg, WATCH_LEAST, WATCH_MOST);
			break;
		default: return EXIT_USAGE;
		}
	}
	if (argc - optind != 1 || (w->instead && of_sessions)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	w->path = argv[optind];
	if (w->every > 0 && !w->live)
		return complain(EXIT_USAGE, "--watch needs --live");
	if (w->every > 0 && !w->json && !table_width(STDOUT_FILENO))
		return complain(EXIT_USAGE, "--watch needs a terminal, or --json");
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct wanted w = {.order = COLUMN_USED};
	int status;

	if (options_about(argc, argv, usage, &status))
		return status;
	status = parse(argc, argv, &w);
	if (status != EXIT_DONE)
		return status;
	if (sodium_init() < 0)
		return complain(EXIT_FAILED, "libsodium does not start");
	setlocale(LC_CTYPE, "");
	json_object_seed(0);
	if (w.instead)
		return w.instead(w.path, w.json);
	if (w.every == 0)
		return list_once(&w);
	return w.json ? list_on(&w) : list_screen(&w);
}
