/* SPDX-License-Identifier: MIT */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/tap.h"

/* --- a clock that can be put forward, so that nothing has to wait for it --- */

static _Atomic int64_t ahead_ms, step_ms; /* step: it goes forward by itself, at each look */

int clock_gettime(clockid_t id, struct timespec *ts)
{
	if (syscall(SYS_clock_gettime, id, ts) < 0)
		return -1;
	if (id == CLOCK_MONOTONIC) {
		int64_t ms = atomic_fetch_add(&ahead_ms, step_ms);
		ts->tv_sec += ms / 1000;
		ts->tv_nsec += ms % 1000 * 1000000;
		if (ts->tv_nsec >= 1000000000) {
			ts->tv_nsec -= 1000000000;
			ts->tv_sec++;
		}
	}
	return 0;
}

/* --- stderr as a pipe that is read here --- */

static int real_stderr;
static FILE *captured;

static void check(bool fine, const char *what)
{
	if (fine)
		return;
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void capture_stderr(void)
{
	int p[2];
	check(pipe2(p, O_CLOEXEC) == 0 && dup2(p[1], STDERR_FILENO) >= 0, "pipe");
	close(p[1]);
	captured = fdopen(p[0], "r");
	check(captured != NULL, "fdopen");
}

/* Also ends the pipe, so reading `captured` comes to an end. */
static void restore_stderr(void)
{
	check(dup2(real_stderr, STDERR_FILENO) >= 0, "dup2");
}

/* The next line of f; its newline is taken off. NULL at the end. Static storage. */
static char *next_line(FILE *f)
{
	static char line[65536];
	if (!fgets(line, sizeof(line), f))
		return NULL;
	size_t n = strlen(line);
	check(n > 0 && line[n - 1] == '\n', "a line without its end");
	line[n - 1] = 0;
	return line;
}

/* NULL (and a failed test) unless the next line is exactly one JSON object. */
static json_t *next_object(FILE *f)
{
	char *line = next_line(f);
	json_error_t e;
	json_t *o = line ? json_loads(line, JSON_REJECT_DUPLICATES, &e) : NULL;
	if (!o)
		ok(0, "a line is JSON: %s", line ? line : "(end)");
	return o;
}

static const char *str(json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static long long num(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);
	return v ? json_integer_value(v) : -1;
}

static void open_log(const char *to)
{
	char err[256] = "";
	if (audit_open(to, err, sizeof(err)) != 0) {
		printf("Bail out! %s\n", err);
		exit(1);
	}
}

static struct audit_event refusal(void)
{
	return (struct audit_event){.event = "refused",
				    .op = "lookup",
				    .reason = "another session",
				    .error = EACCES,
				    .tid = 12,
				    .pid = 11,
				    .uid = 33,
				    .comm = "gunicorn",
				    .sub = "amina",
				    .sid = "benue",
				    .target = "kebbi",
				    .scope = "thread"};
}

static void test_keys(void)
{
	struct audit_event ev = refusal();
	ev.release = "2026.1";
	ev.exp = 1767225600;

	capture_stderr();
	open_log("stderr");
	audit_write(&ev);
	char *line = next_line(captured);
	int end = 35;
	const char *shape = "{'time':'dddd-dd-ddTdd:dd:dd.dddZ',";
	for (int i = 0; shape[i]; i++) {
		bool digit = line[i] >= '0' && line[i] <= '9';
		if (shape[i] == 'd' ? !digit : line[i] != (shape[i] == '\'' ? '"' : shape[i]))
			end = 0;
	}
	ok(end == 35, "a line begins with the time in UTC, with milliseconds");
	is_str(line + end,
	       "\"event\":\"refused\",\"op\":\"lookup\",\"errno\":\"EACCES\",\"reason\":\"another session\",\"tid\":12,"
	       "\"pid\":11,\"uid\":33,\"comm\":\"gunicorn\",\"sub\":\"amina\",\"sid\":\"benue\",\"target\":\"kebbi\","
	       "\"scope\":\"thread\",\"release\":\"2026.1\",\"exp\":\"2026-01-01T00:00:00Z\"}",
	       "keys stand in the documented order");

	audit_write(&(struct audit_event){.event = "start", .uid = (uid_t)-1});
	line = next_line(captured);
	is_str(line + 35, "\"event\":\"start\"}", "what is unknown is absent");

	audit_write(&(struct audit_event){.event = "admin", .uid = 0, .comm = "", .sub = ""});
	line = next_line(captured);
	is_str(line + 35, "\"event\":\"admin\",\"uid\":0}", "uid 0 is known, an empty string is not");
	audit_close();
	restore_stderr();
	ok(!next_line(captured), "and nothing else is written");
	fclose(captured);
}

static bool printable(const char *line)
{
	for (; *line; line++)
		if ((unsigned char)*line < 0x20 || *line == 0x7f)
			return false;
	return true;
}

static void test_escapes(void)
{
	static const struct {
		const char *bytes, *read, *claim;
	} cases[] = {
		{"a\"b\\c/", "a\"b\\c/", "quotes and backslashes survive"},
		{"x\",\"sub\":\"root", "x\",\"sub\":\"root", "a string can't end itself and add a key"},
		{"\n{\"event\":\"bind\"}", "\n{\"event\":\"bind\"}", "a newline doesn't begin another event"},
		{"\x1b[2J\x7f\t", "\x1b[2J\x7f\t", "control characters survive"},
		{"\xc2\x9b"
		 "31m",
		 "\xc2\x9b"
		 "31m",
		 "C1 controls survive"},
		{"Bénoué \xf0\x9f\xa6\x9f", "Bénoué \xf0\x9f\xa6\x9f", "UTF-8 stays what it is"},
		{"a\xff\xfe"
		 "b",
		 "a\xef\xbf\xbd\xef\xbf\xbd"
		 "b",
		 "bytes that are not UTF-8 become U+FFFD"},
		{"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd", "overlong forms do"},
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "surrogates do"},
		{"\xf4\x90\x80\x80!", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!",
		 "what is beyond U+10FFFF does"},
		{"z\xe2\x82", "z\xef\xbf\xbd\xef\xbf\xbd", "a sequence that the end cuts does"},
	};

	capture_stderr();
	open_log("stderr");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		audit_write(&(struct audit_event){.event = "bind", .uid = 1, .comm = "c", .sub = cases[i].bytes});
		char *line = next_line(captured);
		bool plain = printable(line) && !strstr(line, "\xc2\x9b");
		json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		is_str(str(o, "sub"), cases[i].read, "%s", cases[i].claim);
		if (!plain || json_object_size(o) != 5)
			ok(0, "the line is printable and has no other key: %s", line);
		json_decref(o);
	}

	/* Any bytes in any string, longer than they may be. */
	unsigned seed = 1;
	char noise[400], control[400];
	int bad = 0, shorter = 0;
	for (int i = 0; i < 300; i++) {
		for (size_t j = 0; j < sizeof(noise) - 1; j++)
			noise[j] = (char)(1 + (seed = seed * 1103515245 + 12345) / 65536 % 255);
		noise[sizeof(noise) - 1] = 0;
		audit_write(&(struct audit_event){.event = noise,
						  .op = noise,
						  .reason = noise,
						  .comm = noise,
						  .sub = noise,
						  .sid = noise,
						  .target = noise,
						  .scope = noise,
						  .release = noise,
						  .tid = 1,
						  .pid = 1,
						  .uid = 1});
		char *line = next_line(captured);
		json_t *o = printable(line) ? json_loads(line, JSON_REJECT_DUPLICATES, NULL) : NULL;
		bad += !o || json_object_size(o) != 13;
		json_decref(o);
	}
	is_int(bad, 0, "300 events of random bytes are 300 JSON objects with all their keys");

	memset(control, 1, sizeof(control));
	control[sizeof(control) - 1] = 0;
	audit_write(&(struct audit_event){.event = control,
					  .op = control,
					  .reason = control,
					  .comm = control,
					  .sub = control,
					  .sid = control,
					  .target = control,
					  .scope = control,
					  .release = control,
					  .error = EACCES,
					  .tid = 1,
					  .pid = 1,
					  .uid = 1,
					  .exp = 1});
	json_t *o = next_object(captured);
	shorter = o && strlen(str(o, "sub")) == 255 && strlen(str(o, "comm")) == 16 && strlen(str(o, "sid")) == 128;
	ok(shorter, "the longest strings, each byte escaped, fit; longer ones are cut");
	json_decref(o);
	audit_close();
	restore_stderr();
	fclose(captured);
}

