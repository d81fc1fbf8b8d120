// SPDX-License-Identifier: GPL-2.0
/*
 * Wrappers for inline functions and macros of kernel headers, for rust/net.
 * No logic: a helper that needs an `if` belongs in Rust. Grouped by header,
 * like rust/helpers of the kernel.
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
