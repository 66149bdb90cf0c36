/* SPDX-License-Identifier: MIT */
/*
 * Open files, by the number that the kernel hands back with each operation on them.
 *
 * A file keeps its node, so that who may use it is asked anew at every operation, and the node's descriptor, so that
 * a file that was unlinked while open stays reachable. One mutex guards the table, never held across a system call. A
 * `struct file *` is valid while its holder has a reference; nothing in it changes, but for inode.
 */
#ifndef SESSIONFS_FILE_H
#define SESSIONFS_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "node.h"

struct file_table;
struct control_file; /* control.c */
struct inode;

struct file {
	uint64_t id;
	struct node *node; /* referenced and pinned; NULL for a control file or the root */
	uint64_t binding;  /* by which it was opened: the caller's, or the handle; 0 without a node */
	int fd;            /* owned; -1 where there is none */
	bool passthrough;  /* counted in the node (passthrough.h) */
	bool dir;
	/*
	 * Where the session is counted (growth.h): given back by growth_close() before file_close(). Set when the file is
	 * opened, or once it grows, where the session came to be counted in between.
	 */
	_Atomic(struct inode *) inode;
	struct control_file *control; /* owned; NULL for all others */

	/* table lock */
	uint32_t refs;
	uint32_t chain;
	bool open;
};

/* For max open files, each of which keeps a descriptor, and 1048576 at most. NULL without memory. */
struct file_table *file_table_new(struct node_table *nodes, unsigned max);
void file_table_free(struct file_table *t);

/*
 * Enters an open file and returns its number in *id. On 0 fd and control are consumed, and the file has taken a
 * reference to node and pinned it. -ENFILE when the table is full, or what node_pin() says; then nothing is consumed.
 */
int file_enter(struct file_table *t, const struct file *want, uint64_t *id);

/* A reference, or NULL if unknown. */
struct file *file_get(struct file_table *t, uint64_t id);
void file_put(struct file_table *t, struct file *f); /* NULL is fine */

/* The kernel is done with it (RELEASE). It goes when the last reference does. */
void file_close(struct file_table *t, uint64_t id);

/*
 * The next open file of a session after slot *at (0 to begin): whose, and by which binding it was opened, which may be over.
 * False at the end.
 */
bool file_next(struct file_table *t, uint32_t *at, uint64_t *session, uint64_t *binding);

#endif