static void test_repeats(void)
{
	struct audit_event ev = refusal();
	json_t *o;

	capture_stderr();
	open_log("stderr");
	ok(!audit_is_repeat(&ev), "the first of its kind is no repeat");
	for (int i = 0; i < 101; i++)
		audit_write(&ev);
	ok(audit_is_repeat(&ev), "the next one would be");
	struct audit_event nameless = ev;
	nameless.comm = NULL;
	nameless.tid = 99;
	ok(audit_is_repeat(&nameless), "whatever its thread and comm");

	struct audit_event others[10];
	for (size_t i = 0; i < 10; i++)
		others[i] = ev;
	others[0].pid = 9;
	others[1].uid = 9;
	others[2].op = "open";
	others[3].error = ENOKEY;
	others[4].sub = "bala";
	others[5].sid = "other";
	others[6].target = "third";
	others[7].reason = "expired";
	others[8].event = "bind-refused";
	others[9].target = NULL;
	for (size_t i = 0; i < 10; i++)
		audit_write(&others[i]);

	struct audit_event bind = {.event = "bind", .pid = 11, .uid = 33};
	audit_write(&bind);
	audit_write(&bind);
	ok(!audit_is_repeat(&bind), "what succeeds is never a repeat");

	o = next_object(captured);
	ok(!json_object_get(o, "repeated"), "the first refusal is written at once");
	json_decref(o);
	int distinct = 0;
	for (int i = 0; i < 10; i++) {
		o = next_object(captured);
		distinct += !json_object_get(o, "repeated") && !strcmp(str(o, "comm"), "gunicorn");
		json_decref(o);
	}
	is_int(distinct, 10, "one that differs in anything but thread and comm is another");
	for (int i = 0; i < 2; i++) {
		o = next_object(captured);
		is_str(str(o, "event"), "bind", "a bind is written each time");
		json_decref(o);
	}

	audit_close();
	o = next_object(captured);
	is_int(num(o, "repeated"), 100, "closing writes how often it was repeated");
	is_str(str(o, "target"), "kebbi", "with all that the first line said");
	json_decref(o);
	restore_stderr();
	ok(!next_line(captured), "and those without repeats are not written again");
	fclose(captured);
}

