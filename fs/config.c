/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <ini.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>

#include "heartbeat.h"
#include "proto/claims.h"
#include "util.h"

/*
 * inih splits lines, but every line is judged before it sees one: libinih 55 parses the tail of a line over 200
 * characters as a line of its own, cuts section names at 49, ignores what follows a NUL or a ']', takes an indented
 * line as more of the value before, ':' for '=', and the tail of a value after " ;" for a comment.
 */
#define LINE_MAX_BYTES 190
#define FILE_MAX_BYTES 65536 /* so that /dev/zero is an error and not the end of memory */
#define REASON_MAX 200

struct key {
	const char *section, *name;
	/* Sets the field from text: 0, -EINVAL with a reason, or -ENOMEM. */
	int (*set)(const struct key *k, const char *text, void *field, char reason[static REASON_MAX]);
	size_t field;
	const char *normal; /* the default, as it would be written */
	const char *range
		[3]; /* the choices of a word (0, 1 and, where there is one, 2), or the least and greatest number */
};

static int set_flag(const struct key *k, const char *text, void *field, char reason[static REASON_MAX]);
static int set_choice(const struct key *k, const char *text, void *field, char reason[static REASON_MAX]);
static int set_time(const struct key *k, const char *text, void *field, char reason[static REASON_MAX]);
static int set_age(const struct key *k, const char *text, void *field, char reason[static REASON_MAX]);
static int set_count(const struct key *k, const char *text, void *field, char reason[static REASON_MAX]);
static int set_nice(const struct key *k, const char *text, void *field, char reason[static REASON_MAX]);
static int set_size(const struct key *k, const char *text, void *field, char reason[static REASON_MAX]);
static int set_limit(const struct key *k, const char *text, void *field, char reason[static REASON_MAX]);
static int set_path(const struct key *k, const char *text, void *field, char reason[static REASON_MAX]);
static int set_audience(const struct key *k, const char *text, void *field, char reason[static REASON_MAX]);
static int set_audit(const struct key *k, const char *text, void *field, char reason[static REASON_MAX]);
static int set_name(const struct key *k, const char *text, void *field, char reason[static REASON_MAX]);

#define FIELD(name) offsetof(struct config, name)

/* Every key there is. sessionfs.conf(5) describes them in this order. */
static const struct key keys[] = {
	{"mount", "allow_other", set_flag, FIELD(allow_other), "yes", {"no", "yes"}},
	{"mount", "exec", set_flag, FIELD(exec), "no", {"no", "yes"}},
	{"tokens", "keys", set_path, FIELD(keys), "/etc/sessionfs/keys.d", {0}},
	{"tokens", "audience", set_audience, FIELD(audience), "sessionfs", {0}},
	{"tokens", "leeway", set_time, FIELD(leeway), "30s", {"0s", "10m"}},
	{"tokens", "max_lifetime", set_time, FIELD(max_lifetime), "30d", {"1m", "3650d"}},
	{"files", "io", set_choice, FIELD(io), "guarded", {"guarded", "strict"}},
	{"files", "names", set_choice, FIELD(names), "steady", {"steady", "hidden"}},
	{"files", "cache", set_choice, FIELD(cache), "private", {"private", "shared"}},
	{"files", "symlinks", set_flag, FIELD(symlinks), "deny", {"deny", "allow"}},
	{"files", "special", set_flag, FIELD(special), "deny", {"deny", "allow"}},
	{"limits", "session_bytes", set_size, FIELD(limits.session_bytes), "none", {"0", "1048576T"}},
	{"limits", "session_files", set_limit, FIELD(limits.session_files), "none", {"0", "1000000000000"}},
	{"limits", "file_bytes", set_size, FIELD(limits.file_bytes), "none", {"0", "1048576T"}},
	{"limits", "user_bytes", set_size, FIELD(limits.user_bytes), "none", {"0", "1048576T"}},
	{"limits", "user_files", set_limit, FIELD(limits.user_files), "none", {"0", "1000000000000"}},
	{"limits", "user_sessions", set_limit, FIELD(limits.user_sessions), "none", {"0", "1000000"}},
	{"limits", "reserve", set_size, FIELD(reserve), "none", {"0", "1048576T"}},
	{"release", "policy", set_choice, FIELD(release), "off", {"off", "observe", "require"}},
	{"retention", "idle", set_age, FIELD(idle), "none", {"1m", "3650d"}},
	{"retention", "lifetime", set_age, FIELD(lifetime), "none", {"1m", "3650d"}},
	{"audit", "to", set_audit, FIELD(audit), "stderr", {0}},
	{"daemon", "threads", set_count, FIELD(threads), "0", {"0", "64"}},
	{"daemon", "nice", set_nice, FIELD(nice), "-10", {"0", "20"}},
	{"daemon", "name", set_name, FIELD(name), "auto", {0}},
	{"daemon", "revalidate", set_time, FIELD(revalidate), "2s", {"1s", "60s"}},
};

