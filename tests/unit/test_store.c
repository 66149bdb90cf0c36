/* SPDX-License-Identifier: MIT */
/* The store: who may open it, who gets a session, what is deleted, and what a crash leaves. */
#include "store.h"

#include <jansson.h>
#include <pthread.h>
#include <sched.h>
#include <sodium.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "durable.h"
#include "record.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tap.h"
#include "tree.h"
#include "util.h"

#define NOW INT64_C(1770000000)
#define OLD 7200     /* seconds; temporaries are cleared after an hour */
#define IN_A_STORE 7 /* FORMAT, sessions, users, leaving, trash, nodes and ended */

static int top; /* the scratch directory, where each test has a store of its own */

__attribute__((format(printf, 1, 2))) static const char *in_top(const char *fmt, ...)
{
	static char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/", scratch);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(path + n, sizeof(path) - (size_t)n, fmt, ap);
	va_end(ap);
	return path;
}

/* A new, empty directory fit for a store. */
static const char *empty_dir(const char *name)
{
	if (mkdirat(top, name, 0700) < 0)
		abort();
	return in_top("%s", name);
}

static void must_chmod(const char *name, mode_t mode)
{
	if (fchmodat(top, name, mode, 0) < 0)
		abort();
}

static void must_chown(const char *name, uid_t uid)
{
	if (fchownat(top, name, uid, (gid_t)-1, 0) < 0)
		abort();
}

static struct store *open_store(const char *path)
{
	char err[512] = "";
	struct store *s;
	if (store_open(path, err, sizeof(err), &s) < 0) {
		printf("Bail out! %s\n", err);
		exit(1);
	}
	return s;
}

static const char *name_of(const char *sid)
{
	static char name[SID_HASH_LEN + 1];
	sid_hash(sid, name);
	return name;
}

/* A path in a session's directory of the store. */
static const char *session_path(const char *sid, const char *below)
{
	static char path[256];
	const char *name = name_of(sid);
	snprintf(path, sizeof(path), "sessions/%.2s/%s%s%s", name, name, *below ? "/" : "", below);
	return path;
}

static int claim(struct store *s, const char *sid, const char *sub)
{
	struct meta m;
	int dir = -1;
	int r = store_claim(s, sid, sub, geteuid(), getegid(), NOW, &m, &dir);
	close_fd(dir);
	return r;
}

static void must_claim(struct store *s, const char *sid)
{
	if (claim(s, sid, "ada") < 0)
		abort();
}

static bool exists(int dir, const char *path)
{
	return faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* How many entries a directory has. */
static int entries(int dir, const char *path)
{
	_cleanup_closedir_ DIR *d = NULL;
	if (tree_opendir(dir, path, &d) < 0)
		return -1;
	int n = -2;
	while (readdir(d))
		n++;
	return n;
}

static void make_old(int dir, const char *path)
{
	struct timespec t[2] = {{.tv_sec = time(NULL) - OLD}, {.tv_sec = time(NULL) - OLD}};
	if (utimensat(dir, path, t, AT_SYMLINK_NOFOLLOW) < 0)
		abort();
}

static size_t slurp(int dir, const char *path, char *buf, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);
	close_fd(fd);
	if (n < 0)
		abort();
	buf[n] = '\0';
	return (size_t)n;
}

/* Where a crash comes: at the next chown. */
static bool crash;

int fchownat(int dir, const char *path, uid_t uid, gid_t gid, int flags)
{
	if (crash)
		_exit(9);
	return (int)syscall(SYS_fchownat, dir, path, uid, gid, flags);
}

/* --- opening -------------------------------------------------------------------------------------------------------- */

static void refused(const char *path, int error, const char *reason, const char *claimed)
{
	char err[512] = "";
	struct store *s = NULL;
	is_int(store_open(path, err, sizeof(err), &s), error, "%s is refused", claimed);
	ok(!s && strncmp(err, path, strlen(path)) == 0 && strstr(err, reason) && !strchr(err, '\n'),
	   "%s: one line names it and says why", claimed);
	if (!strstr(err, reason))
		printf("# got: %s\n", err);
}

