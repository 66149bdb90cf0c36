/* SPDX-License-Identifier: MIT */
/* Messages for the operator: one line on stderr, `sessionfs: ` in front, one write(2). Never a token or a key. */
#ifndef SESSIONFS_LOG_H
#define SESSIONFS_LOG_H

__attribute__((format(printf, 1, 2))) void log_info(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void log_warn(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void log_error(const char *fmt, ...);

#endif
