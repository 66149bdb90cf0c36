/* SPDX-License-Identifier: MIT */
/* sessionfs: arguments, what must be true before anything is mounted, and the order of starting and stopping. */
#define FUSE_USE_VERSION 317
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <sys/sysinfo.h>

#include "audit.h"
#include "caller.h"
#include "control.h"
#include "creds.h"
#include "fs.h"
#include "instance.h"
#include "log.h"
#include "loop.h"
#include "mountpoint.h"
#include "notify.h"
#include "ops.h"
#include "priority.h"
#include "privileges.h"
#include "reaper.h"
#include "release.h"
#include "util.h"
#include "version.h"

#define DEFAULT_CONFIG "/etc/sessionfs/sessionfs.conf"

#define CACHED_FDS_MAX 65536 /* descriptors kept for nodes: each pins an inode of the store's filesystem */

enum { EXIT_USAGE = 2 };

static const char usage[] = "Usage: sessionfs [-f] [-c FILE] [-o key=value,...] STORE MOUNTPOINT\n"
			    "       sessionfs --check -c FILE\n"
			    "\n"
			    "Mounts the sessions of STORE at MOUNTPOINT: each caller sees its own, and no other.\n"
			    "\n"
			    "  -f, --foreground        stay in the foreground\n"
			    "  -c, --config FILE       read FILE (default: " DEFAULT_CONFIG ", where there is one)\n"
			    "  -o section.key=value    override a key of the configuration; may be repeated\n"
			    "      --check             read the configuration, report its faults, and exit\n"
			    "      --help, --version\n"
			    "\n"
			    "See sessionfs(8) and sessionfs.conf(5).\n";

struct args {
	bool foreground, check;
	const char *config;
	char *options; /* owned: all -o joined */
	const char *store, *mountpoint;
};

/* ---- arguments ---- */

static int add_option(struct args *a, const char *option)
{
	char *joined;
	if (asprintf(&joined, "%s%s%s", a->options ? a->options : "", a->options ? "," : "", option) < 0)
		return -ENOMEM;
	free(a->options);
	a->options = joined;
	return 0;
}