static void test_open(void)
{
	char err[512], uuid[64];
	struct store *s = NULL;
	const char *path = empty_dir("new");
	is_int(store_open_existing(path, err, sizeof(err), &s), -ENOENT, "who only looks makes no store");
	is_int(entries(top, "new"), 0, "and leaves nothing");
	is_int(store_open(path, err, sizeof(err), &s), 0, "an empty directory becomes a store");
	is_str(store_path(s), path, "which knows its path");
	is_int((int)strlen(store_uuid(s)), 36, "and has a uuid");
	snprintf(uuid, sizeof(uuid), "%s", store_uuid(s));
	char text[128], want[128];
	slurp(store_fd(s), "FORMAT", text, sizeof(text));
	snprintf(want, sizeof(want), "sessionfs-store 1\nuuid %s\n", uuid);
	is_str(text, want, "that FORMAT tells");
	is_int(entries(store_fd(s), "sessions"), 256, "all directories of sessions are made with it");
	is_int(entries(top, "new"), IN_A_STORE, "and there is nothing in it but what a store has");
	store_close(s);
	is_int(store_open_existing(in_top("new"), err, sizeof(err), &s), 0, "then who only looks may open it");
	is_str(store_uuid(s), uuid, "the uuid is the same");
	store_close(s);
	store_close(NULL);

	if (symlinkat("new", top, "link") < 0)
		abort();
	s = open_store(in_top("link"));
	is_str(store_path(s), in_top("new"), "its path is the resolved one");
	store_close(s);

	refused(in_top("missing"), -ENOENT, "No such file", "a missing directory");
	scratch_file(top, "file", 0700, "");
	refused(in_top("file"), -ENOTDIR, "Not a directory", "a file");
	must_chmod("new", 0755);
	refused(in_top("new"), -EPERM, "0755", "a store that others may enter");
	must_chmod("new", 0500);
	refused(in_top("new"), -EPERM, "0500", "a store that its owner can't write");
	must_chmod("new", 0700);
	if (geteuid() == 0) {
		must_chown("new", 12345);
		refused(in_top("new"), -EPERM, "uid 12345", "another user's store");
		must_chown("new", 0);
	} else {
		refused("/", -EPERM, "uid 0", "another user's store");
	}

	path = empty_dir("used");
	scratch_file(top, "used/letter.txt", 0600, "x");
	refused(in_top("used"), -ENOTEMPTY, "not empty", "a directory with a file that is not ours");
	is_int(entries(top, "used"), 1, "and it stays as it was");

	static const char *const formats[] = {
		"",
		"sessionfs-store 1",
		"sessionfs-store 2\nuuid 01234567-89ab-cdef-0123-456789abcdef\n",
		"sessionfs-store 11\nuuid 01234567-89ab-cdef-0123-456789abcdef\n",
		"sessionfs-store 1\nuuid 01234567-89ab-cdef-0123-456789abcde\n",
		"sessionfs-store 1\nuuid 01234567-89ab-cdef-0123-456789abcdef",
		"sessionfs-store 1\nuuid 01234567-89ab-cdef-0123-456789abcdefg\n",
		"sessionfs-store 1\nuuid 01234567-89ab-cdef-0123-456789abcdef\nmore\n",
	};
	empty_dir("version");
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		scratch_file(top, "version/FORMAT", 0600, formats[i]);
		refused(in_top("version"), -EPROTONOSUPPORT, "FORMAT", "a FORMAT that is not ours");
	}
	unlinkat(top, "version/FORMAT", 0);
	if (mkfifoat(top, "version/FORMAT", 0600) < 0)
		abort();
	refused(in_top("version"), -EPROTONOSUPPORT, "FORMAT", "a FORMAT that is a fifo");
}

/* A crash at any step of making a store leaves what can be made one. */
static void test_half_made(void)
{
	empty_dir("half");
	mkdirat(top, "half/.tmp-host-1-aa", 0700);
	mkdirat(top, "half/.tmp-host-1-aa/00", 0700);
	scratch_file(top, "half/.tmp-host-1-bb", 0600, "sessionfs-st");
	struct store *s = open_store(in_top("half"));
	ok(s != NULL, "a directory with nothing in it but leftovers becomes a store");
	make_old(store_fd(s), ".tmp-host-1-aa");
	make_old(store_fd(s), ".tmp-host-1-bb");
	is_int(store_empty_trash(s, 1000), 0, "and the leftovers");
	is_int(entries(top, "half"), IN_A_STORE, "are cleared in time");
	store_close(s);

	is_int(unlinkat(top, "half/trash", AT_REMOVEDIR), 0, "a store without trash");
	s = open_store(in_top("half"));
	ok(exists(store_fd(s), "trash"), "gets one");
	store_close(s);
}

#define MAKERS 4

/* Daemons that are started on one empty directory at once. */
static void test_made_at_once(void)
{
	int bad = 0;
	fflush(stdout);
	for (int round = 0; round < 10; round++) {
		char name[32], uuids[MAKERS][64];
		int go[2], said[MAKERS][2];
		snprintf(name, sizeof(name), "at-once-%d", round);
		empty_dir(name);
		if (pipe2(go, O_CLOEXEC) < 0)
			abort();
		for (int i = 0; i < MAKERS; i++) {
			if (pipe2(said[i], O_CLOEXEC) < 0)
				abort();
			if (fork() != 0)
				continue;
			char c, err[512];
			struct store *s;
			close(go[1]);
			if (read(go[0], &c, 1) != 0 || store_open(in_top("%s", name), err, sizeof(err), &s) < 0)
				_exit(1);
			_exit(write(said[i][1], store_uuid(s), 36) != 36);
		}
		close(go[1]); /* now */
		close(go[0]);
		for (int i = 0; i < MAKERS; i++) {
			close(said[i][1]);
			bad += read(said[i][0], uuids[i], 36) != 36 || memcmp(uuids[i], uuids[0], 36) != 0;
			close(said[i][0]);
		}
		for (int i = 0; i < MAKERS; i++)
			wait(NULL);
		bad += entries(top, name) != IN_A_STORE;
		snprintf(name, sizeof(name), "at-once-%d/sessions", round);
		bad += entries(top, name) != 256;
	}
	is_int(bad, 0, "%d daemons that make one store at once all open it, and it is one", MAKERS);
}

/* --- claiming ------------------------------------------------------------------------------------------------------- */

