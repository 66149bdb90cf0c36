/* SPDX-License-Identifier: MIT */
/* Who may serve: what release.json says, and what is remembered of the workers. */
#include "release.h"

#include <sys/wait.h>

#include "requirement.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tap.h"
#include "util.h"

#define NOW INT64_C(1770000000)

static int store;

static void require(const char *required, const char *draining, int64_t until)
{
	static uint64_t version;
	struct requirement r = {.version = ++version, .since = NOW, .until = until};
	snprintf(r.required, sizeof(r.required), "%s", required);
	snprintf(r.draining, sizeof(r.draining), "%s", draining);
	if (requirement_write(store, &r))
		abort();
}

static void test_file(void)
{
	struct requirement r = {.version = 1, .required = "2026.02", .since = NOW}, again = {.version = 9};
	is_int(requirement_read(store, &again), -ENOENT, "a store names no release at first");
	is_int(requirement_write(store, &r), 0, "one is named");
	ok(requirement_read(store, &again) == 0 && memcmp(&r, &again, sizeof(r)) == 0, "and read again");
	r = (struct requirement){.version = 2, .required = "2", .since = NOW, .draining = "1", .until = NOW + 60};
	is_int(requirement_write(store, &r), 0, "and one that may go on for a while");
	ok(requirement_read(store, &again) == 0 && memcmp(&r, &again, sizeof(r)) == 0, "that is read again too");

	r.version = 0;
	is_int(requirement_write(store, &r), -EINVAL, "none without a version is written");
	r = (struct requirement){.version = 3, .required = "a b"};
	is_int(requirement_write(store, &r), -EINVAL, "nor one with a blank in the release");
	r = (struct requirement){.version = 3, .required = "2", .draining = "1"};
	is_int(requirement_write(store, &r), -EINVAL, "nor one that drains for ever");

	static const char *const garbage[] = {"",
					      "{",
					      "garbage",
					      "{}",
					      "[]",
					      "{\"version\":-1}",
					      "{\"version\":1.5}",
					      "{\"version\":1,\"required\":7}",
					      "{\"version\":1,\"required\":\"../x\"}",
					      "{\"version\":1,\"version\":2}",
					      "{\"version\":1,\"required\":\"2\",\"draining\":\"1\"}"};
	for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
		scratch_file(store, "release.json", 0600, garbage[i]);
		again.version = 9;
		ok(requirement_read(store, &again) == -EUCLEAN && again.version == 9, "'%s' names none", garbage[i]);
	}
	must(unlinkat(store, "release.json", 0));
}

static void test_judge(void)
{
	struct release_guard *g = release_guard_new(RELEASE_POLICY_OFF, store);
	is_int(release_judge(g, "", NOW), RELEASE_ADMITTED, "off: whoever names none is admitted");
	release_guard_free(g);

	require("2", "", 0);
	g = release_guard_new(RELEASE_POLICY_OBSERVE, store);
	is_int(release_judge(g, "1", NOW), RELEASE_ADMITTED, "observe: whatever is required");
	release_guard_free(g);
	must(unlinkat(store, "release.json", 0));

	g = release_guard_new(RELEASE_POLICY_REQUIRE, store);
	is_int(release_judge(g, "2", NOW), RELEASE_REFUSED, "require: nobody while the store names none");
	is_int(release_judge(g, "", NOW), RELEASE_REFUSED, "nor who names none");
	require("2", "", 0);
	is_int(release_judge(g, "2", NOW), RELEASE_REFUSED, "until it is read");
	release_refresh(g);
	is_int(release_judge(g, "2", NOW), RELEASE_ADMITTED, "then the one that it names");
	is_int(release_judge(g, "1", NOW), RELEASE_REFUSED, "no other");
	is_int(release_judge(g, "20", NOW), RELEASE_REFUSED, "not one that begins so");
	is_int(release_judge(g, "", NOW), RELEASE_REFUSED, "not who names none");

	scratch_file(store, "release.json", 0600, "garbage");
	release_refresh(g);
	is_int(release_judge(g, "2", NOW), RELEASE_ADMITTED,
	       "what was read last stays in force when the file is garbage");
	is_int(release_judge(g, "1", NOW), RELEASE_REFUSED, "for all");
	must(unlinkat(store, "release.json", 0));
	release_refresh(g);
	is_int(release_judge(g, "1", NOW), RELEASE_REFUSED, "and when it is gone");

	require("3", "2", NOW + 60);
	release_refresh(g);
	is_int(release_judge(g, "3", NOW), RELEASE_ADMITTED, "the new one is admitted");
	is_int(release_judge(g, "2", NOW), RELEASE_DRAINING, "the old one drains");
	is_int(release_judge(g, "2", NOW + 59), RELEASE_DRAINING, "until its last second");
	is_int(release_judge(g, "2", NOW + 60), RELEASE_REFUSED, "and no longer");
	is_int(release_judge(g, "1", NOW), RELEASE_REFUSED, "the one before does not");
	require("", "", 0);
	release_refresh(g);
	is_int(release_judge(g, "1", NOW), RELEASE_ADMITTED, "any, where any may");
	release_guard_free(g);

	scratch_file(store, "release.json", 0600, "garbage");
	g = release_guard_new(RELEASE_POLICY_REQUIRE, store);
	is_int(release_judge(g, "2", NOW), RELEASE_REFUSED, "nobody, where it was garbage from the start");
	release_guard_free(g);
	must(unlinkat(store, "release.json", 0));
}

