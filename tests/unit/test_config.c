/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <sys/mman.h>

#include "tap.h"
#include "util.h"

/* What a run of config_read() or config_override() left behind. */
struct result {
	int r;
	struct config config;
	char report[4096];
};

static FILE *open_report(struct result *res)
{
	memset(res->report, 0, sizeof(res->report));
	return fmemopen(res->report, sizeof(res->report) - 1, "w");
}

/* Reads len bytes as a configuration file over the defaults. The path that reports begin with is cut away. */
static void read_bytes(struct result *res, const void *text, size_t len)
{
	char path[64];
	int fd = memfd_create("config", MFD_CLOEXEC);
	FILE *report = open_report(res);

	if (fd < 0 || !report || write(fd, text, len) != (ssize_t)len || config_init(&res->config))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	res->r = config_read(&res->config, path, report);
	fclose(report);
	close(fd);
	char *to = res->report, *from = res->report, *at;
	while ((at = strstr(from, path))) {
		memmove(to, from, (size_t)(at - from));
		to += at - from;
		from = at + strlen(path);
	}
	memmove(to, from, strlen(from) + 1);
}

static void read_text(struct result *res, const char *text)
{
	read_bytes(res, text, strlen(text));
}

static void override(struct result *res, const char *options)
{
	FILE *report = open_report(res);

	if (!report || config_init(&res->config))
		abort();
	res->r = config_override(&res->config, options, report);
	fclose(report);
}

static bool same(const struct config *a, const struct config *b)
{
	return a->allow_other == b->allow_other && a->exec == b->exec && strcmp(a->keys, b->keys) == 0 &&
	       strcmp(a->audience, b->audience) == 0 && a->leeway == b->leeway && a->max_lifetime == b->max_lifetime &&
	       a->io == b->io && a->names == b->names && a->cache == b->cache && a->symlinks == b->symlinks &&
	       memcmp(&a->limits, &b->limits, sizeof(a->limits)) == 0 && a->reserve == b->reserve &&
	       a->special == b->special && strcmp(a->audit, b->audit) == 0 && a->threads == b->threads &&
	       a->nice == b->nice && a->idle == b->idle && a->lifetime == b->lifetime && a->revalidate == b->revalidate;
}

static bool is_default(const struct config *c)
{
	struct config normal;

	if (config_init(&normal))
		abort();
	bool equal = same(c, &normal);
	config_free(&normal);
	return equal;
}

/* The text is refused with exactly this report, and the configuration stays as it was. */
static void refused(const char *text, const char *report, const char *claim)
{
	struct result res;

	read_text(&res, text);
	is_str(res.report, report, "%s: the report", claim);
	ok(res.r == -EINVAL && is_default(&res.config), "%s: is refused whole", claim);
	config_free(&res.config);
}

static void override_refused(const char *options, const char *report, const char *claim)
{
	struct result res;

	override(&res, options);
	is_str(res.report, report, "-o: %s: the report", claim);
	ok(res.r == -EINVAL && is_default(&res.config), "-o: %s: is refused whole", claim);
	config_free(&res.config);
}

static void test_defaults(void)
{
	struct config c;

	is_int(config_init(&c), 0, "the defaults are within their own ranges");
	ok(c.allow_other && !c.exec && !c.symlinks && !c.special,
	   "defaults: for all users, no exec, no symlinks, nothing special");
	is_str(c.keys, "/etc/sessionfs/keys.d", "defaults: tokens.keys");
	is_str(c.audience, "sessionfs", "defaults: tokens.audience");
	ok(c.leeway == 30 && c.max_lifetime == 30 * 86400, "defaults: times");
	ok(c.idle == 0 && c.lifetime == 0 && c.revalidate == 2, "defaults: nothing is removed by age; 2 s");
	ok(c.io == IO_GUARDED && c.names == NAMES_STEADY && c.cache == CACHE_PRIVATE && c.threads == 0 && c.nice == -10,
	   "defaults: files.io, files.names, files.cache, daemon.threads, daemon.nice");
	is_str(c.audit, "stderr", "defaults: audit.to");
	config_free(&c);
	ok(!c.keys && !c.audience && !c.audit, "a freed configuration owns nothing");
	config_free(&c);
}

