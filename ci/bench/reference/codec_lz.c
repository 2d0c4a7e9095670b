#include "driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <common/lz.h>

static const LzImageType types[TYPES] = {
    [RGB16] = LZ_IMAGE_TYPE_RGB16,
    [RGB24] = LZ_IMAGE_TYPE_RGB24,
    [RGB32] = LZ_IMAGE_TYPE_RGB32,
    [RGBA] = LZ_IMAGE_TYPE_RGBA,
    [A8] = LZ_IMAGE_TYPE_A8,
};

static SPICE_GNUC_NORETURN void error(LzUsrContext *user, const char *format, ...)
{
    (void)user;
    fail("LZ: %s", format);
}

static void ignore(LzUsrContext *user, const char *format, ...)
{
    (void)user;
    (void)format;
}

static void *take(LzUsrContext *user, int size)
{
    (void)user;
    return malloc(size);
}

static void give(LzUsrContext *user, void *block)
{
    (void)user;
    free(block);
}

/* Everything is there from the begin. */
static int nothing_more(LzUsrContext *user, uint8_t **bytes)
{
    (void)user;
    (void)bytes;
    return 0;
}

static LzContext *context(void)
{
    static LzUsrContext user = {error, ignore, ignore, take, give, nothing_more, nothing_more};
    static LzContext *lz;

    if (lz == NULL && (lz = lz_create(&user)) == NULL) {
        fail("LZ: no context");
    }
    return lz;
}

static int encode(const Picture *picture, Buffer *out)
{
    const LzImageType type = types[picture->type];

    if (type == LZ_IMAGE_TYPE_INVALID) {
        return 0;
    }
    out->size = lz_encode(context(), type, picture->width, picture->height, 1, picture->rows, picture->height,
                          picture->stride, out->data, out->room);
    return 1;
}

static int decode(const Picture *picture, const Buffer *stream, Buffer *out)
{
    LzImageType type;
    int width, height, pixels, top_down;

    lz_decode_begin(context(), stream->data, stream->size, &type, &width, &height, &pixels, &top_down, NULL);
    if (type != types[picture->type] || width != picture->width || height != picture->height || !top_down) {
        return 0;
    }
    out->size = picture->size;
    lz_decode(context(), type, out->data);
    return 1;
}

const Codec lz_codec = {"lz", encode, decode, NULL, NULL};
