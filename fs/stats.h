/* SPDX-License-Identifier: MIT */
/*
 * Counters and gauges, and their Prometheus text.
 *
 * Counters are relaxed atomics in cache-line-apart shards chosen by thread; reading sums them. Nothing here blocks or
 * allocates but stats_format(). The tables below are the one place where a metric gets its name and help text.
 */
#ifndef SESSIONFS_STATS_H
#define SESSIONFS_STATS_H

#include <stddef.h>
#include <stdint.h>

/* One counter for each FUSE operation: sessionfs_requests_total{op="lookup"}. */
/* clang-format off */
#define STATS_OPS(X) \
	X(lookup) X(forget) X(getattr) X(setattr) X(readlink) X(symlink) X(mknod) X(mkdir) X(unlink) X(rmdir) X(rename) \
	X(link) X(open) X(read) X(write) X(statfs) X(release) X(fsync) X(flush) X(opendir) X(readdir) X(readdirplus) \
	X(releasedir) X(fsyncdir) X(access) X(create) X(tmpfile) X(fallocate) X(copy_file_range) X(lseek) X(ioctl) \
	X(statx) X(setxattr) X(getxattr) X(listxattr) X(removexattr) X(setlk) X(getlk) X(bmap) X(poll) X(init)

enum stats_op {
#define X(name) STATS_OP_##name,
	STATS_OPS(X)
#undef X
	STATS_OP_COUNT
};

/*
 * Plain counters (…_total) and gauges; X(enum suffix, metric name, type, help). Those of one family stand together.
 */
#define STATS_VALUES(X) \
	X(bind_thread, "sessionfs_binds_total{scope=\"thread\"}", "counter", "Binds accepted.") \
	X(bind_process, "sessionfs_binds_total{scope=\"process\"}", "counter", "Binds accepted.") \
	X(bind_handle, "sessionfs_binds_total{scope=\"handle\"}", "counter", "Binds accepted.") \
	X(unbinds, "sessionfs_unbinds_total", "counter", "Bindings ended, for whatever reason.") \
	X(binds_refused, "sessionfs_binds_refused_total", "counter", "Binds refused.") \
	X(releases_refused, "sessionfs_release_refusals_total", "counter", \
	  "Binds refused because another release is required.") \
	X(token_hits, "sessionfs_token_cache_hits_total", "counter", "Binds whose token had been verified before.") \
	X(written, "sessionfs_written_bytes_total", "counter", "Bytes written through the daemon.") \
	X(read_bytes, "sessionfs_read_bytes_total", "counter", \
	  "Bytes read through the daemon; passthrough reads are not seen.") \
	X(notifies, "sessionfs_invalidations_total", "counter", "Kernel cache entries invalidated.") \
	X(bindings, "sessionfs_bindings", "gauge", "Live bindings.") \
	X(sessions, "sessionfs_sessions", "gauge", "Sessions that are bound or referenced.") \
	X(nodes, "sessionfs_nodes", "gauge", "Nodes that the kernel holds.") \
	X(open_files, "sessionfs_open_files", "gauge", "Open files and directories.") \
	X(backing_fds, "sessionfs_backing_fds", "gauge", "Descriptors held for nodes.") \
	X(backing_ids, "sessionfs_passthrough_files", "gauge", "Files registered for passthrough.")

enum stats_value {
#define X(name, metric, type, help) STATS_##name,
	STATS_VALUES(X)
#undef X
	STATS_VALUE_COUNT
};
/* clang-format on */

void stats_op(enum stats_op op);                   /* one more request */
void stats_add(enum stats_value value, int64_t n); /* n may be negative for gauges */
void stats_refused(int error);                     /* sessionfs_refusals_total{errno="EACCES"}; positive errno */

/* "lookup", … */
const char *stats_op_name(enum stats_op op);

int64_t stats_get(enum stats_value value);

/*
 * The whole Prometheus text exposition (version 0.0.4), owned by the caller. HELP and TYPE once for each metric. NULL
 * without memory.
 */
char *stats_format(size_t *len);

#endif
