#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Reads kernel messages and prints those in which the kernel complains, with
# what follows them. Exits 0 if there are any.
exec grep -E -A 25 \
	-e 'WARNING: ' \
	-e 'BUG: ' \
	-e 'INFO: (task|rcu|possible|lockdep|trying)' \
	-e 'Call Trace:' \
	-e 'Kernel panic' \
	-e 'Oops' \
	-e 'general protection fault' \
	-e '(KASAN|UBSAN|KCSAN|ODEBUG|kmemleak): ' \
	-e 'unreferenced object' \
	-e 'ref_tracker: .*(has [0-9/]* users|leaked|released)' \
	-e 'unregister_netdevice: waiting for' \
	-e 'scheduling while atomic|sleeping function called' \
	-e 'suspicious RCU usage' \
	-e 'asks to queue packet|Dead loop on virtual device' \
	-e 'spans:.*panicked'
