#include "support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <common/log.h>

void fail(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(1);
}

/* What the reference's assertions and messages end in. */
void spice_log(GLogLevelFlags level, const char *place, const char *function, const char *format, ...)
{
    va_list list;

    (void)level;
    fprintf(stderr, "%s %s: ", place, function);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(1);
}

void *memory(size_t size)
{
    void *block = calloc(1, size);

    if (block == NULL) {
        fail("no memory for %zu bytes", size);
    }
    return block;
}

void read_file(const char *path, uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL || fread(data, 1, size, file) != size || fgetc(file) != EOF) {
        fail("%s: cannot be read, or is not of %zu bytes", path, size);
    }
    fclose(file);
}

void write_file(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        fail("%s: cannot be written", path);
    }
}

uint64_t nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
