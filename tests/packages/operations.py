# SPDX-License-Identifier: MIT
"""What an application may do with files, each once, in the directory given: nothing may fail. For a daemon in a sandbox,
whose filter of system calls has to let all of it through."""

import fcntl
import os
import sys
import threading

os.chdir(sys.argv[1])
os.umask(0)
os.mkdir("d", 0o755)
os.chmod("d", 0o2775)
assert os.stat("d").st_mode & 0o7777 == 0o2775, "a set-group-id bit on a directory"
fd = os.open("d/f", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
assert os.write(fd, b"x" * 100000) == 100000
assert os.pwritev(fd, [b"abc", b"def"], 10) == 6
assert os.pread(fd, 6, 10) == b"abcdef"
os.posix_fallocate(fd, 0, 200000)
os.ftruncate(fd, 150000)
os.fsync(fd)
os.fdatasync(fd)
os.fchmod(fd, 0o600)
os.utime(fd, (1, 2))
fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
fcntl.lockf(fd, fcntl.LOCK_UN)
copy = os.open("copy", os.O_RDWR | os.O_CREAT, 0o600)
assert os.copy_file_range(fd, copy, 1000, 0, 0) == 1000
assert os.lseek(fd, 0, os.SEEK_END) == 150000
os.close(copy)
os.close(fd)
assert os.stat("d/f").st_mtime == 2
with open("d/f", "rb") as f:
    assert f.read(16)[10:] == b"abcdef"
with open("d/f", "ab") as f:
    f.write(b"end")
os.truncate("d/f", 10)
os.link("d/f", "linked")
os.rename("linked", "renamed")
os.chown("renamed", -1, os.getgid())
assert os.access("renamed", os.W_OK)
assert sorted(os.listdir(".")) == ["copy", "d", "renamed"]
os.statvfs(".")
dirfd = os.open("d", os.O_RDONLY | os.O_DIRECTORY)
os.fsync(dirfd)
os.stat("f", dir_fd=dirfd)
os.close(dirfd)
held = os.open("renamed", os.O_RDONLY)
os.unlink("renamed")
assert os.read(held, 3) == b"xxx"
os.close(held)


def many(n):
    for i in range(50):
        with open(f"t{n}", "w") as f:
            f.write(str(i))
        os.unlink(f"t{n}")


threads = [threading.Thread(target=many, args=(n,)) for n in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
os.unlink("copy")
os.unlink("d/f")
os.rmdir("d")
print("done")
