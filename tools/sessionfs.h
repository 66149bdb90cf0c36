/* SPDX-License-Identifier: MIT */
/*
 * libsessionfs: an application's side of a sessionfs mount. sessionfs(3) explains it; sessionfs-control(5) is what lies
 * below. The shape of a worker:
 *
 *     static struct sessionfs *uploads;                   once, before or after fork:
 *     sessionfs_open("instance/uploads", &uploads);
 *
 *     r = sessionfs_bind(uploads, token, NULL);           for each request, on the thread that serves it
 *     if (r < 0)
 *             return refuse(sessionfs_strerror(r));
 *     serve(request);                                     all that this thread does below the mount is in the session
 *     sessionfs_unbind(uploads);
 *
 * Errors. Functions return 0 or a negative errno and write their out parameter only on 0. Nothing is ever printed, and
 * the process is never ended. Of every function that binds:
 *
 *     -EKEYREJECTED   the token is malformed, forged, of an unknown key, or for elsewhere; or its session id belongs to
 *                     another user; or it has characters that no token has (nothing was sent)
 *     -EKEYEXPIRED    the token is past its end          -EKEYREVOKED   the session is revoked
 *     -ESTALE         this release of the application is not admitted
 *     -EMSGSIZE       the token does not fit into a line of SESSIONFS_LINE_MAX bytes (nothing was sent)
 *     -EINVAL         release is not 1 to 64 of A-Z a-z 0-9 . _ + - (nothing was sent); or something else in the process
 *                     has the mount's `thread` file open without close-on-exec
 *     -ENOTTY, -ENOTCONN, -EPROTO    as sessionfs_open() has them: the mount has changed since
 *
 * and what open(2) and write(2) say, such as -EMFILE. Whatever the error, what the call was to replace is not bound any
 * more: a request that goes on regardless is refused, not served in the session of the one before.
 *
 * Threads. All functions may be called by any thread at any time, but for those that end something: sessionfs_close()
 * and sessionfs_handle_close() demand, as fclose(3) does, that nobody is using what they end.
 *
 * Fork. A child starts with none of its parent's thread bindings and handles, and holds none of its descriptors; a mount
 * that the parent opened serves it as it is. What binds the parent's process covers its descendants too. A binding does
 * not outlive execve(2), but for sessionfs_keep_on_exec().
 *
 * Remount. A mount that was replaced by another at the same place is noticed at the next call, and opened anew.
 */
#ifndef SESSIONFS_H
#define SESSIONFS_H

#include <stdint.h>

/* Goes up with what is added. What is here stays; a function that must change gets a new symbol version. */
#define SESSIONFS_API 1

#define SESSIONFS_LINE_MAX 8192  /* bytes: "bind TOKEN release=ID" and its newline */
#define SESSIONFS_TTL (8 * 3600) /* seconds: of a token, where nothing else is said */

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct sessionfs;        /* a mount */
struct sessionfs_handle; /* a session reached by a name that is a right */

/*
 * Opens the mount that path is, or leads into (a symbolic link to MOUNT/self, a directory of a session). *ret is the
 * caller's: sessionfs_close() it. -ENOTTY where no sessionfs is mounted, -ENOTCONN where its daemon is gone, -EPROTO where
 * it speaks a protocol that this library does not know, else what open(2) says of the path.
 */
int sessionfs_open(const char *path, struct sessionfs **ret);

/* Ends what is bound through it, by whichever thread, and frees it. Open handles stay good. NULL is ignored. */
void sessionfs_close(struct sessionfs *mount);

/*
 * Binds the calling thread to the session of token (NUL-terminated; no copy is kept) until sessionfs_unbind(), another
 * bind, or the thread's end. release names the application's release, or is NULL.
 * The thread keeps its control file open from its first bind to its end: a bind is one request to the daemon, an unbind
 * another.
 */
int sessionfs_bind(struct sessionfs *mount, const char *token, const char *release);

/* Unbinds the calling thread. Nothing happens where it is not bound. Can't fail: what can't be said is closed. */
void sessionfs_unbind(struct sessionfs *mount);

/*
 * The same for the whole process: all of its threads that are not bound themselves, and its descendants as long as their
 * line of parents reaches it.
 */
int sessionfs_bind_process(struct sessionfs *mount, const char *token, const char *release);
void sessionfs_unbind_process(struct sessionfs *mount);

/* From now on the process's binding outlives execve(2). -ENOKEY where there is none. */
int sessionfs_keep_on_exec(struct sessionfs *mount);

/*
 * Opens the session of token under a random name: a right for whoever knows it, whatever thread, until it is closed.
 * *ret is the caller's: sessionfs_handle_close() it. The path is absolute, and lives as long as the handle.
 */
int sessionfs_handle(struct sessionfs *mount, const char *token, const char *release, struct sessionfs_handle **ret);
const char *sessionfs_handle_path(const struct sessionfs_handle *handle);
void sessionfs_handle_close(struct sessionfs_handle *handle);

/*
 * Who the calling thread is to the mount, as the JSON text of sessionfs-control(5):
 * {"bound":true,"scope":"thread","sub":"aisha","sid":"march","exp":"2026-01-31T23:59:59Z"}, or {"bound":false}.
 * *json is the caller's: sessionfs_free() it.
 */
int sessionfs_self(struct sessionfs *mount, char **json);

/*
 * Why the calling thread's last bind (of any kind) was refused: a word of sessionfs-control(5), such as
 * "sid-of-another-user", for the log; "" where it was not, or the daemon was not asked. Lives until this thread's next
 * call with this mount.
 */
const char *sessionfs_reason(struct sessionfs *mount);

/* What an error means to whoever runs the application: static text. Takes the negative errno. */
const char *sessionfs_strerror(int error);

/* What a token is to say. Zero what has nothing to say: struct sessionfs_claims c = {.sub = "aisha"}; */
struct sessionfs_claims {
	const char *sub; /* the user: 1 to 255 bytes of UTF-8 without control characters. Required */
	/* the session: 1 to 128 of A-Z a-z 0-9 . _ -, not starting with . or ~, not "self". NULL: random */
	const char *sid;
	const char *aud; /* the audience: 1 to 255 bytes. NULL: "sessionfs" */
	int64_t ttl;     /* seconds from now to its end. 0: SESSIONFS_TTL */
	int64_t nbf;     /* not valid before: Unix seconds. 0: none */
	const char *jti; /* the token's own id, its issuer: 1 to 255 bytes. NULL: none */
	const char *iss;
	const char *extra; /* the text of a JSON object with further claims. NULL: none */
};

/*
 * Makes a token, signed with the k4.secret key in a file (regular, owned by the caller or root, no access for others).
 * Needs no mount. *token is the caller's: sessionfs_free() it, which wipes it. reason may be NULL; on an error it gets
 * static text that says what is wrong with the key file or with the claims.
 * -EINVAL: a claim breaks its rule. -EMSGSIZE: the token would be too long. All else is about the key file: -EPERM others
 * have access to it, -ELOOP it is a symbolic link, -EBADMSG there is no key in it, and what open(2) says.
 */
int sessionfs_mint(const char *key_file, const struct sessionfs_claims *claims, char **token, const char **reason);

/* Wipes and frees a text that this library gave. NULL is ignored. */
void sessionfs_free(char *text);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
