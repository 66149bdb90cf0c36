/* SPDX-License-Identifier: MIT */
/*
 * The texts that the control files give: JSON, one object and a newline, documented in sessionfs-control(5), and
 * metrics. Each function returns an owned text and its length, or NULL without memory.
 */
#ifndef SESSIONFS_REPORT_H
#define SESSIONFS_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "reason.h"

struct binding;
struct request;

/* b NULL: not bound; refused and reason say why the last bind was refused (negative errno, 0 for none). */
char *report_binding(const struct binding *b, int64_t now, int refused, enum reason reason, size_t *len);

char *report_self(struct request *r, size_t *len);
char *report_version(struct request *r, size_t *len);
char *report_sessions(struct request *r, size_t *len);
char *report_metrics(struct request *r, size_t *len);

#endif