static void test_accepted(void)
{
	struct result res;

	read_text(&res, "");
	ok(res.r == 0 && is_default(&res.config) && !res.report[0], "an empty file is the defaults");
	config_free(&res.config);

	read_text(&res,
		  "# a comment\n; another\n\n  \t\n"
		  "[mount]\nallow_other = no\nexec=yes\n"
		  "[tokens]\nkeys\t=\t/srv/a b;c#d=e:f\naudience = caf\xc3\xa9  \nleeway = 0s\nmax_lifetime = 8h\n"
		  "[files]\nio = strict\nnames = hidden\ncache = shared\nsymlinks = allow\nspecial = allow\n"
		  "[audit]\nto = /var/log/a.json\n[daemon]\nthreads = 64\nnice = -20\nrevalidate = 1m\n[mount]\n"
		  "[retention]\nidle = 30d\nlifetime = none\n");
	is_str(res.report, "", "every key at once: no fault");
	is_int(res.r, 0, "every key at once: accepted");
	struct config *c = &res.config;
	ok(!c->allow_other && c->exec && c->symlinks && c->special, "yes, no, allow and deny are read");
	is_str(c->keys, "/srv/a b;c#d=e:f", "a value keeps its spaces, ; # = and :");
	is_str(c->audience, "caf\xc3\xa9", "white space around a value is not part of it");
	ok(c->leeway == 0 && c->max_lifetime == 28800, "times in s, h and m");
	ok(c->io == IO_STRICT && c->names == NAMES_HIDDEN && c->cache == CACHE_SHARED && c->threads == 64 &&
		   c->nice == -20,
	   "choices and counts are read");
	ok(c->idle == 30 * 86400 && c->lifetime == 0 && c->revalidate == 60, "ages are read, and none is no age");
	is_str(c->audit, "/var/log/a.json", "an audit file is read");
	config_free(c);

	read_text(&res, "[tokens]\nmax_lifetime = 3650d");
	ok(res.r == 0 && res.config.max_lifetime == 3650LL * 86400,
	   "the last line needs no newline; days; the upper bound is inside");
	config_free(&res.config);

	char line[256];
	snprintf(line, sizeof(line), "[tokens]\nkeys = /%0182d\n", 0); /* 190 bytes */
	read_text(&res, line);
	ok(res.r == 0 && strlen(res.config.keys) == 183, "a line of 190 bytes is read whole");
	config_free(&res.config);
}

static void test_values(void)
{
	/* The last two are 0s and 1s to whoever counts in 64 bits and does not look. */
	static const char *const bad_times[] = {"30",
						"30 s",
						"-1s",
						"+1s",
						"0x10s",
						"1.5m",
						"30S",
						"30sec",
						"s",
						"1w",
						"5m30s",
						"601s",
						"11m",
						"9223372036854775808s",
						"144115188075855872d",
						"18446744073709551617s"};
	static const char *const bad_ages[] = {"59s", "0s", "3651d", "None", "never", "none ever", "", "30"};
	static const char *const bad_flags[] = {"Yes", "true", "1", "on", "yes no", "y", "\"yes\""};
	static const char *const bad_counts[] = {"65", "-1", "4s", "1e1", "18446744073709551616", "four"};
	struct result res;
	char text[256], options[300];

	for (size_t i = 0; i < ARRAY_LEN(bad_times); i++) {
		snprintf(text, sizeof(text), "[tokens]\nleeway = %s", bad_times[i]);
		refused(text, ":2: tokens.leeway: must be a time of 0s to 10m: a whole number and one of s, m, h, d\n",
			text + 9);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad_ages); i++) {
		snprintf(text, sizeof(text), "[retention]\nidle = %s", bad_ages[i]);
		refused(text,
			":2: retention.idle: must be none, or a time of 1m to 3650d: a whole number and one of s, m, h, d\n",
			text + 12);
	}
	refused("[daemon]\nrevalidate = none\n",
		":2: daemon.revalidate: must be a time of 1s to 60s: a whole number and one of s, m, h, d\n",
		"none, where a time is needed");
	for (size_t i = 0; i < ARRAY_LEN(bad_flags); i++) {
		snprintf(text, sizeof(text), "[mount]\nexec = %s", bad_flags[i]);
		refused(text, ":2: mount.exec: must be no or yes\n", text + 8);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad_counts); i++) {
		snprintf(text, sizeof(text), "[daemon]\nthreads = %s", bad_counts[i]);
		refused(text, ":2: daemon.threads: must be a whole number of 0 to 64\n", text + 9);
	}
	static const char *const bad_nices[] = {"-21", "1", "10", "-0", "--1", "-", "", "+1", "-1x"};
	for (size_t i = 0; i < ARRAY_LEN(bad_nices); i++) {
		snprintf(text, sizeof(text), "[daemon]\nnice = %s", bad_nices[i]);
		refused(text, ":2: daemon.nice: must be a whole number of -20 to 0\n", text + 9);
	}
	refused("[tokens]\nmax_lifetime = 59s\n",
		":2: tokens.max_lifetime: must be a time of 1m to 3650d: a whole number and one of s, m, h, d\n",
		"under the lower bound");
	refused("[files]\nio = fast\n", ":2: files.io: must be guarded or strict\n", "an unknown choice");
	refused("[files]\nnames =\n", ":2: files.names: must be steady or hidden\n", "an empty value");
	refused("[tokens]\nkeys = keys.d\n", ":2: tokens.keys: must be an absolute path\n", "a relative path");
	refused("[tokens]\naudience =\n",
		":2: tokens.audience: must be 1 to 255 bytes of UTF-8 without control characters\n",
		"an empty audience");
	refused("[tokens]\naudience = \xff\n",
		":2: tokens.audience: must be 1 to 255 bytes of UTF-8 without control characters\n",
		"an audience that is not UTF-8");
	refused("[audit]\nto = syslog\n", ":2: audit.to: must be stderr, journal or an absolute path\n",
		"an unknown place for the audit");

	for (int len = 255; len <= 256; len++) {
		snprintf(options, sizeof(options), "tokens.audience=%0*d", len, 0);
		override(&res, options);
		is_int(res.r, len == 255 ? 0 : -EINVAL, "an audience of %d bytes", len);
		config_free(&res.config);
	}
}

