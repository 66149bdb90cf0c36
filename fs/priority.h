/* SPDX-License-Identifier: MIT */
/*
 * The priority of the threads that serve requests.
 *
 * A caller sleeps while his request is served, and is woken by the reply. At the same priority the kernel often runs him then,
 * before the thread that replied has gone back to wait: his next request finds it not waiting, and another thread is
 * woken for it, on another core. A nicer thread gets back first. And where the cores are busy, a request is served before
 * what nobody waits for.
 *
 * Nothing depends on it: where the right to it is missing, all is as it was.
 */
#ifndef SESSIONFS_PRIORITY_H
#define SESSIONFS_PRIORITY_H

/*
 * The calling thread, and those that it makes, get a nice of -20 to 0, unless theirs is as low. While there are privileges.
 * 0 or -errno.
 */
int priority_raise(int nice);

/* The calling thread does what nobody waits for: a nice of 0, unless it was given a higher one. */
void priority_lower(void);

#endif
