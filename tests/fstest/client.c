/* SPDX-License-Identifier: MIT */
/*
 * The client library's caller: obeys lines `WHO COMMAND WORD…` on standard input and answers each with a line, 0, the
 * errno's name, or a text. WHO is 0, the first thread, or a number up to 9 that was given to another:
 *
 *     0 thread 1 · 1 fork 2        starts a thread, or forks in that very thread; `1 quit` ends it, `0 wait 1` sees to that
 *     1 clone 2                    forks where the C library, and what is registered with it, does not know of it
 *     0 open m PATH · close m      mounts and handles have letters
 *     bind m TOKEN [RELEASE] · unbind m · process m TOKEN [RELEASE] · unprocess m · keep m
 *     handle h m TOKEN [RELEASE] · path h · drop h
 *     self m · reason m · strerror N · mint KEY-FILE NAME=VALUE…
 *     get PATH · link PATH · put PATH TEXT
 *     fds WORD                     how many descriptors of paths that end in WORD the process has
 *     close-fd WORD                closes them behind the library's back
 *     exec WORD…                   becomes another program, whose output is the answer
 *     stress THREADS ROUNDS m LINK TOKEN=SID…     what is bound, in threads and forks, against what LINK says
 *
 * TOKEN is a text, or @FILE.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/sessionfs.h"

enum { SLOTS = 10, WORDS = 16, LINE = 16384, FIRST_FD = 200 };

static struct sessionfs *mounts[26];
static struct sessionfs_handle *handles[26];
static pthread_t threads[SLOTS];
static pid_t children[SLOTS];

/* Made before anything else and inherited by all: words come in at the one end, an answer goes out. */
static int asks(int slot)
{
	return FIRST_FD + 2 * slot;
}

static int obeys(int slot)
{
	return FIRST_FD + 2 * slot + 1;
}

