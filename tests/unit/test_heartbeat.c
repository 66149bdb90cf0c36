/* SPDX-License-Identifier: MIT */
/* What another daemon says of itself: read as it was written, or not at all. */
#include "heartbeat.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/tap.h"

static const char good[] =
	"{\"name\":\"web1-3f2a91c0\",\"run\":\"0123456789abcdef\",\"version\":\"0.1.0\",\"host\":\"web1\",\"mount\":\"/srv/"
	"up\",\"pid\":812,\"since\":\"2026-01-31T09:00:00Z\",\"beat\":\"2026-01-31T09:00:05Z\",\"every\":5,\"stopped\":"
	"false,\"policy\":\"observe\",\"sessions\":12,\"bindings\":6,\"mixed\":3,\"settings\":{\"files.cache\":\"shared\",\"tokens.keys\":\"\"},\"releases\":[{\"release\":\"2026.01\","
	"\"workers\":6,\"sessions\":9,\"binds\":1203,\"last\":\"2026-01-31T09:00:04Z\"},{\"release\":\"\",\"workers\":1,"
	"\"sessions\":0,\"binds\":1}]}";

static void test_names(void)
{
	char longest[INSTANCE_NAME_MAX + 2];
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ok(instance_name_valid("web1-3f2a91c0") && instance_name_valid("A_b.c"), "names of letters, digits, . _ and -");
	ok(!instance_name_valid(""), "an empty name is none");
	ok(!instance_name_valid("..") && !instance_name_valid(".hidden"), "nor one that starts with a dot");
	ok(!instance_name_valid("a/b") && !instance_name_valid("a b") && !instance_name_valid("\xc3\xa9"),
	   "nor one with a slash, a space or other letters");
	ok(!instance_name_valid(longest), "nor one of %d bytes", INSTANCE_NAME_MAX + 1);
	longest[INSTANCE_NAME_MAX] = '\0';
	ok(instance_name_valid(longest), "one of %d bytes is", INSTANCE_NAME_MAX);
}

static void test_good(void)
{
	struct heartbeat h, again;
	char *text = NULL;
	size_t len;
	is_int(heartbeat_parse(good, strlen(good), &h), 0, "a heartbeat is read");
	is_str(h.name, "web1-3f2a91c0", "whose");
	is_int(h.beat - h.since, 5, "its times");
	ok(h.n_settings == 2 && strcmp(h.settings[0].key, "files.cache") == 0 &&
		   strcmp(h.settings[0].value, "shared") == 0,
	   "its settings");
	is_int((long long)h.n_releases, 2, "its releases");
	is_int((long long)h.releases[0].binds, 1203, "their numbers");
	is_str(h.releases[1].release, "", "and the workers that name none");
	is_int(heartbeat_format(&h, &text, &len), 0, "it is written");
	ok(text && heartbeat_parse(text, len, &again) == 0 && memcmp(&h, &again, sizeof(h)) == 0,
	   "and read again the same");
	free(text);
	h.stopped = true;
	is_int(heartbeat_format(&h, &text, &len), 0, "one that stopped is written");
	ok(heartbeat_parse(text, len, &again) == 0 && again.stopped, "and read as such");
	free(text);
}

/* What is refused leaves the value alone. */
static void refused(const char *text, size_t len, const char *what)
{
	struct heartbeat h = {.pid = 7};
	ok(heartbeat_parse(text, len, &h) == -EUCLEAN && h.pid == 7, "%s is no heartbeat", what);
}

static void replaced(const char *from, const char *to)
{
	char text[sizeof(good) + 4096];
	const char *at = strstr(good, from);
	if (!at)
		abort();
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
	refused(text, strlen(text), to);
}

static void test_garbage(void)
{
	refused("", 0, "nothing");
	refused("garbage\n", 8, "garbage");
	refused("[]", 2, "a list");
	refused("\0\0\0\0", 4, "NULs");
	int torn = 0;
	for (size_t len = 0; len < strlen(good); len++) {
		struct heartbeat h;
		torn += heartbeat_parse(good, len, &h) != -EUCLEAN;
	}
	is_int(torn, 0, "nor is any first part of one");
	replaced("\"pid\":812", "\"pid\":-1");
	replaced("\"pid\":812", "\"pid\":812,\"pid\":812");
	replaced("\"pid\":812", "\"pid\":\"812\"");
	replaced("\"name\":\"web1-3f2a91c0\"", "\"name\":\"../../etc/passwd\"");
	replaced("\"run\":\"0123456789abcdef\"", "\"run\":\"0123456789ABCDEF\"");
	replaced("\"beat\":\"2026-01-31T09:00:05Z\"", "\"beat\":\"yesterday\"");
	replaced("\"beat\":\"2026-01-31T09:00:05Z\",", "");
	replaced("\"stopped\":false", "\"stopped\":0");
	replaced("\"release\":\"2026.01\"", "\"release\":\"2026 01\"");
	replaced("\"workers\":6", "\"workers\":6.5");
	replaced("\"releases\":[", "\"releases\":[7,");

	replaced("\"settings\":{", "\"settings\":[],\"x\":{");
	replaced("\"shared\"", "7");
	replaced("\"shared\"", "\"shared\\nsessionfs: all is well\"");
	char long_value[HEARTBEAT_VALUE_MAX + 16] = "\"";
	memset(long_value + 1, 'x', HEARTBEAT_VALUE_MAX + 1);
	strcat(long_value, "\"");
	replaced("\"shared\"", long_value);

	char many[HEARTBEAT_SIZE_MAX], *p = many;
	p += sprintf(p, "%.*s", (int)(strstr(good, "[{") + 1 - good), good);
	for (int i = 0; i <= HEARTBEAT_RELEASES_MAX; i++)
		p += sprintf(p, "%s{\"release\":\"r%d\",\"workers\":1,\"sessions\":1,\"binds\":1}", i ? "," : "", i);
	strcpy(p, "]}");
	refused(many, strlen(many), "one of too many releases");

	char *text;
	size_t len;
	struct heartbeat h;
	if (heartbeat_parse(good, strlen(good), &h))
		abort();
	strcpy(h.name, "a/b");
	is_int(heartbeat_format(&h, &text, &len), -EINVAL, "what could not be read again is not written");
}

int main(void)
{
	test_names();
	test_good();
	test_garbage();
	return tap_done();
}
