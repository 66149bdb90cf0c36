/* SPDX-License-Identifier: MIT */
/* Lists sessions: session-ls(1). */
#include <getopt.h>
#include <locale.h>
#include <sodium.h>

#include "listing.h"
#include "nodes.h"
#include "options.h"
#include "show.h"
#include "table.h"
#include "util.h"

static const char usage[] =
	"usage: session-ls [--json] [--live] [--sort KEY] [--user USER] STORE|MOUNT\n"
	"       session-ls [--json] --nodes | --releases STORE|MOUNT\n"
	"       session-ls --help | --version\n"
	"KEY is id, user, state, holders, files, bytes, created, used (newest first: the default) or expires.\n";

static int list(struct listing *l, const char *path, enum column order, bool json)
{
	int status = listing_collect(l, path);

	if (status != EXIT_DONE)
		return status;
	listing_sort(l, order);
	if (json)
		status = show_json(stdout, l);
	else
		show_table(stdout, l, table_width(STDOUT_FILENO));
	if (status == EXIT_DONE)
		status = flush_stdout();
	return status == EXIT_DONE ? l->status : status;
}

int main(int argc, char **argv)
{
	enum { JSON = 1, ONLY_LIVE, SORT, BY_USER, NODES, RELEASES };
	static const struct option options[] = {
		{"json", no_argument, NULL, JSON},
		{"live", no_argument, NULL, ONLY_LIVE},
		{"sort", required_argument, NULL, SORT},
		{"user", required_argument, NULL, BY_USER},
		{"nodes", no_argument, NULL, NODES},
		{"releases", no_argument, NULL, RELEASES},
		{NULL, 0, NULL, 0},
	};
	struct listing l = {0};
	enum column order = COLUMN_USED;
	bool json = false, of_sessions = false;
	int (*instead)(const char *path, bool json) = NULL; /* of the sessions */
	int opt, status;

	if (options_about(argc, argv, usage, &status))
		return status;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case JSON: json = true; break;
		case NODES: instead = nodes_list; break;
		case RELEASES: instead = nodes_releases; break;
		case ONLY_LIVE: of_sessions = l.live_only = true; break;
		case BY_USER:
			of_sessions = true;
			l.user = optarg;
			break;
		case SORT:
			of_sessions = true;
			order = show_key(optarg);
			if (order == COLUMNS)
				return complain(EXIT_USAGE, "--sort %s: unknown key (see --help)", optarg);
			break;
		default: return EXIT_USAGE;
		}
	}
	if (argc - optind != 1 || (instead && of_sessions)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (sodium_init() < 0)
		return complain(EXIT_FAILED, "libsodium does not start");
	setlocale(LC_CTYPE, "");
	json_object_seed(0);
	status = instead ? instead(argv[optind], json) : list(&l, argv[optind], order, json);
	listing_free(&l);
	return status;
}
