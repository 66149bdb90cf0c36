/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <pthread.h>

#include "control.h"
#include "slots.h"
#include "stats.h"
#include "util.h"

#define FILES_MAX (UINT32_C(1) << 20)

struct file_table {
	pthread_mutex_t lock;
	struct node_table *nodes;
	struct slots slots;
};

struct file_table *file_table_new(struct node_table *nodes, unsigned max)
{
	struct file_table *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	if (slots_init(&t->slots, struct file, max < FILES_MAX ? max : FILES_MAX)) {
		free(t);
		return NULL;
	}
	t->nodes = nodes;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void file_table_free(struct file_table *t)
{
	if (!t)
		return;
	const struct file *files = (const struct file *)t->slots.base;
	for (uint32_t i = 1; i < t->slots.used; i++)
		if (files[i].open)
			file_close(t, files[i].id);
	slots_fini(&t->slots);
	free(t);
}

int file_enter(struct file_table *t, const struct file *want, uint64_t *id)
{
	if (want->node) {
		int fd, err = node_pin(t->nodes, want->node, &fd);
		if (err)
			return err;
		node_ref(t->nodes, want->node);
	}

	pthread_mutex_lock(&t->lock);
	struct file *f = slots_take(&t->slots);
	if (f) {
		uint64_t number = f->id;
		*f = *want;
		f->id = number;
		f->refs = 1; /* the kernel's */
		f->open = true;
		*id = number;
	}
	pthread_mutex_unlock(&t->lock);

	if (!f && want->node) {
		node_unpin(t->nodes, want->node);
		node_put(t->nodes, want->node);
	}
	if (f)
		stats_add(STATS_open_files, 1);
	return f ? 0 : -ENFILE;
}

static struct file *by_id(struct file_table *t, uint64_t id)
{
	struct file *f = slots_find(&t->slots, id);
	return f && f->open ? f : NULL;
}

struct file *file_get(struct file_table *t, uint64_t id)
{
	pthread_mutex_lock(&t->lock);
	struct file *f = by_id(t, id);
	if (f)
		f->refs++;
	pthread_mutex_unlock(&t->lock);
	return f;
}

void file_put(struct file_table *t, struct file *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&t->lock);
	if (--f->refs) {
		pthread_mutex_unlock(&t->lock);
		return;
	}
	struct file gone = *f;
	slots_give(&t->slots, f);
	pthread_mutex_unlock(&t->lock);

	close_fd(gone.fd);
	control_file_free(gone.control);
	if (gone.node) {
		node_unpin(t->nodes, gone.node);
		node_put(t->nodes, gone.node);
	}
	stats_add(STATS_open_files, -1);
}

void file_close(struct file_table *t, uint64_t id)
{
	pthread_mutex_lock(&t->lock);
	struct file *f = by_id(t, id);
	if (f)
		f->open = false;
	pthread_mutex_unlock(&t->lock);
	file_put(t, f);
}

bool file_next(struct file_table *t, uint32_t *at, uint64_t *session, uint64_t *binding)
{
	const struct file *f = NULL, *files = (const struct file *)t->slots.base;
	pthread_mutex_lock(&t->lock);
	while (!f && ++*at < t->slots.used)
		if (files[*at].open && files[*at].node)
			f = &files[*at];
	if (f) {
		*session = f->node->session;
		*binding = f->binding;
	}
	pthread_mutex_unlock(&t->lock);
	return f != NULL;
}
