// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A look at what a program says it has changed: the framebuffer is read, once, and what has other hashes than the
 * device shows is marked.
 */
#include "qxl.h"

/* Tiles that are little. */
#define QXL_LOOK_SMALL		8

/* Hashes some tiles of a row of them, those from `first` to `end`. */
static void qxl_look_at(struct qxl *qxl, struct qxl_head *head, u32 row, u32 first, u32 end, u32 width, u32 height)
{
	s32 y = row * QXL_TILE_HEIGHT, last = min_t(s32, y + QXL_TILE_HEIGHT, height);
	u32 x = first * QXL_TILE_WIDTH, count = min(end * QXL_TILE_WIDTH, width) - x;

	for (; y < last; y++)
		qxl_hash_line(&qxl->hash_key, qxl_source_at(qxl, head, x, y, count), count,
			      qxl_now_at(qxl, head, first * QXL_TILE_SEGMENTS, y));
	qxl->counters.tiles_seen += end - first;
}

/* Whether a tile that was hashed differs from what the device shows. */
static bool qxl_look_differs(struct qxl *qxl, struct qxl_head *head, u32 column, u32 row, u32 width, u32 height)
{
	u32 first = column * QXL_TILE_SEGMENTS;
	u32 end = min(first + QXL_TILE_SEGMENTS, DIV_ROUND_UP(width, QXL_SEGMENT));
	u32 y = row * QXL_TILE_HEIGHT, last = min(y + QXL_TILE_HEIGHT, height);

	for (; y < last; y++)
		if (qxl_shown_differs(qxl, head, first, end, y))
			return true;
	return false;
}

/* Leaves marked what differs, and has all of it in `changed`; what was looked at is in `seen`. */
void qxl_look(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height)
{
	struct qxl_tiles *damage = head->damage;
	u32 row, column, first, end;

	qxl_tiles_copy(qxl->seen, damage);
	for (row = damage->first; row < damage->end; row++) {
		for_each_set_bitrange(first, end, qxl->seen->rows[row], QXL_TILE_COLUMNS)
			qxl_look_at(qxl, head, row, first, end, width, height);
		for_each_set_bit(column, qxl->seen->rows[row], QXL_TILE_COLUMNS)
			if (!qxl_look_differs(qxl, head, column, row, width, height)) {
				__clear_bit(column, damage->rows[row]);
				qxl->counters.tiles_same++;
			}
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
			if (!test_bit(column, qxl->seen->rows[row]))
				qxl_look_at(qxl, head, row, column, column + 1, width, height);
			if (!qxl_look_differs(qxl, head, column, row, width, height))
				__clear_bit(column, head->damage->rows[row]);
		}
	qxl_tiles_mark(qxl->seen, rect);
	qxl_tiles_clip(head->damage, width, height);
	qxl_tiles_copy(qxl->changed, head->damage);
}

/* Looks at what is to be sent and was not looked at before. */
void qxl_look_rest(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height)
{
	DECLARE_BITMAP(rest, QXL_TILE_COLUMNS);
	u32 row, first, end;

	for (row = qxl->changed->first; row < qxl->changed->end; row++) {
		bitmap_andnot(rest, qxl->changed->rows[row], qxl->seen->rows[row], QXL_TILE_COLUMNS);
		for_each_set_bitrange(first, end, rest, QXL_TILE_COLUMNS)
			qxl_look_at(qxl, head, row, first, end, width, height);
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