static void test_window(void)
{
	struct audit_event ev = refusal();
	json_t *o;

	capture_stderr();
	open_log("stderr");
	audit_write(&ev);
	json_decref(next_object(captured));
	audit_write(&ev);
	audit_write(&ev);
	ahead_ms += 9000;
	ok(audit_is_repeat(&ev), "after 9 seconds it is still a repeat");
	audit_write(&ev);
	ahead_ms += 1001;
	ok(!audit_is_repeat(&ev), "after 10 seconds it is new again");
	o = next_object(captured); /* nothing but the writer itself can write it */
	is_int(num(o, "repeated"), 3, "and the repeats are written by themselves");
	json_decref(o);
	audit_write(&ev);
	o = next_object(captured);
	ok(o && !json_object_get(o, "repeated"), "and written at once");
	json_decref(o);
	audit_close();
	restore_stderr();
	ok(!next_line(captured), "and nothing remains");
	fclose(captured);
}

/* Reads all objects up to the end; what they stand for: an event, its repeats, dropped ones. */
struct sum {
	long lines, events, repeated, dropped, dropped_lines;
};

static struct sum read_all(FILE *f)
{
	struct sum s = {0};
	char *line;

	while ((line = next_line(f))) {
		json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		if (!o || !str(o, "event")) {
			ok(0, "a line is JSON: %s", line);
			continue;
		}
		s.lines++;
		if (!strcmp(str(o, "event"), "dropped")) {
			s.dropped += num(o, "count");
			s.dropped_lines++;
		} else if (json_object_get(o, "repeated")) {
			s.repeated += num(o, "repeated");
		} else {
			s.events++;
		}
		json_decref(o);
	}
	return s;
}

