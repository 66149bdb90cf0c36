/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util.h"
#include "version.h"

static FILE *messages; /* NULL: stderr */

void complain_into(FILE *f)
{
	messages = f;
}

int complain(int status, const char *fmt, ...)
{
	FILE *f = messages ? messages : stderr;
	va_list ap;

	fprintf(f, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fputc('\n', f);
	return status;
}

bool options_about(int argc, char **argv, const char *usage, int *status)
{
	if (argc != 2)
		return false;
	if (strcmp(argv[1], "--help") == 0)
		fputs(usage, stdout);
	else if (strcmp(argv[1], "--version") == 0)
		printf("%s " SESSIONFS_VERSION "\n", program_invocation_short_name);
	else
		return false;
	*status = flush_stdout();
	return true;
}

int flush_stdout(void)
{
	if (fflush(stdout) || ferror(stdout))
		return complain(EXIT_FAILED, "standard output: %s", strerror(errno));
	return EXIT_DONE;
}

int options_duration(const char *s, int64_t *ret)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {
		{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400},
	};
	int64_t n = 0;
	const char *p = s;

	for (; *p >= '0' && *p <= '9' && p - s < 9; p++)
		n = n * 10 + (*p - '0');
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (p == s || *p != units[i].unit || (*p && p[1]))
			continue;
		*ret = n * units[i].seconds;
		return 0;
	}
	return -EINVAL;
}
