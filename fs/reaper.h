/* SPDX-License-Identifier: MIT */
/*
 * What is tidied up in the background, on a thread of its own: bindings whose thread or process is gone, meta.json of
 * sessions that were used, and the trash; and where another instance's revocations are seen. Who is gone or expired
 * here is refused at the gate, without it.
 */
#ifndef SESSIONFS_REAPER_H
#define SESSIONFS_REAPER_H

#include <stdbool.h>
#include <stdint.h>

struct fs;
struct reaper;

struct reaper *reaper_start(struct fs *fs); /* NULL without memory or threads */
void reaper_stop(struct reaper *r);         /* NULL is fine */

/* What must not be left at the end: dead bindings and unwritten meta.json. */
void reaper_flush(struct fs *fs);

#endif
