/* SPDX-License-Identifier: MIT */
/*
 * An array of entries with numbers that are never used again: what the tables of nodes, sessions, bindings and open files
 * are made of.
 *
 * A number is a slot below and a generation above, which goes up each time that the slot is taken; a slot whose
 * generations are used up is not taken any more. So a number that is not known is a stale one, and never another entry's.
 * Numbers are 2^32 and more, slot 0 is never taken, and 0 ends a chain. Entries stay where they are: the address space is
 * reserved once, and pages come as slots are first taken.
 *
 * Takes no lock: the owner's guards it. An entry begins with its `uint64_t id`, and has a `uint32_t chain` that is its
 * owner's while it is taken.
 */
#ifndef SESSIONFS_SLOTS_H
#define SESSIONFS_SLOTS_H

#include <stddef.h>
#include <stdint.h>

struct slots {
	unsigned char *base; /* [max] entries */
	size_t size, chain;  /* of an entry, and where its chain is in it */
	uint32_t max, used;  /* used: slots ever taken, and slot 0 */
	uint32_t vacant;     /* the first that was given back, linked by chain */
};

/* For max entries of a type, in a zeroed struct slots. 0 or -ENOMEM. */
#define slots_init(s, type, max) slots_reserve(s, sizeof(type), offsetof(type, chain), max)
int slots_reserve(struct slots *s, size_t size, size_t chain, uint32_t max);
void slots_fini(struct slots *s); /* fine on a zeroed one */

/* A zeroed entry with its new id, or NULL when all are taken; and back again. */
void *slots_take(struct slots *s);
void slots_give(struct slots *s, void *entry);

/* The entry with this number, taken or given back since; NULL if there never was one, or the slot was taken again. */
void *slots_find(const struct slots *s, uint64_t id);

static inline uint32_t slot_of(uint64_t id)
{
	return (uint32_t)id;
}

#endif
