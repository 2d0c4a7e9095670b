/* The measured side of a bench: one picture, one stream and named operations on them, driven by lines on stdin. */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include "support.h"

/* Types of pixels, as the commands name them. */
typedef enum { RGB16, RGB24, RGB32, RGBA, A8, PLT8, TYPES } Type;

typedef struct {
    Type type;
    int width, height, stride;
    /* Rows, top row first, without padding. */
    uint8_t *rows;
    size_t size;
} Picture;

typedef struct {
    uint8_t *data;
    size_t size, room;
} Buffer;

typedef struct {
    const char *name;
    /* Encodes the picture into `out`, whose room is enough for any stream; 0 for a type the codec does not have. */
    int (*encode)(const Picture *picture, Buffer *out);
    /* Decodes the stream into `out`, whose room is that of the picture's rows. */
    int (*decode)(const Picture *picture, const Buffer *stream, Buffer *out);
    /* Copies what was decoded to `out`, when decoding does not: it uses memory of its own. */
    void (*collect)(Buffer *out);
    /* Lets go of the picture before it is freed. */
    void (*forget)(void);
} Codec;

extern const Codec quic_codec, lz_codec, glz_codec;

/* The half of GLZ that is in the client, whose headers do not go together with those of the server. */
int glz_decode(const Picture *picture, const Buffer *stream, Buffer *out);
void glz_collect(Buffer *out);
void glz_forget_window(void);

#endif
