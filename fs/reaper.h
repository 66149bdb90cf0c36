/* SPDX-License-Identifier: MIT */
/*
 * What is done in the background. Who is gone, expired or revoked here is refused at the gate, without it.
 *
 *     bindings   ends those whose thread or process is gone; notes that sessions are in use     1 s
 *     keys       takes on what has changed in the keys' directory                               1 s
 *     look       sees what other instances have revoked or removed                              within revalidate
 *     write      meta.json of sessions that were used                                           10 s
 *     sweep      removes what is too old, empties the trash, puts back what a crash left        1 s
 *
 * Each on a thread of its own, since the last three wait for the store, which may take a minute, and the first two must
 * not.
 */
#ifndef SESSIONFS_REAPER_H
#define SESSIONFS_REAPER_H

#include <stdbool.h>
#include <stdint.h>

struct fs;
struct reaper;

struct reaper *reaper_start(struct fs *fs); /* NULL without memory or threads; fs->inval is there */
void reaper_stop(struct reaper *r);         /* NULL is fine */

/* What should not be left at the end: dead bindings, and unwritten meta.json, for half a minute. */
void reaper_flush(struct fs *fs);

#endif