static char dir[] = "/tmp/test_audit.XXXXXX";

/* In the test's directory; static storage, four at once. */
static const char *in_dir(const char *name)
{
	static char paths[4][128];
	static int next;
	char *p = paths[next++ % 4];
	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static struct sum read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	check(f != NULL, path);
	struct sum s = read_all(f);
	fclose(f);
	return s;
}

static void test_many_kinds(void)
{
	struct audit_event ev = refusal();
	const char *path = in_dir("kinds");

	open_log(path);
	for (int pass = 0; pass < 3; pass++)
		for (int i = 0; i < 400; i++) {
			ev.pid = 1000 + i;
			audit_write(&ev);
		}
	audit_close();
	struct sum s = read_file(path);
	is_int(s.events + s.repeated, 1200, "more kinds than the table holds: each is written or counted");
	ok(s.events >= 400, "and each kind is written at least once");
	unlink(path);

	ev = refusal();
	open_log(path);
	for (int i = 0; i < 1000; i++) {
		char target[16];
		snprintf(target, sizeof(target), "%d", i);
		ev.target = target;
		audit_write(&ev);
	}
	audit_close();
	s = read_file(path);
	is_int(s.events, 1000, "whoever reaches for a thousand sessions is written a thousand times");
	is_int(s.repeated, 0, "none of them taken for another");
	unlink(path);
}

/* Closing on a machine that has much else to do: between two lines half a second passes. */
static void test_slow(void)
{
	struct audit_event ev = refusal();
	const char *path = in_dir("slow");

	open_log(path);
	for (int pass = 0; pass < 3; pass++)
		for (int i = 0; i < 20; i++) {
			ev.pid = 1000 + i;
			audit_write(&ev);
		}
	step_ms = 500;
	audit_close();
	step_ms = 0;
	struct sum s = read_file(path);
	is_int(s.events + s.repeated, 60, "closing loses nothing that the sink takes, however long all of it takes");
	unlink(path);
}

static void test_blocked(void)
{
	enum { EVENTS = 5000 };
	char sid[16];
	json_t *o;

	capture_stderr();
	open_log("stderr");
	for (int i = 0; i < EVENTS; i++) { /* would hang here */
		snprintf(sid, sizeof(sid), "%d", i);
		audit_write(
			&(struct audit_event){.event = "bind",
					      .uid = 1,
					      .pid = 1,
					      .sid = sid,
					      .reason = "long enough to fill both the pipe and the queue at the end"});
	}

	/* It can be read again. What is missing is said where it is missing. */
	long next = 0, dropped = 0;
	while (next < EVENTS && (o = next_object(captured))) {
		long n = strcmp(str(o, "event"), "dropped") ? 0 : (long)num(o, "count");
		if (!n && strtol(str(o, "sid"), NULL, 10) != next)
			break;
		next += n ? n : 1;
		dropped += n;
		json_decref(o);
	}
	ok(dropped > 0 && dropped < EVENTS - 1000,
	   "a pipe that nobody reads: writing goes on, the queue fills, what doesn't fit is dropped");
	is_int(next, EVENTS, "the count of dropped events is exact, and stands where they are missing");

	audit_write(&(struct audit_event){.event = "stop", .uid = 1});
	o = next_object(captured);
	is_str(str(o, "event"), "stop", "then events are written again");
	json_decref(o);

	for (int i = 0; i < EVENTS; i++)
		audit_write(&(struct audit_event){.event = "bind", .uid = 1, .reason = "to fill it again"});
	step_ms = 500; /* so as not to wait for two seconds */
	audit_close();
	step_ms = 0;
	ok(1, "closing doesn't wait for ever for a pipe that nobody reads");
	restore_stderr();
	fclose(captured);
}

