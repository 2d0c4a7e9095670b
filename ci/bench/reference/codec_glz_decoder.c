#include "driver.h"

#include <string.h>

#include <common/canvas_utils.h>
#include <decode.h>
#include <gio-coroutine.h>

/* What the decoder waits with for other images; there are none. */
GCoroutine *g_coroutine_self(void)
{
    return NULL;
}

gboolean g_coroutine_condition_wait(GCoroutine *self, GConditionWaitFunc function, gpointer data)
{
    (void)self;
    (void)function;
    (void)data;
    fail("GLZ: the decoder waits for an image");
}

gboolean spice_util_get_debug(void)
{
    return FALSE;
}

static SpiceGlzDecoderWindow *window;
static LzDecodeUsrData decoded;

void glz_forget_window(void)
{
    if (window != NULL) {
        glz_decoder_window_destroy(window);
        pixman_image_unref(decoded.out_surface);
        window = NULL;
    }
}

/* Into a new window and a new surface, as a client does. */
int glz_decode(const Picture *picture, const Buffer *stream, Buffer *out)
{
    SpiceGlzDecoder *decoder;

    glz_forget_window();
    window = glz_decoder_window_new();
    decoder = glz_decoder_new(window);
    decoder->ops->decode(decoder, stream->data, NULL, &decoded);
    glz_decoder_destroy(decoder);
    out->size = picture->size;
    return 1;
}

void glz_collect(Buffer *out)
{
    memcpy(out->data, pixman_image_get_data(decoded.out_surface), out->size);
}
