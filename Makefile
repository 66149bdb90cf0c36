# SPDX-License-Identifier: MIT
#
#     make                    the programs, in build/release
#     sudo make demo          sets up all that is needed, then shows what it is for
#     sudo make test          sets up all that is needed, then runs every test
#     make help               the other targets
#
# V=1 shows the commands; DEVELOPER=1 makes warnings errors, and adds some. A change of flags rebuilds.

VERSION := 0.1.0
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
# Where install-python installs: what the system's own Python looks at.
PYTHONDIR ?= $(shell /usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# release, asan, tsan or fuzz: the name of the directory under build/ and of a set of flags below.
variant := release
B       := build/$(variant)

# --- what is built from what ----------------------------------------------------------------------------------------

PROTO := utf8 base64url rfc3339 sid paserk paseto claims token grammar
PROTO_SRCS := $(PROTO:%=fs/proto/%.c)

FS := log notify config json keyring store layout record users ledger witness count account quota room meta durable probe tree \
	trash ended audit sink reason stats exposition caller lineage creds privileges priority mountpoint backing passthrough \
	slots session binding node file opened inode heartbeat roster agreement requirement release clock retention \
	request charge growth naming ops io dir root control bind report invalidate ticker reaper instance loop
FS_SRCS := $(FS:%=fs/%.c)

# The only ones that may include <fuse_lowlevel.h>: nobody else is told where it is.
FUSE_SRCS := fs/request.c fs/ops.c fs/io.c fs/charge.c fs/growth.c fs/naming.c fs/dir.c fs/root.c fs/control.c fs/bind.c fs/report.c \
	fs/invalidate.c fs/passthrough.c fs/loop.c fs/main.c

TOOLS := session-token session-exec session-ls session-rm session-release
TOOL_SRCS := tools/mount.c tools/options.c

# For the programs that show sessions: which they are stands with the rules.
LISTING_SRCS := tools/listing.c tools/show.c tools/table.c tools/progress.c tools/source.c tools/nodes.c tools/watch.c \
	tools/recount.c

LIB_SRCS := tools/libsessionfs.c tools/carrier.c tools/mint.c tools/mount.c tools/secret.c $(PROTO_SRCS)
SONAME   := libsessionfs.so.1

UNIT := base64url rfc3339 sid paserk paseto claims token grammar \
	config heartbeat agreement release keyring caller store trash ledger quota retention audit stats node session binding \
	file backing mountpoint notify invalidate room

FSTEST_SRCS := tests/fstest/fstest.c tests/fstest/calls.c
HAMMER_SRCS := tests/fstest/hammer.c
FLOOD_SRCS  := tests/fstest/flood.c
DEFICIENT_SRCS := tests/fstest/deficient.c
CLIENT_SRCS := tests/fstest/client.c
BENCH_SRCS  := tests/bench/bench.c

FUZZ := token grammar config

MANUALS := fs/sessionfs.8 fs/sessionfs.conf.5 fs/sessionfs-control.5 \
	tools/session-ls.1 tools/session-rm.1 tools/session-release.1 tools/session-token.1 tools/session-exec.1 tools/sessionfs.3

# --- derived names --------------------------------------------------------------------------------------------------

objs = $(patsubst %.c,$(B)/%.o,$(1))
pic  = $(patsubst %.c,$(B)/pic/%.o,$(1))

CORE          := $(B)/libsessionfs-core.a
TOOL_PROGRAMS := $(TOOLS:%=$(B)/%)
PROGRAMS      := $(B)/sessionfs $(TOOL_PROGRAMS)
SHARED        := $(B)/$(SONAME) $(B)/libsessionfs.so
STATIC        := $(B)/libsessionfs.a
CLIENT        := $(B)/tests/fstest/client
UNIT_TESTS    := $(UNIT:%=$(B)/tests/unit/test_%)
DRIVERS       := $(B)/tests/fstest/fstest $(B)/tests/fstest/hammer $(B)/tests/fstest/flood $(B)/tests/fstest/deficient
BENCH         := $(B)/tests/bench/bench
FUZZERS       := $(FUZZ:%=$(B)/tests/fuzz/fuzz_%)

SRCS := $(PROTO_SRCS) $(FS_SRCS) fs/main.c $(TOOL_SRCS) $(LISTING_SRCS) $(TOOLS:%=tools/%.c) $(UNIT:%=tests/unit/test_%.c) \
	$(FSTEST_SRCS) $(HAMMER_SRCS) $(FLOOD_SRCS) $(DEFICIENT_SRCS) $(CLIENT_SRCS) $(BENCH_SRCS) $(FUZZ:%=tests/fuzz/fuzz_%.c)

# --- libraries ------------------------------------------------------------------------------------------------------

# A private static libfuse, where packaging/setup found the system's too old.
ifneq ($(wildcard build/libfuse/lib/libfuse3.a),)
private := PKG_CONFIG_PATH=build/libfuse/lib/pkgconfig:$$PKG_CONFIG_PATH
fuse_static := --static
endif

fuse      := fuse3 >= 3.17
libraries := libsodium jansson inih
pkgconf    = $(shell $(private) pkg-config $(1) 2>/dev/null)

have_libraries := $(call pkgconf,--modversion '$(fuse)' $(libraries))
FUSE_CFLAGS := -DFUSE_USE_VERSION=317 $(patsubst -I%,-isystem %,$(call pkgconf,--cflags '$(fuse)'))
LIB_CFLAGS  := $(call pkgconf,--cflags $(libraries))
CLIENT_LIBS := $(call pkgconf,--libs libsodium jansson) -pthread
LIBS        := $(call pkgconf,$(fuse_static) --libs '$(fuse)') $(call pkgconf,--libs $(libraries)) -pthread

# --- flags ----------------------------------------------------------------------------------------------------------

cpp := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DSESSIONFS_VERSION='"$(VERSION)"' -iquote . -iquote fs $(LIB_CFLAGS)
warn := -Wall -Wextra
ifeq ($(DEVELOPER),1)
warn += -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith -Wvla -Wformat=2 -Wundef
# Where numbers come from outside.
$(call objs,$(PROTO_SRCS)): warn += -Wconversion
endif

cf_protection := $(if $(filter x86_64-% i686-%,$(shell $(CC) -dumpmachine)),-fcf-protection)
CFLAGS.release := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection \
	$(cf_protection)
CFLAGS.asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS.tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
CFLAGS.fuzz := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS.release := -Wl,-z,relro,-z,now
LDFLAGS.asan := -fsanitize=address,undefined
LDFLAGS.tsan := -fsanitize=thread
LDFLAGS.fuzz := -fsanitize=fuzzer,address,undefined

# CFLAGS and LDFLAGS are the caller's, and come last.
compile = $(CC) -std=gnu11 -fPIE -pthread $(warn) $(CFLAGS.$(variant)) $(cpp) $(CPPFLAGS) $(CFLAGS)
link    = $(CC) -pie -Wl,--as-needed $(LDFLAGS.$(variant)) $(CFLAGS) $(LDFLAGS)

# --- rules ----------------------------------------------------------------------------------------------------------

MAKEFLAGS += --no-print-directory

OBJCOPY ?= objcopy

Q   := $(if $(filter 1,$(V)),,@)
say  = $(if $(Q),@printf '  %-7s %s\n' $(1) $(2))

all: $(PROGRAMS) $(SHARED) $(STATIC)
unit: $(UNIT_TESTS)
tests: all unit $(DRIVERS) $(CLIENT) $(BENCH)

$(B)/%.o: %.c $(B)/.flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(compile) -MMD -MP -c -o $@ $<

$(B)/pic/%.o: %.c $(B)/.flags
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(compile) -fPIC -fvisibility=hidden -MMD -MP -c -o $@ $<

$(call objs,$(FUSE_SRCS) $(DEFICIENT_SRCS) tests/unit/test_invalidate.c): cpp += $(FUSE_CFLAGS)

# All but main, so that each program and unit test takes what it needs.
$(CORE): $(call objs,$(PROTO_SRCS) $(FS_SRCS))
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/sessionfs: $(call objs,fs/main.c) $(CORE)
$(TOOL_PROGRAMS): $(B)/%: $(B)/tools/%.o $(call objs,$(TOOL_SRCS)) $(STATIC) $(CORE)
$(B)/session-ls: $(call objs,$(LISTING_SRCS))
$(B)/session-release: $(call objs,tools/source.c)
$(B)/session-rm: $(call objs,tools/source.c tools/table.c tools/progress.c)
$(UNIT_TESTS): %: %.o $(CORE)
$(FUZZERS): %: %.o $(CORE)
$(B)/tests/fstest/fstest: $(call objs,$(FSTEST_SRCS)) $(CORE)
$(B)/tests/fstest/hammer: $(call objs,$(HAMMER_SRCS)) $(CORE)
$(B)/tests/fstest/flood: $(call objs,$(FLOOD_SRCS)) $(CORE)
$(B)/tests/fstest/deficient: $(call objs,$(DEFICIENT_SRCS))
$(BENCH): $(call objs,$(BENCH_SRCS)) $(CORE)

$(PROGRAMS) $(UNIT_TESTS) $(FUZZERS) $(DRIVERS) $(BENCH):
	$(call say,LD,$@)
	$(Q)$(link) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS)