__attribute__((noreturn, format(printf, 1, 2))) static void mistake(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("client: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	_exit(2);
}

static int letter(const char *word)
{
	if (!word || word[0] < 'a' || word[0] > 'z' || word[1])
		mistake("%s: must be a letter", word ? word : "(nothing)");
	return word[0] - 'a';
}

static void say_error(char *answer, int r)
{
	const char *name = strerrorname_np(-r);

	snprintf(answer, LINE, "%s", r == 0 ? "0" : r < 0 && name ? name : "not an errno");
}

static void say_text(char *answer, const char *text)
{
	snprintf(answer, LINE, "%s", text[0] ? text : "(nothing)");
	answer[strcspn(answer, "\n")] = '\0';
}

/* A text that lives until the process ends: what is bound with must not be needed afterwards, so it is overwritten. */
static char *token_of(const char *word, char *buf)
{
	if (word[0] != '@')
		return strcpy(buf, word);
	int fd = open(word + 1, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, LINE - 1);
	if (n < 0)
		mistake("%s: %s", word + 1, strerror(errno));
	close(fd);
	n -= n > 0 && buf[n - 1] == '\n';
	buf[n] = '\0';
	return buf;
}

static void do_bind(char **w, char *answer)
{
	char buf[LINE];
	int r, at = strcmp(w[0], "handle") == 0 ? 2 : 1;
	struct sessionfs *m = mounts[letter(w[at])];
	const char *token = token_of(w[at + 1], buf), *release = w[at + 2];

	if (at == 2)
		r = sessionfs_handle(m, token, release, &handles[letter(w[1])]);
	else if (strcmp(w[0], "process") == 0)
		r = sessionfs_bind_process(m, token, release);
	else
		r = sessionfs_bind(m, token, release);
	memset(buf, 'x', sizeof(buf));
	say_error(answer, r);
}

static void do_mint(char **w, char *answer)
{
	struct sessionfs_claims c = {.sub = NULL};
	const char *reason = "untouched";
	char *token = NULL;

	for (int i = 2; w[i]; i++) {
		char *value = strchr(w[i], '=');
		if (!value)
			mistake("mint: %s", w[i]);
		*value++ = '\0';
		if (strcmp(w[i], "sub") == 0)
			c.sub = value;
		else if (strcmp(w[i], "sid") == 0)
			c.sid = value;
		else if (strcmp(w[i], "aud") == 0)
			c.aud = value;
		else if (strcmp(w[i], "jti") == 0)
			c.jti = value;
		else if (strcmp(w[i], "iss") == 0)
			c.iss = value;
		else if (strcmp(w[i], "extra") == 0)
			c.extra = value;
		else if (strcmp(w[i], "ttl") == 0)
			c.ttl = strtoll(value, NULL, 10);
		else if (strcmp(w[i], "nbf") == 0)
			c.nbf = strtoll(value, NULL, 10);
		else
			mistake("mint: %s", w[i]);
	}
	int r = sessionfs_mint(w[1], &c, &token, &reason);
	if (r == 0) {
		say_text(answer, token);
		sessionfs_free(token);
	} else if (token || sessionfs_mint(w[1], &c, &token, NULL) != r) {
		say_text(answer, "mint: wrote on an error, or fails otherwise without a reason");
	} else {
		snprintf(answer, LINE, "%s %s", strerrorname_np(-r), reason);
	}
}

/* Counts, or closes, the descriptors of paths that end in a word. */
static int each_fd(const char *word, int close_it)
{
	DIR *dir = opendir("/proc/self/fd");
	char path[PATH_MAX];
	int n = 0;

	if (!dir)
		mistake("/proc/self/fd: %s", strerror(errno));
	for (struct dirent *d; (d = readdir(dir));) {
		ssize_t len = readlinkat(dirfd(dir), d->d_name, path, sizeof(path));
		size_t want = strlen(word);
		if (len < (ssize_t)want || memcmp(path + len - want, word, want) != 0)
			continue;
		n++;
		if (close_it)
			close(atoi(d->d_name));
	}
	closedir(dir);
	return n;
}

static void say_link(char *answer, const char *path)
{
	ssize_t n = readlink(path, answer, LINE - 1);

	if (n < 0)
		say_error(answer, -errno);
	else
		answer[n] = '\0';
}

static void do_io(char **w, char *answer)
{
	char text[LINE];
	int put = strcmp(w[0], "put") == 0;
	int fd = open(w[1], put ? O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0644);
	ssize_t n = fd < 0 ? -1 : put ? write(fd, w[2], strlen(w[2])) : read(fd, text, sizeof(text) - 1);

	if (n < 0) {
		say_error(answer, -errno);
	} else if (put) {
		say_error(answer, 0);
	} else {
		text[n] = '\0';
		say_text(answer, text);
	}
	if (fd >= 0)
		close(fd);
}

/* -- stress ------------------------------------------------------------------------------------------------------ */

static struct {
	int rounds, sessions;
	struct sessionfs *mount;
	const char *link;
	char tokens[WORDS][LINE / 4];
	const char *sids[WORDS];
	atomic_int faults;
} stress;

static void fault_unless(const char *want)
{
	char got[LINE];

	say_link(got, stress.link);
	if (strcmp(got, want) != 0) {
		fprintf(stderr, "client: stress: %s instead of %s\n", got, want);
		stress.faults++;
	}
}

static void bind_and_look(int session)
{
	int r = sessionfs_bind(stress.mount, stress.tokens[session], NULL);

	if (r) {
		fprintf(stderr, "client: stress: bind: %s\n", strerrorname_np(-r));
		stress.faults++;
	}
	fault_unless(stress.sids[session]);
}

static void *stress_one(void *arg)
{
	int me = (int)(intptr_t)arg, status;
	struct sessionfs_handle *h;

	for (int i = 0; i < stress.rounds; i++) {
		int mine = (me + i) % stress.sessions, other = (mine + 1) % stress.sessions;
		bind_and_look(mine);
		if (i % 8 == 0) {
			pid_t child = fork();
			if (child == 0) {
				fault_unless(".sessionfs/unbound");
				bind_and_look(other);
				_exit(stress.faults != 0);
			}
			if (child < 0 || waitpid(child, &status, 0) != child || status)
				stress.faults++;
		}
		if (i % 4 == 0) {
			if (sessionfs_handle(stress.mount, stress.tokens[mine], NULL, &h))
				stress.faults++;
			else
				sessionfs_handle_close(h);
		}
		fault_unless(stress.sids[mine]);
		sessionfs_unbind(stress.mount);
		fault_unless(".sessionfs/unbound");
	}
	return NULL;
}

static void do_stress(char **w, char *answer)
{
	pthread_t all[64];
	int n = atoi(w[1]);

	stress.rounds = atoi(w[2]);
	stress.mount = mounts[letter(w[3])];
	stress.link = w[4];
	for (stress.sessions = 0; w[5 + stress.sessions]; stress.sessions++) {
		char buf[LINE], *sid = strchr(w[5 + stress.sessions], '=');
		if (!sid)
			mistake("stress: %s", w[5 + stress.sessions]);
		*sid++ = '\0';
		snprintf(stress.tokens[stress.sessions], sizeof(stress.tokens[0]), "%s",
			 token_of(w[5 + stress.sessions], buf));
		stress.sids[stress.sessions] = sid;
	}
	for (int i = 0; i < n; i++)
		if (pthread_create(&all[i], NULL, stress_one, (void *)(intptr_t)i))
			mistake("stress: no thread");
	for (int i = 0; i < n; i++)
		pthread_join(all[i], NULL);
	snprintf(answer, LINE, "%d", stress.faults);
}

/* -- obeying ----------------------------------------------------------------------------------------------------- */

static void serve(int slot);

static void *serve_thread(void *arg)
{
	serve((int)(intptr_t)arg);
	return NULL;
}

static void do_start(char **w, char *answer)
{
	int slot = atoi(w[1]);

	if (strcmp(w[0], "thread") == 0) {
		say_error(answer, -pthread_create(&threads[slot], NULL, serve_thread, (void *)(intptr_t)slot));
		return;
	}
	children[slot] = strcmp(w[0], "fork") == 0 ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (children[slot] == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* all hold both ends, so none is told that the other is gone */
		serve(slot);
		_exit(0);
	}
	say_error(answer, children[slot] < 0 ? -errno : 0);
}

static void do_wait(char **w, char *answer)
{
	int slot = atoi(w[1]), status = 0;

	if (children[slot])
		status = waitpid(children[slot], &status, 0) < 0 ? -errno : -status;
	else
		status = -pthread_join(threads[slot], NULL);
	children[slot] = 0;
	say_error(answer, status);
}

static void do_exec(char **w, int out)
{
	dup2(out, STDOUT_FILENO);
	execvp(w[1], w + 1);
	mistake("%s: %s", w[1], strerror(errno));
}

static void obey(char **w, char *answer, int out)
{
	static const struct {
		const char *name;
		void (*run)(char **w, char *answer);
	} verbs[] = {
		{"bind", do_bind},   {"process", do_bind}, {"handle", do_bind},   {"mint", do_mint},
		{"get", do_io},      {"put", do_io},       {"thread", do_start},  {"fork", do_start},
		{"clone", do_start}, {"wait", do_wait},    {"stress", do_stress},
	};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(w[0], verbs[i].name) == 0) {
			verbs[i].run(w, answer);
			return;
		}
	}
	say_error(answer, 0);
	if (strcmp(w[0], "open") == 0) {
		say_error(answer, sessionfs_open(w[2], &mounts[letter(w[1])]));
	} else if (strcmp(w[0], "close") == 0) {
		sessionfs_close(mounts[letter(w[1])]);
	} else if (strcmp(w[0], "unbind") == 0) {
		sessionfs_unbind(mounts[letter(w[1])]);
	} else if (strcmp(w[0], "unprocess") == 0) {
		sessionfs_unbind_process(mounts[letter(w[1])]);
	} else if (strcmp(w[0], "keep") == 0) {
		say_error(answer, sessionfs_keep_on_exec(mounts[letter(w[1])]));
	} else if (strcmp(w[0], "path") == 0) {
		say_text(answer, sessionfs_handle_path(handles[letter(w[1])]));
	} else if (strcmp(w[0], "drop") == 0) {
		sessionfs_handle_close(handles[letter(w[1])]);
	} else if (strcmp(w[0], "self") == 0) {
		char *json;
		int r = sessionfs_self(mounts[letter(w[1])], &json);
		if (r) {
			say_error(answer, r);
		} else {
			say_text(answer, json);
			sessionfs_free(json);
		}
	} else if (strcmp(w[0], "reason") == 0) {
		say_text(answer, sessionfs_reason(mounts[letter(w[1])]));
	} else if (strcmp(w[0], "strerror") == 0) {
		say_text(answer, sessionfs_strerror(-atoi(w[1])));
	} else if (strcmp(w[0], "link") == 0) {
		say_link(answer, w[1]);
	} else if (strcmp(w[0], "fds") == 0) {
		snprintf(answer, LINE, "%d", each_fd(w[1], 0));
	} else if (strcmp(w[0], "close-fd") == 0) {
		each_fd(w[1], 1);
	} else if (strcmp(w[0], "exec") == 0) {
		do_exec(w, out);
	} else if (strcmp(w[0], "quit") != 0) {
		mistake("%s: no such command", w[0]);
	}
}

