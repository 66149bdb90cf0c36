/* SPDX-License-Identifier: MIT */
#include "opened.h"

#include "file.h"
#include "util.h"

/* The numbers of every open file's, sorted: what is the same stands together. */
struct opened {
	uint64_t *sessions, *bindings; /* owned */
	size_t n, room;
};

static int compare(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static bool grow(struct opened *o)
{
	size_t room = o->room ? o->room * 2 : 256;
	uint64_t *sessions = reallocarray(o->sessions, room, sizeof(*sessions));
	if (sessions)
		o->sessions = sessions;
	uint64_t *bindings = reallocarray(o->bindings, room, sizeof(*bindings));
	if (bindings)
		o->bindings = bindings;
	if (sessions && bindings)
		o->room = room;
	return sessions && bindings;
}

struct opened *opened_count(struct file_table *t)
{
	struct opened *o = calloc(1, sizeof(*o));
	uint64_t session, binding;
	for (uint32_t at = 0; o && file_next(t, &at, &session, &binding); o->n++) {
		if (o->n == o->room && !grow(o)) {
			opened_free(o);
			return NULL;
		}
		o->sessions[o->n] = session;
		o->bindings[o->n] = binding;
	}
	if (o && o->n) {
		qsort(o->sessions, o->n, sizeof(*o->sessions), compare);
		qsort(o->bindings, o->n, sizeof(*o->bindings), compare);
	}
	return o;
}

void opened_free(struct opened *o)
{
	if (!o)
		return;
	free(o->sessions);
	free(o->bindings);
	free(o);
}

/* How many of n sorted numbers are less than id. */
static size_t below(const uint64_t *ids, size_t n, uint64_t id)
{
	size_t from = 0;
	while (n > from) {
		size_t middle = from + (n - from) / 2;
		if (ids[middle] < id)
			from = middle + 1;
		else
			n = middle;
	}
	return from;
}

size_t opened_in(const struct opened *o, uint64_t session)
{
	return below(o->sessions, o->n, session + 1) - below(o->sessions, o->n, session);
}

size_t opened_by(const struct opened *o, uint64_t binding)
{
	return below(o->bindings, o->n, binding + 1) - below(o->bindings, o->n, binding);
}
