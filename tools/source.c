/* SPDX-License-Identifier: MIT */
#include "source.h"

#include <fcntl.h>

#include "mount.h"
#include "options.h"
#include "util.h"

static int open_store(struct source *s, const char *path, const char *besides)
{
	char err[4096 + 256];

	if (store_open_existing(path, err, sizeof(err), &s->store))
		return complain(EXIT_FAILED, "%s%s", err, besides);
	return EXIT_DONE;
}

static int ask_daemon(struct source *s, const char *path, const struct mount *mount)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	size_t len;

	int r = mount_control(mount, "sessions", O_RDONLY | O_CLOEXEC, &fd);
	if (r == 0)
		r = mount_read(fd, &text, &len);
	if (r)
		return complain(EXIT_FAILED, "%s: .sessionfs/sessions: %s%s", path, mount_strerror(r),
				r == -EACCES ? " (it is for root alone)" : "");
	s->answer = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const char *store = json_string_value(json_object_get(s->answer, "store"));
	if (!store || !json_is_array(json_object_get(s->answer, "sessions"))) {
		source_close(s);
		return complain(EXIT_FAILED, "%s: .sessionfs/sessions: not what this release understands", path);
	}
	/* Without the store, the daemon's word is still worth something. */
	s->status = open_store(s, store, "");
	return EXIT_DONE;
}

int source_open(struct source *s, const char *path)
{
	struct mount mount;
	int r = mount_open(path, &mount);

	*s = (struct source){.status = EXIT_DONE};
	if (r == 0) {
		r = ask_daemon(s, path, &mount);
		mount_close(&mount);
		return r;
	}
	if (r == -ENOTTY)
		return open_store(s, path, " (and no sessionfs is mounted there)");
	return complain(EXIT_FAILED, "%s: %s", path, mount_strerror(r));
}

int source_open_store(struct source *s, const char *path)
{
	int status = source_open(s, path);

	if (status == EXIT_DONE && !s->store) {
		status = s->status;
		source_close(s);
	}
	return status;
}

json_t *source_live(const struct source *s)
{
	json_t *live = json_object(), *session;
	size_t i;
	json_array_foreach(json_object_get(s->answer, "sessions"), i, session)
		json_object_set(live, json_string_value(json_object_get(session, "sid")), session);
	return live;
}

void source_close(struct source *s)
{
	store_close(s->store);
	json_decref(s->answer);
	*s = (struct source){0};
}
