// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What is done with display devices. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exercise.h"

#define STEPS		24
#define MAX_CLIPS	40
#define CURSOR_MAX	64
/* Heads that are tried at a time, and the largest mode: there is to be time for more than copying. */
#define HEADS		3
#define MODE_MAX	1280

/* Clips as they come: most of them in the picture, some beyond it, empty, or upside down. */
static void damage(const struct card *card, const struct buffer *buffer, struct chance *chance)
{
	uint32_t count = chance_below(chance, MAX_CLIPS), i;
	struct drm_clip_rect clips[MAX_CLIPS];
	bool is_valid = true;
	int error;

	for (i = 0; i < count; i++) {
		clips[i].x1 = chance_below(chance, buffer->width);
		clips[i].y1 = chance_below(chance, buffer->height);
		clips[i].x2 = clips[i].x1 + 1 + chance_below(chance, buffer->width - clips[i].x1);
		clips[i].y2 = clips[i].y1 + 1 + chance_below(chance, buffer->height - clips[i].y1);
		if (!chance_below(chance, 100)) {
			clips[i].x2 = chance_below(chance, 0x10000);
			clips[i].y1 = chance_below(chance, 0x10000);
			is_valid = false;
		}
	}
	error = card_damage(card, buffer, clips, count);
	if (error && (is_valid || error != EINVAL))
		fail("damage of %u clips: %s", count, strerror(error));
}

static void flip(const struct card *card, uint32_t head, const struct buffer *to)
{
	struct drm_mode_crtc_page_flip flip = {
		.crtc_id = card->crtcs[head],
		.fb_id = to->framebuffer,
		.flags = DRM_MODE_PAGE_FLIP_EVENT,
	};
	struct drm_event_vblank event;

	must(card, DRM_IOCTL_MODE_PAGE_FLIP, &flip, "flip");
	if (read(card->fd, &event, sizeof(event)) != sizeof(event))
		fail("event of a flip: %s", strerror(errno));
}

/* A shape, often moved; some are too large, some are none. */
static void point(const struct card *card, uint32_t head, const struct buffer *shape, struct chance *chance)
{
	struct drm_mode_cursor2 cursor = {
		.crtc_id = card->crtcs[head],
		.x = (int)chance_below(chance, 2000) - 500,
		.y = (int)chance_below(chance, 2000) - 500,
	};
	int error;

	if (!chance_below(chance, 3)) {
		cursor.flags = DRM_MODE_CURSOR_BO;
		cursor.width = chance_below(chance, 5) ? CURSOR_MAX : 1 + chance_below(chance, CURSOR_MAX);
		cursor.height = cursor.width;
		cursor.handle = chance_below(chance, 6) ? shape->handle : 0;
		cursor.hot_x = (int)chance_below(chance, 80) - 8;
		cursor.hot_y = (int)chance_below(chance, 80) - 8;
		if (!chance_below(chance, 10))
			cursor.width = cursor.height = 1000;
	}
	if (chance_below(chance, 2))
		cursor.flags |= DRM_MODE_CURSOR_MOVE;
	if (!cursor.flags)
		return;
	error = try(card, DRM_IOCTL_MODE_CURSOR2, &cursor);
	/* A shape that is larger than the buffer or than shapes are, on a head that is off. */
	if (error && error != EINVAL && error != ENXIO && error != ERANGE)
		fail("pointer: %s", strerror(error));
}

/* A mode of the connector's, or of another one where it has none: what is not connected can be set all the same. */
static void choose(const struct card *card, uint32_t head, struct chance *chance, struct drm_mode_modeinfo *mode)
{
	struct drm_mode_modeinfo modes[MAX_MODES];
	uint32_t count = card_modes(card, head, modes);

	if (!count)
		count = card_modes(card, 0, modes);
	if (!count)
		fail("no head has modes");
	do {
		*mode = modes[chance_below(chance, count)];
	} while (mode->hdisplay > MODE_MAX);
}

