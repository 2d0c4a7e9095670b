/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* A display device by its ioctls, and what is done with it. */
#ifndef EXERCISE_H
#define EXERCISE_H

#include <stddef.h>
#include <stdint.h>

#include <drm/drm.h>
#include <drm/drm_mode.h>

#define MAX_HEADS	16
#define MAX_MODES	64

struct card {
	int fd;
	uint32_t crtcs[MAX_HEADS];
	uint32_t connectors[MAX_HEADS];
	uint32_t count;
};

/* Memory of the system that a device can show. */
struct buffer {
	uint32_t handle;
	uint32_t framebuffer;
	uint32_t width;
	uint32_t height;
	uint32_t pitch;
	uint64_t bytes;
	uint8_t *pixels;
};

_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The ioctl's errno, 0 for none; `must` ends the program with anything but 0. */
int try(const struct card *card, unsigned long request, void *argument);
void must(const struct card *card, unsigned long request, void *argument, const char *what);

void card_open(struct card *card, const char *path);
/* Modes of a connector; how many there are, which is 0 when it is not connected. */
uint32_t card_modes(const struct card *card, uint32_t head, struct drm_mode_modeinfo modes[MAX_MODES]);
int card_show(const struct card *card, uint32_t head, const struct buffer *buffer, uint32_t x, uint32_t y,
	      struct drm_mode_modeinfo *mode);
int card_damage(const struct card *card, const struct buffer *buffer, struct drm_clip_rect *clips, uint32_t count);

void buffer_create(const struct card *card, struct buffer *buffer, uint32_t width, uint32_t height);
void buffer_add_framebuffer(const struct card *card, struct buffer *buffer);
void buffer_destroy(const struct card *card, struct buffer *buffer);

/* xorshift: the same numbers for the same seed. */
struct chance {
	uint32_t state;
};

uint32_t chance_below(struct chance *chance, uint32_t bound);
void chance_fill(struct chance *chance, struct buffer *buffer);

void exercise_draw(const char *path, unsigned int rounds, unsigned int seed);
void exercise_hold(const char *path);
void exercise_share(const char *path, const char *other);
void exercise_cycles(unsigned int first, unsigned int count);

#endif
