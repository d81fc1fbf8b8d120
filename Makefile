# SPDX-License-Identifier: GPL-2.0
#
# Targets for users; the module's own build is in Kbuild.
#
# Settings, in the environment or as arguments, as in `make vm CPUS=4 RUN=./mine.sh`.
# `make help` prints these lines:
#: KERNEL          stock (Debian's), uml-debug, uml or debug: for make, selftest, vm and shell
#: KERNEL_VERSION  the series of all test kernels, 7.2
#: KERNEL_RELEASE  one of Debian's kernels, as uname -r prints it
#: KDIR            for make: a kernel tree with Rust metadata instead of the build root
#: TESTS           for quick and selftest: scripts ("ping.sh"), or some of their tests ("ping:sizes,tcp")
#: RUN, ARGS       for vm: a script and its arguments
#: NAMES           for mutants: their names, or --logic
#: BENCH           for bench: "K=1,64 STAGES=0,16 ROWS=dummy,spans BOOTS=1", or PROFILE=spans
#: CPUS            of a guest, 2; uml-debug always has one
#: MEM             of a guest in MiB, 1024; 2048 with a debug kernel
#: TIMEOUT         of a guest in seconds, 600; a shell has none
#: CLOCK           of a guest: real, or virtual, which passes while the guest is idle
#: KMEMLEAK        1: the debug kernels scan for leaks at the end of a guest
#: FRESH           1: make test-full and mutants repeat passed tests
#: OUT             the folder for built files and results, build
#: SPANS_CACHE     the folder for build root and kernels, ~/.cache/spans

export KERNEL_VERSION KERNEL_RELEASE CPUS MEM TIMEOUT CLOCK KMEMLEAK FRESH OUT RUN

# Runs a command in the build root, which it creates if missing.
enter := scripts/enter.sh
out := $(abspath $(or $(OUT),build))

# Plain make builds for the running kernel, if its tree is suitable.
ifeq ($(origin KDIR)-$(origin KERNEL)-$(KERNEL_VERSION)$(KERNEL_RELEASE)-$(filter-out modules,$(MAKECMDGOALS)),undefined-undefined--)
running := $(shell scripts/rust-is-available.sh --running)
ifneq ($(running),)
KDIR := $(running)
endif
endif
KERNEL ?= stock

.PHONY: modules
ifneq ($(origin KDIR),undefined)
# Any kernel tree with Rust metadata, with the host's tools. Without vmlinux there is no BTF;
# the empty option suppresses a message for each module.
modules:
	@scripts/rust-is-available.sh "$(KDIR)" && $(enter) --ready && mkdir -p $(out)/kdir
	$(MAKE) -C $(KDIR) M=$(CURDIR) MO=$(out)/kdir \
		$(if $(wildcard $(KDIR)/vmlinux),,CONFIG_DEBUG_INFO_BTF_MODULES=) modules
	@cp $(out)/kdir/rust/spans.ko $(out)/spans.ko && echo "built $(out)/spans.ko for $(KDIR)$(if $(running),$(comma) the kernel that runs; KERNEL=stock takes Debian's)"
else
modules:
	@$(enter) scripts/build.sh $(KERNEL)
	@cp $(out)/$(KERNEL)/spans.ko $(out)/spans.ko && echo "built $(out)/spans.ko for $(KERNEL)"
endif
comma := ,

.PHONY: demo quick test test-full selftest mutants bench vm shell check clean distclean help

demo:
	@$(enter) scripts/demo.sh

quick:
	@$(enter) scripts/test.py quick $(TESTS)

ifeq ($(origin TEST),command line)
$(error the setting is TESTS=, not TEST=)
endif

test:
	@$(enter) scripts/test.py test

test-full:
	@$(enter) scripts/test.py full

selftest:
	@$(enter) scripts/test.py selftest $(KERNEL) $(TESTS)

mutants:
	@$(enter) scripts/mutants.py $(NAMES)

bench:
	@$(enter) scripts/bench.sh $(BENCH)

# exec, as a signal to make only reaches the shell of a recipe.
vm:
	@test -n "$$RUN" || { echo "spans: say what to run: make vm RUN=path [ARGS=...]" >&2; exit 2; }; \
	script=$$(realpath -m -- "$$RUN") && export SPANS_BIND="$${script%/*}" && \
	exec $(enter) scripts/vm.py $(KERNEL) "$$script" $(ARGS)

shell:
	@$(enter) scripts/vm.py $(KERNEL)

check:
	@$(enter) scripts/check.sh

clean:
	@if [ -e "$(out)/.spans-results" ] || [ "$(out)" = "$(CURDIR)/build" ]; then rm -rf "$(out)"; fi

distclean: clean
	@scripts/distclean.sh

help:
	@sed -n 's/^| `\(make[^`]*\)` | \(.*\) |$$/\1\t\2/p' README.md | column -t -s '	'
	@printf '\nsettings:\n'
	@sed -n 's/^#: //p' Makefile
