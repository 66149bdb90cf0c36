/* SPDX-License-Identifier: MIT */
#include "roster.h"

#include <fcntl.h>

#include "durable.h"
#include "tree.h"
#include "util.h"

#define NODES "nodes"
#define SUFFIX ".json"
#define FILE_NAME_MAX (INSTANCE_NAME_MAX + sizeof(SUFFIX))

static const char *file_name(const char *name, char file[static FILE_NAME_MAX])
{
	snprintf(file, FILE_NAME_MAX, "%s" SUFFIX, name);
	return file;
}

static int open_nodes(int storefd)
{
	int fd = openat(storefd, NODES, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int read_one(int nodes, const char *name, struct heartbeat *ret)
{
	_cleanup_free_ char *text = NULL;
	char file[FILE_NAME_MAX];
	struct heartbeat h;
	size_t len;
	int err = durable_read(nodes, file_name(name, file), HEARTBEAT_SIZE_MAX, &text, &len);
	if (!err)
		err = heartbeat_parse(text, len, &h);
	if (err)
		return err;
	if (strcmp(h.name, name) != 0)
		return -EUCLEAN;
	*ret = h;
	return 0;
}

int roster_read(int storefd, const char *name, struct heartbeat *ret)
{
	_cleanup_close_ int nodes = open_nodes(storefd);
	return nodes < 0 ? nodes : read_one(nodes, name, ret);
}

int roster_write(int storefd, const struct heartbeat *h)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int nodes = open_nodes(storefd);
	char file[FILE_NAME_MAX];
	size_t len;
	int err = nodes < 0 ? nodes : heartbeat_format(h, &text, &len);
	return err ? err : durable_replace(nodes, file_name(h->name, file), text, len);
}

int roster_remove(int storefd, const char *name)
{
	_cleanup_close_ int nodes = open_nodes(storefd);
	char file[FILE_NAME_MAX];
	if (nodes < 0)
		return nodes;
	return unlinkat(nodes, file_name(name, file), 0) < 0 ? -errno : 0;
}

/* Whether a name in nodes/ is that of a heartbeat file, and then whose. */
static bool is_of_instance(const char *file, char name[static INSTANCE_NAME_MAX + 1])
{
	size_t len = strlen(file), n = len - strlen(SUFFIX);
	if (len <= strlen(SUFFIX) || n > INSTANCE_NAME_MAX || strcmp(file + n, SUFFIX) != 0)
		return false;
	memcpy(name, file, n);
	name[n] = '\0';
	return instance_name_valid(name);
}

int roster_each(int storefd, roster_visit_fn *visit, void *ctx)
{
	_cleanup_closedir_ DIR *d = NULL;
	int r = tree_opendir(storefd, NODES, &d);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	const struct dirent *e;
	char name[INSTANCE_NAME_MAX + 1];
	_cleanup_free_ struct heartbeat *h = malloc(sizeof(*h));
	if (!h)
		return -ENOMEM;
	while (errno = 0, (e = readdir(d))) {
		if (!is_of_instance(e->d_name, name))
			continue;
		r = read_one(dirfd(d), name, h);
		if (r == -ENOENT) /* removed meanwhile */
			continue;
		r = visit(ctx, name, r < 0 ? NULL : h, r);
		if (r != 0)
			return r;
	}
	return -errno;
}
