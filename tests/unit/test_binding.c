/* SPDX-License-Identifier: MIT */
#include "binding.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "caller.h"
#include "stats.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tap.h"
#include "util.h"

#define THREADS 8
#define NEVER INT64_MAX

static struct session_table *sessions;
static struct binding_table *table;

static pid_t gettid_(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static struct session *session(const char *sid)
{
	struct session *s = session_enter(sessions, sid, "alice", -1);
	if (!s)
		abort();
	return s;
}

static bool is_live(const char *sid)
{
	struct session *s = session_find(sessions, sid);
	session_put(sessions, s);
	return s != NULL;
}

static struct binding wanted(enum scope scope, pid_t number, const char *sid)
{
	struct binding want = {
		.scope = scope, .tid = number, .pid = number, .pin = -1, .exp = NEVER, .session = session(sid)};
	int err = scope == SCOPE_THREAD    ? caller_pin_thread(number, &want.pin)
		  : scope == SCOPE_PROCESS ? caller_pin_process(number, &want.pin)
					   : 0;
	if (err)
		abort();
	return want;
}

/* Makes a binding in the session sid; what it displaces is dropped. */
static uint64_t bound(enum scope scope, pid_t number, const char *sid)
{
	struct binding want = wanted(scope, number, sid), *displaced = NULL;
	uint64_t id = 0;
	if (binding_make(table, &want, &id, &displaced) || !id)
		abort();
	binding_put(table, displaced);
	return id;
}

/* Also NULL where it can't be told. */
static struct binding *bound_by(pid_t tid)
{
	struct binding *b = NULL;
	return binding_of(table, tid, &b) ? NULL : b;
}

/* The number of the binding by which a thread acts, 0 if by none. */
static uint64_t acts_by(pid_t tid)
{
	struct binding *b = bound_by(tid);
	uint64_t id = b ? b->id : 0;
	binding_put(table, b);
	return id;
}

static bool known(uint64_t id)
{
	struct binding *b = binding_get(table, id);
	bool right = b && b->id == id;
	binding_put(table, b);
	return right;
}

static int count_all(void)
{
	int n = 0;
	struct binding *b;
	for (uint32_t at = 0; (b = binding_next(table, &at)); n++)
		binding_put(table, b);
	return n;
}

/* ---- threads and processes that stay until they are told to go ---- */

struct actor {
	pid_t id;
	int out[2], in[2]; /* it says its number, and waits to be told */
	pthread_t thread;
};

static void *be_there(void *arg)
{
	struct actor *a = arg;
	char c;
	pid_t tid = gettid_();
	if (write(a->out[1], &tid, sizeof(tid)) != sizeof(tid))
		abort();
	while (read(a->in[0], &c, 1) < 0 && errno == EINTR)
		;
	return NULL;
}

static pid_t hear(struct actor *a)
{
	pid_t number;
	if (read(a->out[0], &number, sizeof(number)) != sizeof(number))
		abort();
	return number;
}

static void open_pipes(struct actor *a)
{
	if (pipe2(a->out, O_CLOEXEC) < 0 || pipe2(a->in, O_CLOEXEC) < 0)
		abort();
}

/* By a word, not by closing: processes that were started meanwhile have the pipe too. */
static void let_go(struct actor *a)
{
	if (write(a->in[1], "", 1) != 1)
		abort();
}

static void close_pipes(struct actor *a)
{
	close(a->in[1]);
	close(a->out[0]);
	close(a->out[1]);
	close(a->in[0]);
}

static void start_thread(struct actor *a)
{
	open_pipes(a);
	if (pthread_create(&a->thread, NULL, be_there, a))
		abort();
	a->id = hear(a);
}

static void end_thread(struct actor *a)
{
	let_go(a);
	pthread_join(a->thread, NULL);
	close_pipes(a);
}

static void start_process(struct actor *a)
{
	open_pipes(a);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(a->in[1]);
		be_there(a);
		_exit(0);
	}
	a->id = pid < 0 ? (abort(), 0) : hear(a);
}

static void end_process(struct actor *a)
{
	let_go(a);
	waitpid(a->id, NULL, 0);
	close_pipes(a);
}

/* A thread is joined a moment before the kernel is done with it. */
static void await_end(int pin)
{
	while (caller_alive(pin))
		sched_yield();
}

