// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions and macros of the kernel's headers, one each, for rust/net.
 * No decisions are taken here: a helper that needs an `if` of its own belongs
 * in Rust. Grouped by header, as rust/helpers of the kernel.
 */
#include <spans/bindings_helper.h>

#include "bottom_half.c"
#include "debugfs.c"
#include "interrupt.c"
#include "layout.c"
#include "neighbour.c"
#include "net_namespace.c"
#include "netdevice.c"
#include "percpu.c"
#include "signal.c"
#include "skbuff.c"
#include "smp.c"
#include "timer.c"
#include "trace.c"
