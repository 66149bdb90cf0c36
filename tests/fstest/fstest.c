/* SPDX-License-Identifier: MIT */
/*
 * fstest [-m MOUNT] [-u UID:GID[,GROUP…]] [-b KIND:TOKEN-FILE] COMMAND [WORD…] [: COMMAND [WORD…]]…
 *
 * Makes the system calls one after the other and prints a line for each: 0, the errno's name, or what was read.
 *
 *     stat PATH size mode          12 0644
 *     d=open PATH O_DIRECTORY      keeps the descriptor in register d
 *     mkdir @d/new 0755            mkdirat() below it
 *     chmod @d 0700                fchmod()
 *     must CMD…                    prints nothing; ends the whole with status 3 unless it gives 0 or text
 *     until WANT CMD…              asks again until it prints WANT, for a quarter of a minute at most
 *     repeat N CMD…                the last result
 *
 * Who makes the call:
 *
 *     bind KIND FILE [RELEASE]     opens MOUNT/.sessionfs/KIND (thread, process or handle) and binds; c=bind … holds it
 *     bind @c FILE [RELEASE]       binds on a control descriptor held already; `unbind @c`
 *     become UID:GID[,GROUP…]
 *     thread N · fork N            starts a thread or a process with the number N (1 to 9); `thread N as M` gives it
 *                                  the id that M had, which must be gone
 *     in N CMD…                    runs a command there
 *     exec                         (inside `in N`) execs this program anew, which goes on serving N
 *     quit · kill N · wait N       ends the caller; kills a process; waits until one that the caller started is gone
 *
 * In every word %h is the name of the handle that this process bound last, and %% is a %.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bind.h"
#include "fstest.h"

enum { SLOTS = 10, LIFE_FD = 198, SLOT_FD = 200, TID_TRIES = 2000, PATIENCE_MS = 15000, POLL_MS = 10 };

static const char *mount_point;
static int registers[26];
static char handle[256];

/*
 * A slot is a thread or process that obeys: words come on one end of a socket pair, a result goes back. All pairs are
 * made before anything else and inherited by all, so that a grandchild is as easy to talk to as a child.
 */
static struct slot {
	pthread_t thread;
	pid_t child;
} slots[SLOTS];              /* those that this process started */
static pid_t *slot_ids;      /* shared by all: the thread id of each slot */
static _Thread_local int me; /* slot of this thread, 0 for the first */

/* -- words ------------------------------------------------------------------------------------------------------- */

static int server(int n)
{
	return SLOT_FD + 2 * n + 1;
}

/* Whoever waits for this thread is told, rather than left waiting. */
__attribute__((noreturn)) static void give_up(const char *text, int status)
{
	fflush(stdout);
	if (me)
		send(server(me), text, strlen(text), MSG_NOSIGNAL);
	_exit(status);
}

void mistake(const char *fmt, ...)
{
	va_list ap;

	char text[1024];

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fprintf(stderr, "fstest: %s\n", text);
	give_up(text, 2);
}

static int *reg(char name)
{
	if (name < 'a' || name > 'z')
		mistake("%c: registers are a to z", name);
	return &registers[name - 'a'];
}

int held(const char *word)
{
	if (word[0] != '@' || !word[1] || (word[2] && word[2] != '/'))
		mistake("%s: want a register, @a", word);
	if (*reg(word[1]) < 0)
		mistake("%s: nothing is held there", word);
	return *reg(word[1]);
}

long long number(const char *word)
{
	char *end;
	long long n = strtoll(word, &end, 0);

	if (*end == 'K' && !end[1])
		return n << 10;
	if (*end == 'M' && !end[1])
		return n << 20;
	if (end == word || *end)
		mistake("%s: want a number", word);
	return n;
}

void answer(struct call *c, const char *fmt, ...)
{
	size_t len = strlen(c->out);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->out + len, sizeof c->out - len, fmt, ap);
	va_end(ap);
}

