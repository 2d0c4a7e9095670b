/*
 * The reference's server with a display device that draws what it is told.
 *
 *     latency PORT COMPRESSION STREAMING
 *
 * PORT is on 127.0.0.1, COMPRESSION and STREAMING are numbers of spice/enums.h. The commands on standard input and the
 * answers are those of ci/bench/ours/src/latency.rs, and so are the commands of `storm`. The guest's memory is the
 * program's, and has a size that does not change; `storm` waits for it as a guest does, and for the 32 places of the
 * command ring. The time of `draw` is that before a command whose bitmap is in memory already is given to the server.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "main_loop.h"

enum {
    WIDTH = 1920,
    HEIGHT = 1080,
    /* Of the command ring. */
    RING = 32,
    /* Bitmaps of the guest, the small ones of MOST_DRAWN x MOST_DRAWN pixels, the large ones of the screen. */
    SMALL = 256,
    LARGE = 4,
    /* As in ci/bench/ours/src/storm.rs. */
    FURTHER = 7,
    NUMBERS = 1000,
    MOST_SURFACE = 512,
    MOST_DRAWN = 200,
    NOISE = 1 << 20,
    /* Memory of surfaces is used again after so many. */
    PLACES = 64,
    OUT_OF_MEMORY_US = 10000,
};

typedef struct Slot {
    QXLCommandExt command;
    union {
        QXLDrawable drawable;
        QXLSurfaceCmd surface;
    } u;
    QXLImage image;
    uint8_t *pixels;
    GAsyncQueue *home;
} Slot;

typedef struct Surface {
    uint32_t id, width, height;
} Surface;

static QXLInstance qxl;
static GAsyncQueue *commands, *small, *large;
static uint8_t *picture, *screen;
static uint64_t images;

static uint8_t *memory(size_t bytes)
{
    uint8_t *made = g_malloc(bytes);

    /* The guest has written all of its memory before. */
    memset(made, 1, bytes);
    return made;
}

