/* SPDX-License-Identifier: MIT */
/*
 * Bindings: who acts in which session, since when, and until when.
 *
 * A binding is made for a thread, a process (with its descendants as long as their line of parents reaches it), or
 * nobody: a handle, whose name is the right. A thread's binding wins over its process's; of nested process bindings
 * the nearest ancestor's counts. A thread has one binding and a process has one: a new one ends the old.
 *
 * A thread or process is remembered by number and by pin (caller.h), and the pin is asked at each lookup: a number
 * that came to be used again finds nothing. What a binding grants is decided at each request, from binding_check().
 *
 * One mutex guards the table; it is not held across a system call. A `struct binding *` is valid while its holder has
 * a reference, also after it has ended; only `ended` changes.
 */
#ifndef SESSIONFS_BINDING_H
#define SESSIONFS_BINDING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/claims.h"
#include "session.h"

struct binding_table;

enum scope { SCOPE_THREAD, SCOPE_PROCESS, SCOPE_HANDLE };
#define SCOPES 3

#define HANDLE_NAME_LEN 44 /* "~" and 32 random bytes in base64url */

struct binding {
	uint64_t id; /* never used again */
	enum scope scope;
	struct session *session; /* referenced */
	pid_t tid, pid;          /* of the writer; pid is its thread group */
	uid_t uid;
	char comm[17];         /* the writer's name when it was bound; "" unknown */
	int pin;               /* owned: the thread or process that is bound; -1 for a handle */
	int64_t since, exp;    /* Unix seconds; exp is exact */
	char kid[KID_LEN + 1]; /* the key that signed: a removed key ends its bindings */
	char release[RELEASE_MAX + 1];
	struct limits limits;             /* the configuration's, or lower ones of the token */
	char handle[HANDLE_NAME_LEN + 1]; /* "" but for a handle */

	atomic_bool ended;

	/* table lock */
	uint32_t refs;
	uint32_t chain;
	bool linked;
};

/* For max bindings, each of which keeps a descriptor, and 131072 at most. NULL without memory. */
struct binding_table *binding_table_new(struct session_table *sessions, unsigned max);
void binding_table_free(struct binding_table *t);

/*
 * Makes a binding of what `want` says (its id, handle and table fields are filled in) and returns its number in *id.
 * The references of want->session and want->pin are consumed, also on failure. What the same thread or process had is
 * ended and returned in *displaced, a reference or NULL. -ENFILE when the table is full.
 */
int binding_make(struct binding_table *t, const struct binding *want, uint64_t *id, struct binding **displaced);

/* Ends a binding. True if this call ended it, false if it was over or unknown. */
bool binding_end(struct binding_table *t, uint64_t id);

/*
 * What a thread is bound by: a reference, or NULL for one that is not bound. At most a poll(2) for a bound thread. -errno
 * where it can't be told (-EMFILE, -ENOMEM, -ESRCH, -ELOOP: too many parents): that is not "not bound", since who is bound
 * elsewhere must be refused where who is not bound may come in by a handle.
 */
int binding_of(struct binding_table *t, pid_t tid, struct binding **ret);
struct binding *binding_get(struct binding_table *t, uint64_t id);            /* a live one, or NULL */
struct binding *binding_by_handle(struct binding_table *t, const char *name); /* a live one, or NULL */
void binding_put(struct binding_table *t, struct binding *b);                 /* NULL is fine */

/*
 * Whether b still grants its session at `now` (Unix seconds): 0, -EKEYREVOKED, -EKEYEXPIRED, or -ENOKEY when it has
 * ended.
 */
int binding_check(const struct binding *b, int64_t now);

/* The next live binding after slot *at (0 to begin) with a reference, NULL at the end. */
struct binding *binding_next(struct binding_table *t, uint32_t *at);

/* Whether the thread or process of a binding still lives; true for a handle. */
bool binding_alive(const struct binding *b);

const char *scope_name(enum scope scope); /* "thread", "process", "handle" */

#endif