static void round_of(const struct card *card, struct chance *chance)
{
	uint32_t head = chance_below(chance, card->count < HEADS ? card->count : HEADS), i, x, y;
	struct buffer buffers[2], shape;
	struct drm_mode_modeinfo mode;
	int error;

	choose(card, head, chance, &mode);
	x = chance_below(chance, 2) ? 0 : chance_below(chance, 200);
	y = chance_below(chance, 2) ? 0 : chance_below(chance, 200);
	for (i = 0; i < 2; i++) {
		buffer_create(card, &buffers[i], mode.hdisplay + x, mode.vdisplay + y);
		buffer_add_framebuffer(card, &buffers[i]);
	}
	buffer_create(card, &shape, CURSOR_MAX, CURSOR_MAX);
	chance_fill(chance, &shape);
	error = card_show(card, head, &buffers[0], x, y, &mode);
	/* All heads together may be larger than the picture can be. */
	if (error && error != EINVAL)
		fail("mode %ux%u: %s", mode.hdisplay, mode.vdisplay, strerror(error));
	for (i = 0; !error && i < STEPS; i++) {
		struct buffer *buffer = &buffers[chance_below(chance, 2)];

		switch (chance_below(chance, 4)) {
		case 0:
			flip(card, head, buffer);
			break;
		case 1:
			point(card, head, &shape, chance);
			break;
		default:
			chance_fill(chance, buffer);
			damage(card, buffer, chance);
		}
	}
	/* What is shown is taken away, and with it the mode; or the mode first. */
	if (chance_below(chance, 2) && !error)
		card_show(card, head, NULL, 0, 0, NULL);
	buffer_destroy(card, &shape);
	buffer_destroy(card, &buffers[0]);
	buffer_destroy(card, &buffers[1]);
}

void exercise_draw(const char *path, unsigned int rounds, unsigned int seed)
{
	struct chance chance = { .state = seed * 2654435761u | 1 };
	struct card card;
	unsigned int i;

	card_open(&card, path);
	for (i = 0; i < rounds; i++)
		round_of(&card, &chance);
	close(card.fd);
}

void exercise_hold(const char *path)
{
	struct drm_mode_modeinfo modes[MAX_MODES];
	struct chance chance = { .state = 1 };
	struct buffer buffer;
	struct card card;
	int error;

	card_open(&card, path);
	if (!card_modes(&card, 0, modes))
		fail("the first head has no modes");
	buffer_create(&card, &buffer, modes[0].hdisplay, modes[0].vdisplay);
	buffer_add_framebuffer(&card, &buffer);
	error = card_show(&card, 0, &buffer, 0, 0, &modes[0]);
	if (error)
		fail("mode: %s", strerror(error));
	printf("exercise: holding\n");
	do {
		chance_fill(&chance, &buffer);
		error = card_damage(&card, &buffer, NULL, 0);
	} while (!error);
	printf("exercise: gone: %s\n", strerror(error));
	if (error != ENODEV)
		fail("the device was expected to be gone");
	/* The memory is the system's: it is there as long as somebody has it. */
	chance_fill(&chance, &buffer);
	buffer_destroy(&card, &buffer);
	close(card.fd);
	printf("exercise: closed\n");
}

void exercise_share(const char *path, const char *other)
{
	struct drm_mode_modeinfo modes[MAX_MODES];
	struct drm_prime_handle export = { .flags = DRM_CLOEXEC | DRM_RDWR };
	struct card from, to;
	struct buffer buffer, shared;
	int error;

	card_open(&from, path);
	card_open(&to, other);
	if (!card_modes(&to, 0, modes))
		fail("the first head has no modes");
	buffer_create(&from, &buffer, modes[0].hdisplay, modes[0].vdisplay);
	export.handle = buffer.handle;
	must(&from, DRM_IOCTL_PRIME_HANDLE_TO_FD, &export, "export");
	must(&to, DRM_IOCTL_PRIME_FD_TO_HANDLE, &export, "import");
	shared = buffer;
	shared.handle = export.handle;
	buffer_add_framebuffer(&to, &shared);
	error = card_show(&to, 0, &shared, 0, 0, &modes[0]);
	if (!error)
		error = card_damage(&to, &shared, NULL, 0);
	if (error)
		fail("showing what is another device's: %s", strerror(error));
	try(&to, DRM_IOCTL_MODE_RMFB, &shared.framebuffer);
	close(to.fd);
	close(export.fd);
	buffer_destroy(&from, &buffer);
	close(from.fd);
	printf("exercise: shared\n");
}
