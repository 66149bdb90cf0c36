# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
#
# For the scripts beside it, which include it first. Everything is in namespaces of the script's own: it begins again as the
# first process of some, with nothing but a loopback device and with an empty tmpfs, where its scratch directory is. When it
# ends, however it ends, the kernel takes all of it away, hung or not. Then what fstest/lib.sh and workload.sh give.

if [[ -z ${CLUSTER_INSIDE-} ]]; then
	export CLUSTER_INSIDE=1
	exec timeout -k 5 300 unshare --net --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi
mount -t tmpfs -o size=4g,mode=755 cluster "${SCRATCH:=/mnt}" || { echo "Bail out! no tmpfs"; exit 2; }
export TMPDIR=$SCRATCH
LIMIT=3600
. "${0%/*}/../fstest/lib.sh"
. "${0%/*}/workload.sh"
