/*
 * A disk that takes its time: preloaded into a process, it holds every sync as long as a file exists.
 *
 *   LD_PRELOAD=syncs.so SYNCS_HELD_BY=/the/file program
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_for_release(void) {
    const char *held_by = getenv("SYNCS_HELD_BY");
    const struct timespec beat = {0, 2000000};
    while (held_by && access(held_by, F_OK) == 0)
        nanosleep(&beat, NULL);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int file) {
    wait_for_release();
    return REAL(fsync)(file);
}

int fdatasync(int file) {
    wait_for_release();
    return REAL(fdatasync)(file);
}
