/* What the measured sides of the benches have in common. */
#ifndef BENCH_SUPPORT_H
#define BENCH_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

/* Ends the process with a message: what the reference calls an error is a fault of the bench. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

/* Zeroed memory. */
void *memory(size_t size);

/* Reads a file of just this size. */
void read_file(const char *path, uint8_t *data, size_t size);

void write_file(const char *path, const uint8_t *data, size_t size);

/* Processor time of this thread: what others do on the machine does not count. */
uint64_t nanoseconds(void);

#endif