static void test_lines(void)
{
	char text[512], report[512];
	struct result res;

	refused("[nosuch]\nx = 1\ny = 2\n[mount]\nexec = yes\n", ":1: [nosuch]: unknown section\n",
		"an unknown section is reported once, its keys not at all");
	refused("[mount]\nio = strict\n", ":2: mount.io: unknown key\n", "a key of another section");
	refused("[limit]\nsession_bytes = 1G\n", ":1: [limit]: unknown section\n", "a section by half its name");
	refused("[Mount]\n", ":1: [Mount]: unknown section\n", "another case");
	refused("[ mount ]\n", ":1: [ mount ]: unknown section\n", "blanks within the brackets");
	refused("[]\n", ":1: []: unknown section\n", "an empty section name");
	refused("[mount\nexec = yes\n[files\nio = x\n",
		":1: a section must be [name] and nothing else\n:3: a section must be [name] and nothing else\n",
		"a bracket is missing");
	refused("[mount] # the mount\n", ":1: a section must be [name] and nothing else\n",
		"a comment behind a section");
	refused("[mount]\n[files\nexec = yes\n", ":2: a section must be [name] and nothing else\n",
		"keys behind a broken header don't count for the section before");
	refused("exec = yes\n", ":1: exec: stands before the first [section]\n", "a key without a section");
	refused("[mount]\nexec\n", ":2: must be key = value\n", "no =");
	refused("[mount]\nexec: yes\n", ":2: must be key = value\n", "a colon for =");
	refused("[mount]\nexec:x = yes\n", ":2: must be key = value\n", "a colon before =");
	refused("[mount]\n= yes\n", ":2: must be key = value\n", "no key");
	refused("[mount]\nexec = yes ; really\n", ":2: exec: a comment must be a line of its own\n",
		"a ; comment behind a value");
	refused("[mount]\nexec = yes # really\n", ":2: exec: a comment must be a line of its own\n",
		"a # comment behind a value");
	refused("[audit]\nto =;/a\n", ":2: to: a comment must be a line of its own\n", "a comment for a value");
	refused("[tokens]\nkeys = /a\n  /b\n",
		":3: begins with white space: a value can't be continued on another line\n", "a continued value");
	refused("[tokens]\n\tkeys = /a\n", ":2: begins with white space: a value can't be continued on another line\n",
		"an indented key");
	refused("[mount]\r\nexec = yes\r\n",
		":1: byte 0x0d: control characters are not allowed\n:2: byte 0x0d: control characters are not allowed\n",
		"carriage returns");
	refused("\xef\xbb\xbf[mount]\nexec = yes\n",
		":1: must be key = value\n:2: exec: stands before the first [section]\n", "a byte order mark");
	refused("[mount]\nexec = yes\n\n[mount]\nexec = yes\n", ":5: mount.exec: is set on line 2 already\n",
		"a repeated key");
	refused("[mount]\nexec = maybe\nexec = yes\n[files]\nio = x\nzzz = 1\n",
		":2: mount.exec: must be no or yes\n:3: mount.exec: is set on line 2 already\n"
		":5: files.io: must be guarded or strict\n:6: files.zzz: unknown key\n",
		"every fault of a file is listed");

	/* libinih 55 would take what follows the 199th byte for a line of its own. */
	int n = snprintf(text, sizeof(text), "[mount]\n#%0198d", 0);
	snprintf(text + n, sizeof(text) - (size_t)n, "exec = yes\n[files]\nio = x\n");
	refused(text, ":2: longer than 190 bytes\n:4: files.io: must be guarded or strict\n",
		"the tail of a long comment is no line, and lines are still counted rightly");
	snprintf(text, sizeof(text), "[tokens]\nkeys = /%0183d\n", 0);
	refused(text, ":2: longer than 190 bytes\n", "a line of 191 bytes");
	snprintf(text, sizeof(text), "[%0300d]\n[mount]\nexec = yes\n", 0);
	refused(text, ":1: longer than 190 bytes\n", "a long section");
	/* libinih 55 would cut this to 49 characters: here, to nothing that exists, but a cut name must not be compared. */
	snprintf(text, sizeof(text), "[mount%0100d]\nexec = yes\n", 0);
	snprintf(report, sizeof(report), ":1: [mount%0100d]: unknown section\n", 0);
	refused(text, report, "a section name over 49 characters");

	static const char nul[] = "[mount]\nexec = yes\0 or no\n[files]\nio = x\n";
	read_bytes(&res, nul, sizeof(nul) - 1);
	is_str(res.report, ":2: byte 0x00: this is not a text file\n:4: files.io: must be guarded or strict\n",
	       "a NUL is reported with its line, and the lines after it too");
	ok(res.r == -EINVAL && is_default(&res.config), "a NUL: is refused whole");
	config_free(&res.config);
}