static void test_broken_pipe(void)
{
	capture_stderr();
	fclose(captured);
	open_log("stderr");
	audit_write(&(struct audit_event){.event = "bind", .uid = 1});
	step_ms = 500;
	audit_close();
	step_ms = 0;
	restore_stderr();
	ok(1, "a broken pipe ends neither the process nor the log");
}

static void test_file(void)
{
	const char *path = in_dir("log"), *old = in_dir("log.1");
	struct audit_event ev = {.event = "bind", .uid = 1};
	struct stat st;

	umask(0);
	open_log(path);
	char err[128];
	is_int(audit_open(path, err, sizeof(err)), -EBUSY, "there is one log");
	ok(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600, "a new file is 0600");
	audit_write(&ev);
	audit_close();
	open_log(path);
	audit_write(&ev);
	audit_close();
	is_int(read_file(path).events, 2, "an old one is appended to");

	open_log(path);
	audit_write(&ev);
	check(rename(path, old) == 0, "rename");
	is_int(audit_reopen(), 0, "after logrotate it is opened again");
	ok(stat(path, &st) == 0, "and is there at once");
	audit_write(&ev);

	check(unlink(path) == 0 && mkdir(path, 0700) == 0, "mkdir");
	is_int(audit_reopen(), -EISDIR, "where it can't be opened again, that is said");
	audit_write(&ev); /* goes to the unlinked file */
	check(rmdir(path) == 0, "rmdir");
	is_int(audit_reopen(), 0, "and it can be tried again");
	audit_write(&ev);
	audit_close();
	ok(read_file(path).events >= 1, "the new file has what came last");
	ok(read_file(old).events >= 2, "the old one what came first");
	unlink(path);
	unlink(old);
}

static void is_refused(const char *to, int want, const char *claim)
{
	char err[256] = "";
	is_int(audit_open(to, err, sizeof(err)), want, "%s", claim);
	if (!strstr(err, to) || strchr(err, '\n'))
		ok(0, "one line names it: %s", err);
}

static void test_bad_files(void)
{
	const char *fifo = in_dir("fifo"), *sym = in_dir("link");
	struct stat st;

	check(mkfifo(fifo, 0600) == 0 && symlink("target", sym) == 0, "mkfifo");
	is_refused(fifo, -EINVAL, "a fifo is no log");
	is_refused(sym, -EINVAL, "nor a symbolic link");
	ok(stat(in_dir("target"), &st) < 0, "which is not followed");
	is_refused("/dev/null", -EINVAL, "nor a device");
	is_refused(dir, -EISDIR, "nor a directory");
	is_refused("/nonexistent/log", -ENOENT, "a missing directory is not made");
	is_refused("log", -EINVAL, "a relative path is refused");
	is_refused("", -EINVAL, "an empty one too");
	audit_write(&(struct audit_event){.event = "bind"});
	audit_close();
	ok(1, "without a log, writing and closing do nothing");
	unlink(fifo);
	unlink(sym);
}

static int lowest_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	check(fd >= 0, "/dev/null");
	close(fd);
	return fd;
}