static pid_t dead_pid(void)
{
	fflush(stdout); /* which a child of the thread sanitizer writes once more */
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return pid;
}

static void test_workers(void)
{
	struct heartbeat_release list[HEARTBEAT_RELEASES_MAX];
	struct release_guard *g = release_guard_new(RELEASE_POLICY_OFF, store);
	release_bound(g, getpid(), "1", NOW);
	is_int((long long)release_list(g, list), 0, "off: nothing is remembered");
	release_guard_free(g);

	g = release_guard_new(RELEASE_POLICY_OBSERVE, store);
	release_bound(g, getpid(), "1", NOW);
	release_bound(g, getpid(), "1", NOW + 1);
	release_bound(g, getppid(), "2", NOW + 2);
	release_bound(g, dead_pid(), "2", NOW + 3);
	is_int((long long)release_list(g, list), 2, "observe: two releases");
	is_str(list[0].release, "2", "the last one first");
	is_int((long long)list[0].workers, 1, "a dead worker does not count");
	is_int((long long)list[0].binds, 2, "what it did, does");
	is_int((long long)list[1].workers, 1, "a worker is counted once");
	is_int((long long)list[1].binds, 2, "each bind is");
	is_int(list[1].last, NOW + 1, "and when the last one was");
	release_bound(g, getpid(), "2", NOW + 4);
	release_list(g, list);
	is_int((long long)list[0].workers, 2, "a worker of a new release");
	is_int((long long)list[1].workers, 0, "is not one of the old");

	ok(release_refused(g, getpid(), "9", NOW), "the first refusal of a worker is told");
	ok(!release_refused(g, getpid(), "9", NOW), "the second is not");
	ok(release_refused(g, getppid(), "9", NOW), "another worker's is");
	release_list(g, list);
	ok(strcmp(list[0].release, "9") == 0 && list[0].refused == 2 && list[0].workers == 0 && list[0].binds == 0,
	   "who was refused is counted as that");
	release_bound(g, getpid(), "9", NOW);
	release_list(g, list);
	ok(list[0].refused == 1 && list[0].workers == 1, "until it is bound");

	for (int i = 0; i < HEARTBEAT_RELEASES_MAX + 10; i++) {
		char name[16];
		snprintf(name, sizeof(name), "r%d", i);
		release_bound(g, getpid(), name, NOW + i);
	}
	is_int((long long)release_list(g, list), HEARTBEAT_RELEASES_MAX, "no more releases than there is room for");
	ok(strcmp(list[0].release, "r41") == 0 && strcmp(list[HEARTBEAT_RELEASES_MAX - 1].release, "r10") == 0,
	   "those that bound last");
	for (int i = 0; i < RELEASE_WORKERS + 10; i++)
		release_bound(g, 1000000 + i, "many",
			      NOW + i); /* numbers that may live or not: it is bounded all the same */
	ok(release_list(g, list) == HEARTBEAT_RELEASES_MAX && list[0].workers <= RELEASE_WORKERS, "nor more workers");
	release_guard_free(g);
}

int main(void)
{
	store = scratch_open();
	test_file();
	test_judge();
	test_workers();
	return tap_done();
}
