/* SPDX-License-Identifier: MIT */
#include "instance.h"

#include <ctype.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdatomic.h>
#include <time.h>

#include "bind.h"
#include "durable.h"
#include "fs.h"
#include "log.h"
#include "release.h"
#include "ticker.h"
#include "tree.h"
#include "util.h"
#include "version.h"

#define NODES "nodes"
#define SUFFIX ".json"
#define FILE_NAME_MAX (INSTANCE_NAME_MAX + sizeof(SUFFIX))

struct instance {
	struct fs *fs;
	char run[RUN_ID_LEN + 1];
	struct ticker *ticker;
	uint64_t ticks;     /* the ticker's own, as is what follows */
	bool clash, failed; /* said in the log */
};

/* ---- the name ---- */

/* What identifies a machine whose host name others may have too; "" where there is none. */
static void machine_id(char id[static 64])
{
	_cleanup_fclose_ FILE *f = fopen("/etc/machine-id", "re");
	if (!f || !fgets(id, 64, f))
		id[0] = '\0';
}

void instance_name(const char *configured, const char *mountpoint, char name[static INSTANCE_NAME_MAX + 1])
{
	if (strcmp(configured, "auto") != 0) {
		snprintf(name, INSTANCE_NAME_MAX + 1, "%s", configured);
		return;
	}
	char host[HOST_NAME_MAX + 1] = "", machine[64];
	unsigned char hash[crypto_generichash_BYTES_MIN];
	char hex[9];
	crypto_generichash_state state;
	machine_id(machine);
	gethostname(host, sizeof(host) - 1);
	crypto_generichash_init(&state, NULL, 0, sizeof(hash));
	const char *parts[] = {machine, host, mountpoint};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		crypto_generichash_update(&state, (const unsigned char *)parts[i], strlen(parts[i]) + 1);
	crypto_generichash_final(&state, hash, sizeof(hash));
	sodium_bin2hex(hex, sizeof(hex), hash, 4);

	for (char *p = host; *p; p++)
		if (!isalnum((unsigned char)*p) && (p == host || !strchr("._-", *p)))
			*p = 'x';
	snprintf(name, INSTANCE_NAME_MAX + 1, "%.*s-%s", (int)(INSTANCE_NAME_MAX - sizeof(hex)), *host ? host : "host",
		 hex);
}

static void file_name(const char *name, char file[static FILE_NAME_MAX])
{
	snprintf(file, FILE_NAME_MAX, "%s" SUFFIX, name);
}

/* ---- the files ---- */

