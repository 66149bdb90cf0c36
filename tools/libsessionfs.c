/* SPDX-License-Identifier: MIT */
/* The client library: who is bound to which mount. How a binding is made is carrier.c's, tokens are mint.c's. */
#include "sessionfs.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "carrier.h"
#include "proto/grammar.h"
#include "util.h"

_Static_assert(SESSIONFS_LINE_MAX == CONTROL_LINE_MAX, "what the header promises");

struct sessionfs {
	atomic_uint references; /* the caller's, and one for each struct thread */
	atomic_bool closed;     /* only references are left; the rest is gone */
	struct mount mount;
	struct carrier process;
};

/* What one thread is to one mount, from its first call to its end. */
struct thread {
	struct sessionfs *mount; /* a reference */
	struct thread *next;     /* the same thread's, for another mount; touched by that thread alone */
	struct carrier carrier;
	char reason[REASON_MAX];
};

struct sessionfs_handle {
	struct carrier carrier;
	char *path; /* owned */
};

/* One for the process: made by the first call and never undone, since threads that end need it (hence -z nodelete). */
static struct {
	pthread_once_t once;
	pthread_key_t threads; /* the thread's first struct thread */
	int error;
} library = {.once = PTHREAD_ONCE_INIT};

/* --- mounts --- */

static void put_mount(struct sessionfs *m)
{
	if (atomic_fetch_sub(&m->references, 1) == 1)
		free(m);
}

/* Of one thread, that ends or has found that the mount is closed. */
static void free_thread(struct thread *t)
{
	carrier_leave(&t->carrier);
	put_mount(t->mount);
	free(t);
}

static void end_thread(void *first)
{
	for (struct thread *t = first, *next; t; t = next) {
		next = t->next;
		free_thread(t);
	}
}

static void init(void)
{
	json_object_seed(0);
	library.error = -pthread_key_create(&library.threads, end_thread);
	if (library.error == 0)
		library.error = carriers_init();
}

int sessionfs_open(const char *path, struct sessionfs **ret)
{
	pthread_once(&library.once, init);
	if (library.error)
		return library.error;
	struct sessionfs *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	int r = mount_open(path, &m->mount);
	if (r) {
		free(m);
		return r;
	}
	atomic_init(&m->references, 1);
	carrier_enter(&m->process, "process", m);
	*ret = m;
	return 0;
}

void sessionfs_close(struct sessionfs *m)
{
	if (!m)
		return;
	carrier_unbind(&m->process); /* first: its last close may be another process's, after execve(2) */
	carrier_leave(&m->process);
	carriers_shut(m);
	mount_close(&m->mount);
	atomic_store(&m->closed, true);
	put_mount(m);
}

/* --- threads --- */

/* The calling thread's, NULL if it has none yet. */
static struct thread *find_thread(struct sessionfs *m)
{
	struct thread *t = pthread_getspecific(library.threads);

	while (t && t->mount != m)
		t = t->next;
	return t;
}

/* The same, made if need be. NULL without memory. */
static struct thread *get_thread(struct sessionfs *m)
{
	struct thread *t = find_thread(m);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->next = pthread_getspecific(library.threads);
	if (pthread_setspecific(library.threads, t)) {
		free(t);
		return NULL;
	}
	atomic_fetch_add(&m->references, 1);
	t->mount = m;
	carrier_enter(&t->carrier, "thread", m);
	/* The time to let go of mounts that were closed meanwhile. */
	for (struct thread **p = &t->next, *old; (old = *p);) {
		if (atomic_load(&old->mount->closed)) {
			*p = old->next;
			free_thread(old);
		} else {
			p = &old->next;
		}
	}
	return t;
}

int sessionfs_bind(struct sessionfs *m, const char *token, const char *release)
{
	struct thread *t = get_thread(m);

	return t ? carrier_bind(&t->carrier, &m->mount, token, release, t->reason) : -ENOMEM;
}

void sessionfs_unbind(struct sessionfs *m)
{
	struct thread *t = find_thread(m);

	if (t)
		carrier_unbind(&t->carrier);
}

const char *sessionfs_reason(struct sessionfs *m)
{
	const struct thread *t = find_thread(m);

	return t ? t->reason : "";
}

/* --- processes --- */

int sessionfs_bind_process(struct sessionfs *m, const char *token, const char *release)
{
	struct thread *t = get_thread(m);

	return t ? carrier_bind(&m->process, &m->mount, token, release, t->reason) : -ENOMEM;
}

void sessionfs_unbind_process(struct sessionfs *m)
{
	carrier_unbind(&m->process);
}

int sessionfs_keep_on_exec(struct sessionfs *m)
{
	return carrier_keep_on_exec(&m->process);
}

/* --- handles --- */

void sessionfs_handle_close(struct sessionfs_handle *h)
{
	if (!h)
		return;
	carrier_unbind(&h->carrier); /* a close alone waits for the copies that children may have */
	carrier_leave(&h->carrier);
	free(h->path);
	free(h);
}

const char *sessionfs_handle_path(const struct sessionfs_handle *h)
{
	return h->path;
}

int sessionfs_handle(struct sessionfs *m, const char *token, const char *release, struct sessionfs_handle **ret)
{
	struct thread *t = get_thread(m);
	struct sessionfs_handle *h = t ? calloc(1, sizeof(*h)) : NULL;

	if (!h)
		return -ENOMEM;
	carrier_enter(&h->carrier, "handle", h);
	int r = carrier_bind(&h->carrier, &m->mount, token, release, t->reason);
	_cleanup_free_ char *name = r ? NULL : carrier_answer(h->carrier.fd, "path");
	if (!r && !name)
		r = -EIO;
	if (!r && asprintf(&h->path, "%s/%s", m->mount.path, name) < 0) {
		h->path = NULL;
		r = -ENOMEM;
	}
	if (r) {
		sessionfs_handle_close(h);
		return r;
	}
	*ret = h;
	return 0;
}

/* --- the rest --- */

int sessionfs_self(struct sessionfs *m, char **json)
{
	_cleanup_close_ int fd = -1;
	uint64_t id;
	size_t len;

	int r = mount_follow(&m->mount, &id);
	if (r == 0)
		r = mount_control(&m->mount, "self", O_RDONLY | O_CLOEXEC, &fd);
	return r ? r : mount_read(fd, json, &len);
}

const char *sessionfs_strerror(int error)
{
	return mount_strerror(error);
}

void sessionfs_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}
