// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The drawing commands: pictures, fills and copies. Each is complete in memory when it is pushed, and what the device
 * shows then is noted at the same time.
 */
#include <linux/sizes.h>

#include "qxl.h"

/* A picture of so many bytes is published as soon as it is there. */
#define QXL_PUBLISH_BYTES	((u32)SZ_512K)

/* A picture and its pixels, which follow. */
struct qxl_picture {
	struct qxl_drawable drawable;
	u8 padding;
	struct qxl_image image;
	struct qxl_chunk chunk;
} __packed;

static_assert(sizeof(struct qxl_picture) % sizeof(u32) == 0);

/* The most lines of one picture. */
u32 qxl_command_lines(struct qxl *qxl, u32 width)
{
	return max_t(u32, 1, (qxl_arena_picture_bytes(qxl) - sizeof(struct qxl_picture)) / (width * sizeof(u32)));
}

/* A slot for a command of so many bytes that there is a place for in the ring, or less than 0. */
static int qxl_command_take(struct qxl *qxl, u32 bytes)
{
	int slot;

	if (!qxl_ring_has_room(qxl, &qxl->commands)) {
		qxl->counters.waits_ring++;
		return -ENOSPC;
	}
	slot = qxl_arena_take_draw(qxl, bytes);
	if (slot >= 0)
		return slot;
	/* Only now is it of use to hear what was released, and all that could be is to be at the device. */
	qxl_ring_publish(qxl, &qxl->commands);
	qxl->arena.is_short = true;
	if (qxl_arena_collect(qxl))
		slot = qxl_arena_take_draw(qxl, bytes);
	if (slot < 0) {
		qxl->counters.waits_memory++;
		qxl_arena_ask(qxl);
		return slot;
	}
	qxl->arena.is_short = false;
	return slot;
}

/* What all commands have in common; `x` is where the head is in the picture of all heads. */
static void qxl_command_begin(struct qxl *qxl, struct qxl_drawable *drawable, u8 type, const struct drm_rect *rect,
			      u32 x)
{
	unsigned int i;

	*drawable = (struct qxl_drawable){
		.effect = QXL_EFFECT_OPAQUE,
		.type = type,
		.bbox = qxl_rect_of(rect, x, 0),
		.clip.type = cpu_to_le32(QXL_CLIP_NONE),
		.mm_time = cpu_to_le32(ram_read(&qxl->rom->mm_clock)),
	};
	for (i = 0; i < ARRAY_SIZE(drawable->surfaces_dest); i++)
		drawable->surfaces_dest[i] = cpu_to_le32(-1);
}

static void qxl_command_send(struct qxl *qxl, int slot)
{
	qxl_arena_send(qxl, slot);
	qxl_ring_push(qxl, &qxl->commands, QXL_COMMAND_DRAW, qxl_arena_address(qxl, slot));
}

/* The framebuffer's pixels, to the memory of a command; what the device shows then is known by them. */
static void qxl_command_pixels(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect, u32 *to)
{
	u32 width = drm_rect_width(rect);
	bool is_known = qxl_shown_is_known(qxl, head);
	bool is_whole = rect->x1 % QXL_SEGMENT == 0 && (rect->x2 % QXL_SEGMENT == 0 || rect->x2 == head->shown.width);
	s32 y;

	for (y = rect->y1; y < rect->y2; y++, to += width) {
		const u32 *from = qxl_source_at(qxl, head, rect->x1, y, width);

		if (is_known && is_whole) {
			qxl_hash_copy(&qxl->hash_key, to, from, width, qxl_shown_at(head, rect->x1 / QXL_SEGMENT, y));
			continue;
		}
		memcpy(to, from, width * sizeof(u32));
		if (is_known)
			qxl_recent_drawn(qxl, head, rect->x1, y, to, width);
	}
}

