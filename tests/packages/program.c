/* SPDX-License-Identifier: MIT */
/* An application: writes a file into the session of the token on standard input. */
#include <sessionfs.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct sessionfs *mount;
	char token[8192], path[4096];
	if (argc != 2 || !fgets(token, sizeof(token), stdin))
		return 2;
	token[strcspn(token, "\n")] = '\0';
	int r = sessionfs_open(argv[1], &mount);
	if (!r)
		r = sessionfs_bind(mount, token, NULL);
	if (r < 0) {
		fprintf(stderr, "%s\n", sessionfs_strerror(r));
		return 1;
	}
	snprintf(path, sizeof(path), "%s/self/by-c", argv[1]);
	FILE *f = fopen(path, "w");
	if (!f || fputs("by C\n", f) < 0 || fclose(f))
		return 1;
	sessionfs_unbind(mount);
	f = fopen(path, "r"); /* no longer in the session */
	sessionfs_close(mount);
	puts(f ? "still bound" : "done");
	return f != NULL;
}