static bool owns_text(const struct key *k)
{
	return k->set == set_path || k->set == set_audience || k->set == set_audit || k->set == set_name;
}

static void *field_of(struct config *c, const struct key *k)
{
	return (char *)c + k->field;
}

static const struct key *find_key(const char *section, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static bool is_section(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strlen(keys[i].section) == len && memcmp(keys[i].section, name, len) == 0)
			return true;
	return false;
}

/* --- values --- */

__attribute__((format(printf, 2, 3))) static int refuse(char reason[static REASON_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, REASON_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Which of the words of its range text is, or -EINVAL. */
static int which_word(const struct key *k, const char *text, char reason[static REASON_MAX])
{
	for (int i = 0; i < (int)ARRAY_LEN(k->range) && k->range[i]; i++)
		if (strcmp(text, k->range[i]) == 0)
			return i;
	if (k->range[2])
		return refuse(reason, "must be %s, %s or %s", k->range[0], k->range[1], k->range[2]);
	return refuse(reason, "must be %s or %s", k->range[0], k->range[1]);
}

static int set_flag(const struct key *k, const char *text, void *field, char reason[static REASON_MAX])
{
	int i = which_word(k, text, reason);

	if (i < 0)
		return i;
	*(bool *)field = i;
	return 0;
}

static int set_choice(const struct key *k, const char *text, void *field, char reason[static REASON_MAX])
{
	_Static_assert(sizeof(enum config_io) == sizeof(int) && sizeof(enum config_names) == sizeof(int) &&
			       sizeof(enum config_cache) == sizeof(int) && sizeof(enum config_release) == sizeof(int),
		       "an enum of the configuration is as large as an int");
	int i = which_word(k, text, reason);

	if (i < 0)
		return i;
	memcpy(field, &i, sizeof(i));
	return 0;
}

struct unit {
	char suffix;
	int64_t factor;
};

static const struct unit seconds[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {0}};
static const struct unit ones[] = {{'\0', 1}, {0}};
static const struct unit bytes[] = {{'\0', 1},      {'K', 1 << 10},          {'M', 1 << 20},
				    {'G', 1 << 30}, {'T', INT64_C(1) << 40}, {0}};

/* Digits, and one of the units' suffixes. 0 or -EINVAL. */
static int parse_amount(const char *text, const struct unit *units, int64_t *ret)
{
	const char *p = text;
	int64_t n = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
			return -EINVAL;
	if (p == text || (*p && p[1]))
		return -EINVAL;
	for (; units->factor; units++) {
		if (units->suffix != *p)
			continue;
		if (__builtin_mul_overflow(n, units->factor, &n))
			return -EINVAL;
		*ret = n;
		return 0;
	}
	return -EINVAL;
}

static int set_amount(const struct key *k, const char *text, const struct unit *units, int64_t *ret)
{
	int64_t n, least, most;

	if (parse_amount(text, units, &n) || parse_amount(k->range[0], units, &least) ||
	    parse_amount(k->range[1], units, &most) || n < least || n > most)
		return -EINVAL;
	*ret = n;
	return 0;
}

static int set_time(const struct key *k, const char *text, void *field, char reason[static REASON_MAX])
{
	if (set_amount(k, text, seconds, field))
		return refuse(reason, "must be a time of %s to %s: a whole number and one of s, m, h, d", k->range[0],
			      k->range[1]);
	return 0;
}

/* A time, or none, which is 0. */
static int set_age(const struct key *k, const char *text, void *field, char reason[static REASON_MAX])
{
	if (strcmp(text, "none") == 0)
		*(int64_t *)field = 0;
	else if (set_amount(k, text, seconds, field))
		return refuse(reason, "must be none, or a time of %s to %s: a whole number and one of s, m, h, d",
			      k->range[0], k->range[1]);
	return 0;
}

static int set_count(const struct key *k, const char *text, void *field, char reason[static REASON_MAX])
{
	int64_t n;

	if (set_amount(k, text, ones, &n))
		return refuse(reason, "must be a whole number of %s to %s", k->range[0], k->range[1]);
	*(unsigned *)field = (unsigned)n;
	return 0;
}

/* 0, or down to -20: its range is of the number after the sign. */
static int set_nice(const struct key *k, const char *text, void *field, char reason[static REASON_MAX])
{
	int64_t n;

	if (set_amount(k, text[0] == '-' ? text + 1 : text, ones, &n) || (text[0] == '-') != (n > 0))
		return refuse(reason, "must be a whole number of -%s to %s", k->range[1], k->range[0]);
	*(int *)field = -(int)n;
	return 0;
}

/* A limit, which "none" lifts. */
static int set_size(const struct key *k, const char *text, void *field, char reason[static REASON_MAX])
{
	if (strcmp(text, "none") == 0)
		*(int64_t *)field = LIMIT_NONE;
	else if (set_amount(k, text, bytes, field))
		return refuse(
			reason,
			"must be none, or a size of %s to %s: a whole number, and K, M, G or T for more than bytes",
			k->range[0], k->range[1]);
	return 0;
}

static int set_limit(const struct key *k, const char *text, void *field, char reason[static REASON_MAX])
{
	if (strcmp(text, "none") == 0)
		*(int64_t *)field = LIMIT_NONE;
	else if (set_amount(k, text, ones, field))
		return refuse(reason, "must be none, or a whole number of %s to %s", k->range[0], k->range[1]);
	return 0;
}

static int set_text(const char *text, void *field)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*(char **)field);
	*(char **)field = copy;
	return 0;
}

