/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into User-Mode Linux, whose 6.1 has room for a process's registers up to AVX alone, and hands the kernel just
 * that much. Where the processor has more (AVX-512, AMX), PTRACE_SETREGSET takes the whole or nothing (EFAULT), and no guest
 * gets as far as its init. Here what is given is made whole: the rest is as at a process's start. So a guest's programs
 * must keep off it; see nfs.t.
 */
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WHOLE_MAX = 65536, HEADER = 512, KNOWN = 7 /* x87, SSE, AVX */ };

/* How large the whole is: what the kernel gives when there is room. */
static size_t whole_size(long pid, char *room)
{
	struct iovec iov = {room, WHOLE_MAX};
	return syscall(SYS_ptrace, PTRACE_GETREGSET, pid, (long)NT_X86_XSTATE, &iov) < 0 ? 0 : iov.iov_len;
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list ap;
	va_start(ap, request);
	long pid = va_arg(ap, int);
	void *addr = va_arg(ap, void *), *data = va_arg(ap, void *);
	va_end(ap);

	static char room[WHOLE_MAX];
	struct iovec iov;
	if (request == PTRACE_SETREGSET && (long)addr == NT_X86_XSTATE) {
		const struct iovec *given = data;
		size_t whole = whole_size(pid, room);
		if (given->iov_len < whole) {
			uint64_t have;
			memset(room, 0, whole);
			memcpy(room, given->iov_base, given->iov_len);
			memcpy(&have, room + HEADER, sizeof(have));
			have &= KNOWN;
			memcpy(room + HEADER, &have, sizeof(have));
			iov = (struct iovec){room, whole};
			data = &iov;
		}
	}
	/* As glibc's: the PEEK requests, whose result it returns, are not used by who preloads this with NULL data. */
	long word, ret;
	if (request > 0 && request < 4)
		data = &word;
	ret = syscall(SYS_ptrace, (long)request, pid, addr, data);
	return ret >= 0 && request > 0 && request < 4 ? word : ret;
}
