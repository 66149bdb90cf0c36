/* SPDX-License-Identifier: MIT */
#include "ended.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "durable.h"
#include "tree.h"

#define ENDED_AGE 3600 /* seconds: far more than anybody takes to look */

void ended_init(struct ended *e, int store)
{
	e->store = store;
	e->n = e->given_up = 0;
	pthread_mutex_init(&e->lock, NULL);
}

static int tell(int store, const char *name)
{
	char temp[TEMP_NAME_MAX], path[sizeof(ENDED_DIR) + SID_HASH_LEN + TEMP_NAME_MAX];
	temp_name(temp);
	snprintf(path, sizeof(path), ENDED_DIR "/%.*s%s", SID_HASH_LEN, name, temp);
	_cleanup_close_ int fd = openat(store, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	/* It need not outlive a crash, and so is not synced; but the close tells of a server that did not take it. */
	return fd < 0 || close(steal_fd(&fd)) < 0 ? -errno : 0;
}

static void keep(struct ended *e, const char *name)
{
	pthread_mutex_lock(&e->lock);
	if (e->n < ENDED_UNTOLD)
		snprintf(e->untold[e->n++], sizeof(e->untold[0]), "%s", name);
	else
		e->given_up++;
	pthread_mutex_unlock(&e->lock);
}

void ended_tell(struct ended *e, const char *name)
{
	if (tell(e->store, name) < 0)
		keep(e, name);
}

/* One of what is kept; it stays, so that nobody else takes it for told. */
static bool peek(struct ended *e, char name[static SID_HASH_LEN + 1])
{
	pthread_mutex_lock(&e->lock);
	bool some = e->n > 0;
	if (some)
		memcpy(name, e->untold[e->n - 1], sizeof(e->untold[0]));
	pthread_mutex_unlock(&e->lock);
	return some;
}

static void drop(struct ended *e, const char *name)
{
	pthread_mutex_lock(&e->lock);
	for (unsigned i = e->n; i-- > 0;)
		if (strcmp(e->untold[i], name) == 0) {
			memmove(e->untold[i], e->untold[--e->n], sizeof(e->untold[0]));
			break;
		}
	pthread_mutex_unlock(&e->lock);
}

int ended_tell_again(struct ended *e)
{
	char name[SID_HASH_LEN + 1];
	while (peek(e, name)) {
		int r = tell(e->store, name);
		if (r < 0)
			return r;
		drop(e, name);
	}
	pthread_mutex_lock(&e->lock);
	bool lost = e->given_up > 0;
	e->given_up = 0;
	pthread_mutex_unlock(&e->lock);
	return lost ? -ENOBUFS : 0;
}

int ended_each(int store, void (*heard)(const char *name, void *ctx), void *ctx)
{
	_cleanup_closedir_ DIR *d = NULL;
	int r = tree_opendir(store, ENDED_DIR, &d);
	if (r < 0)
		return r;
	const struct dirent *e;
	while (errno = 0, (e = readdir(d))) {
		char name[SID_HASH_LEN + 1];
		if (strspn(e->d_name, "0123456789abcdef") != SID_HASH_LEN || e->d_name[SID_HASH_LEN] != '.')
			continue;
		memcpy(name, e->d_name, SID_HASH_LEN);
		name[SID_HASH_LEN] = '\0';
		heard(name, ctx);
	}
	return -errno;
}

int ended_sweep(int store, unsigned budget)
{
	_cleanup_closedir_ DIR *d = NULL;
	int r = tree_opendir(store, ENDED_DIR, &d);
	if (r < 0)
		return r;
	const struct dirent *e;
	while (budget > 0 && (errno = 0, (e = readdir(d)))) {
		struct stat st;
		if (tree_is_dots(e->d_name))
			continue;
		budget--;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || time(NULL) - st.st_mtime < ENDED_AGE)
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) < 0 && errno != ENOENT) /* another instance sweeps too */
			r = -errno;
	}
	return r;
}
