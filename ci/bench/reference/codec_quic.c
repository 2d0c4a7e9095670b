#include "driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <common/quic.h>

static const QuicImageType types[TYPES] = {
    [RGB16] = QUIC_IMAGE_TYPE_RGB16,
    [RGB24] = QUIC_IMAGE_TYPE_RGB24,
    [RGB32] = QUIC_IMAGE_TYPE_RGB32,
    [RGBA] = QUIC_IMAGE_TYPE_RGBA,
};

static SPICE_GNUC_NORETURN void error(QuicUsrContext *user, const char *format, ...)
{
    (void)user;
    fail("QUIC: %s", format);
}

static void ignore(QuicUsrContext *user, const char *format, ...)
{
    (void)user;
    (void)format;
}

static void *take(QuicUsrContext *user, int size)
{
    (void)user;
    return malloc(size);
}

static void give(QuicUsrContext *user, void *block)
{
    (void)user;
    free(block);
}

/* Everything is there from the begin. */
static int no_space(QuicUsrContext *user, uint32_t **words, int rows)
{
    (void)user;
    (void)words;
    (void)rows;
    return 0;
}

static int no_lines(QuicUsrContext *user, uint8_t **lines)
{
    (void)user;
    (void)lines;
    return 0;
}

static QuicContext *context(void)
{
    static QuicUsrContext user = {error, ignore, ignore, take, give, no_space, no_lines};
    static QuicContext *quic;

    if (quic == NULL && (quic = quic_create(&user)) == NULL) {
        fail("QUIC: no context");
    }
    return quic;
}

static int encode(const Picture *picture, Buffer *out)
{
    const QuicImageType type = types[picture->type];

    if (type == QUIC_IMAGE_TYPE_INVALID) {
        return 0;
    }
    out->size = 4 * (size_t)quic_encode(context(), type, picture->width, picture->height, picture->rows,
                                        picture->height, picture->stride, (uint32_t *)out->data, out->room / 4);
    return 1;
}

static int decode(const Picture *picture, const Buffer *stream, Buffer *out)
{
    QuicImageType type;
    int width, height;

    if (quic_decode_begin(context(), (uint32_t *)stream->data, stream->size / 4, &type, &width, &height) != QUIC_OK ||
        type != types[picture->type] || width != picture->width || height != picture->height) {
        return 0;
    }
    out->size = picture->size;
    return quic_decode(context(), type, out->data, picture->stride) == QUIC_OK;
}

const Codec quic_codec = {"quic", encode, decode, NULL, NULL};
