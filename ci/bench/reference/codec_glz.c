#include "driver.h"

#include <stdarg.h>
#include <stdlib.h>

#include <glz-encoder.h>

static const LzImageType types[TYPES] = {
    [RGB32] = LZ_IMAGE_TYPE_RGB32,
    [RGBA] = LZ_IMAGE_TYPE_RGBA,
};

static void error(GlzEncoderUsrContext *user, const char *format, ...)
{
    (void)user;
    fail("GLZ: %s", format);
}

static void ignore(GlzEncoderUsrContext *user, const char *format, ...)
{
    (void)user;
    (void)format;
}

static void *take(GlzEncoderUsrContext *user, int size)
{
    (void)user;
    return malloc(size);
}

static void give(GlzEncoderUsrContext *user, void *block)
{
    (void)user;
    free(block);
}

/* Everything is there from the begin. */
static int nothing_more(GlzEncoderUsrContext *user, uint8_t **bytes)
{
    (void)user;
    (void)bytes;
    return 0;
}

static void leaves(GlzEncoderUsrContext *user, GlzUsrImageContext *image)
{
    (void)user;
    (void)image;
}

static GlzEncoderUsrContext user = {error, ignore, ignore, take, give, nothing_more, nothing_more, leaves};
static GlzEncDictContext *dictionary;
static GlzEncoderContext *encoder;

static void forget(void)
{
    glz_forget_window();
    if (encoder != NULL) {
        glz_encoder_destroy(encoder);
        glz_enc_dictionary_destroy(dictionary, &user);
        encoder = NULL;
    }
}

/* The dictionary has room for one picture, so that each leaves before the next is looked at. */
static int encode(const Picture *picture, Buffer *out)
{
    const LzImageType type = types[picture->type];
    GlzEncDictImageContext *entry;

    if (type == LZ_IMAGE_TYPE_INVALID) {
        return 0;
    }
    if (encoder == NULL) {
        dictionary = glz_enc_dictionary_create(picture->width * picture->height + 1, 1, &user);
        encoder = dictionary == NULL ? NULL : glz_encoder_create(0, dictionary, &user);
        if (encoder == NULL) {
            fail("GLZ: no dictionary");
        }
    }
    out->size = glz_encode(encoder, type, picture->width, picture->height, 1, picture->rows, picture->height,
                           picture->stride, out->data, out->room, (GlzUsrImageContext *)picture, &entry);
    return 1;
}

const Codec glz_codec = {"glz", encode, glz_decode, glz_collect, forget};
