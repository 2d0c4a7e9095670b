#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const Codec *const codecs[] = {&quic_codec, &lz_codec, &glz_codec};
#define CODECS (sizeof(codecs) / sizeof(codecs[0]))
static const char *const type_names[TYPES] = {"RGB16", "RGB24", "RGB32", "RGBA", "A8", "PLT8"};
static const int pixel_bytes[TYPES] = {2, 3, 4, 4, 1, 1};

static Picture picture;
static Buffer stream, encoded, decoded;

static void load_picture(const char *type, int width, int height, const char *path)
{
    for (size_t i = 0; i < CODECS; i++) {
        if (codecs[i]->forget != NULL) {
            codecs[i]->forget();
        }
    }
    free(picture.rows);
    free(encoded.data);
    free(decoded.data);
    for (picture.type = 0; strcmp(type_names[picture.type], type) != 0; picture.type++) {
        if (picture.type + 1 == TYPES) {
            fail("no type %s", type);
        }
    }
    picture.width = width;
    picture.height = height;
    picture.stride = width * pixel_bytes[picture.type];
    picture.size = (size_t)picture.stride * height;
    picture.rows = memory(picture.size);
    read_file(path, picture.rows, picture.size);
    /* No codec takes more than 26 bits for a component. */
    encoded = (Buffer){memory(picture.size * 4 + 4096), 0, picture.size * 4 + 4096};
    decoded = (Buffer){memory(picture.size), 0, picture.size};
}

static void load_stream(size_t size, const char *path)
{
    free(stream.data);
    stream = (Buffer){memory(size), size, size};
    read_file(path, stream.data, size);
}

static void save(const Buffer *buffer, const char *path)
{
    write_file(path, buffer->data, buffer->size);
    printf("ok\n");
}

static void measure(const char *codec, const char *operation, unsigned int count)
{
    const Codec *found = NULL;
    const int encoding = strcmp(operation, "encode") == 0;
    Buffer *result = encoding ? &encoded : &decoded;
    uint64_t began, spent;

    for (size_t i = 0; i < CODECS; i++) {
        if (strcmp(codecs[i]->name, codec) == 0) {
            found = codecs[i];
        }
    }
    if (found == NULL) {
        fail("no codec %s", codec);
    }
    began = nanoseconds();
    for (unsigned int i = 0; i < count; i++) {
        if (!(encoding ? found->encode(&picture, result) : found->decode(&picture, &stream, result))) {
            fail("%s does not %s %s", codec, operation, type_names[picture.type]);
        }
    }
    spent = nanoseconds() - began;
    if (!encoding && found->collect != NULL) {
        found->collect(result);
    }
    printf("ok %llu %zu\n", (unsigned long long)spent, result->size);
}

int main(void)
{
    char line[4096], first[16], second[16], path[4000];
    int width, height;
    unsigned int count;
    size_t size;

    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (sscanf(line, "picture %15s %d %d %3999[^\n]", first, &width, &height, path) == 4) {
            load_picture(first, width, height, path);
            printf("ok\n");
        } else if (sscanf(line, "stream %zu %3999[^\n]", &size, path) == 2) {
            load_stream(size, path);
            printf("ok\n");
        } else if (sscanf(line, "run %15s %15s %u", first, second, &count) == 3) {
            measure(first, second, count);
        } else if (sscanf(line, "save encode %3999[^\n]", path) == 1) {
            save(&encoded, path);
        } else if (sscanf(line, "save decode %3999[^\n]", path) == 1) {
            save(&decoded, path);
        } else {
            fail("no such command: %s", line);
        }
        fflush(stdout);
    }
    return 0;
}
