// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Pixels of tiles in which little changed a short time ago, like those in which somebody types: with them a change is
 * known to the pixel, and no more of a segment is sent than has changed. What is kept is looked at by its hash before
 * it is used, so it needs not be what the device shows.
 */
#include <drm/drm_managed.h>
#include <linux/mm.h>

#include "qxl.h"

#define QXL_RECENT_TILES	16

struct qxl_recent {
	/* Of the last time it was kept; 0: nothing is. */
	u64 used;
	unsigned int head;
	u32 column;
	u32 row;
	/* Those that are not on the screen are black. */
	u32 pixels[QXL_TILE_HEIGHT][QXL_TILE_WIDTH];
};

struct qxl_recents {
	u64 uses;
	struct qxl_recent tiles[QXL_RECENT_TILES];
};

/* The place of a tile, or the one that was not used for the longest time. */
static struct qxl_recent *qxl_recent_place(struct qxl_recents *recents, unsigned int head, u32 column, u32 row)
{
	struct qxl_recent *oldest = recents->tiles;
	u32 i;

	for (i = 0; i < QXL_RECENT_TILES; i++) {
		struct qxl_recent *recent = &recents->tiles[i];

		if (recent->used && recent->head == head && recent->column == column && recent->row == row)
			return recent;
		if (recent->used < oldest->used)
			oldest = recent;
	}
	return oldest;
}

/* Keeps the pixels of a tile. */
void qxl_recent_keep(struct qxl *qxl, struct qxl_head *head, u32 column, u32 row, u32 width, u32 height)
{
	struct qxl_recents *recents = qxl->recents;
	struct qxl_recent *recent = qxl_recent_place(recents, head->index, column, row);
	u32 x = column * QXL_TILE_WIDTH, y = row * QXL_TILE_HEIGHT, i;

	recent->used = ++recents->uses;
	recent->head = head->index;
	recent->column = column;
	recent->row = row;
	memset(recent->pixels, 0, sizeof(recent->pixels));
	for (i = 0; i < QXL_TILE_HEIGHT && y + i < height; i++) {
		u32 count = min_t(u32, QXL_TILE_WIDTH, width - x);

		memcpy(recent->pixels[i], qxl_source_at(qxl, head, x, y + i, count), count * sizeof(u32));
	}
}

/* The pixels that the device shows in a segment, if they were kept. */
u32 *qxl_recent_at(struct qxl *qxl, const struct qxl_head *head, u32 segment, s32 y)
{
	u32 column = segment / QXL_TILE_SEGMENTS, row = y / QXL_TILE_HEIGHT;
	struct qxl_recent *recent = qxl_recent_place(qxl->recents, head->index, column, row);
	u32 *pixels = recent->pixels[y % QXL_TILE_HEIGHT] + segment % QXL_TILE_SEGMENTS * QXL_SEGMENT;

	if (!recent->used || recent->head != head->index || recent->column != column || recent->row != row ||
	    qxl_hash(&qxl->hash_key, pixels) != *qxl_shown_at(head, segment, y))
		return NULL;
	return pixels;
}

/* How many pixels of a segment, in all lines of a rectangle, are as the device shows them, from one end on. */
static u32 qxl_recent_same(struct qxl *qxl, struct qxl_head *head, u32 segment, const struct drm_rect *rect,
			   bool is_right)
{
	s32 x = segment * QXL_SEGMENT, y;
	u32 length = min_t(s32, QXL_SEGMENT, rect->x2 - x);
	u32 same = length, i;

	for (y = rect->y1; y < rect->y2 && same; y++) {
		const u32 *shown = qxl_recent_at(qxl, head, segment, y);
		const u32 *now = qxl_source_at(qxl, head, x, y, length);

		if (!shown)
			return 0;
		for (i = 0; i < same; i++) {
			u32 at = is_right ? length - 1 - i : i;

			if (qxl_pixels_differ(now + at, shown + at, 1))
				break;
		}
		same = i;
	}
	return same;
}

/* Takes off columns of pixels at the edges of a rectangle of whole segments that are no different. */
void qxl_recent_trim(struct qxl *qxl, struct qxl_head *head, struct drm_rect *rect)
{
	u32 first = rect->x1 / QXL_SEGMENT, last = (rect->x2 - 1) / QXL_SEGMENT;
	u32 left = qxl_recent_same(qxl, head, first, rect, false);
	u32 right = qxl_recent_same(qxl, head, last, rect, true);

	rect->x1 += left;
	/* What has just become what is shown needs not be sent. */
	rect->x2 = max(rect->x1, rect->x2 - (s32)right);
}

/*
 * A line from `x` on was drawn, not of whole segments: notes what the device shows then. Of the segments at the ends
 * the pixels were kept, or the rectangle would have been of whole ones.
 */
void qxl_recent_drawn(struct qxl *qxl, struct qxl_head *head, s32 x, s32 y, const u32 *pixels, u32 count)
{
	s32 end = x + count;

	while (x < end) {
		u32 segment = x / QXL_SEGMENT, from = x % QXL_SEGMENT;
		u32 part = min_t(u32, QXL_SEGMENT - from, end - x);
		u32 *kept = qxl_recent_at(qxl, head, segment, y);
		u32 whole[QXL_SEGMENT] = {};
		u64 *hash = qxl_shown_at(head, segment, y);

		if (kept || (!from && (part == QXL_SEGMENT || x + part == head->shown.width))) {
			memcpy((kept ?: whole) + from, pixels, part * sizeof(u32));
			*hash = qxl_hash(&qxl->hash_key, kept ?: whole);
		} else {
			*hash = 0;
		}
		pixels += part;
		x += part;
	}
}

int qxl_recent_init(struct qxl *qxl)
{
	qxl->recents = drmm_kzalloc(&qxl->drm, sizeof(*qxl->recents), GFP_KERNEL);
	return qxl->recents ? 0 : -ENOMEM;
}