/* EFBIG in the place of ENOSPC: what both have in common is a short write, then an errno. */
static void test_full(void)
{
	const char *path = in_dir("full");
	struct rlimit was, small = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
	char want[256];

	check(getrlimit(RLIMIT_FSIZE, &was) == 0, "getrlimit");
	small.rlim_max = was.rlim_max;
	capture_stderr();
	open_log(path);
	check(setrlimit(RLIMIT_FSIZE, &small) == 0, "setrlimit");
	for (int i = 0; i < 50; i++)
		audit_write(&(struct audit_event){.event = "bind", .uid = 1, .reason = "more than fits"});
	snprintf(want, sizeof(want),
		 "sessionfs: audit: %s: File too large; keeping 256 KiB of events until it can be "
		 "written again",
		 path);
	is_str(next_line(captured), want, "a full disk is logged");
	check(setrlimit(RLIMIT_FSIZE, &was) == 0, "setrlimit");
	snprintf(want, sizeof(want), "sessionfs: audit: %s: written again", path);
	is_str(next_line(captured), want, "once, and so is its end");
	audit_close();
	struct sum s = read_file(path);
	is_int(s.events, 50, "no event is lost, none is torn");
	is_int(s.lines, 50, "none is doubled");

	const char *old = in_dir("full.1");
	open_log(path);
	check(truncate(path, 0) == 0 && setrlimit(RLIMIT_FSIZE, &small) == 0, "setrlimit");
	for (int i = 0; i < 50; i++)
		audit_write(&(struct audit_event){.event = "bind", .uid = 1, .reason = "more than fits"});
	next_line(captured); /* full */
	check(rename(path, old) == 0 && audit_reopen() == 0, "rename");
	next_line(captured); /* written again */
	next_line(captured); /* full, after some lines */
	check(setrlimit(RLIMIT_FSIZE, &was) == 0, "setrlimit");
	next_line(captured); /* written again */
	audit_close();
	s = read_file(path);
	ok(s.lines > 5 && s.lines == s.events,
	   "opened again in the middle of a line: the new file has all of that line");
	unlink(old);

	open_log(path);
	check(truncate(path, 0) == 0 && setrlimit(RLIMIT_FSIZE, &small) == 0, "setrlimit");
	for (int i = 0; i < 50; i++)
		audit_write(&(struct audit_event){.event = "bind", .uid = 1, .reason = "more than fits"});
	struct audit_event ev = refusal();
	for (int i = 0; i < 5; i++)
		audit_write(&ev);
	next_line(captured);
	step_ms = 500;
	audit_close();
	step_ms = 0;
	check(setrlimit(RLIMIT_FSIZE, &was) == 0, "setrlimit");
	struct stat st;
	check(stat(path, &st) == 0, "stat");
	char *text = calloc(1, (size_t)st.st_size + 1);
	FILE *f = fopen(path, "re");
	check(f && fread(text, 1, (size_t)st.st_size, f) == (size_t)st.st_size, "fread");
	long whole = 0;
	for (char *p = text; (p = strchr(p, '\n')); p++)
		whole++;
	snprintf(want, sizeof(want), "sessionfs: audit: %ld events lost: nobody took them", 55 - whole);
	is_str(next_line(captured), want, "a disk that stays full: closing says exactly how many are lost");
	free(text);
	fclose(f);
	restore_stderr();
	fclose(captured);
	unlink(path);
}

enum { THREADS = 4, EACH = 2000 };

static void *work(void *arg)
{
	struct audit_event ev = refusal();
	ev.pid = (pid_t)(intptr_t)arg;
	for (int i = 0; i < EACH; i++) {
		if (i % 2)
			audit_is_repeat(&ev);
		ev.event = i % 4 ? "refused" : "bind";
		ev.error = i % 4 ? EACCES + i % 3 : 0;
		audit_write(&ev);
	}
	return NULL;
}