/* The configuration is built in memory so that its size is exact: blank lines, and at last a key. */
static void test_size(void)
{
	static const char key[] = "[mount]\nexec = yes\n";
	static char text[65537];
	struct result res;

	for (size_t size = 65536; size <= 65537; size++) {
		memset(text, '\n', size);
		memcpy(text + size - strlen(key), key, strlen(key));
		read_bytes(&res, text, size);
		ok(size == 65536 ? res.r == 0 && res.config.exec : res.r == -EINVAL && is_default(&res.config),
		   "a file of %zu bytes is %s", size, size == 65536 ? "read" : "refused");
		config_free(&res.config);
	}
}

static void test_files(void)
{
	struct result res;
	FILE *report = open_report(&res);

	if (!report || config_init(&res.config))
		abort();
	res.config.leeway = 7;
	is_int(config_read(&res.config, "/nonexistent/a.conf", report), -ENOENT, "a file that is missing is -ENOENT");
	is_int(config_read(&res.config, "/", report), -EISDIR, "a directory is -EISDIR");
	is_int(config_read(&res.config, "/dev/zero", report), -EINVAL, "an endless file is refused");
	is_int(config_read(&res.config, "/dev/null", report), 0, "/dev/null is a configuration");
	fclose(report);
	is_str(res.report,
	       "/nonexistent/a.conf: No such file or directory\n/: Is a directory\n"
	       "/dev/zero:1: the file is larger than 65536 bytes\n",
	       "they are named with the reason");
	is_int(res.config.leeway, 7, "what was set before stays where a file doesn't set it");
	config_free(&res.config);
}

