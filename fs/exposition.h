/* SPDX-License-Identifier: MIT */
/*
 * Prometheus' text exposition format, version 0.0.4: what of it is more than printf.
 *
 * A family is one HELP and one TYPE line, and all of its samples right behind them.
 */
#ifndef SESSIONFS_EXPOSITION_H
#define SESSIONFS_EXPOSITION_H

#include <stdio.h>

/* Begins a family: metric is its name, and may have labels behind it. type is "counter", "gauge" or "histogram". */
void exposition_family(FILE *f, const char *metric, const char *type, const char *help);

/* name="value", with the value escaped; bytes that are no UTF-8, which the format demands, become U+FFFD. */
void exposition_label(FILE *f, const char *name, const char *value);

#endif