static void test_claim(void)
{
	struct store *s = open_store(empty_dir("claim"));
	struct meta m, again;
	struct stat st, st2;
	int dir = -1, dir2 = -1;
	umask(077);
	is_int(store_claim(s, "s1", "ada@example.org", geteuid(), getegid(), NOW, &m, &dir), 0, "a new sid is claimed");
	umask(022);
	is_str(m.sub, "ada@example.org", "its meta names the owner");
	is_str(m.sid, "s1", "and the sid");
	ok(m.version == 1 && m.created == NOW && !m.revoked, "it is new");
	ok((fcntl(dir, F_GETFL) & O_PATH) && fstat(dir, &st) == 0 && S_ISDIR(st.st_mode),
	   "its directory is an O_PATH one");
	ok(fstatat(store_fd(s), session_path("s1", ""), &st2, 0) == 0 && st.st_ino == st2.st_ino,
	   "under the hash of the sid");
	is_int((int)(st.st_mode & 07777), 0700, "which nobody else enters");
	ok(fstatat(dir, "data", &st, 0) == 0 && (st.st_mode & 07777) == 0777 && st.st_uid == geteuid() &&
		   st.st_gid == getegid(),
	   "data/ has mode 0777 whatever the umask, and the binder's ids");
	is_int(entries(dir, "."), 2, "and beside it is only meta.json");
	is_int(fcntl(dir, F_GETFD), FD_CLOEXEC, "the descriptor is close-on-exec");

	is_int(store_claim(s, "s1", "ada@example.org", 7, 7, NOW + 5, &again, &dir2), 0, "its owner claims it again");
	ok(again.created == NOW && again.version == 1, "and finds it as it was");
	close(dir2);
	dir2 = -7;
	memset(&again, 0, sizeof(again));
	is_int(store_claim(s, "s1", "bob@example.org", 7, 7, NOW, &again, &dir2), -EKEYREJECTED,
	       "another user does not get it");
	is_str(again.sub, "ada@example.org", "the audit learns whose it is");
	is_int(dir2, -7, "and no directory is given");

	/* What the owner did with <sid>. */
	is_int(unlinkat(dir, "data", AT_REMOVEDIR), 0, "its owner may remove data/");
	is_int(claim(s, "s1", "ada@example.org"), 0, "and claims it again");
	ok(fstatat(dir, "data", &st, 0) == 0 && (st.st_mode & 07777) == 0777 && st.st_uid == geteuid(),
	   "then data/ is back");
	is_int(entries(dir, "."), 2, "and nothing else");
	if (unlinkat(dir, "data", AT_REMOVEDIR) < 0 || symlinkat("/etc", dir, "data") < 0)
		abort();
	is_int(claim(s, "s1", "ada@example.org"), -EUCLEAN, "a symlink in data's place is not followed");
	close(dir);

	if (geteuid() == 0) {
		is_int(store_claim(s, "s2", "ada", 4242, 4343, NOW, &m, &dir), 0, "a session for another uid");
		ok(fstatat(dir, "data", &st, 0) == 0 && st.st_uid == 4242 && st.st_gid == 4343,
		   "has its data/ owned by it");
		close(dir);
	}
	static const char *const bad_sids[] = {"", ".", "..", "a/b", "self", "~x", ".tmp-x", "a b"};
	for (size_t i = 0; i < ARRAY_LEN(bad_sids); i++)
		is_int(claim(s, bad_sids[i], "ada"), -EINVAL, "the sid '%s' is none", bad_sids[i]);
	is_int(claim(s, "s3", ""), -EINVAL, "nobody is no owner");
	is_int(claim(s, "s3", "a\nb"), -EINVAL, "nor is one with a newline in the name");
	ok(!exists(store_fd(s), session_path("s3", "")), "and nothing was made for them");
	store_close(s);
}

#define RACES 40
#define RACERS 2

/* Several processes claim the same new sids at the same moments; each answers with what it got. */
static void race(const char *store, bool same_sub, int results[RACES][RACERS], ino_t inodes[RACES][RACERS])
{
	int go[RACERS][2], said[RACERS][2];
	pid_t pids[RACERS];
	fflush(stdout);
	for (int i = 0; i < RACERS; i++) {
		if (pipe2(go[i], O_CLOEXEC) < 0 || pipe2(said[i], O_CLOEXEC) < 0)
			abort();
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		struct store *s = open_store(store);
		for (int round = 0; round < RACES; round++) {
			char sid[32], sub[32], c;
			struct meta m;
			struct stat st = {0};
			int dir = -1;
			snprintf(sid, sizeof(sid), "race-%d-%d", same_sub, round);
			snprintf(sub, sizeof(sub), "user-%d", same_sub ? 0 : i);
			if (read(go[i][0], &c, 1) != 1)
				_exit(1);
			int r = store_claim(s, sid, sub, geteuid(), getegid(), NOW, &m, &dir);
			if (r == 0 && fstat(dir, &st) < 0)
				_exit(1);
			if (r == 0 && faccessat(dir, "data", F_OK, 0) < 0)
				r = -ENOENT;
			if (write(said[i][1], &r, sizeof(r)) != sizeof(r) ||
			    write(said[i][1], &st.st_ino, sizeof(st.st_ino)) != sizeof(st.st_ino))
				_exit(1);
			close_fd(dir);
		}
		_exit(0);
	}
	for (int round = 0; round < RACES; round++) {
		for (int i = 0; i < RACERS; i++)
			if (write(go[i][1], "x", 1) != 1)
				abort();
		for (int i = 0; i < RACERS; i++)
			if (read(said[i][0], &results[round][i], sizeof(int)) != sizeof(int) ||
			    read(said[i][0], &inodes[round][i], sizeof(ino_t)) != sizeof(ino_t))
				abort();
	}
	for (int i = 0; i < RACERS; i++) {
		waitpid(pids[i], NULL, 0);
		close(go[i][0]), close(go[i][1]), close(said[i][0]), close(said[i][1]);
	}
}