static int set_path(const struct key *k, const char *text, void *field, char reason[static REASON_MAX])
{
	(void)k;
	if (text[0] != '/' || strlen(text) >= PATH_MAX)
		return refuse(reason, "must be an absolute path");
	return set_text(text, field);
}

/* What can't stand in a token can't be its audience: claims.c has the same rule for both. */
static int set_audience(const struct key *k, const char *text, void *field, char reason[static REASON_MAX])
{
	(void)k;
	if (!sub_valid(text, strlen(text)))
		return refuse(reason, "must be 1 to %d bytes of UTF-8 without control characters", CLAIM_MAX);
	return set_text(text, field);
}

static int set_audit(const struct key *k, const char *text, void *field, char reason[static REASON_MAX])
{
	if (strcmp(text, "stderr") == 0 || strcmp(text, "journal") == 0)
		return set_text(text, field);
	if (set_path(k, text, field, reason) == -EINVAL)
		return refuse(reason, "must be stderr, journal or an absolute path");
	return 0;
}

static int set_name(const struct key *k, const char *text, void *field, char reason[static REASON_MAX])
{
	(void)k;
	if (!instance_name_valid(text))
		return refuse(reason, "must be auto, or 1 to %d of A-Z a-z 0-9 . _ -, not starting with a dot",
			      INSTANCE_NAME_MAX);
	return set_text(text, field);
}

const char *config_release_name(enum config_release policy)
{
	return find_key("release", "policy")->range[policy];
}

/* --- what all daemons of a store should agree on --- */

static bool is_agreed(const struct key *k)
{
	static const char *const sections[] = {"limits", "retention", "release"};
	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		if (strcmp(k->section, sections[i]) == 0)
			return true;
	return k->set == set_audience || strcmp(k->name, "cache") == 0;
}

