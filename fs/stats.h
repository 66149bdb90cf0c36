/* SPDX-License-Identifier: MIT */
/*
 * Counters, gauges and histograms of the process, and their Prometheus text.
 *
 * Counters are relaxed atomics in cache-line-apart shards chosen by thread; reading sums them, so that what is read is
 * right for each counter, but not one moment for all. Nothing here blocks or allocates. The tables below are the one
 * place where a metric gets its name and help text; what is known of the mount alone, report.c adds.
 */
#ifndef SESSIONFS_STATS_H
#define SESSIONFS_STATS_H

#include <stdint.h>
#include <stdio.h>

#include "reason.h"

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
	X(written, "sessionfs_written_bytes_total", "counter", "Bytes written through the daemon.") \
	X(read_bytes, "sessionfs_read_bytes_total", "counter", \
	  "Bytes read through the daemon; passthrough reads are not seen.") \
	X(quota_session_bytes, "sessionfs_quota_refusals_total{limit=\"session_bytes\"}", "counter", \
	  "Operations refused for a limit.") \
	X(quota_session_files, "sessionfs_quota_refusals_total{limit=\"session_files\"}", "counter", \
	  "Operations refused for a limit.") \
	X(quota_file_bytes, "sessionfs_quota_refusals_total{limit=\"file_bytes\"}", "counter", \
	  "Operations refused for a limit.") \
	X(quota_user_bytes, "sessionfs_quota_refusals_total{limit=\"user_bytes\"}", "counter", \
	  "Operations refused for a limit.") \
	X(quota_user_files, "sessionfs_quota_refusals_total{limit=\"user_files\"}", "counter", \
	  "Operations refused for a limit.") \
	X(quota_user_sessions, "sessionfs_quota_refusals_total{limit=\"user_sessions\"}", "counter", \
	  "Operations refused for a limit.") \
	X(quota_reserve, "sessionfs_quota_refusals_total{limit=\"reserve\"}", "counter", \
	  "Operations refused for a limit.") \
	X(quota_grants, "sessionfs_quota_grants_total", "counter", "Grants that were asked for in the store.") \
	X(quota_writes, "sessionfs_quota_writes_total", "counter", "Usage files written.") \
	X(quota_faults, "sessionfs_quota_faults_total", "counter", "Usage files that could not be written.") \
	X(quota_recounts, "sessionfs_quota_recounts_total", "counter", "Sessions whose tree was counted.") \
	X(notifies, "sessionfs_invalidations_total", "counter", "Kernel cache entries invalidated.") \
	X(notifies_late, "sessionfs_invalidations_deferred_total", "counter", \
	  "Invalidations that found no room in the queue; they are repeated.") \
	X(audit_dropped, "sessionfs_audit_dropped_total", "counter", \
	  "Audit events lost: nobody took them, and the queue was full.") \
	X(store_errors, "sessionfs_store_errors_total", "counter", \
	  "Failures of the store's filesystem in reading or writing what sessions are.") \
	X(reaped, "sessionfs_reaped_bindings_total", "counter", \
	  "Bindings that the reaper ended, because their thread or process was gone.") \
	X(trash_removed, "sessionfs_trash_removed_total", "counter", \
	  "Files and directories of removed sessions that were deleted.") \
	X(reaper_last, "sessionfs_reaper_last_run_timestamp_seconds", "gauge", \
	  "When the reaper last finished a round; it does one a second.") \
	X(removed_idle, "sessionfs_sessions_removed_total{reason=\"idle\"}", "counter", "Sessions removed.") \
	X(removed_lifetime, "sessionfs_sessions_removed_total{reason=\"lifetime\"}", "counter", "Sessions removed.") \
	X(removed_drop, "sessionfs_sessions_removed_total{reason=\"drop\"}", "counter", "Sessions removed.") \
	X(returned, "sessionfs_removals_undone_total", "counter", \
	  "Sessions that were used, or put back by somebody else, when they were about to be removed.") \
	X(trash, "sessionfs_trash_entries", "gauge", "Removed sessions that are still to be deleted, and parts of them.") \
	X(clock_jumps, "sessionfs_clock_jumps_total", "counter", "Jumps of the wall clock.") \
	X(held, "sessionfs_retention_held", "gauge", "1 while nothing is removed for its age, after a jump of the clock.") \
	X(looks, "sessionfs_revalidated_sessions_total", "counter", "Live sessions that were looked at in the store.") \
	X(meta_failures, "sessionfs_meta_failures_total", "counter", "Writes of meta.json that failed; they are repeated.") \
	X(key_changes, "sessionfs_key_changes_total", "counter", "Times that changed keys were taken on.") \
	X(bindings_thread, "sessionfs_bindings{scope=\"thread\"}", "gauge", "Live bindings.") \
	X(bindings_process, "sessionfs_bindings{scope=\"process\"}", "gauge", "Live bindings.") \
	X(bindings_handle, "sessionfs_bindings{scope=\"handle\"}", "gauge", "Live bindings.") \
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

/* How long a request took, at most: X(nanoseconds, as the label says it). The last bucket, +Inf, comes by itself. */
#define STATS_BUCKETS(X) \
	X(20000, "0.00002") X(50000, "0.00005") X(100000, "0.0001") X(250000, "0.00025") X(1000000, "0.001") \
	X(5000000, "0.005") X(25000000, "0.025") X(100000000, "0.1") X(1000000000, "1") X(10000000000, "10")
/* clang-format on */

/*
 * The thread has read a request; it is done with it. Between the two, the request says what it is with stats_op(). One that
 * says nothing, since nobody here handles it, is not timed; of those that came together, as FORGETs do, one is.
 */
void stats_begin(void);
void stats_end(void);

void stats_op(enum stats_op op);                   /* one more request */
void stats_add(enum stats_value value, int64_t n); /* n may be negative for gauges */
void stats_set(enum stats_value value, int64_t n); /* of gauges that one thread alone sets */
void stats_refused(int error, enum reason reason); /* positive errno; for REASON_none see reason_or() */

/* "lookup", … */
const char *stats_op_name(enum stats_op op);

int64_t stats_get(enum stats_value value);

/* Whole families, in Prometheus' text format. */
void stats_print(FILE *f);

#endif
