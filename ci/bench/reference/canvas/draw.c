#include "draw.h"

#include "support.h"

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* Brings a part of the picture to the box by its transform. */
static void map_picture(const Operation *op)
{
    const int width = op->box.x2 - op->box.x1, height = op->box.y2 - op->box.y1;
    pixman_transform_t map;

    pixman_transform_init_scale(&map, (int64_t)op->width * 65536 / width, (int64_t)op->height * 65536 / height);
    pixman_transform_translate(&map, NULL, pixman_int_to_fixed(op->x), pixman_int_to_fixed(op->y));
    pixman_image_set_transform(op->picture, &map);
    pixman_image_set_repeat(op->picture, PIXMAN_REPEAT_NONE);
    pixman_image_set_filter(op->picture, op->filter, NULL, 0);
}

static void copy(const Target *target, pixman_region32_t *region, const Operation *op)
{
    const int width = op->box.x2 - op->box.x1, height = op->box.y2 - op->box.y1;
    const int dx = op->x - op->box.x1, dy = op->y - op->box.y1;
    int count;
    const pixman_box32_t *box = pixman_region32_rectangles(region, &count);

    if (op->width != width || op->height != height) {
        map_picture(op);
        pixman_image_set_clip_region32(target->image, region);
        pixman_image_composite32(PIXMAN_OP_SRC, op->picture, NULL, target->image, 0, 0, 0, 0, op->box.x1, op->box.y1,
                                 width, height);
        pixman_image_set_clip_region32(target->image, NULL);
        pixman_image_set_transform(op->picture, NULL);
        return;
    }
    for (; count > 0; count--, box++) {
        if (op->rop == SPICE_ROP_COPY) {
            spice_pixman_blit(target->image, op->picture, box->x1 + dx, box->y1 + dy, box->x1, box->y1,
                              box->x2 - box->x1, box->y2 - box->y1);
        } else {
            spice_pixman_blit_rop(target->image, op->picture, box->x1 + dx, box->y1 + dy, box->x1, box->y1,
                                  box->x2 - box->x1, box->y2 - box->y1, op->rop);
        }
    }
}

static void fill(const Target *target, pixman_region32_t *region, const Operation *op)
{
    int count;
    const pixman_box32_t *box = pixman_region32_rectangles(region, &count);

    for (; count > 0; count--, box++) {
        const int width = box->x2 - box->x1, height = box->y2 - box->y1;

        if (op->kind == TILE) {
            spice_pixman_tile_rect(target->image, box->x1, box->y1, width, height, op->picture, op->x, op->y);
        } else if (op->rop == SPICE_ROP_COPY) {
            spice_pixman_fill_rect(target->image, box->x1, box->y1, width, height, op->colour);
        } else {
            spice_pixman_fill_rect_rop(target->image, box->x1, box->y1, width, height, op->colour, op->rop);
        }
    }
}

/* Without a clip, as one rectangle, whose order of rows is all there is to it. */
static void scroll(const Target *target, const Operation *op)
{
    spice_pixman_copy_rect(target->image, op->x, op->y, op->box.x2 - op->box.x1, op->box.y2 - op->box.y1, op->box.x1,
                           op->box.y1);
}

static void blend(const Target *target, pixman_region32_t *region, const Operation *op)
{
    pixman_image_t *mask = NULL;

    pixman_image_set_clip_region32(target->image, region);
    if (op->alpha != 255) {
        const pixman_color_t colour = {0, 0, 0, op->alpha * 0x101};

        mask = pixman_image_create_solid_fill(&colour);
    }
    pixman_image_set_repeat(op->picture, PIXMAN_REPEAT_NONE);
    pixman_image_composite32(PIXMAN_OP_OVER, op->picture, mask, target->image, op->x, op->y, 0, 0, op->box.x1,
                             op->box.y1, op->box.x2 - op->box.x1, op->box.y2 - op->box.y1);
    if (mask != NULL) {
        pixman_image_unref(mask);
    }
    pixman_image_set_clip_region32(target->image, NULL);
}

static void composite(const Target *target, pixman_region32_t *region, const Operation *op)
{
    pixman_transform_t map;

    pixman_image_set_clip_region32(target->image, region);
    pixman_image_set_repeat(op->picture, PIXMAN_REPEAT_NONE);
    pixman_image_set_filter(op->picture, op->filter, NULL, 0);
    if (op->scale != pixman_fixed_1) {
        pixman_transform_init_scale(&map, op->scale, op->scale);
        pixman_image_set_transform(op->picture, &map);
    }
    pixman_image_composite32(PIXMAN_OP_OVER, op->picture, op->mask, target->image, 0, 0, 0, 0, op->box.x1, op->box.y1,
                             op->box.x2 - op->box.x1, op->box.y2 - op->box.y1);
    pixman_image_set_transform(op->picture, NULL);
    pixman_image_set_clip_region32(target->image, NULL);
}