static void test_races(void)
{
	int results[RACES][RACERS], bad = 0;
	ino_t inodes[RACES][RACERS];
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s", empty_dir("races"));
	race(path, false, results, inodes);
	for (int i = 0; i < RACES; i++)
		bad += !((results[i][0] == 0 && results[i][1] == -EKEYREJECTED) ||
			 (results[i][1] == 0 && results[i][0] == -EKEYREJECTED));
	is_int(bad, 0, "of two users in two processes who claim a sid at once, one gets it, %d times", RACES);
	race(path, true, results, inodes);
	bad = 0;
	for (int i = 0; i < RACES; i++)
		bad += results[i][0] != 0 || results[i][1] != 0 || inodes[i][0] != inodes[i][1];
	is_int(bad, 0, "one user in two processes gets the same directory in both, %d times", RACES);

	struct store *s = open_store(path);
	DIR *d;
	int left = 0;
	for (int i = 0; i < 256; i++) {
		char shard[16];
		snprintf(shard, sizeof(shard), "sessions/%02x", i);
		if (tree_opendir(store_fd(s), shard, &d) < 0)
			abort();
		for (const struct dirent *e; (e = readdir(d));)
			left += strncmp(e->d_name, ".tmp-", 5) == 0;
		closedir(d);
	}
	is_int(left, 0, "and who came second cleared what it had made");
	store_close(s);
}

/* --- meta.json ------------------------------------------------------------------------------------------------------ */

static void test_damage(void)
{
	struct store *s = open_store(empty_dir("damage"));
	char text[2048], path[256];
	struct meta m = {.version = 99};
	must_claim(s, "s1");
	must_claim(s, "s2");
	size_t len = slurp(store_fd(s), session_path("s1", "meta.json"), text, sizeof(text));
	snprintf(path, sizeof(path), "%s", session_path("s1", "meta.json"));

	int bad = 0;
	for (size_t n = 0; n < len - 1; n++) { /* the last is the newline */
		char c = text[n];
		text[n] = '\0';
		scratch_file(store_fd(s), path, 0600, text);
		bad += store_meta_read(s, name_of("s1"), &m) != -EUCLEAN || claim(s, "s1", "ada") != -EUCLEAN;
		text[n] = c;
	}
	is_int(bad, 0, "a meta.json torn at any of %d places is -EUCLEAN, and its session nobody's", (int)len - 1);
	is_int((int)m.version, 99, "and nothing is told of it");

	static const char *const damaged[] = {
		"{}",
		"[]",
		"{\"version\":1,\"sub\":\"eve\",\"sub\":\"ada\",\"sid\":\"s1\"}",
		"{\"version\":\"1\",\"sub\":\"ada\",\"sid\":\"s1\"}",
		"{\"version\":0,\"sub\":\"ada\",\"sid\":\"s1\"}",
		"{\"version\":-1,\"sub\":\"ada\",\"sid\":\"s1\"}",
		"{\"version\":1,\"sub\":\"\",\"sid\":\"s1\"}",
		"{\"version\":1,\"sub\":\"ada\",\"sid\":\"\"}",
		"{\"version\":1,\"sub\":\"ada\",\"sid\":\"../s1\"}",
		"{\"version\":1,\"sid\":\"s1\"}",
		"{\"version\":1,\"sub\":\"ada\",\"sid\":\"s1\",\"created\":5}",
		"{\"version\":1,\"sub\":\"ada\",\"sid\":\"s1\",\"created\":\"yesterday\"}",
		"{\"version\":1,\"sub\":\"ada\",\"sid\":\"s1\",\"revoked\":\"no\"}",
		"{\"version\":1,\"sub\":\"ada\",\"sid\":\"s1\",\"release\":\"a b\"}",
		"{\"version\":1,\"sub\":\"ada\",\"sid\":\"s1\"} {}",
		"{\"version\":1,\"sub\":\"a\\u0000da\",\"sid\":\"s1\"}",
		"{\"version\":1,\"sub\":\"ada\",\"sid\":\"s2\"}", /* another session's */
	};
	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		scratch_file(store_fd(s), path, 0600, damaged[i]);
		is_int(store_meta_read(s, name_of("s1"), &m), -EUCLEAN, "refused as meta.json of s1: %s", damaged[i]);
	}
	scratch_file(store_fd(s), path, 0600, "{\"version\":1,\"sub\":\"ada\",\"sid\":\"s1\",\"later\":[1]}");
	is_int(store_meta_read(s, name_of("s1"), &m), 0, "keys of later releases are ignored");

	unlinkat(store_fd(s), path, 0);
	is_int(store_meta_read(s, name_of("s1"), &m), -EUCLEAN, "a session without meta.json is damaged");
	is_int(claim(s, "s1", "ada"), -EUCLEAN, "and is not made anew over what it holds");
	if (mkfifoat(store_fd(s), path, 0600) < 0)
		abort();
	is_int(store_meta_read(s, name_of("s1"), &m), -EUCLEAN, "a fifo in its place does not hang");
	unlinkat(store_fd(s), path, 0);
	scratch_file(top, "outside.json", 0600, text); /* s1's own, as it was */
	if (symlinkat(in_top("outside.json"), store_fd(s), path) < 0)
		abort();
	is_int(store_meta_read(s, name_of("s1"), &m), -EUCLEAN, "a symlink is not followed");
	is_int(store_remove(s, name_of("s1")), 0, "a damaged session can be removed");
	is_int(claim(s, "s1", "ada"), 0, "and then its sid is free");

	static const char *const names[] = {"",
					    "..",
					    "../..",
					    "x",
					    ".tmp-a",
					    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
					    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
					    "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
					    "../456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01"};
	uint64_t n;
	bad = 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		bad += store_meta_read(s, names[i], &m) != -EINVAL || store_remove(s, names[i]) != -EINVAL ||
		       store_usage(s, names[i], false, &n, &n) != -EINVAL ||
		       store_meta_update(s, names[i], NULL, NULL) != -EINVAL;
	is_int(bad, 0, "what is not 64 hex digits is no name");
	is_int(store_meta_read(s, name_of("nobody's"), &m), -ENOENT, "a name that nobody has is -ENOENT");
	is_int(store_remove(s, name_of("nobody's")), -ENOENT, "nor can it be removed");
	store_close(s);
}

