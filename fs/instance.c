/* SPDX-License-Identifier: MIT */
#include "instance.h"

#include <ctype.h>
#include <inttypes.h>
#include <sodium.h>
#include <time.h>

#include "agreement.h"
#include "bind.h"
#include "fs.h"
#include "log.h"
#include "release.h"
#include "roster.h"
#include "ticker.h"
#include "util.h"
#include "version.h"

struct instance {
	struct fs *fs;
	struct ticker *ticker;
	uint64_t ticks;     /* the ticker's own, as is what follows */
	bool clash, failed; /* said in the log */
	struct agreement agreement;
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

void instance_run(char run[static RUN_ID_LEN + 1])
{
	unsigned char id[RUN_ID_LEN / 2];
	randombytes_buf(id, sizeof(id));
	sodium_bin2hex(run, RUN_ID_LEN + 1, id, sizeof(id));
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
	snprintf(h->run, sizeof(h->run), "%s", fs->run);
	snprintf(h->version, sizeof(h->version), "%s", SESSIONFS_VERSION);
	snprintf(h->policy, sizeof(h->policy), "%s", config_release_name(fs->config.release));
	copy_text(h->host, sizeof(h->host), host);
	copy_text(h->mount, sizeof(h->mount), fs->mountpoint);
	agreement_describe(&fs->config, fs->keys, h);
	h->n_releases = release_list(fs->release, h->releases);
	count_sessions(fs, h);
}

/* Another daemon beats under our name: it wrote the file since we did. */
static void see_clash(struct instance *i)
{
	struct heartbeat other;
	if (i->clash || roster_read(store_fd(i->fs->store), i->fs->instance, &other) ||
	    strcmp(other.run, i->fs->run) == 0)
		return;
	i->clash = true;
	log_error("another daemon runs under this one's name, %s: pid %" PRIu64 " on %s, at %s; set daemon.name",
		  other.name, other.pid, other.host, other.mount);
}

static void beat(struct instance *i, bool stopped)
{
	struct heartbeat h;
	int64_t before = account_now();
	describe(i, stopped, &h);
	int err = roster_write(store_fd(i->fs->store), &h);
	if (!err)
		quota_beat(i->fs->quota, before);
	if (err && !i->failed)
		log_warn("nodes/%s.json: %s", i->fs->instance, strerror(-err));
	i->failed = err != 0;
}

struct comparison {
	struct instance *instance;
	struct heartbeat own;
};

static int compare(void *ctx, const char *name, const struct heartbeat *h, int error)
{
	struct comparison *c = ctx;
	char line[AGREEMENT_LINE_MAX];
	(void)error;
	if (!h || strcmp(name, c->own.name) == 0)
		return 0;
	for (size_t at = 0; agreement_differs(&c->instance->agreement, &c->own, h, &at, line);)
		log_warn("%s", line);
	return 0;
}

static void see_others(struct instance *i)
{
	struct comparison c = {.instance = i};
	describe(i, false, &c.own);
	roster_each(store_fd(i->fs->store), compare, &c);
}

static int forget_old(void *ctx, const char *name, const struct heartbeat *h, int error)
{
	const struct instance *i = ctx;
	(void)error; /* what is no heartbeat is not ours to remove */
	int64_t age = h ? time(NULL) - h->beat : 0;
	if (age >= INSTANCE_FORGOTTEN && strcmp(name, i->fs->instance) != 0 &&
	    roster_remove(store_fd(i->fs->store), name) == 0)
		log_info("instance %s: no heartbeat for %" PRId64 " days: forgotten", name, age / 86400);
	return 0;
}

/* ---- the thread ---- */

static void tick(void *ctx, int64_t now)
{
	struct instance *i = ctx;
	(void)now;
	if (i->ticks == 0)
		roster_each(store_fd(i->fs->store), forget_old, i);
	else
		bind_recheck_releases(i->fs);
	if (i->ticks++ % INSTANCE_EVERY != 0)
		return;
	if (i->ticks > 1)
		see_clash(i);
	beat(i, false);
	see_others(i);
}

struct instance *instance_start(struct fs *fs)
{
	struct instance *i = calloc(1, sizeof(*i));
	if (!i)
		return NULL;
	i->fs = fs;
	beat(i, false); /* what is granted from the first request on is granted to a living instance */
	i->ticker = ticker_start(tick, i, TICKER_SECOND);
	if (!i->ticker) {
		free(i);
		return NULL;
	}
	return i;
}

void instance_rest(struct instance *i)
{
	if (!i)
		return;
	ticker_stop(i->ticker);
	i->ticker = NULL;
}

void instance_stop(struct instance *i)
{
	if (!i)
		return;
	instance_rest(i);
	beat(i, true);
	free(i);
}