static int print(const char *text)
{
	if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "sessionfs: stdout: %s\n", strerror(errno));
	return EXIT_FAILURE;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, struct args *a)
{
	static const struct option longs[] = {
		{"foreground", no_argument, NULL, 'f'}, {"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'C'},      {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},    {0},
	};
	for (int c; (c = getopt_long(argc, argv, "fc:o:hV", longs, NULL)) != -1;) {
		switch (c) {
		case 'f': a->foreground = true; break;
		case 'c': a->config = optarg; break;
		case 'C': a->check = true; break;
		case 'o':
			if (add_option(a, optarg) < 0)
				return EXIT_FAILURE;
			break;
		case 'h': return print(usage);
		case 'V': return print("sessionfs " SESSIONFS_VERSION "\n");
		default: fputs("Try 'sessionfs --help'.\n", stderr); return EXIT_USAGE;
		}
	}
	int want = a->check ? 0 : 2;
	if (argc - optind != want || (a->check && !a->config)) {
		fprintf(stderr, "sessionfs: %s\nTry 'sessionfs --help'.\n",
			a->check ? "--check takes -c FILE and nothing else" : "STORE and MOUNTPOINT are wanted");
		return EXIT_USAGE;
	}
	a->store = argv[optind];
	a->mountpoint = a->check ? NULL : argv[optind + 1];
	return -1;
}

static int configure(struct config *c, const struct args *a)
{
	int err = config_init(c);
	if (!err && a->config)
		err = config_read(c, a->config, stderr);
	else if (!err && access(DEFAULT_CONFIG, F_OK) == 0)
		err = config_read(c, DEFAULT_CONFIG, stderr);
	if (!err && a->options)
		err = config_override(c, a->options, stderr);
	return err;
}

/* ---- starting ---- */

/* libfuse says why it could not mount by logging it: kept, to be put in one line with the name. */
static char fuse_words[256];

static void keep_fuse_words(enum fuse_log_level level, const char *fmt, va_list ap)
{
	(void)level;
	vsnprintf(fuse_words, sizeof(fuse_words), fmt, ap);
	fuse_words[strcspn(fuse_words, "\n")] = '\0';
}

static void log_fuse_words(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char line[256];
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	if (level <= FUSE_LOG_WARNING)
		log_warn("%s", line);
}

static struct fuse_session *mount_at(struct fs *fs)
{
	char source[PATH_MAX + 16], *comma;
	snprintf(source, sizeof(source), "fsname=%s", store_path(fs->store));
	while ((comma = strchr(source, ',')))
		*comma = '_'; /* it is for /proc/mounts alone, and libfuse splits there */
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	fuse_opt_add_arg(&args, "sessionfs");
	fuse_opt_add_arg(&args, "-o");
	fuse_opt_add_arg(&args, source);
	fuse_opt_add_arg(&args, fs->config.exec ? "-osubtype=sessionfs,nosuid,nodev"
						: "-osubtype=sessionfs,nosuid,nodev,noexec");
	if (fs->config.allow_other && fs->privileged)
		fuse_opt_add_arg(&args, "-oallow_other");

	fuse_set_log_func(keep_fuse_words);
	struct fuse_session *se = fuse_session_new(&args, &ops, sizeof(ops), fs);
	fuse_opt_free_args(&args);
	if (se && fuse_session_mount(se, fs->mountpoint) == 0) {
		fuse_set_log_func(log_fuse_words);
		return se;
	}
	log_error("%s: cannot mount: %s", fs->mountpoint, fuse_words[0] ? fuse_words : "libfuse does not say why");
	if (se)
		fuse_session_destroy(se);
	return NULL;
}

static void session_gone(void *ctx, uint64_t session)
{
	session_put_id(ctx, session);
}

/* All that can fail for a reason of the operator's, before anything is mounted. */
static int prepare(struct fs *fs, const struct args *a)
{
	char why[PATH_MAX + 512];
	const struct token_rules rules = {fs->config.audience, fs->config.leeway, fs->config.max_lifetime};
	fs->uid = geteuid();
	fs->privileged = fs->uid == 0;
	fs->started = time(NULL);

	int err = store_open(a->store, why, sizeof(why), &fs->store);
	if (!err)
		err = mountpoint_check(a->mountpoint, store_path(fs->store), fs->mountpoint, sizeof(fs->mountpoint),
				       why, sizeof(why));
	if (!err)
		err = keyring_open(fs->config.keys, &rules, why, sizeof(why), &fs->keys);
	if (err) {
		log_error("%s", why);
		return err;
	}
	err = backing_init(&fs->backing, store_fd(fs->store));
	if (err) {
		log_error("%s: %s", a->store, strerror(-err));
		return err;
	}
	if (!fs->backing.handles)
		log_info("store: no file handles here, a descriptor is kept for each file that the kernel knows");

	const char *own[] = {fs->config.audit, fs->config.keys};
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (mountpoint_hides(fs->mountpoint, own[i])) {
			log_error("%s: lies on the mountpoint %s", own[i], fs->mountpoint);
			return -EINVAL;
		}

	instance_name(fs->config.name, fs->mountpoint, fs->instance);
	instance_run(fs->run);
	unsigned fds = privileges_limits(), cached = fds / 4 < CACHED_FDS_MAX ? fds / 4 : CACHED_FDS_MAX;
	/*
	 * Descriptors that users can make the daemon keep are an eighth of all short of all: what revokes, looks at keys and
	 * writes to the store must find some, however many one user hoards. (Lines of parents: lineage.c has an eighth.)
	 */
	fs->sessions = session_table_new(fds / 16); /* each may have another, of its account */
	fs->bindings = fs->sessions ? binding_table_new(fs->sessions, fds / 8) : NULL;
	fs->nodes = node_table_new(&fs->backing, cached, session_gone, fs->sessions);
	fs->files = fs->nodes ? file_table_new(fs->nodes, fds / 4) : NULL;
	fs->release = release_guard_new(fs->config.release, store_fd(fs->store));
	fs->inodes = inode_table_new();
	fs->quota = quota_new(fs->store, fs->instance, fs->run, &fs->config.limits);
	room_init(&fs->room, store_fd(fs->store), fs->config.reserve);
	if (!fs->bindings || !fs->files || !fs->release || !fs->inodes || !fs->quota) {
		log_error("no memory for the tables");
		return -ENOMEM;
	}
	return 0;
}

/* The last thing with all of root's rights was prepare(); the first thread is the audit's. */
static int drop_privileges(struct fs *fs)
{
	char why[512];
	umask(0); /* the kernel takes the caller's off already */
	signal(SIGPIPE, SIG_IGN);
	int err = fs->privileged ? priority_raise(fs->config.nice) : 0;
	if (err)
		log_info("daemon.nice: %s: requests are served at the priority of others", strerror(-err));
	err = fs->privileged ? privileges_drop(fs->config.special) : 0;
	if (!err)
		err = creds_init(fs->privileged);
	if (err) {
		log_error("privileges: %s", strerror(-err));
		return err;
	}
	err = audit_open(fs->config.audit, why, sizeof(why));
	if (err)
		log_error("%s", why);
	return err;
}

/*
 * To the background: the parent waits until the child says that the mount is there, so that whoever called
 * can use it at once. Returns the fd to say it on in the child; the parent does not return.
 */
static int detach(void)
{
	int pipe_fds[2];
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	pid_t child = fork();
	if (child < 0)
		return -errno;
	if (child > 0) {
		char byte;
		close(pipe_fds[1]);
		_exit(read(pipe_fds[0], &byte, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	close(pipe_fds[0]);
	setsid();
	return pipe_fds[1];
}

/* The child keeps stderr, where the log goes; it must not keep a directory busy, nor its caller's pipes waiting. */
static void ready(int *say)
{
	if (*say < 0)
		return;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		close_fd(null);
	}
	if (chdir("/") < 0 || write(*say, "r", 1) != 1)
		log_warn("detaching: %s", strerror(errno));
	*say = close_fd(*say);
}

/* ---- running ---- */

/* Unmounted from outside. The signal is blocked in every thread: wait_for_end() takes it. */
static void tell_main(void)
{
	kill(getpid(), SIGTERM);
}

static void wait_for_end(struct fs *fs, const sigset_t *signals)
{
	const char *so_far = "";
	do {
		notify_ready("%s at %s%s", store_path(fs->store), fs->mountpoint, so_far);
		int sig;
		if (sigwait(signals, &sig) != 0 || sig != SIGHUP)
			break;
		notify_reloading();
		so_far = control_reload(fs) ? "; the last reload failed" : "; reloaded";
	} while (true);
	notify_stopping();
}

/* More than the cores: some wait for the disk (fsync, big copies), and the others' users should not notice. */
static unsigned thread_count(const struct config *c)
{
	unsigned suits = 4 * (unsigned)get_nprocs();
	if (c->cache == CACHE_SHARED) /* a network filesystem can keep each one waiting for a minute */
		suits = 32;
	return c->threads ? c->threads : suits < 8 ? 8 : suits > 32 ? 32 : suits;
}

static void audit_daemon(const char *event)
{
	struct audit_event ev = {.event = event, .pid = getpid(), .uid = geteuid()};
	audit_write(&ev);
}

/* From the mount on: everything here runs, and stops in the opposite order. */
static int serve(struct fs *fs, struct fuse_session *se, const sigset_t *signals, int *say)
{
	unsigned threads = thread_count(&fs->config);
	fs->inval = invalidate_start(se);
	struct reaper *reaper = fs->inval ? reaper_start(fs) : NULL;
	struct instance *instance = reaper ? instance_start(fs) : NULL;
	struct loop *loop = instance && quota_start(fs->quota) == 0 ? loop_start(se, threads, tell_main) : NULL;
	if (loop) {
		audit_daemon("start");
		log_info("%s at %s, %u threads, %s", store_path(fs->store), fs->mountpoint, threads,
			 fs->privileged ? "each request as its caller's user"
					: "one user alone (not root: no switching of users)");
		ready(say);
		wait_for_end(fs, signals);
	} else {
		log_error("cannot start threads");
	}

	invalidate_stop(fs->inval);
	loop_stop(loop);
	instance_rest(instance);
	reaper_stop(reaper);
	invalidate_free(fs->inval);
	fs->inval = NULL;
	fuse_session_unmount(se);
	file_table_free(fs->files); /* ends the bindings of control files that are open still */
	fs->files = NULL;
	reaper_flush(fs);
	quota_stop(fs->quota);
	instance_stop(instance);
	audit_daemon("stop");
	return loop ? 0 : -ENOMEM;
}

static void finish(struct fs *fs)
{
	audit_close();
	file_table_free(fs->files);
	node_table_free(fs->nodes);
	binding_table_free(fs->bindings);
	inode_table_free(fs->inodes);
	session_table_free(fs->sessions);
	release_guard_free(fs->release);
	quota_free(fs->quota);
	keyring_close(fs->keys);
	backing_fini(&fs->backing);
	store_close(fs->store);
	config_free(&fs->config);
}

/* All but the parsing: in the foreground, or in the child that detach() made. */
static int run(struct fs *fs, const struct args *a, int *say)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);

	int err = prepare(fs, a);
	if (!err)
		err = drop_privileges(fs);
	struct fuse_session *se = err ? NULL : mount_at(fs);
	if (!se)
		return err ? err : -EIO;
	err = serve(fs, se, &signals, say);
	fuse_session_destroy(se);
	return err;
}

int main(int argc, char **argv)
{
	struct args args = {0};
	static struct fs fs; /* holds a path: too large for a stack frame to be comfortable */
	int say = -1, code = parse(argc, argv, &args);
	if (code >= 0)
		return code;
	notify_open(args.foreground);
	if (sodium_init() < 0 || caller_init(false) < 0) {
		log_error("cannot start: no randomness, or no /proc");
		return EXIT_FAILURE;
	}
	json_object_seed(0);

	fs.backing.root = -1;
	code = configure(&fs.config, &args) ? EXIT_FAILURE : EXIT_SUCCESS;
	if (code == EXIT_SUCCESS && !args.check)
		if ((!args.foreground && (say = detach()) < 0) || run(&fs, &args, &say))
			code = EXIT_FAILURE;
	finish(&fs);
	free(args.options);
	return code;
}
