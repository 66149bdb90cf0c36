/* SPDX-License-Identifier: MIT */
#include "secret.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>

#include "util.h"

static void cleanup_secret(void *pp)
{
	sodium_free(steal_ptr_(pp));
}
#define _cleanup_secret_ _cleanup_(cleanup_secret)

static int fail(int r, const char **reason, const char *why)
{
	*reason = why;
	return r;
}

int secret_read(const char *path, uint8_t **ret, const char **reason)
{
	const size_t size = PASERK_SECRET_TEXT_LEN + 2; /* its newline, and one byte more to see that there is none */
	struct stat st;

	/* O_NONBLOCK: a fifo is refused, not waited for. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return fail(-errno, reason, errno == ELOOP ? "is a symbolic link" : strerrordesc_np(errno));
	if (fstat(fd, &st) < 0)
		return fail(-errno, reason, strerrordesc_np(errno));
	if (!S_ISREG(st.st_mode))
		return fail(-EBADMSG, reason, "not a regular file");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return fail(-EPERM, reason, "is owned by another user");
	if (st.st_mode & 077)
		return fail(-EPERM, reason, "group or others have access to it (chmod 600)");

	_cleanup_secret_ char *text = sodium_malloc(size);
	_cleanup_secret_ uint8_t *key = sodium_malloc(PASERK_SECRET_LEN);
	if (!text || !key)
		return fail(-ENOMEM, reason, strerrordesc_np(ENOMEM));
	ssize_t n = read(fd, text, size);
	if (n < 0)
		return fail(-errno, reason, strerrordesc_np(errno));
	size_t len = (size_t)n;
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (paserk_decode_secret(text, len, key))
		return fail(-EBADMSG, reason, "not one k4.secret key");
	*ret = steal_ptr(&key);
	return 0;
}
