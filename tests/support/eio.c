/*
 * A disk that breaks: preloaded into a process, it makes writes below one folder fail with EIO as long as a file exists.
 *
 *   LD_PRELOAD=eio.so EIO_BELOW=/the/folder EIO_WHEN=/the/file program
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int broken(int file) {
    const char *below = getenv("EIO_BELOW"), *when = getenv("EIO_WHEN");
    char link[64], path[PATH_MAX];
    int kept = errno;
    if (!below || !when || access(when, F_OK) != 0) {
        errno = kept;
        return 0;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    size_t length = strlen(below);
    errno = kept;
    if (size < 0 || (size_t)size <= length || memcmp(path, below, length) != 0 || path[length] != '/')
        return 0;
    errno = EIO;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *bytes, size_t size) {
    return broken(file) ? -1 : REAL(write)(file, bytes, size);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) {
    return broken(file) ? -1 : REAL(pwrite)(file, bytes, size, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) {
    return broken(file) ? -1 : REAL(pwrite64)(file, bytes, size, at);
}

int fdatasync(int file) {
    return broken(file) ? -1 : REAL(fdatasync)(file);
}

int fsync(int file) {
    return broken(file) ? -1 : REAL(fsync)(file);
}
