# SPDX-License-Identifier: GPL-2.0
#
# For people. What Kbuild reads is Kbuild.

KERNEL ?= stock
export KERNEL_VERSION KERNEL_RELEASE CPUS MEM TIMEOUT KMEMLEAK CLIPPY BUDGET

# Runs a command in the build root, which is made if it is missing.
enter := scripts/enter.sh

.PHONY: modules
ifdef KDIR
# Any kernel tree with Rust metadata, with this machine's own tools.
modules:
	@scripts/rust-is-available.sh $(KDIR)
	$(MAKE) -C $(KDIR) M=$(CURDIR) MO=$(CURDIR)/build/kdir modules
	@cp build/kdir/rust/spans.ko build/spans.ko && echo "built build/spans.ko"
else
modules:
	@$(enter) scripts/build.sh $(KERNEL)
	@cp build/$(KERNEL)/spans.ko build/spans.ko && echo "built build/spans.ko for $(KERNEL)"
endif

.PHONY: demo test selftest bench vm shell check clean distclean help

demo:
	@$(enter) scripts/demo.sh

test:
	@$(enter) scripts/test.sh

# TESTS="ping.sh netns.sh" runs only these.
selftest:
	@$(enter) scripts/selftest.sh $(KERNEL) $(TESTS)

# BENCH="K=64 STAGES=16 BOOTS=1" for a quick look.
bench:
	@$(enter) scripts/bench.sh $(BENCH)

vm:
	@test -n "$(RUN)" || { echo "spans: say what to run: make vm RUN=path [ARGS=...]"; exit 2; }
	@script=$$(realpath -m -- "$(RUN)") && SPANS_BIND=$${script%/*} \
		$(enter) scripts/vm.sh $(KERNEL) "$$script" $(ARGS)

shell:
	@$(enter) scripts/vm.sh $(KERNEL)

check:
	@$(enter) scripts/check.sh

clean:
	rm -rf build

distclean: clean
	@scripts/distclean.sh

help:
	@sed -n 's/^| `\(make[^`]*\)` | \(.*\) |$$/\1\t\2/p' README.md | column -t -s '	'
