/* SPDX-License-Identifier: MIT */
/* Says which release of the application may serve a store: session-release(1). */
#include <getopt.h>
#include <sodium.h>
#include <time.h>

#include "json.h"
#include "proto/rfc3339.h"
#include "options.h"
#include "requirement.h"
#include "source.h"
#include "version.h"

static const char usage[] = "usage: session-release require ID [--drain TIME] STORE|MOUNT\n"
			    "           admit this release alone; --drain lets the one before finish its sessions\n"
			    "       session-release any STORE|MOUNT\n"
			    "           admit every release\n"
			    "       session-release show [--json] STORE|MOUNT\n"
			    "           say what is admitted\n"
			    "       session-release --help | --version\n";

static const char *reason_of(int err)
{
	return err == -EUCLEAN ? "not one that session-release wrote" : strerror(-err);
}

/* What is in force; of a store that names none a zeroed one. What can't be read is replaced on request alone. */
static int read_order(const struct source *s, bool replace, struct requirement *r)
{
	int err = requirement_read(store_fd(s->store), r);
	if (err && err != -ENOENT && !(replace && err == -EUCLEAN))
		return complain(EXIT_FAILED, "%s: release.json: %s", store_path(s->store), reason_of(err));
	if (err)
		*r = (struct requirement){0};
	return EXIT_DONE;
}

static int print_order(const struct requirement *r, bool json)
{
	char since[RFC3339_LEN + 1] = "", until[RFC3339_LEN + 1] = "";
	if (json) {
		_cleanup_json_ json_t *o = json_pack("{s:b, s:o, s:o, s:o, s:o}", "named", r->version > 0, "required",
						     *r->required ? json_string(r->required) : json_null(), "since",
						     json_time_or_null(r->since), "draining",
						     *r->draining ? json_string(r->draining) : json_null(), "until",
						     json_time_or_null(r->until));
		_cleanup_free_ char *text = NULL;
		size_t len;
		if (json_line(o, &text, &len))
			return complain(EXIT_FAILED, "%s", strerror(ENOMEM));
		fputs(text, stdout);
		return flush_stdout();
	}
	if (r->since)
		rfc3339_format(r->since, since);
	if (r->until)
		rfc3339_format(r->until, until);
	if (!r->version)
		puts("no release was ever named: where release.policy is require, no bind is admitted");
	else if (!*r->required)
		printf("any release is admitted, since %s\n", since);
	else
		printf("%s is required, since %s\n", r->required, since);
	if (*r->draining)
		printf("%s may go on with the sessions that it serves, until %s\n", r->draining, until);
	return flush_stdout();
}

/* The new one in place of what is in force. */
static int replace(const char *path, const char *required, int64_t drain)
{
	struct source s;
	struct requirement was, r = {.since = time(NULL)};
	int status = source_open_store(&s, path);
	if (status != EXIT_DONE)
		return status;
	status = read_order(&s, true, &was);
	r.version = was.version + 1;
	snprintf(r.required, sizeof(r.required), "%s", required);
	if (drain && *was.required && strcmp(was.required, required) != 0) {
		memcpy(r.draining, was.required, sizeof(r.draining));
		r.until = r.since + drain;
	}
	if (status == EXIT_DONE && drain && !*r.draining)
		status = complain(EXIT_FAILED, "--drain: there is no other release that is required until now");
	int err = status == EXIT_DONE ? requirement_write(store_fd(s.store), &r) : 0;
	if (err)
		status = complain(EXIT_FAILED, "%s: release.json: %s", store_path(s.store), strerror(-err));
	source_close(&s);
	return status == EXIT_DONE ? print_order(&r, false) : status;
}

static int cmd_require(int argc, char **argv)
{
	static const struct option options[] = {{"drain", required_argument, NULL, 'd'}, {0}};
	int64_t drain = 0;
	for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (opt != 'd')
			return EXIT_USAGE;
		if (options_duration(optarg, &drain) || drain == 0)
			return complain(EXIT_USAGE, "--drain %s: must be a duration such as 90s, 15m, 8h or 30d",
					optarg);
	}
	if (argc - optind != 2) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	const char *id = argv[optind];
	if (!release_valid(id, strlen(id)))
		return complain(EXIT_USAGE, "%s: a release is 1 to %d of A-Z a-z 0-9 . _ + -", id, RELEASE_MAX);
	return replace(argv[optind + 1], id, drain);
}

static int cmd_any(int argc, char **argv)
{
	if (argc != 2 || argv[1][0] == '-') {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return replace(argv[1], "", 0);
}

static int cmd_show(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
	bool json = false;
	for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1; json = true)
		if (opt != 'j')
			return EXIT_USAGE;
	if (argc - optind != 1) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	struct source s;
	struct requirement r;
	int status = source_open_store(&s, argv[optind]);
	if (status != EXIT_DONE)
		return status;
	status = read_order(&s, false, &r);
	source_close(&s);
	return status == EXIT_DONE ? print_order(&r, json) : status;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = {{"require", cmd_require}, {"any", cmd_any}, {"show", cmd_show}};
	int status;

	if (options_about(argc, argv, usage, &status))
		return status;
	if (sodium_init() < 0)
		return complain(EXIT_FAILED, "libsodium does not start");
	json_object_seed(0);
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		argv[1] = argv[0]; /* getopt's messages begin with the program's name */
		return commands[i].run(argc - 1, argv + 1);
	}
	if (argc > 1)
		complain(EXIT_USAGE, "%s: no such command", argv[1]);
	fputs(usage, stderr);
	return EXIT_USAGE;
}