static bool set_all(struct meta *m, void *ctx)
{
	(void)ctx;
	m->expires = NOW + 3600;
	m->last_used = NOW + 60;
	strcpy(m->release, "2026.01-rc+1");
	return true;
}

static bool set_nothing(struct meta *m, void *ctx)
{
	(void)ctx;
	m->expires = 1;
	return false;
}

static bool set_revoked(struct meta *m, void *ctx)
{
	(void)ctx;
	m->revoked = true;
	return true;
}

static bool take_back(struct meta *m, void *ctx)
{
	(void)ctx;
	m->revoked = false;
	return true;
}

/* Revokes the session while another update of it is between its read and its write: once. */
struct interrupt {
	struct store *s;
	int times, calls;
};

static bool interrupted(struct meta *m, void *ctx)
{
	struct interrupt *i = ctx;
	i->calls++;
	if (i->times-- > 0 && store_meta_update(i->s, name_of("s1"), set_revoked, NULL) < 0)
		abort();
	m->last_used = NOW + 99;
	return true;
}

static void test_update(void)
{
	struct store *s = open_store(empty_dir("update"));
	struct meta m;
	char text[2048];
	must_claim(s, "s1");
	is_int(store_meta_update(s, name_of("s1"), set_all, NULL), 0, "meta.json is replaced");
	is_int(store_meta_read(s, name_of("s1"), &m), 0, "and read again");
	ok(m.version == 2 && m.created == NOW && m.expires == NOW + 3600 && m.last_used == NOW + 60 && !m.revoked &&
		   strcmp(m.release, "2026.01-rc+1") == 0 && strcmp(m.sub, "ada") == 0,
	   "it says what was set, and its version is one more");
	slurp(store_fd(s), session_path("s1", "meta.json"), text, sizeof(text));
	is_str(text,
	       "{\"version\":2,\"sub\":\"ada\",\"sid\":\"s1\",\"created\":\"2026-02-02T02:40:00Z\",\"expires\":\"2026-02-02T03:40:00Z\","
	       "\"last_used\":\"2026-02-02T02:41:00Z\",\"release\":\"2026.01-rc+1\"}\n",
	       "in the documented shape");
	is_int(store_meta_update(s, name_of("s1"), set_nothing, NULL), 0, "an update may have nothing to write");
	store_meta_read(s, name_of("s1"), &m);
	ok(m.version == 2 && m.expires == NOW + 3600, "and then writes nothing");
	is_int(store_meta_update(s, name_of("s9"), set_all, NULL), -ENOENT,
	       "a session that is not there can't be updated");

	struct interrupt i = {.s = s, .times = 1};
	is_int(store_meta_update(s, name_of("s1"), interrupted, &i), 0, "an update that did not see a revocation come");
	store_meta_read(s, name_of("s1"), &m);
	ok(m.revoked, "does not undo it");
	ok(m.last_used == NOW + 99 && i.calls == 2, "though it was written");
	slurp(store_fd(s), session_path("s1", "meta.json"), text, sizeof(text));
	ok(strstr(text, "\"revoked\":true") != NULL, "meta.json itself is a tombstone again");
	is_int(store_meta_update(s, name_of("s1"), take_back, NULL), 0, "nor can one take it back");
	store_meta_read(s, name_of("s1"), &m);
	slurp(store_fd(s), session_path("s1", "meta.json"), text, sizeof(text));
	ok(m.revoked && strstr(text, "\"revoked\":true"), "who is revoked stays so");
	scratch_file(store_fd(s), session_path("s1", "meta.json"), 0600,
		     "{\"version\":9,\"sub\":\"ada\",\"sid\":\"s1\"}\n");
	store_meta_read(s, name_of("s1"), &m);
	ok(m.revoked && m.version == 9, "whatever another daemon writes to meta.json");

	int dir = -7;
	is_int(store_claim(s, "s1", "ada", 0, 0, NOW, &m, &dir), -EKEYREVOKED,
	       "a revoked session is not given to its owner");
	ok(dir == -7 && strcmp(m.sid, "s1") == 0, "who learns that alone");
	is_int(claim(s, "s1", "bob"), -EKEYREJECTED, "and another user learns not even that");

	/* A crash between writing and renaming. */
	must_claim(s, "s2");
	scratch_file(store_fd(s), session_path("s2", ".tmp-host-1-aa"), 0600, "{\"version\":2,\"su");
	make_old(store_fd(s), session_path("s2", ".tmp-host-1-aa"));
	scratch_file(store_fd(s), session_path("s2", ".tmp-host-1-bb"), 0600, "{\"version\":2,\"su");
	is_int(store_meta_read(s, name_of("s2"), &m), 0, "an update that crashed changed nothing");
	is_int(store_meta_update(s, name_of("s2"), set_all, NULL), 0, "the next update");
	ok(!exists(store_fd(s), session_path("s2", ".tmp-host-1-aa")), "clears what it left");
	ok(exists(store_fd(s), session_path("s2", ".tmp-host-1-bb")), "but not what may be another's at work");
	store_close(s);
}