static bool is_none(const struct key *k, int64_t value)
{
	char reason[REASON_MAX];
	int64_t none;
	return strcmp(k->normal, "none") == 0 && k->set(k, "none", &none, reason) == 0 && none == value;
}

static void value_text(const struct config *c, const struct key *k, char *text, size_t size)
{
	const void *field = (const char *)c + k->field;
	if (owns_text(k))
		snprintf(text, size, "%s", *(char *const *)field);
	else if (k->set == set_flag)
		snprintf(text, size, "%s", k->range[*(const bool *)field]);
	else if (k->set == set_choice)
		snprintf(text, size, "%s", k->range[*(const int *)field]);
	else if (k->set == set_count)
		snprintf(text, size, "%u", *(const unsigned *)field);
	else if (*(const int64_t *)field == LIMIT_NONE || is_none(k, *(const int64_t *)field))
		snprintf(text, size, "none");
	else /* times and sizes */
		snprintf(text, size, "%" PRId64, *(const int64_t *)field);
}

void config_each_agreed(const struct config *c, config_visit_fn *visit, void *ctx)
{
	char key[64], value[PATH_MAX];
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (!is_agreed(&keys[i]))
			continue;
		snprintf(key, sizeof(key), "%s.%s", keys[i].section, keys[i].name);
		value_text(c, &keys[i], value, sizeof(value));
		visit(ctx, key, value);
	}
}

/* --- the configuration as a value --- */

int config_init(struct config *c)
{
	char reason[REASON_MAX];

	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		int r = keys[i].set(&keys[i], keys[i].normal, field_of(c, &keys[i]), reason);
		if (r == -EINVAL)
			abort(); /* a default outside its own range */
		if (r) {
			config_free(c);
			return r;
		}
	}
	return 0;
}

void config_free(struct config *c)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (owns_text(&keys[i]))
			free(*(char **)field_of(c, &keys[i]));
	memset(c, 0, sizeof(*c));
}