static GAsyncQueue *slots(int count, size_t bytes)
{
    GAsyncQueue *queue = g_async_queue_new();

    while (count-- > 0) {
        Slot *slot = g_new0(Slot, 1);

        slot->pixels = memory(bytes);
        slot->home = queue;
        g_async_queue_push(queue, slot);
    }
    return queue;
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* A slot, when the server has given one back before `until`, else NULL. */
static Slot *slot_from(GAsyncQueue *queue, int64_t until)
{
    for (;;) {
        Slot *slot = g_async_queue_timeout_pop(queue, OUT_OF_MEMORY_US);

        if (slot != NULL || now_ns() > until)
            return slot;
        spice_qxl_oom(&qxl);
    }
}

/* Whether the ring had a place before `until`. */
static gboolean give(Slot *slot, uint32_t type, int64_t until)
{
    while (g_async_queue_length(commands) >= RING) {
        if (now_ns() > until) {
            g_async_queue_push(slot->home, slot);
            return FALSE;
        }
        g_usleep(50);
    }
    memset(&slot->command, 0, sizeof(slot->command));
    slot->command.cmd.type = type;
    slot->command.cmd.data = (uintptr_t)&slot->u;
    g_async_queue_push(commands, slot);
    spice_qxl_wakeup(&qxl);
    return TRUE;
}

static QXLDrawable *drawable(Slot *slot, uint32_t surface, int type, QXLRect box)
{
    QXLDrawable *made = &slot->u.drawable;

    memset(made, 0, sizeof(*made));
    made->release_info.id = (uintptr_t)slot;
    made->surface_id = surface;
    made->effect = QXL_EFFECT_OPAQUE;
    made->type = type;
    made->bbox = box;
    made->surfaces_dest[0] = made->surfaces_dest[1] = made->surfaces_dest[2] = -1;
    return made;
}

/* A copy of the pixels of the slot. */
static void copy(Slot *slot, uint32_t surface, QXLRect box)
{
    QXLDrawable *made = drawable(slot, surface, QXL_DRAW_COPY, box);
    int32_t width = box.right - box.left, height = box.bottom - box.top;
    QXLImage *image = &slot->image;

    memset(image, 0, sizeof(*image));
    image->descriptor.id = ++images;
    image->descriptor.type = SPICE_IMAGE_TYPE_BITMAP;
    image->descriptor.width = image->bitmap.x = width;
    image->descriptor.height = image->bitmap.y = height;
    image->bitmap.format = SPICE_BITMAP_FMT_32BIT;
    image->bitmap.flags = QXL_BITMAP_DIRECT | QXL_BITMAP_TOP_DOWN;
    image->bitmap.stride = width * 4;
    image->bitmap.data = (uintptr_t)slot->pixels;
    made->u.copy.src_bitmap = (uintptr_t)image;
    made->u.copy.src_area = (QXLRect){.right = width, .bottom = height};
    made->u.copy.rop_descriptor = SPICE_ROPD_OP_PUT;
}

static QXLRect at(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
    return (QXLRect){.left = x, .top = y, .right = x + width, .bottom = y + height};
}

/* Commands without end. */

static struct {
    uint64_t random, most;
    Surface further[FURTHER];
    uint32_t created;
    uint8_t *noise, *places[PLACES];
} storm;

static uint64_t next_random(void)
{
    storm.random ^= storm.random << 13;
    storm.random ^= storm.random >> 7;
    storm.random ^= storm.random << 17;
    return storm.random;
}

static uint64_t below(uint64_t bound)
{
    return (next_random() >> 32) % bound;
}

static void prepare_storm(void)
{
    storm.random = 0x9e3779b97f4a7c15;
    storm.most = WIDTH * HEIGHT * 4;
    storm.noise = memory(NOISE);
    for (int i = 0; i < NOISE; i += 8) {
        uint64_t word = next_random();

        memcpy(storm.noise + i, &word, 8);
    }
    for (int i = 0; i < PLACES; i++)
        storm.places[i] = memory(MOST_SURFACE * MOST_SURFACE * 4);
}

/* A surface comes, or goes. */
static void storm_surface(Slot *slot)
{
    Surface *surface = &storm.further[below(FURTHER)];
    QXLSurfaceCmd *made = &slot->u.surface;
    uint64_t bytes = WIDTH * HEIGHT * 4;

    memset(made, 0, sizeof(*made));
    made->release_info.id = (uintptr_t)slot;
    if (surface->width != 0) {
        made->type = QXL_SURFACE_CMD_DESTROY;
        made->surface_id = surface->id;
        surface->width = 0;
        return;
    }
    surface->width = 1 + below(MOST_SURFACE);
    surface->height = 1 + below(MOST_SURFACE);
    surface->id = 1 + storm.created % NUMBERS;
    made->type = QXL_SURFACE_CMD_CREATE;
    made->surface_id = surface->id;
    made->u.surface_create.format = SPICE_SURFACE_FMT_32_xRGB;
    made->u.surface_create.width = surface->width;
    made->u.surface_create.height = surface->height;
    made->u.surface_create.stride = surface->width * 4;
    made->u.surface_create.data = (uintptr_t)storm.places[storm.created % PLACES];
    storm.created++;
    for (int i = 0; i < FURTHER; i++)
        bytes += storm.further[i].width == 0 ? 0 : (uint64_t)storm.further[i].width * storm.further[i].height * 4;
    storm.most = MAX(storm.most, bytes);
}

/* The next command in the slot; its type. */
static uint32_t storm_next(Slot *slot)
{
    uint64_t kind = below(100);
    Surface on = {.width = WIDTH, .height = HEIGHT};
    uint32_t number, width, height, x, y;
    QXLRect box;

    if (kind < 5) {
        storm_surface(slot);
        return QXL_CMD_SURFACE;
    }
    number = below(FURTHER + 1);
    if (number < FURTHER && storm.further[number].width != 0)
        on = storm.further[number];
    width = 1 + below(MIN(on.width, MOST_DRAWN));
    height = 1 + below(MIN(on.height, MOST_DRAWN));
    x = below(on.width - width + 1);
    y = below(on.height - height + 1);
    box = at(x, y, width, height);
    if (kind < 40) {
        QXLDrawable *made = drawable(slot, on.id, QXL_DRAW_FILL, box);

        made->u.fill.brush.type = SPICE_BRUSH_TYPE_SOLID;
        made->u.fill.brush.u.color = below(1 << 24);
        made->u.fill.rop_descriptor = SPICE_ROPD_OP_PUT;
    } else if (kind < 85) {
        uint64_t size = (uint64_t)width * height * 4;

        memcpy(slot->pixels, storm.noise + (below(NOISE - size + 1) & ~UINT64_C(3)), size);
        copy(slot, on.id, box);
    } else {
        QXLDrawable *made = drawable(slot, on.id, QXL_COPY_BITS, box);

        made->u.copy_bits.src_pos.x = below(on.width - width + 1);
        made->u.copy_bits.src_pos.y = below(on.height - height + 1);
    }
    return QXL_CMD_DRAW;
}

/* The device. */

static void attached(QXLInstance *instance)
{
    /* All of the process's memory. */
    static QXLDevMemSlot slot = {.virt_end = ~0, .qxl_ram_size = ~0};

    spice_qxl_add_memslot(instance, &slot);
}

static void init_info(QXLInstance *instance, QXLDevInitInfo *info)
{
    (void)instance;
    memset(info, 0, sizeof(*info));
    info->num_memslots = 1;
    info->num_memslots_groups = 1;
    info->memslot_id_bits = 1;
    info->memslot_gen_bits = 1;
    info->n_surfaces = NUMBERS + 1;
}

static void set_compression_level(QXLInstance *instance, int level)
{
    (void)instance;
    (void)level;
}

static int get_command(QXLInstance *instance, QXLCommandExt *command)
{
    Slot *slot = g_async_queue_try_pop(commands);

    (void)instance;
    if (slot == NULL)
        return FALSE;
    *command = slot->command;
    return TRUE;
}

static int no_command(QXLInstance *instance, QXLCommandExt *command)
{
    (void)instance;
    (void)command;
    return FALSE;
}

/* Whether the queue is empty: then `spice_qxl_wakeup` tells of the next command. */
static int is_empty(QXLInstance *instance)
{
    (void)instance;
    return g_async_queue_length(commands) <= 0;
}

static int is_always_empty(QXLInstance *instance)
{
    (void)instance;
    return TRUE;
}

static void release(QXLInstance *instance, QXLReleaseInfoExt info)
{
    Slot *slot = (Slot *)(uintptr_t)info.info->id;

    (void)instance;
    g_async_queue_push(slot->home, slot);
}

static void notify_update(QXLInstance *instance, uint32_t id)
{
    (void)instance;
    (void)id;
}

static int flush_resources(QXLInstance *instance)
{
    (void)instance;
    return FALSE;
}

static const QXLInterface qxl_interface = {
    .base = {SPICE_INTERFACE_QXL, "latency", SPICE_INTERFACE_QXL_MAJOR, SPICE_INTERFACE_QXL_MINOR},
    .attached_worker = attached,
    .set_compression_level = set_compression_level,
    .get_init_info = init_info,
    .get_command = get_command,
    .req_cmd_notification = is_empty,
    .release_resource = release,
    .get_cursor_command = no_command,
    .req_cursor_notification = is_always_empty,
    .notify_update = notify_update,
    .flush_resources = flush_resources,
};

/* Commands on standard input. */

static void load(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL || fread(picture, 1, WIDTH * HEIGHT * 4, file) != WIDTH * HEIGHT * 4)
        fail("%s is no picture", path);
    fclose(file);
}