static bool count_up(struct meta *m, void *ctx)
{
	(void)ctx;
	m->last_used++;
	return true;
}

/* name_of() has one buffer, which threads must not share. */
struct racer {
	struct store *s;
	char name[SID_HASH_LEN + 1];
};

static void *thread_updates(void *arg)
{
	const struct racer *r = arg;
	for (int i = 0; i < 25; i++)
		if (store_meta_update(r->s, r->name, count_up, NULL) < 0)
			abort();
	return NULL;
}

static void *thread_revokes(void *arg)
{
	const struct racer *r = arg;
	if (store_meta_update(r->s, r->name, set_revoked, NULL) < 0)
		abort();
	return NULL;
}

static void test_update_race(void)
{
	struct racer r = {.s = open_store(empty_dir("updates"))};
	struct meta m;
	pthread_t t[3];
	must_claim(r.s, "s1");
	sid_hash("s1", r.name);
	if (pthread_create(&t[0], NULL, thread_updates, &r) || pthread_create(&t[1], NULL, thread_updates, &r) ||
	    pthread_create(&t[2], NULL, thread_revokes, &r))
		abort();
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	is_int(store_meta_read(r.s, r.name, &m), 0, "after many updates at once the session can be read");
	ok(m.revoked, "and its revocation is there");
	is_int(entries(store_fd(r.s), session_path("s1", "")), 3, "with meta.json, revoked and data alone");
	store_close(r.s);
}

/* --- removing ------------------------------------------------------------------------------------------------------- */

#define LEVELS 10000

static void test_remove(void)
{
	struct store *s = open_store(empty_dir("remove"));
	struct meta m;
	int dir = -1;
	if (store_claim(s, "s1", "ada", geteuid(), getegid(), NOW, &m, &dir) < 0)
		abort();
	scratch_file(dir, "data/f", 0600, "x");
	is_int(store_remove(s, name_of("s1")), 0, "a session is removed");
	is_int(store_meta_read(s, name_of("s1"), &m), -ENOENT, "and gone");
	ok(exists(dir, "revoked") && exists(dir, "data/f"),
	   "a tombstone tells those who still hold it; its files go later");
	is_int(entries(store_fd(s), "trash"), 1, "it is in the trash");
	is_int(store_remove(s, name_of("s1")), -ENOENT, "once");
	must_claim(s, "s1");
	is_int(store_remove(s, name_of("s1")), 0, "the same sid again");
	is_int(entries(store_fd(s), "trash"), 2, "takes no name that was there");
	is_int(store_empty_trash(s, 3), 1, "with a budget of three there is more to do");
	is_int(store_empty_trash(s, 0), 1, "with none nothing is done");
	is_int(store_empty_trash(s, 1000), 0, "with enough the trash is emptied");
	is_int(entries(store_fd(s), "trash"), 0, "and empty");
	is_int(store_empty_trash(s, 0), 0, "which it then says");
	struct stat st;
	ok(fstat(dir, &st) == 0 && st.st_nlink == 0, "the removed directory is no more");
	close(dir);
	store_close(s);
}

