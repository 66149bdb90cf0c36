/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a configuration file (the first byte '-': as an -o argument). Whatever they are: a refusal says why and
 * changes nothing, and what is accepted lies within the ranges of config.h.
 */
#include "config.h"

#include <sys/mman.h>

#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static bool same(const struct config *a, const struct config *b)
{
	return a->allow_other == b->allow_other && a->exec == b->exec && strcmp(a->keys, b->keys) == 0 &&
	       strcmp(a->audience, b->audience) == 0 && a->leeway == b->leeway && a->max_lifetime == b->max_lifetime &&
	       a->io == b->io && a->names == b->names && a->symlinks == b->symlinks && a->special == b->special &&
	       strcmp(a->audit, b->audit) == 0 && a->threads == b->threads;
}

static void check_ranges(const struct config *c)
{
	size_t audience = strlen(c->audience);

	demand(c->keys[0] == '/');
	demand(audience >= 1 && audience <= 255);
	demand(c->leeway >= 0 && c->leeway <= 600);
	demand(c->max_lifetime >= 60 && c->max_lifetime <= 3650LL * 86400);
	demand(c->io == IO_GUARDED || c->io == IO_STRICT);
	demand(c->names == NAMES_STEADY || c->names == NAMES_HIDDEN);
	demand(c->audit[0] == '/' || strcmp(c->audit, "stderr") == 0 || strcmp(c->audit, "journal") == 0);
	demand(c->threads <= 64);
}

static int read_bytes(struct config *c, const uint8_t *data, size_t size, FILE *report)
{
	char path[64];
	_cleanup_close_ int fd = memfd_create("config", MFD_CLOEXEC);

	demand(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return config_read(c, path, report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *options = size > 0 && data[0] == '-' ? strndup((const char *)data + 1, size - 1) : NULL;
	_cleanup_free_ char *text = NULL;
	struct config c, before;
	size_t len;

	FILE *report = open_memstream(&text, &len);
	demand(report && config_init(&c) == 0 && config_init(&before) == 0);
	int r = options ? config_override(&c, options, report) : read_bytes(&c, data, size, report);
	fclose(report);
	demand(r == 0 || r == -EINVAL);
	demand((r == 0) == (len == 0));
	demand(r == 0 || (text[len - 1] == '\n' && same(&c, &before)));
	check_ranges(&c);
	config_free(&c);
	config_free(&before);
	return 0;
}