# Preloaded into User-Mode Linux by tests/cluster/nfs.t.
XSTATE := $(B)/tests/cluster/xstate.so
$(XSTATE): tests/cluster/xstate.c $(B)/.flags
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -shared -fPIC -O2 $(warn) -D_GNU_SOURCE $(CPPFLAGS) -o $@ $<

# The client library. Stays where it was loaded (nodelete): threads that end call into it.
$(B)/$(SONAME): $(call pic,$(LIB_SRCS)) tools/libsessionfs.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script,tools/libsessionfs.map -Wl,-z,nodelete -Wl,--as-needed \
		$(LDFLAGS.$(variant)) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(CLIENT_LIBS)

$(B)/libsessionfs.so: $(B)/$(SONAME)
	$(Q)ln -sf $(SONAME) $@

# One object, in which all but the public names is local: an application may have a token_verify() of its own.
$(STATIC): $(call pic,$(LIB_SRCS))
	$(call say,AR,$@)
	$(Q)$(LD) -r -o $(B)/pic/libsessionfs.o $^
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='sessionfs_*' $(B)/pic/libsessionfs.o
	@rm -f $@
	$(Q)$(AR) rcs $@ $(B)/pic/libsessionfs.o

$(CLIENT): $(call objs,$(CLIENT_SRCS)) $(SHARED)
	$(call say,LD,$@)
	$(Q)$(link) -o $@ $(filter %.o,$^) -L$(B) -lsessionfs -Wl,-rpath,'$$ORIGIN/../..' -pthread

