/* Drawing operations as the reference client's canvas has pixman do them. */
#ifndef BENCH_DRAW_H
#define BENCH_DRAW_H

#include <stddef.h>
#include <stdint.h>

#include <pixman.h>

#include <common/pixman_utils.h>

typedef enum { FILL, TILE, COPY, SCROLL, BLEND, COMPOSITE, TEXT } Kind;

typedef struct {
    /* On the surface. */
    int x, y, width, height;
    /* Coverage, the top row first, rows without padding. */
    const uint8_t *data;
} Glyph;

typedef struct {
    Kind kind;
    /* The box drawn in. */
    pixman_box32_t box;
    SpiceROP rop;
    uint32_t colour;
    pixman_image_t *picture, *mask;
    /* The part of the picture that is drawn; of a tile its place on the surface, of a scroll where it comes from. */
    int x, y, width, height;
    pixman_filter_t filter;
    /* 0 to 255. */
    int alpha;
    /* Source pixels for one of the surface, 16.16. */
    pixman_fixed_t scale;
    /* Bits of coverage a pixel: 1, 4 or 8. */
    int depth;
    Glyph *glyphs;
    size_t glyph_count;
    /* The memory of the glyphs' data. */
    uint8_t *coverage;
} Operation;

typedef struct {
    pixman_image_t *image;
    pixman_region32_t whole;
    /* No rectangles: all of it is drawn on. */
    pixman_box32_t *clip;
    size_t clip_count;
} Target;

void draw(const Target *target, const Operation *operation);

#endif
