/* SPDX-License-Identifier: MIT */
#include "exposition.h"

#include <string.h>

#include "proto/utf8.h"

void exposition_family(FILE *f, const char *metric, const char *type, const char *help)
{
	int len = (int)strcspn(metric, "{");
	fprintf(f, "# HELP %.*s %s\n# TYPE %.*s %s\n", len, metric, help, len, metric, type);
}

void exposition_label(FILE *f, const char *name, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;
	uint32_t c;

	fprintf(f, "%s=\"", name);
	for (size_t n; *s; s += n ? n : 1) {
		n = utf8_next(s, strnlen((const char *)s, 4), &c);
		if (!n)
			fputs(UTF8_REPLACEMENT, f);
		else if (c == '\n')
			fputs("\\n", f);
		else if (c == '"' || c == '\\')
			fprintf(f, "\\%c", (int)c);
		else
			fwrite(s, 1, n, f);
	}
	fputc('"', f);
}
