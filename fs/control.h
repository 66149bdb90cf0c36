/* SPDX-License-Identifier: MIT */
/*
 * The control files: .sessionfs and what lies in it, and the link `self` of the root.
 *
 * They have fixed numbers below NODE_FIRST and belong to no session. One table in control.c says for each file its
 * name, mode, the verbs it takes and the text it gives. What they say is documented in sessionfs-control(5).
 *
 * A binding is an open control file: it begins with a write, and ends with the file. Writes to one open file are
 * taken one after the other, under its own mutex, which may be held while the store is asked.
 */
#ifndef SESSIONFS_CONTROL_H
#define SESSIONFS_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * Numbers that no other file of a process is likely to have: in /proc/PID/fdinfo a control file is told by its inode
 * number (bind.c), and the small ones are those of /dev.
 */
enum {
	CONTROL_DIR = 0x5e550000, /* .sessionfs */
	CONTROL_LINK,             /* self, in the root */
	CONTROL_UNBOUND,          /* .sessionfs/unbound: the empty directory that self leads the unbound to */
	CONTROL_FIRST,            /* the files, in the order of control.c's table */
};

#define CONTROL_DIR_NAME ".sessionfs"
#define CONTROL_LINK_NAME "self"
#define CONTROL_UNBOUND_PATH ".sessionfs/unbound"

struct request;
struct control_file;
struct fs;
struct fuse_file_info;

/* The attributes of the root or of a control file. */
void control_stat(const struct fs *fs, uint64_t ino, struct stat *st);

/* The number of a name in .sessionfs, 0 if there is none; and the names in turn, NULL after the last. */
uint64_t control_find(const char *name);
const char *control_name(size_t i, uint64_t *ino);

/* The operations on a control file. Each replies. */
void control_reply_entry(struct request *r, uint64_t ino);
void control_lookup(struct request *r, const char *name);
void control_access(struct request *r, int mask);
void control_setattr(struct request *r, int to_set);
void control_readlink(struct request *r);
void control_open(struct request *r, struct fuse_file_info *fi);
void control_read(struct request *r, size_t size, off_t off);
void control_write(struct request *r, const char *buf, size_t size);
void control_flush(struct request *r);

/* The last close: ends the binding that it carried. NULL is fine. */
void control_file_free(struct control_file *cf);

/* Takes on keys whose files have changed; once a second, by one thread. */
void control_poll_keys(struct fs *fs);

/* Keys and audit file anew; ends the bindings of keys that are gone. 0 or -errno, said in the log. */
int control_reload(struct fs *fs);

#endif
