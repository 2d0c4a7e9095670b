/* The measured side of the canvas's bench: pixman under the commands of `ci/bench/ours/src/canvas.rs`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "support.h"

#define PICTURES 8

static pixman_image_t *surfaces[PICTURES], *images[PICTURES];
static Target target;
static Operation *operations;
static size_t operation_count;

static pixman_format_code_t format_named(const char *name)
{
    static const struct {
        const char *name;
        pixman_format_code_t format;
    } formats[] = {{"xrgb", PIXMAN_x8r8g8b8}, {"argb", PIXMAN_a8r8g8b8}, {"rgb565", PIXMAN_r5g6b5}, {"a8", PIXMAN_a8}};

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            return formats[i].format;
        }
    }
    fail("no format %s", name);
}

static pixman_image_t **place_of(char kind, unsigned int number)
{
    if (number >= PICTURES || (kind != 's' && kind != 'i')) {
        fail("no picture %c%u", kind, number);
    }
    return kind == 's' ? &surfaces[number] : &images[number];
}

/* A picture by its name, a letter and a number; none for "-". */
static pixman_image_t *named(const char *name)
{
    char kind;
    unsigned int number;

    if (strcmp(name, "-") == 0) {
        return NULL;
    }
    if (sscanf(name, "%c%u", &kind, &number) != 2 || *place_of(kind, number) == NULL) {
        fail("no picture %s", name);
    }
    return *place_of(kind, number);
}

/* Rows of a picture have padding to whole words; those of files have none. */
static size_t row_bytes(pixman_image_t *image)
{
    return (size_t)pixman_image_get_width(image) * PIXMAN_FORMAT_BPP(pixman_image_get_format(image)) / 8;
}

static void load(char kind, unsigned int number, const char *format, int width, int height, const char *path)
{
    pixman_image_t *const image = pixman_image_create_bits(format_named(format), width, height, NULL, 0);
    const size_t row = row_bytes(image), size = row * height;
    uint8_t *const rows = memory(size);

    read_file(path, rows, size);
    for (int y = 0; y < height; y++) {
        memcpy((uint8_t *)pixman_image_get_data(image) + (size_t)y * pixman_image_get_stride(image), rows + y * row, row);
    }
    free(rows);
    if (*place_of(kind, number) != NULL) {
        pixman_image_unref(*place_of(kind, number));
    }
    *place_of(kind, number) = image;
    if (kind == 's' && number == 0) {
        target.image = image;
        pixman_region32_fini(&target.whole);
        pixman_region32_init_rect(&target.whole, 0, 0, width, height);
    }
}

static void save(const char *path)
{
    pixman_image_t *const image = target.image;
    const size_t row = row_bytes(image);
    const int height = pixman_image_get_height(image);
    uint8_t *const rows = memory(row * height);

    for (int y = 0; y < height; y++) {
        memcpy(rows + y * row, (uint8_t *)pixman_image_get_data(image) + (size_t)y * pixman_image_get_stride(image), row);
    }
    write_file(path, rows, row * height);
    free(rows);
}

static void forget_operations(void)
{
    for (size_t i = 0; i < operation_count; i++) {
        free(operations[i].glyphs);
        free(operations[i].coverage);
    }
    free(operations);
    free(target.clip);
    operations = NULL;
    target.clip = NULL;
    operation_count = target.clip_count = 0;
}

static SpiceROP rop_named(const char *name)
{
    if (strcmp(name, "put") == 0) {
        return SPICE_ROP_COPY;
    }
    if (strcmp(name, "xor") == 0) {
        return SPICE_ROP_XOR;
    }
    fail("no raster operation %s", name);
}

/* Glyphs one after the other: x, y, width and height as words of the machine, then rows. */
static void load_glyphs(Operation *op, const char *path, size_t count, size_t size)
{
    uint8_t *const data = memory(size), *at = data;

    op->coverage = data;
    read_file(path, data, size);
    op->glyph_count = count;
    op->glyphs = memory(count * sizeof(Glyph));
    for (size_t i = 0; i < count; i++) {
        int32_t head[4];
        const size_t left = data + size - at;
        size_t bytes;

        if (left < sizeof(head)) {
            fail("%s: glyph %zu is missing", path, i);
        }
        memcpy(head, at, sizeof(head));
        bytes = (size_t)((head[2] * op->depth + 7) / 8) * head[3];
        if (left - sizeof(head) < bytes) {
            fail("%s: glyph %zu is short", path, i);
        }
        op->glyphs[i] = (Glyph){head[0], head[1], head[2], head[3], at + sizeof(head)};
        at += sizeof(head) + bytes;
    }
}

