// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What has changed goes to the device as pictures that it copies to the screen, a piece at a time. When the ring or
 * the memory is full the rest stays in the region of its head, where what changes meanwhile joins it, until the
 * interrupt that says there is room: nobody waits, and a slow client sees fewer pictures and not later ones.
 */
#include <drm/drm_framebuffer.h>
#include <drm/drm_gem_framebuffer_helper.h>

#include "qxl.h"

struct qxl_tile {
	struct qxl_drawable drawable;
	u8 padding;
	struct qxl_image image;
	struct qxl_chunk chunk;
} __packed;

static_assert(sizeof(struct qxl_tile) % sizeof(u32) == 0);

/* The command of a picture that is at `rect` of the screen, and whose memory is at `address` of the device. */
static void qxl_draw_describe(struct qxl_tile *tile, const struct drm_rect *rect, s32 x, u64 address, u32 mm_time)
{
	u32 width = drm_rect_width(rect), height = drm_rect_height(rect);
	const struct drm_rect whole = DRM_RECT_INIT(0, 0, width, height);
	unsigned int i;

	*tile = (struct qxl_tile){
		.drawable = {
			.effect = QXL_EFFECT_OPAQUE,
			.type = QXL_DRAW_COPY,
			.bbox = qxl_rect_of(rect, x, 0),
			.clip.type = cpu_to_le32(QXL_CLIP_NONE),
			.mm_time = cpu_to_le32(mm_time),
			.u.copy = {
				.src_bitmap = cpu_to_le64(address + offsetof(struct qxl_tile, image)),
				.src_area = qxl_rect_of(&whole, 0, 0),
				.rop = cpu_to_le16(QXL_ROP_PUT),
				.scale_mode = QXL_SCALE_NEAREST,
			},
		},
		.image = {
			.type = QXL_IMAGE_BITMAP,
			.width = cpu_to_le32(width),
			.height = cpu_to_le32(height),
			.bitmap_format = QXL_BITMAP_32BIT,
			.bitmap_flags = QXL_BITMAP_TOP_DOWN,
			.bitmap_width = cpu_to_le32(width),
			.bitmap_height = cpu_to_le32(height),
			.bitmap_stride = cpu_to_le32(width * sizeof(u32)),
			.bitmap_data = cpu_to_le64(address + offsetof(struct qxl_tile, chunk)),
		},
		.chunk.data_size = cpu_to_le32(width * height * sizeof(u32)),
	};
	for (i = 0; i < ARRAY_SIZE(tile->drawable.surfaces_dest); i++)
		tile->drawable.surfaces_dest[i] = cpu_to_le32(-1);
}

/* A slot for so many bytes, after what is done with was collected and, at last, asked for. */
static int qxl_draw_take(struct qxl *qxl, u32 bytes)
{
	int slot = qxl_arena_take_draw(qxl, bytes);

	if (slot < 0 && qxl_arena_collect(qxl))
		slot = qxl_arena_take_draw(qxl, bytes);
	if (slot < 0)
		qxl_arena_ask(qxl);
	return slot;
}

/* Sends as many of the upper lines of `rect` as are one picture, and takes them off; whether there was room. */
static bool qxl_draw_tile(struct qxl *qxl, struct qxl_head *head, struct drm_rect *rect)
{
	struct qxl_source *source = &head->source;
	u32 line = drm_rect_width(rect) * sizeof(u32);
	u32 lines = max_t(u32, 1, (qxl_arena_tile_bytes(qxl) - sizeof(struct qxl_tile)) / line);
	struct drm_rect part = *rect;
	struct qxl_tile tile;
	u64 address;
	u8 *memory;
	s32 y;
	int slot;

	part.y2 = min_t(s32, part.y2, part.y1 + lines);
	if (!qxl_ring_has_room(qxl, &qxl->commands))
		return false;
	slot = qxl_draw_take(qxl, sizeof(tile) + line * drm_rect_height(&part));
	if (slot < 0)
		return false;

	address = qxl_arena_address(qxl, slot);
	memory = qxl_arena_memory(qxl, slot);
	qxl_draw_describe(&tile, &part, qxl->layout.heads[head->index].x, address, ram_read(&qxl->rom->mm_clock));
	memcpy(memory, &tile, sizeof(tile));
	memory += sizeof(tile);
	for (y = part.y1; y < part.y2; y++) {
		size_t from = (size_t)(y + source->y) * source->fb->pitches[0] +
			      (size_t)(part.x1 + source->x) * sizeof(u32);

		iosys_map_memcpy_from(memory, &source->data[0], from, line);
		memory += line;
	}
	qxl_arena_send(qxl, slot);
	qxl_ring_push(qxl, &qxl->commands, QXL_COMMAND_DRAW, address);
	rect->y1 = part.y2;
	return true;
}

/* Whether everything that has changed on the head was sent. */
static bool qxl_draw_head(struct qxl *qxl, struct qxl_head *head)
{
	struct qxl_head_layout *layout = &qxl->layout.heads[head->index];
	struct qxl_region *damage = &head->damage;
	bool is_room = true;
	/* While a mode is being set the framebuffer may still be that of the mode before. */
	const struct drm_rect shown = DRM_RECT_INIT(0, 0, min(layout->width, head->source.width),
						    min(layout->height, head->source.height));

	qxl_region_clip(damage, &shown);
	if (!damage->count || !head->source.fb)
		return true;
	/* A buffer of another device may have to be made readable. It is tried again with the next change. */
	if (drm_gem_fb_begin_cpu_access(head->source.fb, DMA_FROM_DEVICE))
		return true;
	while (damage->count && is_room) {
		is_room = qxl_draw_tile(qxl, head, &damage->rects[0]);
		if (!drm_rect_visible(&damage->rects[0]))
			qxl_region_drop(damage, 0);
	}
	drm_gem_fb_end_cpu_access(head->source.fb, DMA_FROM_DEVICE);
	return is_room;
}

/* Sends what there is room for. Heads take turns in being first, so that none is left behind. */
void qxl_draw_flush(struct qxl *qxl)
{
	unsigned int i;

	lockdep_assert_held(&qxl->lock);
	if (!qxl->has_primary || !qxl_device_is_usable(qxl))
		return;
	for (i = 0; i < qxl->heads_count; i++) {
		unsigned int index = (qxl->first_head + i) % qxl->heads_count;

		if (!qxl_draw_head(qxl, &qxl->heads[index])) {
			qxl->first_head = (index + 1) % qxl->heads_count;
			return;
		}
	}
}

/* The device shows nothing of what it was sent. */
void qxl_draw_damage_all(struct qxl *qxl)
{
	unsigned int i;

	lockdep_assert_held(&qxl->lock);
	for (i = 0; i < qxl->heads_count; i++) {
		struct qxl_head_layout *layout = &qxl->layout.heads[i];
		const struct drm_rect all = DRM_RECT_INIT(0, 0, layout->width, layout->height);

		qxl->heads[i].damage.count = 0;
		qxl_region_add(&qxl->heads[i].damage, &all);
	}
}