/* ---- */

static void test_who(void)
{
	struct actor other, child;
	start_thread(&other);
	start_process(&child);
	pid_t me = gettid_(), us = getpid();

	is_int((long long)acts_by(me), 0, "a thread that was never bound acts by nothing");
	uint64_t process = bound(SCOPE_PROCESS, us, "P");
	ok(acts_by(me) == process && acts_by(other.id) == process, "a process binding covers all threads of it");
	ok(acts_by(child.id) == process, "and its descendants");
	uint64_t thread = bound(SCOPE_THREAD, me, "T");
	ok(acts_by(me) == thread, "a thread's binding wins over its process's");
	ok(acts_by(other.id) == process && acts_by(child.id) == process, "and covers no other thread and no child");
	ok(binding_end(table, thread) && acts_by(me) == process, "when it ends, the process's counts again");
	uint64_t nearest = bound(SCOPE_PROCESS, child.id, "C");
	ok(acts_by(child.id) == nearest && acts_by(me) == process,
	   "of nested process bindings the nearest ancestor's counts");
	ok(binding_end(table, process) && !acts_by(other.id),
	   "the end of a process binding leaves its threads unbound");
	ok(acts_by(child.id) == nearest, "and its descendants' own bindings alone");
	bound(SCOPE_HANDLE, me, "H");
	is_int((long long)acts_by(me), 0, "a handle binds nobody");
	binding_end(table, nearest);
	is_int((long long)acts_by(child.id), 0, "a child whose binding ended is unbound");
	uint64_t of_other = bound(SCOPE_THREAD, other.id, "T");
	ok(acts_by(other.id) == of_other && !acts_by(me), "a thread may be bound while its leader is not");
	binding_end(table, of_other);
	is_int((long long)acts_by(us + 4000000), 0, "who is not there acts by nothing");
	end_thread(&other);
	end_process(&child);
}

static void test_orphan(void)
{
	struct actor grandchild;
	int go[2];
	open_pipes(&grandchild);
	if (pipe2(go, O_CLOEXEC) < 0)
		abort();
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		char c;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		if (fork() == 0) {
			close(grandchild.in[1]);
			be_there(&grandchild);
			_exit(0);
		}
		while (read(go[0], &c, 1) < 0 && errno == EINTR)
			;
		_exit(0);
	}
	grandchild.id = hear(&grandchild);
	uint64_t id = bound(SCOPE_PROCESS, child, "C");
	ok(acts_by(grandchild.id) == id, "a grandchild is covered by its parent's binding");
	close(go[0]);
	close(go[1]);
	waitpid(child, NULL, 0);
	is_int((long long)acts_by(grandchild.id), 0, "an orphan whose line no longer reaches is unbound");
	binding_end(table, id);
	let_go(&grandchild);
	close_pipes(&grandchild);
}

static void test_latest(void)
{
	static const enum scope scopes[] = {SCOPE_THREAD, SCOPE_PROCESS};
	pid_t me = getpid();

	for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
		const char *what = scope_name(scopes[i]);
		uint64_t first = bound(scopes[i], me, "one"), second = 0;
		struct binding want = wanted(scopes[i], me, "two"), *displaced = NULL;
		is_int(binding_make(table, &want, &second, &displaced), 0, "%s: a second binding is made", what);
		ok(second != first && acts_by(me) == second, "%s: the latest counts", what);
		ok(displaced && displaced->id == first && displaced->ended,
		   "%s: what it displaces has ended, and is handed out", what);
		ok(!known(first) && !binding_end(table, first), "%s: it is not found, and can't be ended again", what);
		ok(is_live("one"), "%s: whoever holds it still has its session", what);
		binding_put(table, displaced);
		ok(!is_live("one"), "%s: and gives it back", what);
		ok(binding_end(table, second) && !acts_by(me), "%s: there is no stack: the end leaves nothing", what);
	}
	uint64_t process = bound(SCOPE_PROCESS, me, "one"), thread = bound(SCOPE_THREAD, me, "two");
	ok(known(process) && known(thread), "bindings of different scope do not displace each other");
	struct binding want = wanted(SCOPE_HANDLE, me, "three"), *displaced = NULL;
	uint64_t handle;
	ok(!binding_make(table, &want, &handle, &displaced) && !displaced && known(process) && known(thread),
	   "a handle displaces nothing");
	binding_end(table, handle);
	binding_end(table, process);
	binding_end(table, thread);
}

