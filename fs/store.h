/* SPDX-License-Identifier: MIT */
/*
 * The store: the directory that holds all sessions, and the only state that daemons share.
 *
 *     STORE/                    0700, owned by the daemon's user
 *         FORMAT                "sessionfs-store 1\nuuid <uuid>\n"
 *         sessions/00 … ff/     made once, when the store is; never later
 *             <name>/           sid_hash(sid)
 *                 meta.json     who owns it
 *                 revoked       empty; made with a tombstone, and never removed
 *                 data/         what the mount shows as <sid>/
 *                 usage/        what it uses, where that is limited (ledger.h)
 *         users/00 … ff/        made once, too: which sessions a user has (users.h)
 *         leaving/              sessions between their place and the trash, for a moment (trash.h)
 *         trash/                removed sessions, until they are deleted
 *         nodes/                a heartbeat of each daemon (heartbeat.h)
 *         release.json          which release of the application may serve (requirement.h)
 *         ended/                which sessions ended lately (ended.h)
 *
 * It works on any POSIX filesystem, shared ones included, because it uses nothing but O_EXCL, link, rename and fsync:
 *   create   make under a unique name, fill, fsync, rename into place; EEXIST or ENOTEMPTY: somebody was first
 *   update   temporary, fsync, checked close, rename, fsync of the directory; a file is never edited in place
 *   read     open afresh; ESTALE or ENOENT: open again
 *   remove   meta.json becomes a tombstone, then rename to trash/, then delete
 *   expire   rename out of its place, look again, then rename to trash/ or back
 *
 * Of two daemons that replace a meta.json at once the last one wins, and may so undo a revocation that it has not
 * seen. Therefore `revoked` is a file of its own too: who has it is revoked, whatever meta.json says.
 *
 * Knows nothing of FUSE and keeps nothing in memory but descriptors, and what could not be told. Thread-safe. Calls may block as long as the
 * filesystem below does; no lock is held. They need the daemon's own identity: creds_restore() comes first.
 */
#ifndef SESSIONFS_STORE_H
#define SESSIONFS_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "meta.h"

struct store; /* opaque */

/*
 * Opens a store, or makes one of an empty directory. Returns 0; -errno with one line that names the path and the
 * reason in err: missing, not a directory, not 0700, another owner, on a filesystem that won't do (probe.h), a FORMAT of
 * another version, not empty and not ours. A store that is read-only opens when its FORMAT is there.
 */
int store_open(const char *path, char *err, size_t errlen, struct store **ret);
/* The same for tools that only look: never makes a store. */
int store_open_existing(const char *path, char *err, size_t errlen, struct store **ret);
void store_close(struct store *s); /* NULL is fine */

const char *store_path(const struct store *s); /* absolute, resolved */
const char *store_uuid(const struct store *s);
int store_fd(const struct store *s); /* O_PATH|O_DIRECTORY of STORE, the store's own */

/*
 * Finds the session of a sid or creates it for sub, with data/ of mode 0777 owned by uid:gid; makes data/ again where
 * its owner has removed it. On 0, *ret is its meta and *dirfd an owned O_PATH directory fd of sessions/ab/<name>.
 * -EKEYREJECTED when the sid belongs to another sub (*ret is filled: the audit names the owner), -EKEYREVOKED when it
 * is revoked, else -errno of the filesystem; -EUCLEAN when meta.json is there but not ours or belongs to another sid.
 */
int store_claim(struct store *s, const char *sid, const char *sub, uid_t uid, gid_t gid, int64_t now, struct meta *ret,
		int *dirfd);

/*
 * Reads meta.json of a session by its directory name. -ENOENT, -EUCLEAN (torn, missing or another's), -EINVAL (no
 * name).
 */
int store_meta_read(struct store *s, const char *name, struct meta *ret);

/*
 * The same for a session that is held: -ESTALE where the name stands for another directory than dir (which may be O_PATH):
 * the one that is held was removed, and one made anew.
 */
int store_look(struct store *s, const char *name, int dir, struct meta *ret);

/*
 * Replaces meta.json: reads it, calls change, writes it with version + 1. change returns false when nothing is to be
 * written; it may be called more than once. Two daemons may race: the last one wins for times, but `revoked` is never
 * lost, nor ever taken back. 0 or -errno as store_meta_read().
 */
int store_meta_update(struct store *s, const char *name, bool (*change)(struct meta *m, void *ctx), void *ctx);

