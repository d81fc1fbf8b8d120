#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""stuck_reader.py FILE: reads a file into memory with page faults that are never resolved
(userfaultfd). Prints "stuck" once the read waits; status 4 without userfaultfd."""
import ctypes
import fcntl
import mmap
import os
import struct
import sys
import threading

USERFAULTFD, UFFDIO_API, UFFDIO_REGISTER = 323, 0xc018aa3f, 0xc020aa00
UFFD_API, UFFDIO_REGISTER_MODE_MISSING = 0xaa, 1

libc = ctypes.CDLL(None, use_errno=True)
fault = libc.syscall(USERFAULTFD, os.O_CLOEXEC)
if fault < 0:
    print(os.strerror(ctypes.get_errno()))
    sys.exit(4)
fcntl.ioctl(fault, UFFDIO_API, struct.pack("QQQ", UFFD_API, 0, 0))
page = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
fcntl.ioctl(fault, UFFDIO_REGISTER,
            struct.pack("QQQQ", address, mmap.PAGESIZE, UFFDIO_REGISTER_MODE_MISSING, 0))
file = os.open(sys.argv[1], os.O_RDONLY)
threading.Thread(target=libc.read, args=(file, ctypes.c_void_p(address), 100), daemon=True).start()
# A message arrives when the reader is in the page fault.
os.read(fault, 32)
print("stuck", flush=True)
# A repeated fault sends another message.
while True:
    os.read(fault, 32)