# Changes when the flags do, and with it every object. The place to find out that the libraries are missing.
$(B)/.flags: FORCE
	$(if $(have_libraries),,$(call missing))
	$(shell mkdir -p $(@D))$(file >$@.new,$(compile) $(FUSE_CFLAGS) $(link) $(LIBS))
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

define missing
@echo 'sessionfs needs $(fuse), $(libraries) (development files). To get them: sudo make setup' >&2; exit 1
endef

-include $(patsubst %.o,%.d,$(call objs,$(SRCS)) $(call pic,$(LIB_SRCS)))

# --- variants -------------------------------------------------------------------------------------------------------

asan tsan:
	$(MAKE) variant=$@ tests

# Bounded: a minute or two in all. What a run finds is written to build/fuzz; a crash goes into tests/fuzz/corpus.
FUZZ_RUNS := 500000

fuzz:
	$(MAKE) variant=fuzz CC=clang fuzzers
	@mkdir -p $(FUZZ:%=build/fuzz/corpus/%)
	@set -e; for f in $(FUZZ); do \
		echo "  FUZZ    $$f"; \
		build/fuzz/tests/fuzz/fuzz_$$f -runs=$(FUZZ_RUNS) -max_len=8192 -timeout=10 -verbosity=0 \
			-artifact_prefix=build/fuzz/$$f- build/fuzz/corpus/$$f tests/fuzz/corpus/$$f; \
	done

fuzzers: $(FUZZERS)

# --- what does its own set-up ---------------------------------------------------------------------------------------

# Libraries are looked for when make starts, so what follows setup is a make of its own.

setup:
	@packaging/setup

# With a browser and nginx.
setup-incident:
	@packaging/setup incident

demo: setup
	$(MAKE) all
	@SESSIONFS_BUILD='$(CURDIR)/build/release' tests/demo/run

# Its form in `make test` is shorter. INCIDENT= takes options: see tests/incident/run --help.
incident: setup-incident
	$(MAKE) all
	@SESSIONFS_BUILD='$(CURDIR)/build/release' tests/incident/run --full $(INCIDENT)

bench: setup
	$(MAKE) tests
	@SESSIONFS_BUILD='$(CURDIR)/build/release' tests/bench/run

