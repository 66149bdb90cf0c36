/* SPDX-License-Identifier: MIT */
#include "inode.h"

#include <stdlib.h>

#include "quota.h"

#define BUCKETS 4096

struct inode_table {
	struct bucket {
		pthread_mutex_t lock;
		struct inode *first;
	} buckets[BUCKETS];
};

struct inode_table *inode_table_new(void)
{
	struct inode_table *t = calloc(1, sizeof(*t));
	for (unsigned i = 0; t && i < BUCKETS; i++)
		pthread_mutex_init(&t->buckets[i].lock, NULL);
	return t;
}

static void free_inode(struct inode *i)
{
	quota_put(i->account);
	pthread_rwlock_destroy(&i->lock);
	free(i);
}

void inode_table_free(struct inode_table *t)
{
	for (unsigned b = 0; t && b < BUCKETS; b++)
		while (t->buckets[b].first) {
			struct inode *i = t->buckets[b].first;
			t->buckets[b].first = i->chain;
			free_inode(i);
		}
	free(t);
}

static struct bucket *bucket_of(struct inode_table *t, uint64_t dev, uint64_t ino)
{
	return &t->buckets[((dev ^ ino) * UINT64_C(0x9e3779b97f4a7c15)) >> 52];
}

struct inode *inode_get(struct inode_table *t, uint64_t dev, uint64_t ino)
{
	struct bucket *b = bucket_of(t, dev, ino);
	pthread_mutex_lock(&b->lock);
	struct inode *i = b->first;
	while (i && (i->dev != dev || i->ino != ino))
		i = i->chain;
	if (!i && (i = calloc(1, sizeof(*i)))) {
		i->dev = dev;
		i->ino = ino;
		pthread_rwlock_init(&i->lock, NULL);
		i->chain = b->first;
		b->first = i;
	}
	if (i)
		i->refs++;
	pthread_mutex_unlock(&b->lock);
	return i;
}

void inode_put(struct inode_table *t, struct inode *i)
{
	if (!i)
		return;
	struct bucket *b = bucket_of(t, i->dev, i->ino);
	pthread_mutex_lock(&b->lock);
	bool last = --i->refs == 0;
	if (last) {
		struct inode **at = &b->first;
		while (*at != i)
			at = &(*at)->chain;
		*at = i->chain;
	}
	pthread_mutex_unlock(&b->lock);
	if (last)
		free_inode(i);
}
