/* SPDX-License-Identifier: MIT */
#include "witness.h"

#include <errno.h>
#include <string.h>

#include "ledger.h"
#include "roster.h"

static struct seen *find_or_make(struct witness *w, const char *name)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->seen[i].name, name) == 0)
			return &w->seen[i];
	if (w->n == WITNESS_MAX)
		return NULL;
	struct seen *s = &w->seen[w->n++];
	*s = (struct seen){.since = w->now};
	strncpy(s->name, name, INSTANCE_NAME_MAX);
	return s;
}

/*
 * How long its heartbeat has been the same. `now` may be long ago by now, as a count takes its time: so a change is dated
 * by the next question that has another.
 */
static int64_t stands_for(struct witness *w, struct seen *s, const struct heartbeat *h)
{
	if (h->beat != s->beat || strcmp(h->run, s->run) != 0) {
		s->moved = s->beat != 0;
		s->fresh = true;
		s->since = w->now;
		s->beat = h->beat;
		memcpy(s->run, h->run, sizeof(s->run));
	}
	if (s->fresh && w->now != s->since) {
		s->fresh = false;
		s->since = w->now;
	}
	return s->fresh ? 0 : w->now - s->since;
}

bool witness_ask(struct witness *w, const char *instance, const char *run, bool *open)
{
	struct heartbeat h;
	struct seen *s = find_or_make(w, instance);
	int r = roster_read(w->storefd, instance, &h);
	*open = false;
	if (r == -ENOENT)
		return true;
	if (r || !s) /* what is no heartbeat says nothing */
		return false;
	if (h.stopped || strcmp(h.run, run) != 0 || stands_for(w, s, &h) >= LEDGER_DEAD)
		return true;
	*open = !s->moved;
	return false;
}

bool witness_is_dead(struct witness *w, const char *instance, const char *run)
{
	bool open;
	return witness_ask(w, instance, run, &open);
}
