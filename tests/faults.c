/* Makes the disk of a journal fail. Preloaded into a process (LD_PRELOAD); what fails stands in the
 * file that FAULTS names, and is looked up at each call, one fault a line:
 *
 *     pwrite ERRNO       writing fails
 *     fdatasync ERRNO    bringing it to the disk fails
 *     open ERRNO         making or opening a file fails
 *     room BYTES         a file has room for so many bytes, then the disk is full
 *     slow MILLISECONDS  writing takes so long
 *
 * Only files whose name contains "/journal-" are affected. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long fault(const char *name) {
    char text[256] = "\n", pattern[32];
    const char *file = getenv("FAULTS");
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int control = file ? real_open(file, O_RDONLY) : -1;
    if (control < 0) return -1;
    ssize_t length = read(control, text + 1, sizeof text - 2);
    close(control);
    if (length <= 0) return -1;
    text[length + 1] = 0;
    snprintf(pattern, sizeof pattern, "\n%s ", name);
    char *found = strstr(text, pattern);
    return found ? atol(found + strlen(pattern)) : -1;
}

static int is_journal(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "/journal-") != NULL;
}

static int fails(const char *name) {
    long number = fault(name);
    if (number > 0) errno = (int)number;
    return number > 0;
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    if (is_journal(descriptor)) {
        long room = fault("room"), slow = fault("slow");
        if (slow > 0) usleep((useconds_t)slow * 1000);
        if (fails("pwrite")) return -1;
        if (room >= 0 && offset >= room) {
            errno = ENOSPC;
            return -1;
        }
        if (room >= 0 && offset + (off64_t)size > room) size = (size_t)(room - offset);
    }
    return real(descriptor, data, size, offset);
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) {
    return pwrite64(descriptor, data, size, offset);
}

int fdatasync(int descriptor) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    if (is_journal(descriptor) && fails("fdatasync")) return -1;
    return real(descriptor);
}

int open64(const char *path, int flags, ...) {
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (strstr(path, "/journal-") && fails("open")) return -1;
    return real(path, flags, mode);
}