/* Obeys one line; 0 when it was `quit`. */
static int obey_line(char *line, char *answer, int out)
{
	char *w[WORDS + 1] = {NULL}, *rest = line;
	int n = 0;

	for (char *word; n < WORDS && (word = strtok_r(rest, " \n", &rest));)
		w[n++] = word;
	if (n == 0)
		mistake("an empty line");
	int quit = strcmp(w[0], "quit") == 0;
	obey(w, answer, out);
	return !quit;
}

static void serve(int slot)
{
	char *line = malloc(LINE), *answer = malloc(LINE);
	int more = line && answer;

	while (more) {
		ssize_t n = recv(obeys(slot), line, LINE - 1, 0);
		if (n <= 0)
			break;
		line[n] = '\0';
		more = obey_line(line, answer, obeys(slot));
		send(obeys(slot), answer, strlen(answer), MSG_NOSIGNAL);
	}
	free(line);
	free(answer);
}

int main(void)
{
	static char line[LINE], answer[LINE];

	for (int i = 1; i < SLOTS; i++) {
		int pair[2];
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
		    dup3(pair[0], asks(i), O_CLOEXEC) < 0 || dup3(pair[1], obeys(i), O_CLOEXEC) < 0)
			mistake("socketpair: %s", strerror(errno));
		close(pair[0]);
		close(pair[1]);
	}
	setvbuf(stdin, NULL, _IONBF, 0); /* no child reads on where its parent was */
	while (fgets(line, sizeof(line), stdin)) {
		int slot = line[0] - '0';
		if (slot < 0 || slot >= SLOTS || line[1] != ' ')
			mistake("%s: must begin with a number", line);
		if (slot == 0) {
			obey_line(line + 2, answer, STDOUT_FILENO);
		} else {
			send(asks(slot), line + 2, strlen(line + 2), MSG_NOSIGNAL);
			ssize_t n = recv(asks(slot), answer, sizeof(answer) - 1, 0);
			if (n < 0)
				mistake("%d: %s", slot, strerror(errno));
			answer[n] = '\0';
		}
		printf("%.*s\n", (int)strcspn(answer, "\n"), answer);
		fflush(stdout);
	}
	return 0;
}