static void test_dead(void)
{
	struct actor actor;
	pid_t me = getpid();

	start_thread(&actor);
	uint64_t id = bound(SCOPE_THREAD, actor.id, "dead");
	struct binding *b = binding_get(table, id);
	ok(binding_alive(b) && acts_by(actor.id) == id, "the binding of a living thread is found");
	end_thread(&actor);
	await_end(b->pin);
	ok(!binding_alive(b), "one whose thread is gone says so");
	is_int((long long)acts_by(actor.id), 0, "and is not found");
	ok(known(id) && count_all() == 1, "it stays for the reaper to end");
	binding_end(table, id);

	/* The numbers come to be used again: by us. */
	uint64_t process = bound(SCOPE_PROCESS, me, "living");
	struct binding want = {.scope = SCOPE_THREAD,
			       .tid = me,
			       .pid = me,
			       .pin = dup(b->pin),
			       .exp = NEVER,
			       .session = session("dead")};
	struct binding *displaced = NULL;
	binding_make(table, &want, &id, &displaced);
	ok(acts_by(me) == process, "a thread that came to have a dead one's number does not act by its binding");
	binding_end(table, id);
	binding_end(table, process);
	want.scope = SCOPE_PROCESS;
	want.pin = dup(b->pin);
	want.session = session("dead");
	binding_make(table, &want, &id, &displaced);
	is_int((long long)acts_by(me), 0, "nor does a process");
	start_process(&actor);
	is_int((long long)acts_by(actor.id), 0, "nor its descendants");
	uint64_t anew = bound(SCOPE_PROCESS, me, "living");
	ok(acts_by(me) == anew && acts_by(actor.id) == anew && !known(id),
	   "a living binding of the number takes the dead one's place");
	end_process(&actor);
	binding_end(table, anew);
	binding_put(table, b);
}