void answer_bytes(struct call *c, const void *bytes, size_t n)
{
	size_t len = strlen(c->out);
	const unsigned char *b = bytes;

	for (size_t i = 0; i < n && len + 5 < sizeof c->out; i++) {
		if (b[i] >= ' ' && b[i] < 127)
			c->out[len++] = (char)b[i];
		else
			len += (size_t)snprintf(c->out + len, 5, "\\x%02x", b[i]);
	}
	c->out[len] = '\0';
}

/* A copy of word with %h and %% replaced. Owned by the caller. */
static char *expand(const char *word)
{
	char *copy = malloc(strlen(word) * sizeof handle + 1), *to = copy;

	if (!copy)
		mistake("no memory");
	for (; *word; word++) {
		if (word[0] == '%' && word[1] == 'h') {
			to = stpcpy(to, handle);
			word++;
		} else {
			*to++ = *word;
			word += word[0] == '%' && word[1] == '%';
		}
	}
	*to = '\0';
	return copy;
}

/* -- who ---------------------------------------------------------------------------------------------------------- */

static int become(const char *who)
{
	gid_t groups[32];
	size_t n = 0;
	char *at;
	uid_t uid = (uid_t)strtoul(who, &at, 10);
	gid_t gid = *at == ':' ? (gid_t)strtoul(at + 1, &at, 10) : (gid_t)uid;

	while (*at == ',' && n < 32)
		groups[n++] = (gid_t)strtoul(at + 1, &at, 10);
	if (*at)
		mistake("%s: want UID:GID[,GROUP...]", who);
	if (setgroups(n, groups) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

static int do_become(struct call *c)
{
	return become(c->argv[0]);
}

/* Remembers the name that a handle's control file gives. */
static void learn_handle(int fd)
{
	char json[4096];
	ssize_t n = read(fd, json, sizeof json - 1);

	if (n > 0) {
		json[n] = '\0';
		json_value(json, "path", handle, sizeof handle);
	}
}

static int do_bind(struct call *c)
{
	const char *kind = c->argv[0], *release = c->argc > 2 ? c->argv[2] : NULL;
	int fd = *kind == '@' ? held(kind) : control_open(mount_point, kind), r;

	if (fd < 0)
		return fd;
	r = bind_write(fd, c->argv[1], release);
	if (*kind != '@')
		c->fd = fd; /* also where it was refused: why is read there */
	if (r == 0)
		learn_handle(fd);
	return r;
}

static int do_unbind(struct call *c)
{
	return write(held(c->argv[0]), "unbind\n", 7) == 7 ? 0 : -errno;
}

/* control @c LINE: writes LINE, in which \n is a newline and \0 a NUL, in one write(2). */
static int do_control(struct call *c)
{
	char line[8192 + 2];
	size_t len = 0;

	for (const char *at = c->argv[1]; *at && len < sizeof line; at++)
		if (at[0] == '\\' && (at[1] == 'n' || at[1] == '0'))
			line[len++] = *++at == 'n' ? '\n' : '\0';
		else
			line[len++] = *at;
	return write(held(c->argv[0]), line, len) == (ssize_t)len ? 0 : -errno;
}

/* json @c|PATH KEY…: the values of the keys, `-` for one that is not there. */
static int do_json(struct call *c)
{
	int opened = c->argv[0][0] != '@', fd = opened ? open(c->argv[0], O_RDONLY | O_CLOEXEC) : held(c->argv[0]);
	char json[8192], value[1024];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, json, sizeof json - 1);
	int r = n < 0 ? -errno : 0;
	if (opened)
		close(fd);
	if (r < 0)
		return r;
	json[n] = '\0';
	for (int i = 1; i < c->argc; i++)
		answer(c, "%s%s", i > 1 ? " " : "",
		       json_value(json, c->argv[i], value, sizeof value) == 0 ? value : "-");
	return 0;
}

static int do_close(struct call *c)
{
	int fd = held(c->argv[0]);

	*reg(c->argv[0][1]) = -1;
	return close(fd) < 0 ? -errno : 0;
}

/* run PROGRAM ARG…: what it says (4 KiB of it) when it succeeds, else how it ended. */
static int do_run(struct call *c)
{
	int out[2], status;
	char buf[4096];
	size_t len = 0;
	ssize_t n;

	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	pid_t child = fork();
	if (child == 0) {
		dup2(out[1], STDOUT_FILENO);
		c->argv[c->argc] = NULL;
		execvp(c->argv[0], c->argv);
		_exit(127);
	}
	close(out[1]);
	while (len < sizeof buf && (n = read(out[0], buf + len, sizeof buf - len)) > 0)
		len += (size_t)n;
	answer_bytes(c, buf, len && buf[len - 1] == '\n' ? len - 1 : len);
	close(out[0]);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return -errno;
	if (status != 0) {
		c->out[0] = '\0';
		answer(c, WIFEXITED(status) ? "exit %d" : "signal %d",
		       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	}
	return 0;
}

/* -- slots -------------------------------------------------------------------------------------------------------- */

static void obey(int n);

static int client(int n)
{
	return SLOT_FD + 2 * n;
}

static int slot_number(const char *word)
{
	if (word[0] < '1' || word[0] > '9' || word[1])
		mistake("%s: slots are 1 to 9", word);
	return word[0] - '0';
}

static void *thread_main(void *arg)
{
	obey((int)(long)arg);
	return NULL;
}

/* Asks the kernel to hand out id next. */
static void next_id(pid_t id)
{
	FILE *f = fopen("/proc/sys/kernel/ns_last_pid", "w");

	if (!f)
		mistake("ns_last_pid: %s", strerror(errno));
	fprintf(f, "%d", (int)id - 1);
	fclose(f);
}

static int start_thread(int n)
{
	return -pthread_create(&slots[n].thread, NULL, thread_main, (void *)(long)n);
}

static int start_process(int n)
{
	slots[n].child = fork();
	if (slots[n].child == 0) {
		close(LIFE_FD + 1);
		memset(slots, 0, sizeof slots);
		obey(n);
		_exit(0);
	}
	return slots[n].child < 0 ? -errno : 0;
}

/* Sends a command to a slot and waits for its result. */
static int ask(int n, int argc, char **argv, char *out, size_t size)
{
	char words[RESULT_MAX];
	size_t len = 0;

	for (int i = 0; i < argc; i++) {
		size_t l = strlen(argv[i]) + 1;

		if (len + l > sizeof words)
			mistake("too many words");
		memcpy(words + len, argv[i], l);
		len += l;
	}
	if (send(client(n), words, len, MSG_NOSIGNAL) < 0)
		mistake("slot %d: %s", n, strerror(errno));
	struct pollfd p = {.fd = client(n), .events = POLLIN};
	if (poll(&p, 1, 2 * PATIENCE_MS) != 1)
		mistake("slot %d does not answer to %s", n, argv[0]);
	ssize_t got = recv(client(n), out, size - 1, 0);
	if (got < 0)
		mistake("slot %d: %s", n, strerror(errno));
	out[got] = '\0';
	return 0;
}

static int wait_slot(int n)
{
	if (slots[n].child > 0) {
		if (waitpid(slots[n].child, NULL, 0) < 0)
			return -errno;
		slots[n].child = 0;
		return 0;
	}
	if (!slots[n].thread)
		return -ECHILD;
	int r = -pthread_join(slots[n].thread, NULL);
	slots[n].thread = 0;
	return r;
}

/* Other processes take ids too, so the id that is wanted may need several tries. */
static int start(struct call *c, int (*start_one)(int))
{
	int n = slot_number(c->argv[0]);
	char *quit[] = {"quit"}, out[64];

	if (c->argc == 1)
		return start_one(n);
	pid_t want = slot_ids[slot_number(c->argv[2])];
	for (int i = 0; i < TID_TRIES; i++) {
		char *id[] = {"id"};

		next_id(want);
		int r = start_one(n);
		if (r < 0)
			return r;
		ask(n, 1, id, out, sizeof out);
		if (atoi(out) == want)
			return 0;
		ask(n, 1, quit, out, sizeof out);
		wait_slot(n);
	}
	return -EAGAIN;
}

static int do_thread(struct call *c)
{
	return start(c, start_thread);
}

static int do_fork(struct call *c)
{
	return start(c, start_process);
}

static int do_in(struct call *c)
{
	return ask(slot_number(c->argv[0]), c->argc - 1, c->argv + 1, c->out, sizeof c->out);
}

static int do_wait(struct call *c)
{
	return wait_slot(slot_number(c->argv[0]));
}

static int do_kill(struct call *c)
{
	return kill(slot_ids[slot_number(c->argv[0])], SIGKILL) < 0 ? -errno : 0;
}

static int do_id(struct call *c)
{
	answer(c, "%d", (int)gettid());
	return 0;
}

/* The new image answers. */
static int do_exec(struct call *c)
{
	char n[] = {(char)('0' + me), '\0'};

	(void)c;
	if (!me)
		mistake("exec: only in a slot");
	execl("/proc/self/exe", "fstest", "-m", mount_point, "-S", n, (char *)NULL);
	return -errno;
}

static const struct command who[] = {
	{"become", 1, 1, do_become},
	{"bind", 2, 3, do_bind},
	{"unbind", 1, 1, do_unbind},
	{"control", 2, 2, do_control},
	{"json", 2, 16, do_json},
	{"close", 1, 1, do_close},
	{"run", 1, ARGS_MAX - 2, do_run},
	{"thread", 1, 3, do_thread},
	{"fork", 1, 3, do_fork},
	{"in", 2, ARGS_MAX, do_in},
	{"wait", 1, 1, do_wait},
	{"kill", 1, 1, do_kill},
	{"id", 0, 0, do_id},
	{"exec", 0, 0, do_exec},
	{NULL, 0, 0, NULL},
};

/* -- the interpreter ---------------------------------------------------------------------------------------------- */

static const struct command *find(const struct command *table, const char *name)
{
	for (; table->name; table++)
		if (!strcmp(table->name, name))
			return table;
	return NULL;
}

/* Runs one plain command, `a=` in front or not; its result in c->out. */
static void run_plain(struct call *c, int argc, char **argv)
{
	const char *name = argv[0];
	char into = name[0] && name[1] == '=' ? name[0] : 0;
	char *words[ARGS_MAX + 1];

	c->out[0] = '\0';
	c->fd = -1;
	c->argc = argc - 1;
	c->argv = words;
	name += into ? 2 : 0;
	const struct command *cmd = find(who, name) ?: find(calls, name);
	if (!cmd)
		mistake("%s: no such command", name);
	if (c->argc < cmd->min || c->argc > cmd->max || c->argc >= ARGS_MAX)
		mistake("%s: wrong number of words", name);
	/* What is sent on is expanded there. */
	for (int i = 0; i < c->argc; i++)
		words[i] = cmd->run == do_in ? strdup(argv[i + 1]) : expand(argv[i + 1]);
	int r = cmd->run(c);
	for (int i = 0; i < argc - 1; i++)
		free(words[i]);
	if (r < 0)
		snprintf(c->out, sizeof c->out, "%s", strerrorname_np(-r) ?: "?");
	else if (!c->out[0])
		strcpy(c->out, "0");
	if (into && c->fd >= 0)
		*reg(into) = c->fd;
	else if (c->fd >= 0 && cmd->run != do_bind) /* a binding lasts as long as its descriptor */
		close(c->fd);
}

static int failed(const char *result)
{
	return result[0] == 'E' && result[1] >= '2' && result[1] <= 'Z';
}

/* The prefixes. Returns whether the result is to be printed. */
static int run(struct call *c, int argc, char **argv)
{
	if (argc == 0)
		mistake("a command is missing");
	if (argc > 1 && !strcmp(argv[0], "must")) {
		run(c, argc - 1, argv + 1);
		if (failed(c->out)) {
			printf("must");
			for (int i = 1; i < argc; i++)
				printf(" %s", argv[i]);
			printf(": %s\n", c->out);
			give_up(c->out, 3);
		}
		return 0;
	}
	if (argc > 2 && !strcmp(argv[0], "until")) {
		for (int t = 0; t < PATIENCE_MS / POLL_MS; t++) {
			run(c, argc - 2, argv + 2);
			if (!strcmp(c->out, argv[1]))
				break;
			poll(NULL, 0, POLL_MS);
		}
		return 1;
	}
	if (argc > 2 && !strcmp(argv[0], "repeat")) {
		for (long long n = number(argv[1]); n > 0; n--)
			run(c, argc - 2, argv + 2);
		return 1;
	}
	run_plain(c, argc, argv);
	return 1;
}

/* Waits for a command; false when the first process is gone, whose end of the lifeline nobody else has. */
static int awaited(int n)
{
	struct pollfd p[2] = {{.fd = server(n), .events = POLLIN}, {.fd = LIFE_FD}};

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return 0;
	return !p[1].revents;
}

/* Serves slot n until told to quit. */
static void obey(int n)
{
	static _Thread_local struct call c;
	char words[RESULT_MAX], *argv[ARGS_MAX];
	ssize_t len;

	me = n;
	slot_ids[n] = gettid();
	while (awaited(n) && (len = recv(server(n), words, sizeof words, 0)) > 0) {
		int argc = 0;

		for (char *at = words; at < words + len && argc < ARGS_MAX; at += strlen(at) + 1)
			argv[argc++] = at;
		int quit = !strcmp(argv[0], "quit");
		if (quit)
			strcpy(c.out, "0");
		else
			run(&c, argc, argv);
		send(server(n), c.out, strlen(c.out), MSG_NOSIGNAL);
		if (quit)
			return;
	}
}

static void make_slots(void)
{
	slot_ids = mmap(NULL, SLOTS * sizeof *slot_ids, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (slot_ids == MAP_FAILED)
		mistake("no memory");
	memset(registers, -1, sizeof registers);
}

static void make_sockets(void)
{
	int pair[2];

	if (pipe(pair) < 0 || dup2(pair[0], LIFE_FD) < 0 || dup3(pair[1], LIFE_FD + 1, O_CLOEXEC) < 0)
		mistake("pipe: %s", strerror(errno));
	close(pair[0]);
	close(pair[1]);
	for (int n = 1; n < SLOTS; n++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0 || dup2(pair[0], client(n)) < 0 ||
		    dup2(pair[1], server(n)) < 0)
			mistake("socketpair: %s", strerror(errno));
		close(pair[0]);
		close(pair[1]);
	}
}

int main(int argc, char **argv)
{
	static struct call c;
	const char *user = NULL;
	char *binding = NULL;
	int opt;

	make_slots();
	while ((opt = getopt(argc, argv, "+m:u:b:S:")) != -1)
		switch (opt) {
		case 'm': mount_point = optarg; break;
		case 'u': user = optarg; break;
		case 'b': binding = optarg; break;
		case 'S': /* what exec has made of a slot */
			send(server(slot_number(optarg)), "0", 1, MSG_NOSIGNAL);
			obey(slot_number(optarg));
			return 0;
		default: return 2;
		}
	make_sockets();
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (user && become(user) < 0)
		mistake("become %s: %s", user, strerror(errno));
	if (binding) {
		char *file = strchr(binding, ':');

		if (!file)
			mistake("-b %s: want KIND:TOKEN-FILE", binding);
		*file++ = '\0';
		char *bind[] = {"must", "bind", binding, file};
		run(&c, 4, bind);
	}
	for (int from = optind, to; from < argc; from = to + 1) {
		for (to = from; to < argc && strcmp(argv[to], ":");)
			to++;
		if (run(&c, to - from, argv + from))
			puts(c.out);
	}
	return 0;
}
