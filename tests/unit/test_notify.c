/* SPDX-License-Identifier: MIT */
/* tests/fstest/notify.t hears what the daemon says; here is what cannot be seen from outside. */
#include "notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "tap.h"
#include "util.h"

static void variable(const char *claim, const char *value, bool use)
{
	setenv("NOTIFY_SOCKET", value, 1);
	notify_open(use);
	ok(getenv("NOTIFY_SOCKET") == NULL, "%s", claim);
}

int main(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "sessionfs-test-notify-%d", (int)getpid());
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name.sun_path + 1));
	_cleanup_close_ int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char at[sizeof(name.sun_path)], got[4096];
	snprintf(at, sizeof(at), "@%s", name.sun_path + 1);
	if (bind(manager, (struct sockaddr *)&name, len) < 0)
		return 1;

	notify_stopping();
	variable("a child finds no NOTIFY_SOCKET where it is not used", at, false);
	notify_ready("mounted");
	ok(recv(manager, got, sizeof(got), 0) < 0, "and nothing is told");

	variable("nor where it is useless", "nonsense", true);
	variable("nor where it is empty", "", true);
	notify_ready("mounted");
	ok(recv(manager, got, sizeof(got), 0) < 0, "and nothing is told then");

	variable("nor where it is used", at, true);
	char name_of_3000[3001];
	memset(name_of_3000, 'x', 3000);
	name_of_3000[3000] = '\0';
	notify_ready("%s", name_of_3000);
	ssize_t n = recv(manager, got, sizeof(got), 0);
	ok(n > 1000 && n < 1200 && got[n - 1] == '\n', "a status that is too long is cut, and the datagram is whole");

	notify_ready("/a\nSTOPPING=1\x1b[2J");
	n = recv(manager, got, sizeof(got) - 1, 0);
	got[n > 0 ? n : 0] = '\0';
	ok(strcmp(got, "READY=1\nSTATUS=/a?STOPPING=1?[2J\n") == 0, "a name with a newline in it adds no assignment");
	return tap_done();
}