static void create(void)
{
    QXLDevSurfaceCreate made = {
        .width = WIDTH,
        .height = HEIGHT,
        .stride = WIDTH * 4,
        .format = SPICE_SURFACE_FMT_32_xRGB,
        .type = QXL_SURF_TYPE_PRIMARY,
        .mem = (uintptr_t)screen,
    };

    memset(screen, 0, WIDTH * HEIGHT * 4);
    spice_qxl_create_primary_surface(&qxl, 0, &made);
}

static int64_t draw(const uint32_t *from)
{
    uint32_t width = from[2], height = from[3];
    Slot *slot = slot_from(width > MOST_DRAWN || height > MOST_DRAWN ? large : small, INT64_MAX);
    int64_t began;

    for (uint32_t row = 0; row < height; row++)
        memcpy(slot->pixels + row * width * 4, picture + ((from[1] + row) * WIDTH + from[0]) * 4, width * 4);
    began = now_ns();
    copy(slot, 0, at(from[4], from[5], width, height));
    give(slot, QXL_CMD_DRAW, INT64_MAX);
    return began;
}

static void storms(uint64_t count, int64_t seconds)
{
    int64_t began, until;
    uint64_t done = 0;

    began = now_ns();
    until = began + seconds * INT64_C(1000000000);
    while (done < count) {
        Slot *slot = slot_from(small, until);

        if (slot == NULL || !give(slot, storm_next(slot), until))
            break;
        done++;
    }
    printf("ok %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GUINT64_FORMAT "\n", done, now_ns() - began, storm.most);
}

static gpointer serve(gpointer data)
{
    char line[4096], path[4096];

    (void)data;
    while (fgets(line, sizeof(line), stdin) != NULL) {
        uint32_t from[6];
        uint64_t count;
        int64_t seconds;

        if (sscanf(line, "picture %4095s", path) == 1) {
            load(path);
            puts("ok");
        } else if (strcmp(line, "create\n") == 0) {
            create();
            puts("ok");
        } else if (sscanf(line, "draw %u %u %u %u %u %u", from, from + 1, from + 2, from + 3, from + 4, from + 5) == 6) {
            printf("ok %" G_GINT64_FORMAT "\n", draw(from));
        } else if (sscanf(line, "storm %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT, &count, &seconds) == 2) {
            storms(count, seconds);
        } else {
            fail("no such command: %s", line);
        }
        fflush(stdout);
    }
    exit(0);
}

int main(int count, char **arguments)
{
    SpiceServer *server = spice_server_new();

    if (count != 4)
        fail("usage: latency PORT COMPRESSION STREAMING");
    commands = g_async_queue_new();
    small = slots(SMALL, MOST_DRAWN * MOST_DRAWN * 4);
    large = slots(LARGE, WIDTH * HEIGHT * 4);
    picture = memory(WIDTH * HEIGHT * 4);
    screen = memory(WIDTH * HEIGHT * 4);
    prepare_storm();

    spice_server_set_addr(server, "127.0.0.1", 0);
    spice_server_set_port(server, atoi(arguments[1]));
    spice_server_set_noauth(server);
    spice_server_set_image_compression(server, atoi(arguments[2]));
    spice_server_set_streaming_video(server, atoi(arguments[3]));
    if (spice_server_init(server, &core_interface) != 0)
        fail("the server does not start");
    qxl.base.sif = &qxl_interface.base;
    if (spice_server_add_interface(server, &qxl.base) != 0)
        fail("the server takes no display device");
    spice_server_vm_start(server);
    puts("ready");
    fflush(stdout);
    g_thread_new("commands", serve, NULL);
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
}