/* What comes after the box, by the name of the operation; 0 when there is no such operation. */
static int parse(const char *name, const char *rest, Operation *op)
{
    char first[16] = "-", second[16] = "nearest", third[16] = "put", path[4000];
    size_t count, size;

    if (strcmp(name, "fill") == 0 && sscanf(rest, "%u %15s", &op->colour, third) == 2) {
        op->kind = FILL;
    } else if (strcmp(name, "tile") == 0 && sscanf(rest, "%15s %d %d", first, &op->x, &op->y) == 3) {
        op->kind = TILE;
    } else if (strcmp(name, "copy") == 0 && sscanf(rest, "%15s %d %d %d %d %15s %15s", first, &op->x, &op->y,
                                                   &op->width, &op->height, second, third) == 7) {
        op->kind = COPY;
    } else if (strcmp(name, "scroll") == 0 && sscanf(rest, "%d %d", &op->x, &op->y) == 2) {
        op->kind = SCROLL;
    } else if (strcmp(name, "blend") == 0 &&
               sscanf(rest, "%15s %d %d %d", first, &op->x, &op->y, &op->alpha) == 4) {
        op->kind = BLEND;
    } else if (strcmp(name, "composite") == 0 &&
               sscanf(rest, "%15s %15s %15s %d", first, path, second, &op->scale) == 4) {
        op->kind = COMPOSITE;
        op->mask = named(path);
    } else if (strcmp(name, "text") == 0 &&
               sscanf(rest, "%d %u %zu %zu %3999[^\n]", &op->depth, &op->colour, &count, &size, path) == 5) {
        op->kind = TEXT;
        load_glyphs(op, path, count, size);
    } else {
        return 0;
    }
    op->picture = named(first);
    op->filter = strcmp(second, "nearest") == 0 ? PIXMAN_FILTER_NEAREST : PIXMAN_FILTER_GOOD;
    op->rop = rop_named(third);
    return 1;
}

static void add_operation(const char *name, pixman_box32_t box, const char *rest)
{
    Operation op = {.box = box};

    if (!parse(name, rest, &op)) {
        fail("no such operation: %s %s", name, rest);
    }
    operations = realloc(operations, (operation_count + 1) * sizeof(op));
    if (operations == NULL) {
        fail("no memory for operations");
    }
    operations[operation_count++] = op;
}

static void add_clip(pixman_box32_t box)
{
    target.clip = realloc(target.clip, (target.clip_count + 1) * sizeof(box));
    if (target.clip == NULL) {
        fail("no memory for a clip");
    }
    target.clip[target.clip_count++] = box;
}

static void run(unsigned int count)
{
    const uint64_t began = nanoseconds();

    for (unsigned int i = 0; i < count; i++) {
        for (size_t j = 0; j < operation_count; j++) {
            draw(&target, &operations[j]);
        }
    }
    printf("ok %llu\n", (unsigned long long)(nanoseconds() - began));
}

int main(void)
{
    char line[8192], word[16], path[4000];
    int x, y, width, height, rest;
    unsigned int count;
    char kind;

    pixman_region32_init(&target.whole);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (sscanf(line, "load %c%u %15s %d %d %3999[^\n]", &kind, &count, word, &width, &height, path) == 6) {
            load(kind, count, word, width, height, path);
        } else if (strcmp(line, "forget\n") == 0) {
            forget_operations();
        } else if (sscanf(line, "clip %d %d %d %d", &x, &y, &width, &height) == 4) {
            add_clip((pixman_box32_t){x, y, x + width, y + height});
        } else if (sscanf(line, "run draw %u", &count) == 1) {
            run(count);
            fflush(stdout);
            continue;
        } else if (sscanf(line, "save %3999[^\n]", path) == 1) {
            save(path);
        } else if (sscanf(line, "%15s %d %d %d %d %n", word, &x, &y, &width, &height, &rest) == 5) {
            add_operation(word, (pixman_box32_t){x, y, x + width, y + height}, line + rest);
        } else {
            fail("no such command: %s", line);
        }
        printf("ok\n");
        fflush(stdout);
    }
    return 0;
}
