/* SPDX-License-Identifier: MIT */
/* The caller's side of the control files, for the drivers: a token from a file to a control descriptor. */
#ifndef FSTEST_BIND_H
#define FSTEST_BIND_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Writes "bind <token> [release=ID]\n" in one write(2). The token never is in an argument. 0 or -errno. */
static inline int bind_write(int control, const char *token_file, const char *release)
{
	char token[8192], line[8192 + 128];
	int fd = open(token_file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, token, sizeof token);
	close(fd);
	if (n < 0)
		return -errno;
	while (n > 0 && token[n - 1] == '\n')
		n--;
	int len = snprintf(line, sizeof line, "bind %.*s%s%s\n", (int)n, token, release ? " release=" : "",
			   release ? release : "");
	return write(control, line, (size_t)len) == len ? 0 : -errno;
}

/* Opens MOUNT/.sessionfs/KIND. A descriptor or -errno. */
static inline int control_open(const char *mount, const char *kind)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/.sessionfs/%s", mount, kind);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * Takes the value of a key out of one flat JSON object, as text: strings without their quotes, everything else as it
 * stands. Knows no escapes. Returns 0, or -ENOENT without the key.
 */
static inline int json_value(const char *json, const char *key, char *value, size_t size)
{
	char quoted[64];

	snprintf(quoted, sizeof quoted, "\"%s\"", key);
	const char *at = strstr(json, quoted);
	if (!at)
		return -ENOENT;
	at += strlen(quoted);
	at += strspn(at, " :");
	int string = *at == '"';
	size_t len = string ? strcspn(++at, "\"") : strcspn(at, ",} \n");
	snprintf(value, size, "%.*s", (int)len, at);
	return 0;
}

#endif