static int open_nodes(int storefd)
{
	int fd = openat(storefd, NODES, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int read_beat(int nodes, const char *file, struct heartbeat *h)
{
	_cleanup_free_ char *text = NULL;
	char own[FILE_NAME_MAX];
	size_t len;
	int err = durable_read(nodes, file, HEARTBEAT_SIZE_MAX, &text, &len);
	if (!err)
		err = heartbeat_parse(text, len, h);
	if (err)
		return err;
	file_name(h->name, own);
	return strcmp(own, file) == 0 ? 0 : -EUCLEAN;
}

/* Whether a name in nodes/ is that of a heartbeat file; *name gets the instance's. */
static bool is_beat_file(const char *file, char name[static INSTANCE_NAME_MAX + 1])
{
	size_t len = strlen(file), n = len - strlen(SUFFIX);
	if (len <= strlen(SUFFIX) || n > INSTANCE_NAME_MAX || strcmp(file + n, SUFFIX) != 0)
		return false;
	memcpy(name, file, n);
	name[n] = '\0';
	return instance_name_valid(name);
}

int instance_each(int storefd, instance_visit_fn *visit, void *ctx)
{
	_cleanup_closedir_ DIR *d = NULL;
	int r = tree_opendir(storefd, NODES, &d);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	const struct dirent *e;
	struct heartbeat h;
	char name[INSTANCE_NAME_MAX + 1];
	while (errno = 0, (e = readdir(d))) {
		if (!is_beat_file(e->d_name, name))
			continue;
		r = read_beat(dirfd(d), e->d_name, &h);
		if (r == -ENOENT)
			continue;
		r = visit(ctx, name, r < 0 ? NULL : &h, r);
		if (r != 0)
			return r;
	}
	return -errno;
}

/* ---- a beat ---- */

/* A host or a path may be any bytes; the file is UTF-8. */
static void copy_text(char *to, size_t size, const char *from)
{
	size_t n = 0;
	for (; *from && n + 1 < size; from++)
		to[n++] = (unsigned char)*from >= 0x20 && (unsigned char)*from < 0x7f ? *from : '?';
	to[n] = '\0';
}

static void count_sessions(struct fs *fs, struct heartbeat *h)
{
	struct session *s;
	char release[RELEASE_MAX + 1];
	for (uint32_t at = 0; (s = session_next(fs->sessions, &at)); h->sessions++) {
		h->mixed += session_release(fs->sessions, s, release);
		for (size_t i = 0; i < h->n_releases; i++)
			h->releases[i].sessions += strcmp(h->releases[i].release, release) == 0;
		session_put(fs->sessions, s);
	}
	struct binding *b;
	for (uint32_t at = 0; (b = binding_next(fs->bindings, &at)); h->bindings++)
		binding_put(fs->bindings, b);
}

static void describe(const struct instance *i, bool stopped, struct heartbeat *h)
{
	struct fs *fs = i->fs;
	char host[HOST_NAME_MAX + 1] = "";
	gethostname(host, sizeof(host) - 1);
	*h = (struct heartbeat){
		.pid = (uint64_t)getpid(),
		.since = fs->started,
		.beat = time(NULL),
		.every = INSTANCE_EVERY,
		.stopped = stopped,
	};
	snprintf(h->name, sizeof(h->name), "%s", fs->instance);
	snprintf(h->run, sizeof(h->run), "%s", i->run);
	snprintf(h->version, sizeof(h->version), "%s", SESSIONFS_VERSION);
	snprintf(h->policy, sizeof(h->policy), "%s", config_release_name(fs->config.release));
	copy_text(h->host, sizeof(h->host), host);
	copy_text(h->mount, sizeof(h->mount), fs->mountpoint);
	h->n_releases = release_list(fs->release, h->releases);
	count_sessions(fs, h);
}

/* Another daemon beats under our name: it wrote the file since we did. */
static void see_clash(struct instance *i, int nodes, const char *file)
{
	struct heartbeat other;
	if (i->clash || read_beat(nodes, file, &other) || strcmp(other.run, i->run) == 0)
		return;
	i->clash = true;
	log_error("another daemon runs under this one's name, %s: pid %llu on %s, at %s; set daemon.name", other.name,
		  (unsigned long long)other.pid, other.host, other.mount);
}

static int beat(struct instance *i, bool first, bool stopped)
{
	char file[FILE_NAME_MAX];
	_cleanup_free_ char *text = NULL;
	size_t len;
	_cleanup_free_ struct heartbeat *h = malloc(sizeof(*h));
	_cleanup_close_ int nodes = open_nodes(store_fd(i->fs->store));
	if (nodes < 0 || !h)
		return nodes < 0 ? nodes : -ENOMEM;
	file_name(i->fs->instance, file);
	if (!first)
		see_clash(i, nodes, file);
	describe(i, stopped, h);
	int err = heartbeat_format(h, &text, &len);
	return err ? err : durable_replace(nodes, file, text, len);
}

static void try_beat(struct instance *i, bool first, bool stopped)
{
	int err = beat(i, first, stopped);
	if (err && !i->failed)
		log_warn("%s/%s%s: %s", NODES, i->fs->instance, SUFFIX, strerror(-err));
	i->failed = err != 0;
}

static int forget_old(void *ctx, const char *name, const struct heartbeat *h, int error)
{
	const struct instance *i = ctx;
	char file[FILE_NAME_MAX];
	(void)error; /* what is no heartbeat is not ours to remove */
	if (!h || time(NULL) - h->beat < INSTANCE_FORGOTTEN || strcmp(name, i->fs->instance) == 0)
		return 0;
	_cleanup_close_ int nodes = open_nodes(store_fd(i->fs->store));
	file_name(name, file);
	if (nodes >= 0 && unlinkat(nodes, file, 0) == 0)
		log_info("instance %s: no heartbeat for %lld days: forgotten", name,
			 (long long)(time(NULL) - h->beat) / 86400);
	return 0;
}

/* ---- the thread ---- */

static void tick(void *ctx, int64_t now)
{
	struct instance *i = ctx;
	(void)now;
	bool first = i->ticks == 0;
	if (first)
		instance_each(store_fd(i->fs->store), forget_old, i);
	else
		bind_recheck_releases(i->fs);
	if (i->ticks++ % INSTANCE_EVERY == 0)
		try_beat(i, first, false);
}

struct instance *instance_start(struct fs *fs)
{
	struct instance *i = calloc(1, sizeof(*i));
	if (!i)
		return NULL;
	unsigned char id[RUN_ID_LEN / 2];
	randombytes_buf(id, sizeof(id));
	sodium_bin2hex(i->run, sizeof(i->run), id, sizeof(id));
	i->fs = fs;
	i->ticker = ticker_start(tick, i);
	if (!i->ticker) {
		free(i);
		return NULL;
	}
	return i;
}

void instance_stop(struct instance *i)
{
	if (!i)
		return;
	ticker_stop(i->ticker);
	try_beat(i, false, true);
	free(i);
}
