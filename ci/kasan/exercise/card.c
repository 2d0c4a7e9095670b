// SPDX-License-Identifier: GPL-2.0 OR MIT
/* A display device by its ioctls. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exercise.h"

void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	printf("exercise: failed: ");
	vprintf(format, arguments);
	printf("\n");
	va_end(arguments);
	exit(1);
}

int try(const struct card *card, unsigned long request, void *argument)
{
	int result;

	do {
		result = ioctl(card->fd, request, argument);
	} while (result == -1 && (errno == EINTR || errno == EAGAIN));
	return result == -1 ? errno : 0;
}

void must(const struct card *card, unsigned long request, void *argument, const char *what)
{
	int error = try(card, request, argument);

	if (error)
		fail("%s: %s", what, strerror(error));
}

void card_open(struct card *card, const char *path)
{
	struct drm_mode_card_res resources = {};

	card->fd = open(path, O_RDWR | O_CLOEXEC);
	if (card->fd < 0)
		fail("%s: %s", path, strerror(errno));
	must(card, DRM_IOCTL_MODE_GETRESOURCES, &resources, "resources");
	if (resources.count_crtcs > MAX_HEADS || resources.count_connectors != resources.count_crtcs)
		fail("%u CRTCs and %u connectors", resources.count_crtcs, resources.count_connectors);
	card->count = resources.count_crtcs;
	resources.count_encoders = 0;
	resources.count_fbs = 0;
	resources.crtc_id_ptr = (uintptr_t)card->crtcs;
	resources.connector_id_ptr = (uintptr_t)card->connectors;
	must(card, DRM_IOCTL_MODE_GETRESOURCES, &resources, "resources");
}

uint32_t card_modes(const struct card *card, uint32_t head, struct drm_mode_modeinfo modes[MAX_MODES])
{
	struct drm_mode_get_connector connector = { .connector_id = card->connectors[head] };

	must(card, DRM_IOCTL_MODE_GETCONNECTOR, &connector, "connector");
	if (connector.count_modes > MAX_MODES)
		fail("%u modes", connector.count_modes);
	connector.count_encoders = 0;
	connector.count_props = 0;
	connector.modes_ptr = (uintptr_t)modes;
	must(card, DRM_IOCTL_MODE_GETCONNECTOR, &connector, "modes of a connector");
	return connector.count_modes > MAX_MODES ? MAX_MODES : connector.count_modes;
}

int card_show(const struct card *card, uint32_t head, const struct buffer *buffer, uint32_t x, uint32_t y,
	      struct drm_mode_modeinfo *mode)
{
	struct drm_mode_crtc crtc = {
		.crtc_id = card->crtcs[head],
		.set_connectors_ptr = (uintptr_t)&card->connectors[head],
		.count_connectors = buffer ? 1 : 0,
		.fb_id = buffer ? buffer->framebuffer : 0,
		.x = x,
		.y = y,
		.mode_valid = buffer ? 1 : 0,
	};

	if (mode)
		crtc.mode = *mode;
	return try(card, DRM_IOCTL_MODE_SETCRTC, &crtc);
}

int card_damage(const struct card *card, const struct buffer *buffer, struct drm_clip_rect *clips, uint32_t count)
{
	struct drm_mode_fb_dirty_cmd dirty = {
		.fb_id = buffer->framebuffer,
		.num_clips = count,
		.clips_ptr = count ? (uintptr_t)clips : 0,
	};

	return try(card, DRM_IOCTL_MODE_DIRTYFB, &dirty);
}

void buffer_add_framebuffer(const struct card *card, struct buffer *buffer)
{
	struct drm_mode_fb_cmd framebuffer = {
		.width = buffer->width,
		.height = buffer->height,
		.pitch = buffer->pitch,
		.bpp = 32,
		.depth = 24,
		.handle = buffer->handle,
	};

	must(card, DRM_IOCTL_MODE_ADDFB, &framebuffer, "framebuffer");
	buffer->framebuffer = framebuffer.fb_id;
}

void buffer_create(const struct card *card, struct buffer *buffer, uint32_t width, uint32_t height)
{
	struct drm_mode_create_dumb create = { .width = width, .height = height, .bpp = 32 };
	struct drm_mode_map_dumb map = {};

	must(card, DRM_IOCTL_MODE_CREATE_DUMB, &create, "buffer");
	*buffer = (struct buffer){
		.handle = create.handle,
		.width = width,
		.height = height,
		.pitch = create.pitch,
		.bytes = create.size,
	};
	map.handle = create.handle;
	must(card, DRM_IOCTL_MODE_MAP_DUMB, &map, "place of a buffer");
	buffer->pixels = mmap(NULL, buffer->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, card->fd, map.offset);
	if (buffer->pixels == MAP_FAILED)
		fail("mapping a buffer: %s", strerror(errno));
}

/* Also of a device that is gone: what can fail then may. */
void buffer_destroy(const struct card *card, struct buffer *buffer)
{
	struct drm_mode_destroy_dumb destroy = { .handle = buffer->handle };

	munmap(buffer->pixels, buffer->bytes);
	if (buffer->framebuffer)
		try(card, DRM_IOCTL_MODE_RMFB, &buffer->framebuffer);
	try(card, DRM_IOCTL_MODE_DESTROY_DUMB, &destroy);
}

uint32_t chance_below(struct chance *chance, uint32_t bound)
{
	chance->state ^= chance->state << 13;
	chance->state ^= chance->state >> 17;
	chance->state ^= chance->state << 5;
	return chance->state % bound;
}

/* A rectangle in one colour; filling all of a buffer in every round would be most of the time there is. */
void chance_fill(struct chance *chance, struct buffer *buffer)
{
	uint32_t x = chance_below(chance, buffer->width), y = chance_below(chance, buffer->height);
	uint32_t width = 1 + chance_below(chance, buffer->width - x), height = 1 + chance_below(chance, buffer->height - y);
	uint32_t colour = chance_below(chance, 1u << 24), row, column;

	for (row = y; row < y + height; row++)
		for (column = x; column < x + width; column++)
			memcpy(buffer->pixels + (size_t)row * buffer->pitch + column * 4, &colour, sizeof(colour));
}