/*
 * Writes that the session whose directory is dir, as store_claim() gave it, is used now, before somebody is told that it is
 * his: what store_remove_if() then finds. 0: it is written in that very directory, which was in the place of name after
 * that. -ENOENT: it is removed, perhaps while this wrote, and another may be in its place; its sid can be claimed anew.
 * -EKEYREVOKED, -EUCLEAN, or -errno, and nothing is promised.
 *
 * Nobody who heard 0 here loses the session to a removal whose `sure` asks for an older last_used. The remover renames
 * the session out of its place (1) and then reads last_used through its new path (2). We write last_used into dir (A), and
 * then open the place (B), and compare what is there with dir. If it is dir, 1 was not before B, so A came before 2, and the
 * remover reads what we wrote and puts the session back; for some milliseconds it is then not in its place. If 1 was
 * before B, B finds nothing or another session, and the caller hears -ENOENT. Since what was claimed is what is written and
 * what is compared, another session that was made under the same id meanwhile proves nothing. All this rests on one
 * thing: what was renamed or opened after another's rename is seen as it then is. Opening afresh gives that on the
 * filesystems that a store may be on.
 */
int store_use(struct store *s, const char *name, int dir, int64_t now);

/*
 * Tombstone, then out of its place and into trash/, and out of its user's list; a damaged session too, and on a full disk. Exactly one of several
 * who remove a session at once gets 0, the others -ENOENT. Never takes one that was made meanwhile under the same name.
 */
int store_remove(struct store *s, const char *name);

/*
 * Removes a session of which sure() says so, of its meta.json read afresh, twice: in its place, and when nobody can get
 * at it any more by its place. -EAGAIN where it does not (the second time: it is put back); -EUCLEAN for a damaged one.
 */
int store_remove_if(struct store *s, const char *name, bool (*sure)(const struct meta *m, void *ctx), void *ctx);

/*
 * What is revoked or removed is so with the return of the functions above. That other instances are told of it, and look at
 * once, may fail apart from that, on a full disk. Then it is kept, and this tells it: 0, or -errno as long as there is
 * something that the others are not told, and will see by themselves alone (reaper.c).
 */
int store_tell_again(struct store *s);

/*
 * Deletes at most budget directory entries from trash/. Returns 1 when there is more, 0 when it is empty, -errno of
 * what can't be deleted. Also clears what is older than an hour of ended/, and of temporaries of crashed creations:
 * those of one of the 256 directories of sessions/ at each call, in turn. (Those of a crashed update are cleared by the
 * session's next one.)
 */
int store_empty_trash(struct store *s, unsigned budget);

/*
 * Calls visit for each session in the store until it returns non-zero, which is returned; meta is NULL with error set
 * to a negative errno where it can't be read (the listing names it and goes on). -errno when the store itself can't
 * be read.
 */
typedef int store_visit_fn(void *ctx, const char *name, const struct meta *meta, int error);
int store_each(struct store *s, store_visit_fn *visit, void *ctx);

/*
 * The same a little at a time, for a walk that may take hours: zeroed before the first call, but for `first`, the
 * directory of sessions/ to begin with. STORE_WALK_NAME: here is a session's name; STORE_WALK_ON: to the next
 * directory; STORE_WALK_OVER: that was all; or -errno. Meets each session once that is there all the while.
 */
struct store_walk {
	uint8_t first;
	unsigned done; /* directories of sessions/ */
	void *dir;     /* the one it is in; owned */
};
enum { STORE_WALK_OVER, STORE_WALK_ON, STORE_WALK_NAME };
int store_walk_next(struct store *s, struct store_walk *w, char name[static SID_HASH_LEN + 1]);
void store_walk_end(struct store_walk *w); /* any time; then it is as new */

/*
 * Counts what data/ holds, by the rules of limits.h (tree_usage() says them again). pace: rest now and then, for a count
 * in the background. Never follows links. 0; -EAGAIN where it does not hold still; -errno.
 */
int store_usage(struct store *s, const char *name, bool pace, uint64_t *files, uint64_t *bytes);

/* For the modules that keep files of their own in a session: an owned descriptor of its directory. 0, -ENOENT, -errno. */
int store_session_dir(struct store *s, const char *name, int *ret);

/* Takes temporaries of crashed updates, older than an hour, out of such a directory. 0 or -errno. */
int store_sweep(const struct store *s, int dir);

/*
 * Counts what one of these functions returned in sessionfs_store_errors_total, where it is trouble with the filesystem
 * and no answer to the question. Returns it, to be gone on with.
 */
int store_told(int r);

#endif