static void test_threads(void)
{
	const char *path = in_dir("threads");
	pthread_t threads[THREADS];
	int fd = lowest_fd();

	open_log(path);
	for (intptr_t i = 0; i < THREADS; i++)
		check(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0, "pthread_create");
	for (int i = 0; i < 20; i++) {
		ahead_ms += 3000;
		check(audit_reopen() == 0, "reopen");
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	audit_close();
	is_int(lowest_fd(), fd, "no descriptor is left behind");
	struct sum s = read_file(path);
	is_int(s.events + s.repeated + s.dropped, THREADS * EACH,
	       "threads, reopening and time at once: each event is written, counted as a repeat, or as dropped");
	unlink(path);
}

#define JOURNAL "/run/systemd/journal/socket"

static int listen_journal(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = JOURNAL};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0, JOURNAL);
	return fd;
}

static const char *receive(int fd)
{
	static char buf[65536];
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, 0);
	check(n >= 0, "recv");
	buf[n] = 0;
	return buf;
}

/* In a mount namespace of its own, the test is journald. */
static void test_journal(void)
{
	char err[256];

	check((unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
		      mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		      mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0 && mkdir("/run/systemd", 0755) == 0 &&
		      mkdir("/run/systemd/journal", 0755) == 0,
	      "a private /run (run this as root)");
	is_int(audit_open("journal", err, sizeof(err)), -ENOENT, "without a journal there is no log");
	is_str(err, "audit: " JOURNAL ": No such file or directory", "and the message names the socket");

	capture_stderr();
	int fd = listen_journal();
	open_log("journal");
	audit_write(&(struct audit_event){.event = "bind",
					  .uid = 1,
					  .sub = "am\ni\xff"
						 "na"});
	const char *got = receive(fd);
	static const char head[] = "SYSLOG_IDENTIFIER=sessionfs\nPRIORITY=5\nMESSAGE={\"time\":\"";
	ok(!strncmp(got, head, sizeof(head) - 1), "an event is a datagram of the journal's native protocol");
	const char *message = strstr(got, "MESSAGE=") + 8;
	ok(strchr(message, '\n') == message + strlen(message) - 1, "whose fields are one line each");
	json_t *o = json_loads(message, JSON_REJECT_DUPLICATES, NULL);
	is_str(str(o, "sub"), "am\ni\xef\xbf\xbdna", "MESSAGE is the JSON");
	json_decref(o);

	close(fd);
	audit_write(&(struct audit_event){.event = "bind", .uid = 1, .sid = "one"});
	is_str(next_line(captured),
	       "sessionfs: audit: " JOURNAL ": Connection refused; keeping 256 KiB of events until "
	       "it can be written again",
	       "a journal that died is logged");
	unlink(JOURNAL);
	audit_write(&(struct audit_event){.event = "bind", .uid = 1, .sid = "two"});
	fd = listen_journal();
	ok(strstr(receive(fd), "\"one\"") != NULL, "one that was started again gets what came meanwhile");
	ok(strstr(receive(fd), "\"two\"") != NULL, "all of it");
	audit_close();
	close(fd);
	restore_stderr();
	fclose(captured);
}

int main(void)
{
	alarm(120); /* a test that hangs has failed */
	signal(SIGXFSZ, SIG_IGN);
	check(mkdtemp(dir) != NULL, dir);
	real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	is_str(errno_name(EACCES), "EACCES", "an errno has its name");
	is_str(errno_name(EKEYREJECTED), "EKEYREJECTED", "the key errors too");
	is_str(errno_name(4711), "E4711", "an unknown one its number");
	is_str(errno_name(0), "E0", "0 is none");

	test_keys();
	test_escapes();
	test_repeats();
	test_window();
	test_many_kinds();
	test_slow();
	test_blocked();
	test_broken_pipe();
	test_file();
	test_bad_files();
	test_full();
	test_threads();
	test_journal();
	rmdir(dir);
	return tap_done();
}
