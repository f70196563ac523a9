/*
 * A disk that fails once: preloaded into a process, it makes one of the calls that change something below a folder
 * fail, the FAULT_AT-th, counted from 1; and writes to the file FAULT_COUNT how many there were.
 *
 *   FAULT=eio     it fails with EIO
 *   FAULT=enospc  it fails with ENOSPC
 *   FAULT=short   a write takes half of the bytes, and the next one fails with ENOSPC; anything else as enospc
 *   FAULT=kill    the process is killed before it
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static long calls;
static int shortened;

static int is_below(const char *path) {
    const char *below = getenv("FAULT_BELOW");
    size_t length = below ? strlen(below) : 0;
    return length && strncmp(path, below, length) == 0 && path[length] == '/';
}

static int is_file_below(int file) {
    char link[64], path[PATH_MAX];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (size < 0)
        return 0;
    path[size] = 0;
    return is_below(path);
}

/* Counts a call. Gives 0 when it goes on, 1 when it fails (errno says how), 2 when it is cut short. */
static int fault(int counts, int is_write) {
    const char *at = getenv("FAULT_AT"), *how = getenv("FAULT");
    if (!counts)
        return 0;
    if (is_write && shortened) {
        shortened = 0;
        errno = ENOSPC;
        return 1;
    }
    if (++calls != (at ? atol(at) : 0) || !how)
        return 0;
    if (strcmp(how, "kill") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(how, "short") == 0 && is_write)
        return shortened = 1, 2;
    errno = strcmp(how, "eio") == 0 ? EIO : ENOSPC;
    return 1;
}

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("FAULT_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) {
        fprintf(file, "%ld\n", calls);
        fclose(file);
    }
}

ssize_t write(int file, const void *bytes, size_t size) {
    int found = fault(is_file_below(file), 1);
    return found == 1 ? -1 : REAL(write)(file, bytes, found ? (size + 1) / 2 : size);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) {
    int found = fault(is_file_below(file), 1);
    return found == 1 ? -1 : REAL(pwrite64)(file, bytes, found ? (size + 1) / 2 : size, at);
}

int fdatasync(int file) {
    return fault(is_file_below(file), 0) ? -1 : REAL(fdatasync)(file);
}

int fsync(int file) {
    return fault(is_file_below(file), 0) ? -1 : REAL(fsync)(file);
}

int ftruncate64(int file, off64_t size) {
    return fault(is_file_below(file), 0) ? -1 : REAL(ftruncate64)(file, size);
}

int rename(const char *from, const char *to) {
    return fault(is_below(to), 0) ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path) {
    return fault(is_below(path), 0) ? -1 : REAL(unlink)(path);
}

int mkdir(const char *path, mode_t mode) {
    return fault(is_below(path), 0) ? -1 : REAL(mkdir)(path, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return fault(flags & O_CREAT && is_below(path), 0) ? -1 : REAL(open64)(path, flags, mode);
}
