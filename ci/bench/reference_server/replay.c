/*
 * The reference's server with a display device that plays a recording.
 *
 *     replay FILE PORT COMPRESSION STREAMING < times
 *
 * COMPRESSION and STREAMING are numbers of spice/enums.h. It begins when a client has opened its display. Standard input
 * has a line for each command of the recording: when it is due, in microseconds from the first one. Prints `ready`
 * when it listens, and `end` when all commands are handed over; it then serves until it is killed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "main_loop.h"

/* Commands waiting for the server; it takes them from another thread. */
#define WAITING 64
#define SURFACES 1024

static struct {
    SpiceReplay *replay;
    GAsyncQueue *display, *cursor;
    /* The command that is read already and not yet due. */
    QXLCommandExt *next;
    int64_t due, began;
    gboolean started, ended;
} device;

static QXLInstance qxl;

/* The recording. */

static void read_next(void)
{
    device.next = spice_replay_next_cmd(device.replay, &qxl);
    if (device.next != NULL && scanf("%" SCNd64, &device.due) != 1)
        fail("there are more commands than times");
}

static gboolean feed(gpointer data)
{
    gboolean given = FALSE;
    int64_t now = g_get_monotonic_time();

    (void)data;
    if (device.began == 0)
        device.began = now;
    while (device.next != NULL && device.began + device.due <= now) {
        gboolean cursor = device.next->cmd.type == QXL_CMD_CURSOR;

        if (g_async_queue_length(device.display) + g_async_queue_length(device.cursor) >= WAITING)
            break;
        g_async_queue_push(cursor ? device.cursor : device.display, device.next);
        given = TRUE;
        read_next();
    }
    if (given)
        spice_qxl_wakeup(&qxl);
    if (device.next == NULL && g_async_queue_length(device.display) + g_async_queue_length(device.cursor) <= 0) {
        puts("end");
        fflush(stdout);
        return G_SOURCE_REMOVE;
    }
    g_timeout_add(1, feed, NULL);
    return G_SOURCE_REMOVE;
}

static int take(GAsyncQueue *queue, QXLCommandExt *command)
{
    QXLCommandExt *first = g_async_queue_try_pop(queue);

    if (first == NULL)
        return FALSE;
    *command = *first;
    return TRUE;
}

static void attached(QXLInstance *instance)
{
    /* All of the process's memory: a recording has commands in memory of its own. */
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
    info->n_surfaces = SURFACES;
}

static void set_compression_level(QXLInstance *instance, int level)
{
    (void)instance;
    (void)level;
}

static int get_command(QXLInstance *instance, QXLCommandExt *command)
{
    (void)instance;
    return take(device.display, command);
}

static int get_cursor_command(QXLInstance *instance, QXLCommandExt *command)
{
    (void)instance;
    return take(device.cursor, command);
}

/* Whether the queue is empty: then `spice_qxl_wakeup` tells of the next command. */
static int is_display_empty(QXLInstance *instance)
{
    (void)instance;
    return g_async_queue_length(device.display) <= 0;
}

static int is_cursor_empty(QXLInstance *instance)
{
    (void)instance;
    return g_async_queue_length(device.cursor) <= 0;
}

static void release(QXLInstance *instance, QXLReleaseInfoExt info)
{
    (void)instance;
    spice_replay_free_cmd(device.replay, (QXLCommandExt *)(uintptr_t)info.info->id);
}

static void notify_update(QXLInstance *instance, uint32_t id)
{
    (void)instance;
    (void)id;
}

static int flush_resources(QXLInstance *instance)
{
    (void)instance;
    return TRUE;
}

static void channel_event(int event, SpiceChannelEventInfo *info)
{
    if (info->type == SPICE_CHANNEL_DISPLAY && event == SPICE_CHANNEL_EVENT_INITIALIZED && !device.started) {
        device.started = TRUE;
        g_idle_add(feed, NULL);
    }
}

static const QXLInterface qxl_interface = {
    .base = {SPICE_INTERFACE_QXL, "replay", SPICE_INTERFACE_QXL_MAJOR, SPICE_INTERFACE_QXL_MINOR},
    .attached_worker = attached,
    .set_compression_level = set_compression_level,
    .get_init_info = init_info,
    .get_command = get_command,
    .req_cmd_notification = is_display_empty,
    .release_resource = release,
    .get_cursor_command = get_cursor_command,
    .req_cursor_notification = is_cursor_empty,
    .notify_update = notify_update,
    .flush_resources = flush_resources,
};

int main(int count, char **arguments)
{
    SpiceServer *server = spice_server_new();
    FILE *recording;

    if (count != 5)
        fail("usage: replay FILE PORT COMPRESSION STREAMING");
    recording = fopen(arguments[1], "rb");
    if (recording == NULL)
        fail("cannot open %s", arguments[1]);
    device.replay = spice_replay_new(recording, SURFACES);
    if (device.replay == NULL)
        fail("%s is no recording", arguments[1]);
    device.display = g_async_queue_new();
    device.cursor = g_async_queue_new();

    spice_server_set_addr(server, "127.0.0.1", 0);
    spice_server_set_port(server, atoi(arguments[2]));
    spice_server_set_noauth(server);
    spice_server_set_image_compression(server, atoi(arguments[3]));
    spice_server_set_streaming_video(server, atoi(arguments[4]));
    core_interface.channel_event = channel_event;
    if (spice_server_init(server, &core_interface) != 0)
        fail("the server does not start");
    qxl.base.sif = &qxl_interface.base;
    qxl.id = 0;
    if (spice_server_add_interface(server, &qxl.base) != 0)
        fail("the server takes no display device");
    spice_server_vm_start(server);
    read_next();
    puts("ready");
    fflush(stdout);
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
}