static void test_handles(void)
{
	char name[HANDLE_NAME_LEN + 8];
	struct binding want = wanted(SCOPE_HANDLE, getpid(), "H"), *displaced = NULL, *b;
	uint64_t id, other = bound(SCOPE_HANDLE, getpid(), "H");

	strcpy(want.handle, "~chosen");
	binding_make(table, &want, &id, &displaced);
	b = binding_get(table, id);
	struct binding *o = binding_get(table, other);
	ok(strlen(b->handle) == HANDLE_NAME_LEN && b->handle[0] == '~' &&
		   strspn(b->handle + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == 43,
	   "a handle's name is ~ and 43 characters of base64url");
	ok(strcmp(b->handle, o->handle) != 0, "no two are alike");
	ok(binding_alive(b), "a handle needs nobody to be alive");
	struct binding *f = binding_by_handle(table, b->handle);
	ok(f == b, "whoever knows the name finds it");
	binding_put(table, f);
	int wrong = 0;
	for (int i = 0; i < HANDLE_NAME_LEN; i++) {
		strcpy(name, b->handle);
		name[i] = name[i] == 'x' ? 'y' : 'x';
		wrong += binding_by_handle(table, name) != NULL;
		strcpy(name, b->handle);
		name[i] = '\0';
		wrong += binding_by_handle(table, name) != NULL;
	}
	snprintf(name, sizeof(name), "%sA", b->handle);
	wrong += binding_by_handle(table, name) != NULL || binding_by_handle(table, "~") != NULL;
	is_int(wrong, 0, "a name that differs in one character, is shorter or longer is not found");
	ok(binding_end(table, id) && !binding_by_handle(table, b->handle),
	   "an ended handle is not found, also while somebody holds it");
	f = binding_by_handle(table, o->handle);
	ok(f == o, "another one of the session is");
	binding_put(table, f);
	binding_put(table, b);
	binding_put(table, o);
	uint64_t thread = bound(SCOPE_THREAD, getpid(), "T");
	b = binding_get(table, thread);
	ok(!b->handle[0] && !binding_by_handle(table, ""), "a thread's binding has no name, and none finds it");
	binding_put(table, b);
	binding_end(table, thread);
	binding_end(table, other);
}

static void test_check(void)
{
	static const struct {
		bool revoked, ended;
		int64_t exp;
		int want;
		const char *claim;
	} cases[] = {
		{false, false, 101, 0, "a second before exp a binding is good"},
		{false, false, 100, -EKEYEXPIRED, "at exp it has expired: exp is exact"},
		{false, false, 99, -EKEYEXPIRED, "and after it"},
		{false, true, 101, -ENOKEY, "an ended binding grants nothing"},
		{false, true, 99, -ENOKEY, "that it ended comes before that it would have expired"},
		{true, false, 101, -EKEYREVOKED, "a revoked session is refused"},
		{true, false, 99, -EKEYREVOKED, "that it is revoked comes before expiry"},
		{true, true, 99, -EKEYREVOKED, "and before the end"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct binding want = wanted(SCOPE_HANDLE, getpid(), "K"), *displaced = NULL;
		uint64_t id;
		want.exp = cases[i].exp;
		binding_make(table, &want, &id, &displaced);
		struct binding *b = binding_get(table, id);
		b->session->revoked = cases[i].revoked;
		if (cases[i].ended)
			binding_end(table, id);
		is_int(binding_check(b, 100), cases[i].want, "%s", cases[i].claim);
		binding_end(table, id);
		binding_put(table, b);
	}
	is_str(scope_name(SCOPE_THREAD), "thread", "a scope has the name of its control file: thread");
	is_str(scope_name(SCOPE_PROCESS), "process", "process");
	is_str(scope_name(SCOPE_HANDLE), "handle", "handle");
}

static void test_life(void)
{
	enum { ROUNDS = 1000 };
	static uint64_t seen[ROUNDS];
	int again = 0, base = open_fds();
	int64_t gauge = stats_get(STATS_bindings_thread), unbinds = stats_get(STATS_unbinds);

	for (int i = 0; i < ROUNDS; i++) {
		seen[i] = bound(SCOPE_HANDLE, getpid(), "L");
		binding_end(table, seen[i]);
		for (int j = 0; j < i; j++)
			again += seen[i] == seen[j] || (i % 100 == 0 && known(seen[j]));
	}
	is_int(again, 0, "numbers are never used again");
	ok(!known(0) && !known(1) && !known((uint32_t)seen[0]) && !known(UINT64_MAX),
	   "what was never a number is unknown");

	struct binding want = wanted(SCOPE_THREAD, getpid(), "L"), *displaced = NULL;
	uint64_t id;
	want.kid[0] = 'k';
	strcpy(want.release, "v7");
	binding_make(table, &want, &id, &displaced);
	struct binding *b = binding_get(table, id);
	ok(b->scope == want.scope && b->session == want.session && b->tid == want.tid && b->pin == want.pin &&
		   b->exp == NEVER && b->kid[0] == 'k' && strcmp(b->release, "v7") == 0 && !b->ended,
	   "a binding is what was wanted");
	is_int(stats_get(STATS_bindings_thread) - gauge, 1, "the gauge counts it");
	ok(binding_end(table, id), "ending it ends it");
	ok(!binding_end(table, id) && !binding_end(table, 0), "once");
	ok(b->ended && b->session == want.session && is_live("L") && fcntl(want.pin, F_GETFD) >= 0,
	   "who holds it still has its session and its pin");
	ok(count_all() == 0, "but no walk meets it");
	binding_put(table, b);
	ok(!is_live("L") && fcntl(want.pin, F_GETFD) < 0, "the last one gives both back");
	binding_put(table, NULL);
	is_int(stats_get(STATS_bindings_thread), gauge, "the gauge goes back");
	is_int(stats_get(STATS_unbinds) - unbinds, ROUNDS + 1, "and every end is counted");
	is_int(open_fds(), base, "no descriptor is left");

	for (int i = 0; i < 10; i++)
		seen[i] = bound(SCOPE_HANDLE, getpid(), "L");
	binding_end(table, seen[3]);
	int met = 0, wrong = 0;
	for (uint32_t at = 0; (b = binding_next(table, &at)); met++) {
		if (met == 0)
			binding_end(table, seen[8] == b->id ? seen[7] : seen[8]); /* under the walker's feet */
		wrong += b->ended || b->id == seen[3];
		binding_end(table, b->id);
		binding_put(table, b);
	}
	ok(met == 8 && wrong == 0, "a walk meets each live binding once");
}

/* ---- many at once ---- */

static pthread_barrier_t gate;
static atomic_int faults, ended;
static uint64_t shared;
static pid_t tids[THREADS];

static void *race_to_end(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&gate);
	for (int i = 0; i < 200; i++) {
		if (pthread_barrier_wait(&gate) == PTHREAD_BARRIER_SERIAL_THREAD)
			shared = bound(SCOPE_HANDLE, 1, "R");
		pthread_barrier_wait(&gate);
		ended += binding_end(table, shared);
		pthread_barrier_wait(&gate);
	}
	return NULL;
}

static void *bind_and_look(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	char sid[16];
	tids[me] = gettid_();
	snprintf(sid, sizeof(sid), "mine%d", (int)me);
	pthread_barrier_wait(&gate);
	for (int i = 0; i < 500; i++) {
		uint64_t id = bound(SCOPE_THREAD, tids[me], sid);
		struct binding *b = bound_by(tids[me]);
		faults += !b || b->id != id || strcmp(b->session->sid, sid) != 0 || binding_check(b, 0);
		struct binding *other = bound_by(tids[(me + 1) % THREADS]);
		faults += other && strcmp(other->session->sid, sid) == 0;
		binding_put(table, other);
		if (i % 2)
			faults += !binding_end(table, id) || acts_by(tids[me]) || !b->ended;
		binding_put(table, b);
	}
	pthread_barrier_wait(&gate);
	return NULL;
}

static void run(void *(*work)(void *))
{
	pthread_t threads[THREADS];
	pthread_barrier_init(&gate, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			abort();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&gate);
}

static void test_threads(void)
{
	int base = open_fds();
	run(race_to_end);
	is_int(ended, 200, "of %d threads that end a binding one does it", THREADS);
	run(bind_and_look);
	is_int(faults, 0, "%d threads bind and unbind: each finds its own latest binding, and never another's",
	       THREADS);
	is_int(count_all(), 0, "none is left");
	is_int(open_fds(), base, "nor a descriptor");
	ok(!is_live("mine0") && !is_live("R"), "nor a session");
}

static void test_full(void)
{
	pid_t me = getpid();
	int n = 0;
	struct binding *displaced = NULL;
	uint64_t mine = bound(SCOPE_THREAD, me, "M"), id = 0, some = 0;

	for (struct binding want; n < 1 << 18; n++) {
		want = wanted(SCOPE_HANDLE, me, "many");
		if (binding_make(table, &want, &id, &displaced))
			break;
		some = id;
	}
	is_int(n + 1, (1 << 17) - 1, "a full table refuses one binding more");
	struct binding want = wanted(SCOPE_THREAD, me, "late");
	id = 77;
	is_int(binding_make(table, &want, &id, &displaced), -ENFILE, "with ENFILE");
	ok(id == 77 && !displaced, "and says nothing else");
	ok(!is_live("late") && fcntl(want.pin, F_GETFD) < 0, "the references are consumed all the same");
	ok(acts_by(me) == mine, "what the thread had stays");
	binding_end(table, some);
	ok(acts_by(me) != bound(SCOPE_THREAD, me, "late") && !known(mine),
	   "where one has ended there is room for another");
}

static void test_free(void)
{
	int base = open_fds();
	struct session *s = session("F");
	struct binding_table *t = table;
	table = binding_table_new(sessions, UINT_MAX);
	bound(SCOPE_THREAD, getpid(), "F");
	bound(SCOPE_HANDLE, getpid(), "F");
	binding_table_free(table);
	binding_table_free(NULL);
	table = t;
	is_int(open_fds(), base, "the table closes its pins when it goes");
	session_put(sessions, s);
	ok(!is_live("F"), "and gives its sessions back");
}

int main(void)
{
	alarm(240);
	sessions = session_table_new(UINT_MAX);
	table = binding_table_new(sessions, UINT_MAX);
	if (!sessions || !table || caller_init(false))
		abort();
	test_who();
	binding_table_free(table);
	table = binding_table_new(sessions, UINT_MAX);
	test_orphan();
	test_latest();
	test_dead();
	test_handles();
	test_check();
	test_life();
	test_threads();
	test_free();
	test_full();
	binding_table_free(table);
	session_table_free(sessions);
	return tap_done();
}
