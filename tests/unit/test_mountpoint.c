/* SPDX-License-Identifier: MIT */
/* Every line that refuses a mountpoint. What needs a mount is skipped without root. */
#include "mountpoint.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "tests/unit/scratch.h"
#include "tests/unit/tap.h"
#include "util.h"

static bool own_mounts; /* nobody else sees what is mounted here, and it ends with the test */
static int dir;

/* %s in a pattern is the scratch directory: in all of them. */
static const char *here(const char *pattern, char text[static 2 * PATH_MAX])
{
	size_t n = 0;
	for (; *pattern; pattern++)
		if (pattern[0] == '%' && pattern[1] == 's') {
			n += (size_t)snprintf(text + n, 2 * PATH_MAX - n, "%s", scratch);
			pattern++;
		} else {
			text[n++] = *pattern;
		}
	text[n] = '\0';
	return text;
}

static void refused(const char *path, int err, const char *why, const char *claim)
{
	char at[2 * PATH_MAX], store[2 * PATH_MAX], want[2 * PATH_MAX], got[PATH_MAX] = "",
									resolved[PATH_MAX] = "as it was";
	int r = mountpoint_check(here(path, at), here("%s/store", store), resolved, sizeof(resolved), got, sizeof(got));
	is_int(r, err, "%s", claim);
	is_str(got, here(why, want), "in one line");
	if (strcmp(resolved, "as it was") != 0)
		ok(0, "a refusal leaves the resolved path alone");
}

static void accepted(const char *path, const char *want, const char *claim)
{
	char at[2 * PATH_MAX], store[2 * PATH_MAX], text[2 * PATH_MAX], why[PATH_MAX] = "", resolved[PATH_MAX] = "";
	is_int(mountpoint_check(here(path, at), here("%s/store", store), resolved, sizeof(resolved), why, sizeof(why)),
	       0, "%s", claim);
	is_str(resolved, here(want, text), "and is resolved");
}

static void test_names(void)
{
	accepted("%s/mnt", "%s/mnt", "an empty directory will do");
	accepted("%s/./mnt/../mnt//", "%s/mnt", "however it is written");
	accepted("%s/link", "%s/mnt", "also through a symbolic link");
	if (chdir(scratch) == 0)
		accepted("mnt", "%s/mnt", "and by a relative path");
	accepted("%s/store2", "%s/store2", "a name that begins as the store's is not inside it");
	accepted("%s/stor", "%s/stor", "and one that is the beginning of it does not hold it");

	refused("%s/none", -ENOENT, "%s/none: No such file or directory", "it has to be there");
	refused("%s/dangling", -ENOENT, "%s/dangling: No such file or directory", "a link that leads nowhere is not");
	refused("%s/file/x", -ENOTDIR, "%s/file/x: Not a directory", "nor is what is below a file");
	refused("%s/loop", -ELOOP, "%s/loop: Too many levels of symbolic links", "nor a link to itself");
	refused("%s/file", -ENOTDIR, "%s/file: not a directory", "it has to be a directory");
	refused("%s/full", -ENOTEMPTY, "%s/full: not empty: its files would be hidden below the mount", "and empty");
	refused("%s/hidden", -ENOTEMPTY, "%s/hidden: not empty: its files would be hidden below the mount",
		"of hidden files too");

	refused("%s/store", -EINVAL, "%s/store: the mountpoint lies inside the store %s/store", "it is not the store");
	refused("%s/store/sessions", -EINVAL, "%s/store/sessions: the mountpoint lies inside the store %s/store",
		"nor in it");
	refused("%s/into", -EINVAL, "%s/into: the mountpoint lies inside the store %s/store", "nor a link into it");
	refused("%s", -EINVAL, "%s: the store %s/store lies inside the mountpoint", "and does not hold it");
	refused("/", -EINVAL, "/: the store %s/store lies inside the mountpoint", "as / would");

	char at[2 * PATH_MAX], why[PATH_MAX], resolved[8];
	is_int(mountpoint_check(here("%s/mnt", at), "/", resolved, sizeof(resolved), why, sizeof(why)), -EINVAL,
	       "where the store is /, everything lies inside it");
	is_int(mountpoint_check(at, "/elsewhere", resolved, sizeof(resolved), why, sizeof(why)), -ENAMETOOLONG,
	       "a path that is too long is not cut");
}

