/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>

#include "options.h"
#include "table.h"
#include "util.h"

#define PATIENCE_MS 200 /* for a drawing that is under way when all is over */

/* The alternate screen, no wrapping of lines, no cursor; and back. */
#define ENTER "\033[?1049h\033[?7l\033[?25l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

struct watch {
	watch_draw_fn *draw;
	void *ctx;
	pthread_t thread;
	int drawn; /* eventfd: there is a frame */

	pthread_mutex_t lock;
	pthread_cond_t asked;
	bool wanted, over, idle; /* lock: what the thread is to do, and whether it is at nothing now */
	char *frame;             /* lock; owned */

	/* the terminal's */
	int signals; /* signalfd */
	bool keys;   /* stdin is a terminal, and `before` is how it was */
	struct termios before;
	char *shown; /* owned: the last frame */
};

/* --- the thread that draws --- */

static char *draw(struct watch *w)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	w->draw(w->ctx, f, table_width(STDOUT_FILENO));
	fclose(f);
	return text;
}

static void *drawer(void *arg)
{
	struct watch *w = arg;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->wanted && !w->over)
			pthread_cond_wait(&w->asked, &w->lock);
		if (w->over)
			break;
		w->wanted = w->idle = false;
		pthread_mutex_unlock(&w->lock);
		char *frame = draw(w);
		pthread_mutex_lock(&w->lock);
		free(w->frame);
		w->frame = frame;
		w->idle = true;
		eventfd_write(w->drawn, 1);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void ask(struct watch *w)
{
	pthread_mutex_lock(&w->lock);
	w->wanted = true;
	pthread_cond_signal(&w->asked);
	pthread_mutex_unlock(&w->lock);
}

/* --- the terminal --- */

static void send(const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(STDOUT_FILENO, p, n);
		if (done < 0 && errno != EINTR)
			return; /* gone: SIGHUP is on its way */
		p += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
}

/* As many lines of the last frame as there is room for, in one write: nothing flickers. */
static void paint(const struct watch *w)
{
	struct winsize size;
	int rows = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row ? size.ws_row : 24;
	_cleanup_free_ char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return;
	fputs("\033[H", f);
	const char *p = w->shown;
	for (int row = 0; p && *p && row < rows; row++) {
		size_t len = strcspn(p, "\n");
		fprintf(f, "%s%.*s\033[K", row ? "\r\n" : "", (int)len, p);
		p += len + (p[len] == '\n');
	}
	fputs("\033[J", f);
	fclose(f);
	send(text, n);
}

static void take_frame(struct watch *w)
{
	eventfd_t ignored;

	eventfd_read(w->drawn, &ignored);
	pthread_mutex_lock(&w->lock);
	char *frame = steal_ptr(&w->frame);
	pthread_mutex_unlock(&w->lock);
	if (!frame)
		return; /* no memory: the last one stays */
	free(w->shown);
	w->shown = frame;
	paint(w);
}

