/* SPDX-License-Identifier: MIT */
/*
 * How many files are open, of each session and by each binding: a count of one moment, for who asks to see it.
 *
 * An open file is of the binding by which it was opened, for as long as it is open: also when it was passed to another
 * process, and when that binding is over, and then it is of the session alone. Directories are files here; control files
 * are not.
 */
#ifndef SESSIONFS_OPENED_H
#define SESSIONFS_OPENED_H

#include <stddef.h>
#include <stdint.h>

struct file_table;
struct opened;

struct opened *opened_count(struct file_table *t); /* NULL without memory */
void opened_free(struct opened *o);                /* NULL is fine */

size_t opened_in(const struct opened *o, uint64_t session);
size_t opened_by(const struct opened *o, uint64_t binding);

#endif