static void test_hostile_trees(void)
{
	struct store *s = open_store(empty_dir("hostile"));
	struct meta m;
	struct rlimit old, few;
	uint64_t files = 99, bytes = 99;
	int dir = -1;

	empty_dir("outside");
	scratch_file(top, "outside/precious", 0600, "p");
	mkdirat(top, "outside/sub", 0700);
	if (store_claim(s, "s1", "ada", geteuid(), getegid(), NOW, &m, &dir) < 0)
		abort();
	is_int(store_usage(s, name_of("s1"), false, &files, &bytes), 0, "an empty session is counted");
	ok(files == 0 && bytes == 0, "and has nothing");

	int data = openat(dir, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char block[8192];
	memset(block, 'x', sizeof(block));
	int fd = openat(data, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (write(fd, block, sizeof(block)) != sizeof(block) || fsync(fd) < 0)
		abort();
	close(fd);
	if (symlinkat(in_top("outside"), data, "link") < 0 || symlinkat("/etc/passwd", data, "file-link") < 0)
		abort();
	mkfifoat(data, "fifo", 0600);
	mkdirat(data, "locked", 0700);
	scratch_file(data, "locked/in", 0600, "");
	mkdirat(data, "locked/deeper", 0700);
	scratch_file(data, "locked/deeper/in", 0600, "");
	scratch_file(data, "new\nline", 0600, "");
	scratch_file(data, "-rf", 0600, "");
	is_int(store_usage(s, name_of("s1"), false, &files, &bytes), 0,
	       "a session with links to what is outside is counted");
	is_int((long long)files, 10, "all names, without what they lead to");
	is_int((long long)bytes, sizeof(block), "and the sizes of regular files");

	int deep = openat(data, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < LEVELS; i++) {
		if (mkdirat(deep, "d", 0700) < 0)
			abort();
		if (i % 1000 == 999)
			scratch_file(deep, "f", 0600, "");
		int next = openat(deep, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(deep);
		deep = next;
	}
	close(deep);
	if (fchmodat(data, "locked/deeper", 0, 0) < 0 || fchmodat(data, "locked", 0, 0) < 0)
		abort();
	close(data);

	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = (rlim_t)open_fds() + 8;
	setrlimit(RLIMIT_NOFILE, &few);
	int r = store_usage(s, name_of("s1"), false, &files, &bytes);
	if (geteuid() == 0) {
		is_int(r, 0, "with %d levels it is counted with eight descriptors", LEVELS);
		is_int((long long)files, 10 + LEVELS + LEVELS / 1000, "and every name is found");
	} else {
		is_int(r, -EACCES, "who is not root is told what it can't count");
	}
	is_int(store_remove(s, name_of("s1")), 0, "it is removed");
	int calls = 1;
	while ((r = store_empty_trash(s, 1000)) == 1 && calls < 1000)
		calls++;
	is_int(r, 0, "and deleted, with eight descriptors, locked directories and all");
	ok(calls >= 2 * LEVELS / 1000 && calls < 3 * LEVELS / 1000, "in steps of a thousand entries (%d)", calls);
	setrlimit(RLIMIT_NOFILE, &old);
	is_int(entries(store_fd(s), "trash"), 0, "nothing is left");
	ok(exists(top, "outside/precious") && exists(top, "outside/sub"), "what the links led to is");
	close(dir);
	store_close(s);
}

/* What can't be deleted does not keep the rest from it. */
static void test_stubborn(void)
{
	struct store *s = open_store(empty_dir("stubborn"));
	for (int i = 0; i < 20; i++) {
		char path[32];
		snprintf(path, sizeof(path), "trash/%d", i);
		mkdirat(store_fd(s), path, 0700);
		snprintf(path, sizeof(path), "trash/%d/f", i);
		scratch_file(store_fd(s), path, 0600, "");
	}
	mkdirat(store_fd(s), "trash/7/busy", 0700);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("none", in_top("stubborn/trash/7/busy"), "tmpfs", 0, NULL) < 0)
			_exit(100);
		int r = store_empty_trash(s, 1000);
		_exit(r == -EBUSY && entries(store_fd(s), "trash") == 1 && entries(store_fd(s), "trash/7") == 1 ? 0
														: 1);
	}
	int status;
	waitpid(pid, &status, 0);
	is_int(status, 0, "an entry that can't be deleted is told, and all others are gone");
	is_int(store_empty_trash(s, 1000), 0, "and that too once it can be");
	store_close(s);
}

static void test_leftovers(void)
{
	struct store *s = open_store(empty_dir("leftovers"));
	char shard[64], path[128];
	snprintf(shard, sizeof(shard), "sessions/%.2s", name_of("s1"));
	must_claim(s, "s1");
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/.tmp-host-1-%d", shard, i);
		mkdirat(store_fd(s), path, 0700);
		snprintf(path, sizeof(path), "%s/.tmp-host-1-%d/data", shard, i);
		mkdirat(store_fd(s), path, 0777);
		snprintf(path, sizeof(path), "%s/.tmp-host-1-%d/meta.json", shard, i);
		scratch_file(store_fd(s), path, 0600, "{\"vers");
	}
	snprintf(path, sizeof(path), "%s/.tmp-host-1-0", shard);
	make_old(store_fd(s), path);
	int bad = 0;
	for (int i = 0; i < 256; i++)
		bad += store_empty_trash(s, 1000) != 0;
	is_int(bad, 0, "256 calls look through all sessions");
	ok(!exists(store_fd(s), path), "what a creation that crashed left is cleared after an hour");
	snprintf(path, sizeof(path), "%s/.tmp-host-1-1/meta.json", shard);
	ok(exists(store_fd(s), path), "one at work is not");
	is_int(claim(s, "s1", "ada"), 0, "nor is a session");
	is_int(entries(store_fd(s), "trash"), 0, "and the trash is empty");
	store_close(s);
}

/* --- listing -------------------------------------------------------------------------------------------------------- */

struct seen {
	int sessions, damaged, others, stop_at;
	char sids[8][SID_MAX + 1];
};

static int see(void *ctx, const char *name, const struct meta *meta, int error)
{
	struct seen *seen = ctx;
	if (meta && strcmp(name, name_of(meta->sid)) == 0 && error == 0)
		snprintf(seen->sids[seen->sessions++], SID_MAX + 1, "%s", meta->sid);
	else if (!meta && error == -EUCLEAN && strcmp(name, name_of("torn")) == 0)
		seen->damaged++;
	else
		seen->others++;
	return seen->sessions == seen->stop_at ? 42 : 0;
}

static void test_each(void)
{
	struct store *s = open_store(empty_dir("each"));
	struct seen seen = {.stop_at = -1};
	is_int(store_each(s, see, &seen), 0, "an empty store is listed");
	is_int(seen.sessions + seen.damaged + seen.others, 0, "and has no sessions");
	static const char *const sids[] = {"a", "b", "c", "d", "torn"};
	for (size_t i = 0; i < ARRAY_LEN(sids); i++)
		must_claim(s, sids[i]);
	scratch_file(store_fd(s), session_path("torn", "meta.json"), 0600, "{\"");
	mkdirat(store_fd(s), "sessions/00/.tmp-host-1-1", 0700);
	mkdirat(store_fd(s), "sessions/00/lost+found", 0700);
	is_int(store_each(s, see, &seen), 0, "a listing goes on past a damaged session");
	ok(seen.sessions == 4 && seen.damaged == 1 && seen.others == 0, "and names it, and no leftovers");
	unsigned mask = 0;
	for (int i = 0; i < seen.sessions; i++)
		mask |= 1u << (seen.sids[i][0] - 'a');
	is_int(mask, 15, "each session once");
	seen = (struct seen){.stop_at = 2};
	is_int(store_each(s, see, &seen), 42, "a visitor may stop");
	is_int(seen.sessions, 2, "there and then");
	store_close(s);
}