static int config_copy(const struct config *from, struct config *ret)
{
	struct config c = *from;
	bool whole = true;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (!owns_text(&keys[i]))
			continue;
		char **text = field_of(&c, &keys[i]);
		*text = strdup(*text);
		whole = whole && *text;
	}
	if (!whole) {
		config_free(&c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

/* Ends a change that was made on a copy: the copy replaces *c when r is 0, and is dropped otherwise. Returns r. */
static int config_settle(struct config *c, struct config *copy, int r)
{
	struct config drop = *copy;

	if (r == 0) {
		drop = *c;
		*c = *copy;
	}
	config_free(&drop);
	return r;
}

/* --- the file --- */

struct reader {
	FILE *file;
	const char *path;
	FILE *report;
	struct config *config;
	unsigned line;                   /* the one that was read last */
	size_t size;                     /* bytes read so far */
	unsigned first[ARRAY_LEN(keys)]; /* the line that set a key; 0 is none */
	int error;                       /* of the file or of memory, or -EINVAL for faults in the text */
};

__attribute__((format(printf, 2, 3))) static void fault(struct reader *rd, const char *fmt, ...)
{
	va_list ap;

	fprintf(rd->report, "%s:%u: ", rd->path, rd->line);
	va_start(ap, fmt);
	vfprintf(rd->report, fmt, ap);
	va_end(ap);
	fputc('\n', rd->report);
	if (rd->error == 0)
		rd->error = -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* What is left of s after blanks at the end. */
static size_t trimmed(const char *s, size_t len)
{
	while (len > 0 && is_blank(s[len - 1]))
		len--;
	return len;
}

static bool has_comment(const char *value)
{
	for (const char *p = value; *p; p++)
		if ((*p == ';' || *p == '#') && (p == value || is_blank(p[-1])))
			return true;
	return false;
}

/* Whether inih may see a line (without its newline, and without NULs). Reports why not. */
static bool line_is_good(struct reader *rd, const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			fault(rd, "byte 0x%02x: control characters are not allowed", c);
			return false;
		}
	}
	len = trimmed(line, len);
	if (len == 0 || line[0] == '#' || line[0] == ';')
		return true;
	if (is_blank(line[0])) {
		fault(rd, "begins with white space: a value can't be continued on another line");
		return false;
	}
	if (line[0] == '[') {
		bool closed = line[len - 1] == ']';
		if (!closed)
			fault(rd, "a section must be [name] and nothing else");
		else if (!is_section(line + 1, len - 2))
			fault(rd, "%.*s: unknown section", (int)len, line);
		return closed && is_section(line + 1, len - 2);
	}
	size_t name = strcspn(line, "=:");
	if (line[name] != '=' || name == 0) {
		fault(rd, "must be key = value");
		return false;
	}
	if (has_comment(line + name + 1)) {
		fault(rd, "%.*s: a comment must be a line of its own", (int)trimmed(line, name), line);
		return false;
	}
	return true;
}

/*
 * The next line as fgets() would give it, for ini_parse_stream(). In a faulty line's place inih gets an empty one,
 * or, where a section should begin, one of a name that no section has: what follows then is not held against the
 * section before.
 */
static char *next_line(char *buf, int size, void *stream)
{
	struct reader *rd = stream;
	char line[LINE_MAX_BYTES + 1];
	size_t len = 0;
	bool nul = false;
	int c;

	while ((c = getc(rd->file)) != EOF && c != '\n' && rd->size + len < FILE_MAX_BYTES) {
		nul = nul || c == '\0';
		if (len < sizeof(line))
			line[len] = (char)c;
		len++;
	}
	rd->size += len + 1;
	if (ferror(rd->file)) {
		rd->error = errno ? -errno : -EIO;
		return NULL;
	}
	if (c == EOF && len == 0)
		return NULL;
	rd->line++;
	if (rd->size > FILE_MAX_BYTES) {
		fault(rd, "the file is larger than %d bytes", FILE_MAX_BYTES);
		return NULL;
	}

	bool good = false, header = len > 0 && line[0] == '[';
	if (nul) {
		fault(rd, "byte 0x00: this is not a text file");
	} else if (len > LINE_MAX_BYTES) {
		fault(rd, "longer than %d bytes", LINE_MAX_BYTES);
	} else {
		line[len] = '\0';
		good = line_is_good(rd, line, len);
	}
	int n = snprintf(buf, (size_t)size, "%s\n", good ? line : header ? "[?]" : "");
	if (n >= size)
		abort(); /* inih's lines have 200 bytes; were they fewer, a line would be cut here unseen */
	return buf;
}

/* inih's callback for each key = value, both trimmed. Non-zero: go on. */
static int take_value(void *user, const char *section, const char *name, const char *value)
{
	struct reader *rd = user;
	char reason[REASON_MAX];

	if (section[0] == '\0') {
		fault(rd, "%s: stands before the first [section]", name);
		return 1;
	}
	if (section[0] == '?') /* reported at its header */
		return 1;
	const struct key *k = find_key(section, name);
	if (!k) {
		fault(rd, "%s.%s: unknown key", section, name);
		return 1;
	}
	unsigned *first = &rd->first[k - keys];
	if (*first) {
		fault(rd, "%s.%s: is set on line %u already", section, name, *first);
		return 1;
	}
	*first = rd->line;
	int r = k->set(k, value, field_of(rd->config, k), reason);
	if (r == -EINVAL)
		fault(rd, "%s.%s: %s", section, name, reason);
	else if (r)
		rd->error = r;
	return 1;
}

int config_read(struct config *c, const char *path, FILE *report)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	struct reader rd = {.file = file, .path = path, .report = report};
	struct config copy;

	if (!file) {
		int r = -errno;
		fprintf(report, "%s: %s\n", path, strerror(-r));
		return r;
	}
	int r = config_copy(c, &copy);
	if (r)
		return r;
	rd.config = &copy;
	errno = 0;
	int line = ini_parse_stream(next_line, &rd, take_value, &rd);
	if (line != 0 && rd.error == 0) /* something that line_is_good() let through and inih did not */
		fault(&rd, "line %d is no configuration", line);
	if (rd.error && rd.error != -EINVAL)
		fprintf(report, "%s: %s\n", path, strerror(-rd.error));
	return config_settle(c, &copy, rd.error);
}

