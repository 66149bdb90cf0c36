/* SPDX-License-Identifier: MIT */
/*
 * The read loop: a fixed number of threads that read requests from the one device fd and serve them.
 *
 * Threads neither come nor go with the load. The device fd is not cloned, and each thread's buffer is its own
 * mapping, populated before the first read.
 */
#ifndef SESSIONFS_LOOP_H
#define SESSIONFS_LOOP_H

struct fuse_session;
struct loop;

/*
 * Starts the threads. When the first of them finds the filesystem unmounted, ended() is called, once. NULL without
 * memory or threads.
 */
struct loop *loop_start(struct fuse_session *se, unsigned threads, void (*ended)(void));

/* Lets each thread finish the request that it serves, and joins them. */
void loop_stop(struct loop *l); /* NULL is fine */

#endif
