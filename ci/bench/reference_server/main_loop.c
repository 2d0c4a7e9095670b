/* The main loop that the reference's server wants, of GLib. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <glib-unix.h>

#include "main_loop.h"

void fail(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(1);
}

/* The server's timers and watches are sources of the main loop. */

struct SpiceTimer {
    SpiceTimerFunc call;
    void *opaque;
    guint source;
};

static gboolean timer_fires(gpointer data)
{
    SpiceTimer *timer = data;

    timer->source = 0;
    timer->call(timer->opaque);
    return G_SOURCE_REMOVE;
}

static SpiceTimer *timer_add(SpiceTimerFunc call, void *opaque)
{
    SpiceTimer *timer = g_new0(SpiceTimer, 1);

    timer->call = call;
    timer->opaque = opaque;
    return timer;
}

static void timer_cancel(SpiceTimer *timer)
{
    if (timer->source != 0) {
        g_source_remove(timer->source);
        timer->source = 0;
    }
}

static void timer_start(SpiceTimer *timer, uint32_t milliseconds)
{
    timer_cancel(timer);
    timer->source = g_timeout_add(milliseconds, timer_fires, timer);
}

static void timer_remove(SpiceTimer *timer)
{
    timer_cancel(timer);
    g_free(timer);
}

struct SpiceWatch {
    int fd;
    SpiceWatchFunc call;
    void *opaque;
    guint source;
};

static gboolean watch_fires(gint fd, GIOCondition condition, gpointer data)
{
    SpiceWatch *watch = data;
    int events = 0;

    if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR))
        events |= SPICE_WATCH_EVENT_READ;
    if (condition & G_IO_OUT)
        events |= SPICE_WATCH_EVENT_WRITE;
    watch->call(fd, events, watch->opaque);
    return G_SOURCE_CONTINUE;
}

static void watch_update(SpiceWatch *watch, int events)
{
    GIOCondition condition = 0;

    if (watch->source != 0)
        g_source_remove(watch->source);
    watch->source = 0;
    if (events & SPICE_WATCH_EVENT_READ)
        condition |= G_IO_IN | G_IO_HUP | G_IO_ERR;
    if (events & SPICE_WATCH_EVENT_WRITE)
        condition |= G_IO_OUT;
    if (condition != 0)
        watch->source = g_unix_fd_add(watch->fd, condition, watch_fires, watch);
}

static SpiceWatch *watch_add(int fd, int events, SpiceWatchFunc call, void *opaque)
{
    SpiceWatch *watch = g_new0(SpiceWatch, 1);

    watch->fd = fd;
    watch->call = call;
    watch->opaque = opaque;
    watch_update(watch, events);
    return watch;
}

static void watch_remove(SpiceWatch *watch)
{
    watch_update(watch, 0);
    g_free(watch);
}

SpiceCoreInterface core_interface = {
    .base = {SPICE_INTERFACE_CORE, "main loop", SPICE_INTERFACE_CORE_MAJOR, SPICE_INTERFACE_CORE_MINOR},
    .timer_add = timer_add,
    .timer_start = timer_start,
    .timer_cancel = timer_cancel,
    .timer_remove = timer_remove,
    .watch_add = watch_add,
    .watch_update_mask = watch_update,
    .watch_remove = watch_remove,
};
