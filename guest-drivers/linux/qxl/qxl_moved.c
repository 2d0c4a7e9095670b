// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What is known of a rectangle after the device copied it from elsewhere. Of what went up or down the hashes are copied
 * as well; segments that lie in the rectangle in part are known when their pixels were kept. Of what went to the side
 * the framebuffer says what it is, wherever its pixels have the hash of those that were copied.
 */
#include "qxl.h"

/* What the device shows in a segment in which the pixels from `from` to `end` came from `dy` below; 0: not known. */
static u64 qxl_moved_edge(struct qxl *qxl, struct qxl_head *head, unsigned int side, u32 segment, const u32 *part,
			  s32 y, s32 dy)
{
	const struct qxl_edge *edge = &head->shown.edges[side];
	u32 *here = edge->pixels + (size_t)y * QXL_SEGMENT;
	const u32 *there = edge->pixels + (size_t)(y + dy) * QXL_SEGMENT;

	if (edge->segment != segment || qxl_hash(&qxl->hash_key, here) != *qxl_shown_at(head, segment, y) ||
	    qxl_hash(&qxl->hash_key, there) != *qxl_shown_at(head, segment, y + dy))
		return 0;
	memcpy(here + part[0], there + part[0], (part[1] - part[0]) * sizeof(u32));
	return qxl_hash(&qxl->hash_key, here);
}

/* A segment of which a part is copied, at the left or the right end of the rectangle: its pixels are worth keeping. */
static bool qxl_moved_part(const struct qxl_shown *shown, const struct drm_rect *rect, unsigned int side, u32 *segment,
			   u32 *part)
{
	s32 x = side ? rect->x2 : rect->x1;

	/* A rectangle within one segment has it at its left. */
	if (x % QXL_SEGMENT == 0 || (side && (x == shown->width || x / QXL_SEGMENT == rect->x1 / QXL_SEGMENT)))
		return false;
	*segment = x / QXL_SEGMENT;
	part[0] = side ? 0 : x % QXL_SEGMENT;
	part[1] = min_t(u32, QXL_SEGMENT, rect->x2 - *segment * QXL_SEGMENT);
	return true;
}

static void qxl_moved_vertically(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect, s32 dy)
{
	struct qxl_shown *shown = &head->shown;
	u32 first = DIV_ROUND_UP(rect->x1, QXL_SEGMENT);
	u32 end = rect->x2 == shown->width ? shown->stride : rect->x2 / QXL_SEGMENT;
	s32 i, height = drm_rect_height(rect);
	u32 segments[2], parts[2][2];
	bool has[2];
	unsigned int side;

	for (side = 0; side < 2; side++)
		has[side] = qxl_moved_part(shown, rect, side, &segments[side], parts[side]);
	/* No line is written before it was read. */
	for (i = 0; i < height; i++) {
		s32 y = dy > 0 ? rect->y1 + i : rect->y2 - 1 - i;

		for (side = 0; side < 2; side++)
			if (has[side])
				*qxl_shown_at(head, segments[side], y) =
					qxl_moved_edge(qxl, head, side, segments[side], parts[side], y, dy);
		if (first < end)
			memcpy(qxl_shown_at(head, first, y), qxl_shown_at(head, first, y + dy),
			       (end - first) * sizeof(u64));
	}
	for (side = 0; side < 2; side++)
		if (has[side])
			shown->edges[side].segment = segments[side];
}

/* Marks the segments of the line that pixels of the rectangle came from, where the framebuffer has the same pixels. */
static void qxl_moved_same(const struct qxl *qxl, const struct drm_rect *rect, const u32 *pixels, const u64 *from,
			   s32 dx, unsigned long *same)
{
	u32 segment = DIV_ROUND_UP(rect->x1 + dx, QXL_SEGMENT);
	u32 end = (rect->x2 + dx) / QXL_SEGMENT;

	bitmap_zero(same, QXL_SEGMENTS);
	for (; segment < end; segment++)
		if (qxl_hash(&qxl->hash_key, pixels + segment * QXL_SEGMENT - dx - rect->x1) == from[segment])
			__set_bit(segment, same);
}

static void qxl_moved_aside(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect, s32 dx, s32 dy)
{
	s32 i, height = drm_rect_height(rect);
	DECLARE_BITMAP(same, QXL_SEGMENTS);
	u32 segment;

	/* No line is written before it was read. */
	for (i = 0; i < height; i++) {
		s32 y = dy > 0 ? rect->y1 + i : rect->y2 - 1 - i;
		u64 *shown = qxl_shown_at(head, 0, y);
		/* Both ways of cutting them are to be of the same pixels. */
		const u32 *pixels = qxl_source_copy(qxl, head, rect->x1, y, drm_rect_width(rect));

		qxl_moved_same(qxl, rect, pixels, qxl_shown_at(head, 0, y + dy), dx, same);
		for (segment = rect->x1 / QXL_SEGMENT; segment * QXL_SEGMENT < rect->x2; segment++) {
			s32 x = segment * QXL_SEGMENT;
			u32 from = (x + dx) / QXL_SEGMENT, last = (x + dx + QXL_SEGMENT - 1) / QXL_SEGMENT;

			shown[segment] = 0;
			if (x >= rect->x1 && x + QXL_SEGMENT <= rect->x2 && test_bit(from, same) &&
			    test_bit(last, same))
				shown[segment] = qxl_hash(&qxl->hash_key, pixels + x - rect->x1);
		}
	}
}

/* A rectangle of a head shows what was on it `dx` to the right and `dy` below. */
void qxl_moved(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect, s32 dx, s32 dy)
{
	if (!qxl_shown_is_known(qxl, head))
		return;
	if (dx)
		qxl_moved_aside(qxl, head, rect, dx, dy);
	else
		qxl_moved_vertically(qxl, head, rect, dy);
}
