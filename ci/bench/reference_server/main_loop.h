/* What the programs with the reference's server have in common: the main loop it wants, and how they end. */
#ifndef MAIN_LOOP_H
#define MAIN_LOOP_H

#include <glib.h>
#include <spice.h>

/* `channel_event` may be set before the server is initialised. */
extern SpiceCoreInterface core_interface;

/* Ends the program with a line on standard error. */
void fail(const char *format, ...) G_GNUC_PRINTF(1, 2) G_GNUC_NORETURN;

#endif
