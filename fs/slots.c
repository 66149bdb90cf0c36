/* SPDX-License-Identifier: MIT */
#include "slots.h"

#include <sys/mman.h>

#include "util.h"

static void *at(const struct slots *s, uint32_t i)
{
	return s->base + (size_t)i * s->size;
}

static uint32_t *chain_of(const struct slots *s, void *entry)
{
	return (uint32_t *)((unsigned char *)entry + s->chain);
}

int slots_reserve(struct slots *s, size_t size, size_t chain, uint32_t max)
{
	void *base = mmap(NULL, max * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	*s = (struct slots){.base = base, .size = size, .chain = chain, .max = max, .used = 1};
	return 0;
}

void slots_fini(struct slots *s)
{
	if (s->base)
		munmap(s->base, s->max * s->size);
	*s = (struct slots){0};
}

void *slots_take(struct slots *s)
{
	uint32_t i = s->vacant;
	if (i)
		s->vacant = *chain_of(s, at(s, i));
	else if (s->used < s->max)
		i = s->used++;
	else
		return NULL;
	uint64_t *entry = at(s, i);
	uint64_t generation = (*entry >> 32) + 1;
	memset(entry, 0, s->size);
	*entry = generation << 32 | i;
	return entry;
}

void slots_give(struct slots *s, void *entry)
{
	uint64_t id = *(uint64_t *)entry;
	if (id >> 32 == UINT32_MAX)
		return;
	*chain_of(s, entry) = s->vacant;
	s->vacant = slot_of(id);
}

void *slots_find(const struct slots *s, uint64_t id)
{
	uint32_t i = slot_of(id);
	uint64_t *entry = i && i < s->used ? at(s, i) : NULL;
	return entry && *entry == id ? entry : NULL;
}