static void test_limits(void)
{
	static const char *const sizes[] = {"-1",
					    "1.5G",
					    "1GB",
					    "1g",
					    "1 G",
					    "0x10",
					    "K",
					    "1KK",
					    "",
					    "no",
					    "1048577T",
					    "None",
					    "9223372036854775808"};
	static const char *const numbers[] = {"-1", "1K", "1.0", "", "unlimited", "1000000000001"};
	struct result res;
	char text[128], report[256];

	read_text(&res, "");
	ok(!limits_any(&res.config.limits) && res.config.reserve == LIMIT_NONE, "defaults: no limits");
	config_free(&res.config);
	read_text(&res, "[limits]\nsession_bytes = 0\nsession_files = 7\nfile_bytes = 3K\nuser_bytes = 1048576T\n"
			"user_files = 1000000000000\nuser_sessions = none\nreserve = 2G\n");
	const struct limits *l = &res.config.limits;
	ok(res.r == 0 && l->session_bytes == 0 && l->session_files == 7 && l->file_bytes == 3072 &&
		   l->user_bytes == LIMIT_MAX && l->user_files == 1000000000000 && l->user_sessions == LIMIT_NONE &&
		   res.config.reserve == INT64_C(2) << 30,
	   "limits: sizes in K, M, G and T, numbers, none, and both ends of the range");
	config_free(&res.config);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		snprintf(text, sizeof(text), "[limits]\nuser_bytes = %s\n", sizes[i]);
		snprintf(
			report, sizeof(report),
			":2: limits.user_bytes: must be none, or a size of 0 to 1048576T: a whole number, and K, M, G or T "
			"for more than bytes\n");
		refused(text, report, text + strlen("[limits]\n"));
	}
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		snprintf(text, sizeof(text), "[limits]\nsession_files = %s\n", numbers[i]);
		refused(text, ":2: limits.session_files: must be none, or a whole number of 0 to 1000000000000\n",
			text + strlen("[limits]\n"));
	}
}

static void test_override(void)
{
	struct result res;

	override(&res, "tokens.leeway=1m,files.io=strict,tokens.keys=/a\\,b\\\\c\\d,mount.allow_other=no");
	is_str(res.report, "", "-o: several keys: no fault");
	ok(res.r == 0 && res.config.leeway == 60 && res.config.io == IO_STRICT && !res.config.allow_other,
	   "-o: several keys are set");
	is_str(res.config.keys, "/a,b\\c\\d",
	       "-o: a backslash takes the meaning from a comma and from itself, and from nothing else");
	config_free(&res.config);

	override(&res, "rw,nosuid,nodev,suid,dev,relatime,noatime,nodiratime,defaults,_netdev,nofail,auto,noauto,user,"
		       "x-systemd.automount,x-systemd.requires=a.mount,,");
	ok(res.r == 0 && is_default(&res.config) && !res.report[0],
	   "-o: mount options that change nothing are accepted");
	config_free(&res.config);

	override(&res, "exec,mount.allow_other=no,allow_other");
	ok(res.r == 0 && res.config.exec && res.config.allow_other, "-o: exec and allow_other stand for their keys");
	config_free(&res.config);

	override(&res, "exec,files.io=strict,noexec,files.io=guarded");
	ok(res.r == 0 && is_default(&res.config), "-o: the last of two wins, as with mount(8)");
	config_free(&res.config);

	override_refused("ro", "-o ro: a session can't be mounted read-only\n", "read-only");
	override_refused("ro,files.io=none",
			 "-o ro: a session can't be mounted read-only\n"
			 "-o files.io: must be guarded or strict\n",
			 "every fault, not the first alone");
	override_refused("nonsense", "-o nonsense: unknown option (a key is written section.key=value)\n",
			 "an unknown option");
	override_refused("rw=1", "-o rw: unknown option (a key is written section.key=value)\n",
			 "a value that a mount option has not");
	override_refused("files.io", "-o files.io: has no value (a key is written section.key=value)\n", "no value");
	override_refused("files.io=", "-o files.io: must be guarded or strict\n", "an empty value");
	override_refused("files.io= strict", "-o files.io: must be guarded or strict\n", "a space before a value");
	override_refused("files.nosuch=1", "-o files.nosuch: unknown key\n", "an unknown key");
	override_refused("limit.session_bytes=1G", "-o limit.session_bytes: unknown section\n", "an unknown section");
	override_refused("a-section-name-of-many-letters-and-more.x=1",
			 "-o a-section-name-of-many-letters-and-more.x: unknown section\n", "a long section");
	override_refused(".=", "-o .: unknown section\n", "neither section nor key");
	override_refused("tokens.keys=/a\nb", "-o tokens.keys: byte 0x0a: control characters are not allowed\n",
			 "a newline");
	override_refused("mount.exec=yes,files.io=fast,tokens.leeway=9",
			 "-o files.io: must be guarded or strict\n"
			 "-o tokens.leeway: must be a time of 0s to 10m: a whole number and one of s, m, h, d\n",
			 "good keys among bad ones");
}

int main(void)
{
	test_defaults();
	test_accepted();
	test_values();
	test_lines();
	test_size();
	test_files();
	test_limits();
	test_override();
	return tap_done();
}
