/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 317
#include "loop.h"

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "creds.h"
#include "log.h"
#include "ops.h"
#include "stats.h"
#include "util.h"

#define REQUEST_MAX (IO_MAX + 65536) /* the largest write, and its headers */

struct loop {
	struct fuse_session *se;
	void (*ended)(void);
	atomic_flag over;
	unsigned count;
	pthread_t threads[];
};

/*
 * Cancellation is let in while waiting for a request, and nowhere else: a request that was read is always answered.
 */
static ssize_t receive(int fd, void *buf)
{
	int old;
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	ssize_t n = read(fd, buf, REQUEST_MAX);
	int saved = errno;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	errno = saved;
	return n;
}

/* A thread's memory: a request, and room for the data of its reply. */
#define BUFFER_LEN (REQUEST_MAX + IO_MAX)

static void leave(void *buf)
{
	creds_restore(); /* gives back what it kept of the last caller */
	munmap(buf, BUFFER_LEN);
}

static void serve(struct loop *l, void *buf)
{
	int fd = fuse_session_fd(l->se);
	for (;;) {
		ssize_t n = receive(fd, buf);
		if (n > 0) {
			struct fuse_buf request = {.size = (size_t)n, .mem = buf};
			stats_begin();
			fuse_session_process_buf(l->se, &request);
			stats_end();
		} else if (n < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT) {
			/* ENOENT: the request was interrupted before it was read. ENODEV: unmounted. */
			if (errno != ENODEV)
				log_error("reading from the device: %s", strerror(errno));
			return;
		}
	}
}

static void *run(void *arg)
{
	struct loop *l = arg;
	int old;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	void *buf = mmap(NULL, BUFFER_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buf == MAP_FAILED) {
		log_error("no memory for a request buffer");
	} else {
		io_set_buffer((char *)buf + REQUEST_MAX);
		pthread_cleanup_push(leave, buf);
		serve(l, buf);
		pthread_cleanup_pop(1);
	}
	if (!atomic_flag_test_and_set(&l->over))
		l->ended();
	return NULL;
}

struct loop *loop_start(struct fuse_session *se, unsigned threads, void (*ended)(void))
{
	struct loop *l = calloc(1, sizeof(*l) + threads * sizeof(l->threads[0]));
	if (!l)
		return NULL;
	l->se = se;
	l->ended = ended;
	for (; l->count < threads; l->count++)
		if (pthread_create(&l->threads[l->count], NULL, run, l)) {
			loop_stop(l);
			return NULL;
		}
	return l;
}

void loop_stop(struct loop *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < l->count; i++)
		pthread_cancel(l->threads[i]);
	for (unsigned i = 0; i < l->count; i++)
		pthread_join(l->threads[i], NULL);
	free(l);
}
