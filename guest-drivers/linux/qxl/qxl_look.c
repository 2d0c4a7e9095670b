// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A look at what a program says it has changed: the framebuffer is read, once, and what has other hashes than the
 * device shows is marked.
 */
#include "qxl.h"

/* Tiles that are little. */
#define QXL_LOOK_SMALL		8

/* Hashes some tiles of a row of them, those from `first` to `end`. Those that differ are marked in `differ`. */
static void qxl_look_at(struct qxl *qxl, struct qxl_head *head, u32 row, u32 first, u32 end, u32 width, u32 height,
			unsigned long *differ)
{
	s32 y = row * QXL_TILE_HEIGHT, last = min_t(s32, y + QXL_TILE_HEIGHT, height);
	u32 x = first * QXL_TILE_WIDTH, count = min(end * QXL_TILE_WIDTH, width) - x;
	u32 segments = DIV_ROUND_UP(count, QXL_SEGMENT), i;

	for (; y < last; y++) {
		u64 *now = qxl_now_at(qxl, head, first * QXL_TILE_SEGMENTS, y);
		const u64 *shown = qxl_shown_at(head, first * QXL_TILE_SEGMENTS, y);

		qxl_hash_line(&qxl->hash_key, qxl_source_at(qxl, head, x, y, count), count, now);
		for (i = 0; i < segments; i++)
			if (now[i] != shown[i])
				__set_bit(first + i / QXL_TILE_SEGMENTS, differ);
	}
	qxl->counters.tiles_seen += end - first;
}

/* Leaves marked what differs, and has all of it in `changed`; what was looked at is in `seen`. */
void qxl_look(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height)
{
	struct qxl_tiles *damage = head->damage;
	u32 row, first, end;

	qxl_tiles_copy(qxl->seen, damage);
	for (row = damage->first; row < damage->end; row++) {
		DECLARE_BITMAP(differ, QXL_TILE_COLUMNS) = {};

		for_each_set_bitrange(first, end, damage->rows[row], QXL_TILE_COLUMNS)
			qxl_look_at(qxl, head, row, first, end, width, height, differ);
		qxl->counters.tiles_same += bitmap_weight(damage->rows[row], QXL_TILE_COLUMNS);
		bitmap_copy(damage->rows[row], differ, QXL_TILE_COLUMNS);
		qxl->counters.tiles_same -= bitmap_weight(differ, QXL_TILE_COLUMNS);
	}
	qxl_tiles_clip(damage, width, height);
	qxl_tiles_copy(qxl->changed, damage);
}

/* What the device shows of a rectangle has changed: marks what differs now, and nothing else there. */
void qxl_look_again(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect, u32 width, u32 height)
{
	u32 first = rect->x1 / QXL_TILE_WIDTH, end = DIV_ROUND_UP(rect->x2, QXL_TILE_WIDTH);
	u32 last = DIV_ROUND_UP(rect->y2, QXL_TILE_HEIGHT);
	u32 row, column;

	/* So that the rows are among those that have any. */
	qxl_tiles_mark(head->damage, rect);
	for (row = rect->y1 / QXL_TILE_HEIGHT; row < last; row++)
		for (column = first; column < end; column++) {
			DECLARE_BITMAP(differ, QXL_TILE_COLUMNS) = {};
			u32 segment = column * QXL_TILE_SEGMENTS;
			u32 segments = min(segment + QXL_TILE_SEGMENTS, DIV_ROUND_UP(width, QXL_SEGMENT));
			u32 y = row * QXL_TILE_HEIGHT, below = min(y + QXL_TILE_HEIGHT, height);

			if (!test_bit(column, qxl->seen->rows[row]))
				qxl_look_at(qxl, head, row, column, column + 1, width, height, differ);
			while (y < below && !qxl_shown_differs(qxl, head, segment, segments, y))
				y++;
			if (y == below)
				__clear_bit(column, head->damage->rows[row]);
		}
	qxl_tiles_mark(qxl->seen, rect);
	qxl_tiles_clip(head->damage, width, height);
	qxl_tiles_copy(qxl->changed, head->damage);
}

/* Looks at what is to be sent and was not looked at before. */
void qxl_look_rest(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height)
{
	DECLARE_BITMAP(differ, QXL_TILE_COLUMNS) = {};
	DECLARE_BITMAP(rest, QXL_TILE_COLUMNS);
	u32 row, first, end;

	for (row = qxl->changed->first; row < qxl->changed->end; row++) {
		bitmap_andnot(rest, qxl->changed->rows[row], qxl->seen->rows[row], QXL_TILE_COLUMNS);
		for_each_set_bitrange(first, end, rest, QXL_TILE_COLUMNS)
			qxl_look_at(qxl, head, row, first, end, width, height, differ);
	}
}

/* Keeps pixels of what was looked at. */
void qxl_look_keep(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height)
{
	u32 row, column;

	for (row = qxl->seen->first; row < qxl->seen->end; row++)
		for_each_set_bit(column, qxl->seen->rows[row], QXL_TILE_COLUMNS)
			qxl_shown_keep(qxl, head, column, row, width, height);
}

/* Whether so little was looked at that it is worth to know it to the pixel. */
bool qxl_look_is_small(const struct qxl *qxl)
{
	return qxl_tiles_count(qxl->seen) <= QXL_LOOK_SMALL;
}

/* After it was sent: keeps the pixels of the little that was looked at. */
void qxl_look_keep_small(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height)
{
	u32 row, column;

	for (row = qxl->seen->first; row < qxl->seen->end; row++)
		for_each_set_bit(column, qxl->seen->rows[row], QXL_TILE_COLUMNS)
			qxl_recent_keep(qxl, head, column, row, width, height);
}