/* What stops a user who is not root stops it with the right reason. */
static void test_unreadable(void)
{
	if (geteuid() != 0) {
		ok(1, "a directory that can't be read says so # SKIP needs root");
		return;
	}
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		int before = tap_failed;
		if (setgid(1000) || setuid(1000))
			_exit(9);
		refused("%s/private/x", -EACCES, "%s/private/x: Permission denied",
			"a directory that can't be reached says so");
		refused("%s/unread", -EACCES, "%s/unread: Permission denied", "one that can't be read says so");
		fflush(stdout);
		_exit(tap_failed != before);
	}
	int status;
	waitpid(pid, &status, 0);
	tap_count += 4;
	is_int(status, 0, "and both are right");
}

static void test_mounts(void)
{
	char at[2 * PATH_MAX], from[2 * PATH_MAX], options[128];

	if (!own_mounts || mount("none", here("%s/mnt", at), "tmpfs", 0, "size=64k") < 0) {
		ok(1, "a directory that something is mounted on is busy # SKIP needs to mount");
		return;
	}
	refused("%s/mnt", -EBUSY, "%s/mnt: something is mounted there already",
		"a directory that something is mounted on is busy");
	umount2(at, MNT_DETACH);
	accepted("%s/mnt", "%s/mnt", "unmounted, it will do again");
	if (mount(here("%s/stor", from), at, NULL, MS_BIND, NULL) == 0) {
		refused("%s/mnt", -EBUSY, "%s/mnt: something is mounted there already",
			"busy as well when it is a directory of the same filesystem");
		umount2(at, MNT_DETACH);
	}
	refused("/proc", -EBUSY, "/proc: something is mounted there already", "a mount that is not ours is busy");

	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	int r = fuse < 0 ? -1 : mount("left", at, "fuse", MS_NOSUID | MS_NODEV, options);
	if (fuse >= 0)
		close(fuse); /* the daemon dies */
	if (r < 0) {
		ok(1, "what a dead daemon left says how to clear it # SKIP needs /dev/fuse");
		return;
	}
	refused("%s/mnt", -ENOTCONN, "%s/mnt: left mounted by a daemon that is gone: clear it with 'umount -l %s/mnt'",
		"what a dead daemon left says how to clear it");
	umount2(at, MNT_DETACH);
	accepted("%s/mnt", "%s/mnt", "cleared, it will do again");
}

static void hides(const char *path, bool want, const char *claim)
{
	char mnt[2 * PATH_MAX], at[2 * PATH_MAX];
	is_int(mountpoint_hides(here("%s/mnt", mnt), here(path, at)), want, "%s", claim);
}

static void test_hides(void)
{
	hides("%s/mnt/audit", true, "a file in the mountpoint would lie on the mount");
	hides("%s/mnt", true, "and so would the mountpoint");
	hides("%s/mnt/a/b/c", true, "also where its directories are not there yet");
	hides("%s/link/audit", true, "also through a link");
	hides("%s/stor/../mnt/audit", true, "and however it is written");
	hides("%s/file", false, "a file beside it does not");
	hides("%s/mnt2", false, "nor one whose name begins as it");
	hides("%s/none/audit", false, "nor one in a directory that is not there");
	hides("/none", false, "nor one at the top");
	hides("stderr", false, "and a word is no file");
	scratch_file(dir, "mnt/there", 0644, "");
	hides("%s/to-there", true, "a link to a file in it leads there");
	hides("%s/mnt/there", true, "so does the file");
	unlinkat(dir, "mnt/there", 0);
}

int main(void)
{
	alarm(240);
	umask(022);
	own_mounts = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	dir = scratch_open();
	static const char *const dirs[] = {"mnt",    "full", "hidden",  "store",     "store/sessions",
					   "store2", "stor", "private", "private/x", "unread"};
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		must(mkdirat(dir, dirs[i], 0755));
	scratch_file(dir, "file", 0644, "");
	scratch_file(dir, "full/file", 0644, "");
	scratch_file(dir, "hidden/.file", 0644, "");
	must(symlinkat("mnt", dir, "link"));
	must(symlinkat("store/sessions", dir, "into"));
	must(symlinkat("nowhere", dir, "dangling"));
	must(symlinkat("loop", dir, "loop"));
	must(symlinkat("mnt/there", dir, "to-there"));
	must(fchmodat(dir, "private", 0700, 0));
	must(fchmodat(dir, "unread", 0711, 0));

	test_names();
	test_unreadable();
	test_mounts();
	test_hides();
	return tap_done();
}
