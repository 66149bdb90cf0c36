/* SPDX-License-Identifier: MIT */
#include "witness.h"

#include <string.h>

#include "ledger.h"
#include "roster.h"

struct look {
	struct witness *witness;
	int64_t now;
};

static struct seen *find(const struct witness *w, const char *name)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->seen[i].name, name) == 0)
			return (struct seen *)&w->seen[i];
	return NULL;
}

static int see(void *ctx, const char *name, const struct heartbeat *h, int error)
{
	struct look *l = ctx;
	struct witness *w = l->witness;
	struct seen *s = find(w, name);
	(void)error;
	if (!s && w->n < WITNESS_MAX) {
		s = &w->seen[w->n++];
		*s = (struct seen){.since = l->now};
		memcpy(s->name, name, strlen(name) + 1);
	}
	if (!s)
		return 0;
	s->there = true;
	/* What is no heartbeat says nothing, not even that it stands still. */
	if (!h || h->beat != s->beat || strcmp(h->run, s->run) != 0) {
		s->moved = s->beat != 0;
		s->since = l->now;
		s->beat = h ? h->beat : 0;
		memcpy(s->run, h ? h->run : "", h ? sizeof(s->run) : 1);
	}
	s->stopped = h && h->stopped;
	return 0;
}

int witness_look(struct witness *w, int64_t now)
{
	struct look l = {w, now};
	for (size_t i = 0; i < w->n; i++)
		w->seen[i].there = false;
	int r = roster_each(w->storefd, see, &l);
	w->looked = r ? 0 : now;
	return r;
}

bool witness_is_dead(const struct witness *w, const char *instance, const char *run)
{
	const struct seen *s = find(w, instance);
	if (!w->looked || (!s && w->n == WITNESS_MAX))
		return false;
	if (!s || !s->there)
		return true;
	return s->beat && (s->stopped || strcmp(s->run, run) != 0 || w->looked - s->since >= LEDGER_DEAD);
}

bool witness_is_open(const struct witness *w, const char *instance, const char *run)
{
	const struct seen *s = find(w, instance);
	return !witness_is_dead(w, instance, run) && !(s && s->moved);
}