# The last line is `N passed, M failed`. TESTS= chooses some of the harness's scripts; MORE_TESTS= adds to all.
TESTS = $(sort $(wildcard tests/fstest/*.t))
MORE_TESTS =

test: setup-incident
	$(MAKE) tests
	$(MAKE) variant=asan unit
	@SESSIONFS_BUILD='$(CURDIR)/build/release' tests/run $(UNIT_TESTS) $(UNIT:%=build/asan/tests/unit/test_%) $(TESTS) \
		tests/python/run tests/incident/run $(MORE_TESTS)

# What needs neither root, nor a mount, nor anything installed: for builds of packages.
check: $(filter $(PROTO:%=$(B)/tests/unit/test_%),$(UNIT_TESTS))
	@tests/run $^

# Several instances over one store, on a cluster that the test starts itself. The servers come from Debian, and only unpacked.
test-cluster test-nfs: test-%:
	@packaging/setup $*
	$(MAKE) tests $(if $(filter nfs,$*),$(XSTATE))
	@TEST_SECONDS=600 SESSIONFS_BUILD='$(CURDIR)/build/release' tests/run tests/cluster/$(CLUSTER_TEST.$*)

CLUSTER_TEST.cluster := moosefs.t
CLUSTER_TEST.nfs     := nfs.t

test-unit: setup
	$(MAKE) variant=asan unit
	@tests/run $(UNIT:%=build/asan/tests/unit/test_%)

test-asan test-tsan: test-%: setup
	$(MAKE) variant=$* tests
	@TEST_SECONDS=900 SESSIONFS_BUILD='$(CURDIR)/build/$*' tests/run $(UNIT:%=build/$*/tests/unit/test_%) $(TESTS)

# Builds, installs, upgrades and purges the Debian packages, in a small Debian of their own.
test-deb:
	@packaging/setup deb
	$(MAKE) tests
	@SESSIONFS_BUILD='$(CURDIR)/build/release' tests/run tests/packages/run

# --- checks of the source -------------------------------------------------------------------------------------------

ALL_C = $(wildcard fs/*.[ch] fs/proto/*.[ch] tools/*.[ch] tests/*/*.[ch])

# The tests pass NULL and garbage on purpose. What is suppressed here, and in .clang-tidy, is what neither program can
# follow: cleanup attributes, and `return -errno`. cppcheck reads no system headers: it is told what jansson's loops are.
SCANNED = $(filter-out tests/%,$(filter %.c,$(ALL_C)))

scan: $(B)/.flags
	clang-tidy --quiet --warnings-as-errors='*' $(SCANNED) -- \
		-std=gnu11 $(cpp) $(FUSE_CFLAGS)
	cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr --suppress=missingIncludeSystem \
		--suppress=memleak --suppress=resourceLeak --suppress=ctuuninitvar \
		--enable=warning,performance,portability -D_GNU_SOURCE '-D__typeof__(x)=void *' \
		'-Djson_array_foreach(a,i,v)=while((i=0,v=json_array_get(a,i)))' \
		'-Djson_object_foreach(o,k,v)=while((k=json_key(o),v=json_value(o)))' \
		-I. -Ifs $(SCANNED)

format:
	clang-format -i $(ALL_C)

format-check:
	clang-format --dry-run --Werror $(ALL_C)

# --- installation ---------------------------------------------------------------------------------------------------

sbindir = $(DESTDIR)$(PREFIX)/sbin
bindir  = $(DESTDIR)$(PREFIX)/bin
libdir  = $(DESTDIR)$(LIBDIR)
incdir  = $(DESTDIR)$(PREFIX)/include
mandir  = $(DESTDIR)$(PREFIX)/share/man
confdir = $(DESTDIR)/etc/sessionfs
unitdir = $(DESTDIR)$(PREFIX)/lib/systemd/system
tmpdir  = $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
bashdir = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
pythondir = $(DESTDIR)$(PYTHONDIR)

# The names in packaging/sessionfs.conf, as section.key.
conf_keys = $$(sed -nE -e '/^\[/{s/\[(.*)\]/\1/;h}' -e '/^\#[a-z_]+ = /{s/^\#([a-z_]+).*/\1/;G;s/(.*)\n(.*)/\2.\1/p}' \
	packaging/sessionfs.conf | tr '\n' ' ')

# For fstab nothing more is needed: `mount -t fuse.sessionfs` runs mount.fuse3(8), which finds sessionfs in PATH. The
# Debian packages hold what this installs, and install-python: tests/packages/run compares them.
install: all
	install -d '$(sbindir)' '$(bindir)' '$(libdir)/pkgconfig' '$(incdir)' '$(confdir)' '$(confdir)/keys.d'
	install $(B)/sessionfs '$(sbindir)'
	install $(TOOL_PROGRAMS) '$(bindir)'
	install -m 644 $(B)/$(SONAME) $(STATIC) '$(libdir)'
	ln -sf $(SONAME) '$(libdir)/libsessionfs.so'
	install -m 644 tools/sessionfs.h '$(incdir)'
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
		tools/libsessionfs.pc.in >'$(libdir)/pkgconfig/libsessionfs.pc'
	set -e; for m in $(MANUALS); do install -D -m 644 $$m '$(mandir)'/man$${m##*.}/$${m##*/}; done
	test -e '$(confdir)/sessionfs.conf' || install -m 644 packaging/sessionfs.conf '$(confdir)'
	install -d -m 700 '$(DESTDIR)/var/lib/sessionfs'
	install -d -m 750 '$(DESTDIR)/var/log/sessionfs'
	install -d '$(unitdir)' '$(tmpdir)' '$(bashdir)'
	sed -e 's|@PREFIX@|$(PREFIX)|' 'packaging/systemd/sessionfs@.service' >'$(unitdir)/sessionfs@.service'
	install -m 644 packaging/systemd/tmpfiles.conf '$(tmpdir)/sessionfs.conf'
	install -D -m 644 packaging/logrotate '$(DESTDIR)/etc/logrotate.d/sessionfs'
	sed -e "s|@KEYS@|$(conf_keys)|" -e 's|@PROGRAMS@|sessionfs $(TOOLS)|' packaging/bash/sessionfs >'$(bashdir)/sessionfs'
	set -e; for t in $(TOOLS); do ln -sf sessionfs '$(bashdir)'/$$t; done

install-python:
	install -d '$(pythondir)/sessionfs' '$(pythondir)/sessionfs-$(VERSION).dist-info'
	install -m 644 packaging/python/sessionfs/*.py packaging/python/sessionfs/py.typed '$(pythondir)/sessionfs'
	printf 'Metadata-Version: 2.1\nName: sessionfs\nVersion: %s\n' '$(VERSION)' \
		>'$(pythondir)/sessionfs-$(VERSION).dist-info/METADATA'

# The configuration, the keys, the stores and the logs stay.
uninstall:
	rm -f '$(sbindir)/sessionfs' '$(unitdir)/sessionfs@.service' '$(tmpdir)/sessionfs.conf'
	rm -f '$(DESTDIR)/etc/logrotate.d/sessionfs' '$(bashdir)/sessionfs'
	set -e; for t in $(TOOLS); do rm -f '$(bindir)'/$$t '$(bashdir)'/$$t; done
	rm -f '$(libdir)'/libsessionfs.* '$(libdir)/pkgconfig/libsessionfs.pc' '$(incdir)/sessionfs.h'
	set -e; for m in $(MANUALS); do rm -f '$(mandir)'/man$${m##*.}/$${m##*/}; done

uninstall-python:
	rm -rf '$(pythondir)/sessionfs' '$(pythondir)'/sessionfs-*.dist-info

# Debian packages in build/deb, from this tree.
deb:
	@packaging/setup deb
	@packaging/deb $(VERSION)

clean:
	rm -rf build/release build/asan build/tsan build/fuzz build/deb

distclean:
	rm -rf build

help:
	@echo 'all               the programs'
	@echo 'setup             Debian packages, and a private libfuse if the system has none that will do (root)'
	@echo 'demo              setup, then two users and a buggy uploader (root)'
	@echo 'incident          setup, then the incident replayed, with nginx, gunicorn and a browser (root)'
	@echo 'test              setup, then every test; TESTS=tests/fstest/x.t chooses from the harness (root)'
	@echo 'test-unit         the unit tests alone, under the address and undefined-behaviour sanitizers'
	@echo 'check             the unit tests that need neither root nor a mount'
	@echo 'test-deb          the Debian packages, from building to purging (root)'
	@echo 'test-asan, -tsan  every test against a daemon built with the sanitizers (root)'
	@echo 'test-cluster      two instances over MooseFS, while chunkservers fail (root)'
	@echo 'test-nfs          two instances over NFSv4.1, in two guests (root)'
	@echo 'bench             setup, then requests per operation and throughput (root)'
	@echo 'asan, tsan        programs and tests with sanitizers, in build/asan and build/tsan'
	@echo 'fuzz              the parsers, with clang, FUZZ_RUNS=$(FUZZ_RUNS) each'
	@echo 'scan              clang-tidy and cppcheck'
	@echo 'format            clang-format; format-check only looks'
	@echo 'install           to DESTDIR and PREFIX=$(PREFIX); uninstall takes it away; -python: the Python package'
	@echo 'deb               Debian packages, in build/deb'
	@echo 'clean, distclean  what was built; distclean takes the private libfuse too'

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
FORCE:
.PHONY: all unit tests asan tsan fuzz fuzzers setup setup-incident demo incident bench test check test-unit test-asan \
	test-tsan test-deb test-cluster test-nfs scan format format-check install uninstall install-python uninstall-python \
	deb clean distclean help FORCE
