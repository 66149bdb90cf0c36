/* SPDX-License-Identifier: MIT */
/*
 * Runs a command bound to a session: session-exec(1). The control file stays open across exec, so the binding lives as
 * long as the command's process does, and covers its descendants.
 */
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>

#include "options.h"
#include "proto/token.h"
#include "sessionfs.h"
#include "util.h"

enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

static const char usage[] =
	"usage: session-exec [--token-file FILE | --token-fd N] MOUNT -- COMMAND [ARGUMENT]...\n"
	"       session-exec --help | --version\n"
	"Runs COMMAND bound to the session of a token: the first line of FILE, of descriptor N, or of standard input.\n";

struct token {
	char text[TOKEN_MAX + 1];
	size_t len;
};

/* Reads one line, byte by byte: what follows it on standard input is the command's. Returns an exit status. */
static int read_token(int fd, const char *name, struct token *ret)
{
	for (;;) {
		char c;
		ssize_t n = read(fd, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return complain(EXIT_FAILED, "%s: %s", name, strerror(errno));
		if (n == 0 || c == '\n')
			break;
		if (ret->len == TOKEN_MAX)
			return complain(EXIT_FAILED, "%s: longer than a token of %d bytes", name, TOKEN_MAX);
		ret->text[ret->len++] = c ? c : ' '; /* which no token has either, and which does not end it */
	}
	if (ret->len == 0)
		return complain(EXIT_FAILED, "%s: no token", name);
	return EXIT_DONE;
}

/* Takes the token from where the options say, and closes that unless it is standard input. */
static int get_token(const char *file, const char *number, struct token *ret)
{
	if (!file && !number) {
		if (isatty(STDIN_FILENO))
			return complain(EXIT_USAGE,
					"no token: give --token-file, --token-fd, or one on standard input");
		return read_token(STDIN_FILENO, "standard input", ret);
	}
	_cleanup_close_ int fd = -1;
	char name[64];
	if (file) {
		fd = open(file, O_RDONLY | O_NOCTTY | O_CLOEXEC);
		if (fd < 0)
			return complain(EXIT_FAILED, "%s: %s", file, strerror(errno));
	} else {
		char *end;
		errno = 0;
		long n = strtol(number, &end, 10);
		if (number[0] < '0' || number[0] > '9' || *end || errno || n <= STDERR_FILENO || n > INT_MAX)
			return complain(EXIT_USAGE, "--token-fd %s: must be a descriptor's number, 3 or more", number);
		fd = (int)n;
		snprintf(name, sizeof(name), "descriptor %ld", n);
	}
	return read_token(fd, file ? file : name, ret);
}

/* Binds this process, and what it becomes. Returns an exit status. */
static int bind_process(const char *path, const char *token)
{
	struct sessionfs *mount; /* stays open: it holds the binding */

	int r = sessionfs_open(path, &mount);
	if (r)
		return complain(EXIT_FAILED, "%s: %s", path, sessionfs_strerror(r));
	r = sessionfs_bind_process(mount, token, NULL);
	if (r == 0)
		r = sessionfs_keep_on_exec(mount);
	if (r == 0)
		return EXIT_DONE;
	/* The daemon's word, where it says more than the errno does. */
	const char *reason = r == -EKEYEXPIRED || r == -EKEYREVOKED ? "" : sessionfs_reason(mount);
	return complain(EXIT_FAILED, "%s: bind refused: %s%s%s%s", path, sessionfs_strerror(r), reason[0] ? " (" : "",
			reason, reason[0] ? ")" : "");
}

int main(int argc, char **argv)
{
	enum { TOKEN_FILE = 1, TOKEN_FD };
	static const struct option options[] = {
		{"token-file", required_argument, NULL, TOKEN_FILE},
		{"token-fd", required_argument, NULL, TOKEN_FD},
		{NULL, 0, NULL, 0},
	};
	const char *file = NULL, *number = NULL;
	struct token token = {.len = 0};
	int opt, status;

	if (options_about(argc, argv, usage, &status))
		return status;
	while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (opt == TOKEN_FILE)
			file = optarg;
		else if (opt == TOKEN_FD)
			number = optarg;
		else
			return EXIT_USAGE;
	}
	if (file && number)
		return complain(EXIT_USAGE, "--token-file and --token-fd exclude each other");
	if (argc - optind < 3 || strcmp(argv[optind + 1], "--") != 0) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	status = get_token(file, number, &token);
	if (status == EXIT_DONE)
		status = bind_process(argv[optind], token.text);
	explicit_bzero(&token, sizeof(token));
	if (status != EXIT_DONE)
		return status;

	char **command = argv + optind + 2;
	execvp(command[0], command);
	return complain(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE, "%s: %s", command[0], strerror(errno));
}