/* --- bad media ------------------------------------------------------------------------------------------------------ */

static int read_only(void)
{
	char path[PATH_MAX];
	struct store *s;
	char err[512];
	struct meta m;
	snprintf(path, sizeof(path), "%s", in_top("read-only"));
	if (mount(path, path, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return 100;
	if (store_open(path, err, sizeof(err), &s) < 0)
		return 1;
	if (store_meta_read(s, name_of("s1"), &m) < 0 || claim(s, "s1", "ada") < 0)
		return 2;
	if (claim(s, "s2", "ada") != -EROFS || store_meta_update(s, name_of("s1"), set_all, NULL) != -EROFS ||
	    store_remove(s, name_of("s1")) != -EROFS)
		return 3;
	return 0;
}

/* A filesystem with room for some hundred inodes: sessions are made until there is no more. */
static int full(void)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s", in_top("full"));
	if (mount("none", path, "tmpfs", 0, "size=2m,nr_inodes=590,mode=0700") < 0)
		return 100;
	struct store *s = open_store(path);
	char sid[32];
	int r = 0, n = 0, bad = 0;
	for (; r == 0 && n < 1000; n++) {
		snprintf(sid, sizeof(sid), "s-%d", n);
		r = claim(s, sid, "ada");
	}
	if (r != -ENOSPC)
		return 1;
	for (int i = 0; i < n - 1; i++) {
		snprintf(sid, sizeof(sid), "s-%d", i);
		bad += claim(s, sid, "ada") != 0;
	}
	if (bad || n < 10)
		return 2;
	snprintf(sid, sizeof(sid), "s-%d", n - 1);
	if (exists(store_fd(s), session_path(sid, "")) || claim(s, sid, "ada") != -ENOSPC)
		return 3;
	snprintf(sid, sizeof(sid), "s-%d", 0);
	/* There is no room for a tombstone either, but to make room is what removing is for. */
	if (store_remove(s, name_of(sid)) < 0 || store_empty_trash(s, 100) != 0 || claim(s, sid, "bob") < 0)
		return 4;
	/* Room again: what was refused is granted. */
	if (mount(NULL, path, NULL, MS_REMOUNT, "size=2m,nr_inodes=900") < 0)
		return 101;
	snprintf(sid, sizeof(sid), "s-%d", n - 1);
	return claim(s, sid, "ada") == 0 ? 0 : 5;
}

static int in_mount_namespace(int (*fn)(void))
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? 102 : fn());
	int status;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_media(void)
{
	struct store *s = open_store(empty_dir("read-only"));
	must_claim(s, "s1");
	store_close(s);
	empty_dir("full");
	is_int(in_mount_namespace(read_only), 0,
	       "a read-only store opens, is read, and tells EROFS to who would write");
	is_int(in_mount_namespace(full), 0,
	       "a full store says ENOSPC, keeps what it granted, and grants again with room");
}

/* --- data/ made again by its owner --- */

/* Makes it in a process that dies of it. */
static int make_and_crash(int dir)
{
	int status = 0;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		crash = true;
		record_make_data(dir, 0750, 1000, 1000);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void test_make_data(void)
{
	struct store *s = open_store(empty_dir("data"));
	struct meta m;
	struct stat st;
	int dir;
	if (store_claim(s, "s1", "ada", 1000, 1000, NOW, &m, &dir) < 0)
		abort();
	is_int(record_make_data(dir, 0750, 1000, 1000), -EEXIST, "a data/ that is there is not made again");
	unlinkat(dir, "data", AT_REMOVEDIR);
	is_int(make_and_crash(dir), 9, "a crash comes before it has its owner");
	ok(!exists(dir, "data"), "then it is not there");
	is_int(record_make_data(dir, 02750, 1000, 1001), 0, "and can be made");
	ok(fstatat(dir, "data", &st, 0) == 0 && st.st_mode == (S_IFDIR | 02750) && st.st_uid == 1000 &&
		   st.st_gid == 1001,
	   "with its mode and owner");
	unlinkat(dir, "data", AT_REMOVEDIR);
	make_and_crash(dir);
	is_int(claim(s, "s1", "ada"), 0, "a bind after such a crash");
	ok(fstatat(dir, "data", &st, 0) == 0 && (st.st_mode & 07777) == 0777, "makes one that its user can enter");
	is_int(entries(dir, "."), 4, "what the crashes left beside it and meta.json");
	_cleanup_closedir_ DIR *d = NULL;
	const struct dirent *e;
	if (tree_opendir(dir, ".", &d) < 0)
		abort();
	while ((e = readdir(d)))
		if (temp_is(e->d_name))
			make_old(dir, e->d_name);
	is_int(store_meta_update(s, name_of("s1"), set_all, NULL), 0, "goes with the next update,");
	is_int(entries(dir, "."), 2, "an hour after");
	close(dir);
	store_close(s);
}

int main(void)
{
	if (sodium_init() < 0)
		return 2;
	json_object_seed(0);
	top = scratch_open();
	int fds = open_fds();
	test_open();
	test_half_made();
	test_made_at_once();
	test_claim();
	test_races();
	test_damage();
	test_update();
	test_update_race();
	test_remove();
	test_hostile_trees();
	test_leftovers();
	test_each();
	if (geteuid() == 0) {
		test_make_data();
		test_stubborn();
		test_media();
	} else {
		ok(0, "root is needed for stores that are read-only, full or busy");
	}
	is_int(open_fds(), fds, "no descriptor is lost in all this");
	return tap_done();
}
