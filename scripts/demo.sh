#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# demo.sh: two hosts on a segment on Debian's unmodified kernel. Runs in the build root.

TIMEOUT=${TIMEOUT:-180} exec "$(dirname "$0")/vm.py" "${1:-stock}" "$(dirname "$0")/guest/demo.sh"