/* Puts a glyph into the mask of its string, whose pixels have one bit, the leftmost of a byte the lowest. */
static void put_bits(const Glyph *glyph, uint8_t *to, int stride, int left)
{
    const int bytes = (glyph->width + 7) / 8;

    for (int y = 0; y < glyph->height; y++, to += stride) {
        const uint8_t *from = glyph->data + y * bytes;

        for (int i = 0; i < bytes; i++) {
            const int at = left + 8 * i;
            const uint8_t bits = from[i];
            /* Reversed: a glyph has its leftmost pixel in the high bit. */
            const unsigned int spread = (bits * 0x0802u & 0x22110u) | (bits * 0x8020u & 0x88440u);
            const unsigned int reversed = spread * 0x10101u >> 16 & 255;
            const unsigned int shifted = reversed << at % 8;

            to[at / 8] |= shifted;
            if (shifted > 255) {
                to[at / 8 + 1] |= shifted >> 8;
            }
        }
    }
}

/* As put_bits, with a byte for each pixel: the most that a glyph covers. */
static void put_coverage(const Glyph *glyph, int depth, uint8_t *to, int stride, int left)
{
    const uint8_t *from = glyph->data;

    to += left;
    for (int y = 0; y < glyph->height; y++, to += stride) {
        if (depth == 8) {
            for (int x = 0; x < glyph->width; x++) {
                to[x] = larger(to[x], from[x]);
            }
            from += glyph->width;
            continue;
        }
        for (int x = 0; x < glyph->width; x += 2, from++) {
            to[x] = larger(to[x], *from & 0xf0);
            if (x + 1 < glyph->width) {
                to[x + 1] = larger(to[x + 1], *from << 4 & 0xf0);
            }
        }
    }
}

/* The colour of a raw value, bits of which there are too few repeated. */
static pixman_color_t colour_of(const Target *target, uint32_t value)
{
    const uint32_t red = value >> 11 & 31, green = value >> 5 & 63, blue = value & 31;

    if (pixman_image_get_format(target->image) == PIXMAN_r5g6b5) {
        value = (red << 3 | red >> 2) << 16 | (green << 2 | green >> 4) << 8 | blue << 3 | blue >> 2;
    }
    return (pixman_color_t){(value >> 16 & 255) * 0x101, (value >> 8 & 255) * 0x101, (value & 255) * 0x101, 0xffff};
}

static void text(const Target *target, pixman_region32_t *region, const Operation *op)
{
    const pixman_color_t colour = colour_of(target, op->colour);
    pixman_image_t *const brush = pixman_image_create_solid_fill(&colour);
    pixman_box32_t bounds = {op->glyphs[0].x, op->glyphs[0].y, op->glyphs[0].x, op->glyphs[0].y};
    pixman_image_t *mask;

    for (size_t i = 0; i < op->glyph_count; i++) {
        const Glyph *glyph = &op->glyphs[i];

        bounds.x1 = smaller(bounds.x1, glyph->x);
        bounds.y1 = smaller(bounds.y1, glyph->y);
        bounds.x2 = larger(bounds.x2, glyph->x + glyph->width);
        bounds.y2 = larger(bounds.y2, glyph->y + glyph->height);
    }
    mask = pixman_image_create_bits(op->depth == 1 ? PIXMAN_a1 : PIXMAN_a8, bounds.x2 - bounds.x1,
                                    bounds.y2 - bounds.y1, NULL, 0);
    for (size_t i = 0; i < op->glyph_count; i++) {
        const Glyph *glyph = &op->glyphs[i];
        const int stride = pixman_image_get_stride(mask);
        uint8_t *to = (uint8_t *)pixman_image_get_data(mask) + (glyph->y - bounds.y1) * stride;

        if (op->depth == 1) {
            put_bits(glyph, to, stride, glyph->x - bounds.x1);
        } else {
            put_coverage(glyph, op->depth, to, stride, glyph->x - bounds.x1);
        }
    }
    pixman_image_set_clip_region32(target->image, region);
    pixman_image_composite32(PIXMAN_OP_OVER, brush, mask, target->image, 0, 0, 0, 0, bounds.x1, bounds.y1,
                             bounds.x2 - bounds.x1, bounds.y2 - bounds.y1);
    pixman_image_set_clip_region32(target->image, NULL);
    pixman_image_unref(brush);
    pixman_image_unref(mask);
}

void draw(const Target *target, const Operation *op)
{
    pixman_region32_t region, clip;

    pixman_region32_init_rect(&region, op->box.x1, op->box.y1, op->box.x2 - op->box.x1, op->box.y2 - op->box.y1);
    pixman_region32_intersect(&region, &region, (pixman_region32_t *)&target->whole);
    if (target->clip_count > 0) {
        if (!pixman_region32_init_rects(&clip, target->clip, target->clip_count)) {
            fail("no memory for a clip");
        }
        pixman_region32_intersect(&region, &region, &clip);
        pixman_region32_fini(&clip);
    }
    switch (op->kind) {
    case FILL:
    case TILE:
        fill(target, &region, op);
        break;
    case COPY:
        copy(target, &region, op);
        break;
    case SCROLL:
        scroll(target, op);
        break;
    case BLEND:
        blend(target, &region, op);
        break;
    case COMPOSITE:
        composite(target, &region, op);
        break;
    case TEXT:
        text(target, &region, op);
        break;
    }
    pixman_region32_fini(&region);
}
