"""Mounts a layer file by descriptor, as launch does: fsopen("erofs"), source=/proc/self/fd/N, move_mount."""
import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
FSOPEN, FSCONFIG, FSMOUNT, MOVE_MOUNT = 430, 431, 432, 429
SET_FLAG, SET_STRING, CREATE = 0, 1, 6


def _call(number, *args):
    r = _libc.syscall(number, *args)
    if r < 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))
    return r


def mount(path, target):
    fd = os.open(path, os.O_RDONLY)
    fs = _call(FSOPEN, b"erofs", 1)
    try:
        _call(FSCONFIG, fs, SET_STRING, b"source", b"/proc/self/fd/%d" % fd, 0)
        _call(FSCONFIG, fs, SET_FLAG, b"ro", None, 0)
        _call(FSCONFIG, fs, CREATE, None, None, 0)
        m = _call(FSMOUNT, fs, 1, 0)
        _call(MOVE_MOUNT, m, b"", -100, os.fsencode(target), 4)
        os.close(m)
    finally:
        os.close(fs)
        os.close(fd)


def umount(target):
    if _libc.umount2(os.fsencode(target), 2) != 0:
        raise OSError(ctypes.get_errno(), "umount")


def overlay(lowers, target, userxattr=False):
    """lowers: mount points, uppermost first."""
    fs = _call(FSOPEN, b"overlay", 1)
    try:
        for low in lowers:
            _call(FSCONFIG, fs, SET_STRING, b"lowerdir+", os.fsencode(low), 0)
        if len(lowers) == 1:
            empty = os.path.join(os.path.dirname(target), "empty-lower")
            os.makedirs(empty, exist_ok=True)
            _call(FSCONFIG, fs, SET_STRING, b"lowerdir+", os.fsencode(empty), 0)
        if userxattr:
            _call(FSCONFIG, fs, SET_FLAG, b"userxattr", None, 0)
        _call(FSCONFIG, fs, CREATE, None, None, 0)
        m = _call(FSMOUNT, fs, 1, 0)
        _call(MOVE_MOUNT, m, b"", -100, os.fsencode(target), 4)
        os.close(m)
    finally:
        os.close(fs)
