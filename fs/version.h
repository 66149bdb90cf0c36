/* SPDX-License-Identifier: MIT */
/* The release, as --version prints it. The Makefile names it; the default serves compilers run by hand. */
#ifndef SESSIONFS_VERSION_H
#define SESSIONFS_VERSION_H

#ifndef SESSIONFS_VERSION
#define SESSIONFS_VERSION "0.1.0"
#endif

#endif