/* Sends what a head has in a rectangle, of not more than the most lines. Whether there was room. */
bool qxl_command_picture(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect)
{
	u32 width = drm_rect_width(rect), height = drm_rect_height(rect);
	u32 bytes = width * height * sizeof(u32);
	const struct drm_rect whole = DRM_RECT_INIT(0, 0, width, height);
	int slot = qxl_command_take(qxl, sizeof(struct qxl_picture) + bytes);
	struct qxl_picture picture;
	u64 address;
	u8 *memory;
	u32 number;

	if (slot < 0)
		return false;
	address = qxl_arena_address(qxl, slot);
	memory = qxl_arena_memory(qxl, slot);
	qxl_command_pixels(qxl, head, rect, (u32 *)(memory + sizeof(picture)));
	number = qxl_cache_number(qxl, head, rect, memory + sizeof(picture));
	qxl_command_begin(qxl, &picture.drawable, QXL_DRAW_COPY, rect, qxl->layout.heads[head->index].x);
	picture.drawable.u.copy = (struct qxl_copy){
		.src_bitmap = cpu_to_le64(address + offsetof(struct qxl_picture, image)),
		.src_area = qxl_rect_of(&whole, 0, 0),
		.rop = cpu_to_le16(QXL_ROP_PUT),
		.scale_mode = QXL_SCALE_NEAREST,
	};
	picture.padding = 0;
	picture.image = (struct qxl_image){
		.id = cpu_to_le64((u64)number << QXL_IMAGE_ID_SHIFT),
		.flags = number ? QXL_IMAGE_CACHE : 0,
		.type = QXL_IMAGE_BITMAP,
		.width = cpu_to_le32(width),
		.height = cpu_to_le32(height),
		.bitmap_format = QXL_BITMAP_32BIT,
		.bitmap_flags = QXL_BITMAP_TOP_DOWN,
		.bitmap_width = cpu_to_le32(width),
		.bitmap_height = cpu_to_le32(height),
		.bitmap_stride = cpu_to_le32(width * sizeof(u32)),
		.bitmap_data = cpu_to_le64(address + offsetof(struct qxl_picture, chunk)),
	};
	picture.chunk = (struct qxl_chunk){ .data_size = cpu_to_le32(bytes) };
	memcpy(memory, &picture, sizeof(picture));
	qxl_command_send(qxl, slot);
	/* The device can begin with a large one while the rest is looked at. */
	if (bytes >= QXL_PUBLISH_BYTES)
		qxl_ring_publish(qxl, &qxl->commands);
	qxl->counters.pictures++;
	qxl->counters.picture_bytes += bytes;
	return true;
}

/* Makes all of a rectangle of whole segments one colour. Whether there was room. */
bool qxl_command_fill(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect, u32 colour)
{
	int slot = qxl_command_take(qxl, sizeof(struct qxl_drawable));
	struct qxl_drawable drawable;

	if (slot < 0)
		return false;
	qxl_command_begin(qxl, &drawable, QXL_DRAW_FILL, rect, qxl->layout.heads[head->index].x);
	drawable.u.fill = (struct qxl_fill){
		.brush = { .type = cpu_to_le32(QXL_BRUSH_SOLID), .colour = cpu_to_le32(colour) },
		.rop = cpu_to_le16(QXL_ROP_PUT),
	};
	memcpy(qxl_arena_memory(qxl, slot), &drawable, sizeof(drawable));
	qxl_shown_fill(qxl, head, rect, colour);
	qxl_command_send(qxl, slot);
	qxl->counters.fills++;
	return true;
}

/* Shows in a rectangle of a head what is on it `dx` to the right and `dy` below. Whether there was room. */
bool qxl_command_copy(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect, s32 dx, s32 dy)
{
	u32 x = qxl->layout.heads[head->index].x;
	int slot = qxl_command_take(qxl, sizeof(struct qxl_drawable));
	struct qxl_drawable drawable;

	if (slot < 0)
		return false;
	qxl_command_begin(qxl, &drawable, QXL_DRAW_COPY_BITS, rect, x);
	drawable.u.copy_bits.source = (struct qxl_point){
		.x = cpu_to_le32(x + rect->x1 + dx),
		.y = cpu_to_le32(rect->y1 + dy),
	};
	memcpy(qxl_arena_memory(qxl, slot), &drawable, sizeof(drawable));
	qxl_moved(qxl, head, rect, dx, dy);
	qxl_command_send(qxl, slot);
	qxl->counters.copies++;
	return true;
}