/* --- the command line --- */

/*
 * Options that mount(8) and fstab(5) hand to every helper. Those with a reason contradict what sessionfs is; those
 * with a key stand for it; the rest ask for what is so anyway.
 */
static const struct mount_option {
	const char *name;
	const char *section, *key, *value;
	const char *reason;
} mount_options[] = {
	{.name = "rw"},
	{.name = "nosuid"},
	{.name = "nodev"},
	{.name = "relatime"},
	{.name = "noatime"},
	{.name = "nodiratime"},
	{.name = "defaults"},
	{.name = "_netdev"},
	{.name = "nofail"},
	{.name = "auto"},
	{.name = "noauto"},
	{.name = "user"},
	{.name = "exec", .section = "mount", .key = "exec", .value = "yes"},
	{.name = "noexec", .section = "mount", .key = "exec", .value = "no"},
	{.name = "allow_other", .section = "mount", .key = "allow_other", .value = "yes"},
	{.name = "ro", .reason = "a session can't be mounted read-only"},
	/*
	 * mount.fuse3(8) adds these two on its own where fstab doesn't say otherwise; the mount has neither, whoever
	 * asks.
	 */
	{.name = "suid"},
	{.name = "dev"},
};

/* Cuts the next option out of *rest in place, "\," and "\\" undone. NULL at the end. */
static char *next_option(char **rest)
{
	char *option = *rest, *to = option, *from = option;

	if (!option)
		return NULL;
	for (; *from && *from != ','; from++) {
		if (*from == '\\' && (from[1] == ',' || from[1] == '\\'))
			from++;
		*to++ = *from;
	}
	*rest = *from ? from + 1 : NULL;
	*to = '\0';
	return option;
}

/* Sets one key by name. 0, -ENOMEM, or -EINVAL with a reason. */
static int override_key(struct config *c, const char *section, const char *name, const char *value,
			char reason[static REASON_MAX])
{
	const struct key *k = find_key(section, name);

	if (!k)
		return refuse(reason, is_section(section, strlen(section)) ? "unknown key" : "unknown section");
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return refuse(reason, "byte 0x%02x: control characters are not allowed", (unsigned char)*p);
	return k->set(k, value, field_of(c, k), reason);
}

/* Applies one option of the form name or section.key=value; cuts option so that it is the name alone. */
static int override_one(struct config *c, char *option, char reason[static REASON_MAX])
{
	if (option[0] == '\0' || strncmp(option, "x-", 2) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(mount_options); i++) {
		const struct mount_option *m = &mount_options[i];
		if (strcmp(option, m->name) != 0)
			continue;
		if (m->reason)
			return refuse(reason, "%s", m->reason);
		return m->key ? override_key(c, m->section, m->key, m->value, reason) : 0;
	}
	char *value = strchr(option, '=');
	if (value)
		*value++ = '\0';
	char *dot = strchr(option, '.');
	if (!dot)
		return refuse(reason, "unknown option (a key is written section.key=value)");
	if (!value)
		return refuse(reason, "has no value (a key is written section.key=value)");
	char section[32];
	int n = snprintf(section, sizeof(section), "%.*s", (int)(dot - option), option);
	if ((size_t)n >= sizeof(section))
		return refuse(reason, "unknown section");
	return override_key(c, section, dot + 1, value, reason);
}

int config_override(struct config *c, const char *options, FILE *report)
{
	_cleanup_free_ char *text = strdup(options);
	char *rest = text, *option;
	struct config copy;
	int r = 0;

	if (!text)
		return -ENOMEM;
	int error = config_copy(c, &copy);
	if (error)
		return error;
	while (r != -ENOMEM && (option = next_option(&rest))) {
		char reason[REASON_MAX];
		r = override_one(&copy, option, reason);
		if (r == -EINVAL)
			fprintf(report, "-o %s: %s\n", option, reason);
		if (r)
			error = r;
	}
	return config_settle(c, &copy, error);
}