static void enter(struct watch *w)
{
	struct termios raw;

	w->keys = tcgetattr(STDIN_FILENO, &w->before) == 0;
	if (w->keys) {
		raw = w->before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* a stopped program would leave its screen behind */
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	send(ENTER, strlen(ENTER));
}

static void leave(const struct watch *w)
{
	send(LEAVE, strlen(LEAVE));
	if (w->keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &w->before);
}

/* --- both --- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* 0, or the signal that ends it. */
static int take_signal(struct watch *w)
{
	struct signalfd_siginfo info;

	if (read(w->signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo != SIGWINCH)
		return (int)info.ssi_signo;
	paint(w); /* what there is at once, and what fits when it comes */
	ask(w);
	return 0;
}

/* Whether a key ends it. The end of input does. */
static bool take_key(struct watch *w)
{
	char key;

	ssize_t n = read(STDIN_FILENO, &key, 1);
	if (n < 0 && errno == EINTR)
		return false;
	if (n > 0 && (key == ' ' || key == '\n'))
		ask(w);
	return n <= 0 || key == 'q' || key == 'Q';
}

/* Until it is over: 0 by a key, or a signal. */
static int watch(struct watch *w, double seconds)
{
	int64_t every = (int64_t)(seconds * 1000), next = now_ms();

	for (;;) {
		struct pollfd fds[] = {{.fd = w->signals, .events = POLLIN},
				       {.fd = w->drawn, .events = POLLIN},
				       {.fd = w->keys ? STDIN_FILENO : -1, .events = POLLIN}};
		int64_t now = now_ms();
		if (now >= next) {
			ask(w);
			next = now + every;
		}
		if (poll(fds, ARRAY_LEN(fds), (int)(next - now)) <= 0)
			continue;
		int sig = fds[0].revents ? take_signal(w) : 0;
		if (sig)
			return sig;
		if (fds[1].revents)
			take_frame(w);
		if (fds[2].revents && take_key(w))
			return 0;
	}
}

/* Whether the thread has come to its end in time. What it is drawing, it says that it has drawn. */
static bool joined(struct watch *w)
{
	struct pollfd drawn = {.fd = w->drawn, .events = POLLIN};
	int64_t until = now_ms() + PATIENCE_MS, left;
	eventfd_t ignored;
	bool idle;

	pthread_mutex_lock(&w->lock);
	w->over = true;
	pthread_cond_signal(&w->asked);
	while (!(idle = w->idle) && (left = until - now_ms()) > 0) {
		pthread_mutex_unlock(&w->lock);
		if (poll(&drawn, 1, (int)left) > 0)
			eventfd_read(w->drawn, &ignored);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return idle && pthread_join(w->thread, NULL) == 0;
}

static int start(struct watch *w, const sigset_t *taken)
{
	w->drawn = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->signals = signalfd(-1, taken, SFD_CLOEXEC | SFD_NONBLOCK);
	if (w->drawn < 0 || w->signals < 0)
		return complain(EXIT_FAILED, "watching: %s", strerror(errno));
	int err = pthread_create(&w->thread, NULL, drawer, w);
	return err ? complain(EXIT_FAILED, "watching: %s", strerror(err)) : EXIT_DONE;
}

int watch_terminal(double seconds, watch_draw_fn *draw_fn, void *ctx)
{
	struct watch w = {.draw = draw_fn,
			  .ctx = ctx,
			  .drawn = -1,
			  .signals = -1,
			  .idle = true,
			  .lock = PTHREAD_MUTEX_INITIALIZER,
			  .asked = PTHREAD_COND_INITIALIZER};
	const char *term = getenv("TERM");
	sigset_t taken, before;

	if (!term || !*term || strcmp(term, "dumb") == 0)
		return complain(EXIT_FAILED, "this terminal can't be drawn on (TERM is %s)",
				term && *term ? term : "not set");
	sigemptyset(&taken);
	sigaddset(&taken, SIGINT);
	sigaddset(&taken, SIGTERM);
	sigaddset(&taken, SIGHUP);
	sigaddset(&taken, SIGQUIT);
	sigaddset(&taken, SIGWINCH);
	pthread_sigmask(SIG_BLOCK, &taken, &before);

	int status = start(&w, &taken), sig = 0;
	if (status == EXIT_DONE) {
		enter(&w);
		sig = watch(&w, seconds);
		leave(&w);
		if (sig && sig != SIGINT) { /* of what ends programs, Ctrl-C alone is a way to say q */
			signal(sig, SIG_DFL);
			raise(sig);
			pthread_sigmask(SIG_UNBLOCK, &taken, NULL);
		}
		if (!joined(&w))
			_exit(status); /* it waits for a daemon: what it uses can't be given back */
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close_fd(w.drawn);
	close_fd(w.signals);
	free(w.frame);
	free(w.shown);
	return status;
}
