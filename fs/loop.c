/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 317
#include "loop.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "creds.h"
#include "log.h"
#include "ops.h"
#include "stats.h"
#include "util.h"

#define REQUEST_MAX (IO_MAX + 65536) /* the largest write, and its headers */

struct loop {
	struct fuse_session *se;
	int requests; /* epoll: the device, one shot at a time; owned */
	void (*ended)(void);
	atomic_flag over;
	unsigned count;
	pthread_t threads[];
};

/*
 * Has the next thread woken when there is, or comes, one more request.
 *
 * read(2) on the device wakes its waiters in turn, so that each request meets a thread, a stack and a core that have
 * been idle the longest: with eight threads an upload of 1 MB took a tenth longer than with two. epoll wakes the one that
 * went to wait last. One shot for each request, so that no other wakes before this one was read.
 */
static void arm(const struct loop *l, int op)
{
	struct epoll_event readable = {.events = EPOLLIN | EPOLLONESHOT};
	if (epoll_ctl(l->requests, op, fuse_session_fd(l->se), &readable) < 0)
		abort();
}

/*
 * Cancellation is let in while waiting for a request, and nowhere else: a request that was read is always answered.
 */
static ssize_t receive(const struct loop *l, void *buf)
{
	struct epoll_event one;
	int old;
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	int ready = epoll_wait(l->requests, &one, 1, -1);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	if (ready < 0)
		return -errno;
	ssize_t n = read(fuse_session_fd(l->se), buf, REQUEST_MAX);
	int err = n < 0 ? -errno : 0;
	arm(l, EPOLL_CTL_MOD);
	return err ? err : n;
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
	for (;;) {
		ssize_t n = receive(l, buf);
		if (n > 0) {
			struct fuse_buf request = {.size = (size_t)n, .mem = buf};
			stats_begin();
			fuse_session_process_buf(l->se, &request);
			stats_end();
		} else if (n < 0 && n != -EINTR && n != -EAGAIN && n != -ENOENT) {
			/* ENOENT: the request was interrupted before it was read. ENODEV: unmounted. */
			if (n != -ENODEV)
				log_error("reading from the device: %s", strerror((int)-n));
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
	/* The device doesn't block: what woke the thread may have been interrupted, and its request be gone. */
	int fd = fuse_session_fd(se);
	l->requests = epoll_create1(EPOLL_CLOEXEC);
	if (l->requests < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
		loop_stop(l);
		return NULL;
	}
	arm(l, EPOLL_CTL_ADD);
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
	close_fd(l->requests);
	free(l);
}
