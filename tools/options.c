/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "version.h"

int complain(int status, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
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
