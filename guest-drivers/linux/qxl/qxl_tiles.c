// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Of each head, which tiles may differ from what the device shows. What programs say has changed is marked here; when
 * the device has no room it stays marked, so however much is drawn meanwhile, what waits is never more than a screen.
 */
#include "qxl.h"

void qxl_tiles_mark(struct qxl_tiles *tiles, const struct drm_rect *rect)
{
	s32 x1 = max(rect->x1, 0), y1 = max(rect->y1, 0);
	s32 x2 = min(rect->x2, QXL_MODE_MAX), y2 = min(rect->y2, QXL_MODE_MAX);
	u32 row, column, columns;

	if (x1 >= x2 || y1 >= y2)
		return;
	column = x1 / QXL_TILE_WIDTH;
	columns = DIV_ROUND_UP(x2, QXL_TILE_WIDTH) - column;
	row = y1 / QXL_TILE_HEIGHT;
	tiles->first = tiles->end ? min(tiles->first, row) : row;
	tiles->end = max_t(u32, tiles->end, DIV_ROUND_UP(y2, QXL_TILE_HEIGHT));
	for (; row < DIV_ROUND_UP(y2, QXL_TILE_HEIGHT); row++)
		bitmap_set(tiles->rows[row], column, columns);
}

void qxl_tiles_clear(struct qxl_tiles *tiles)
{
	if (tiles->end)
		memset(tiles->rows[tiles->first], 0, (tiles->end - tiles->first) * sizeof(tiles->rows[0]));
	tiles->first = 0;
	tiles->end = 0;
}

void qxl_tiles_copy(struct qxl_tiles *to, const struct qxl_tiles *from)
{
	qxl_tiles_clear(to);
	to->first = from->first;
	to->end = from->end;
	memcpy(to->rows[to->first], from->rows[to->first], (to->end - to->first) * sizeof(to->rows[0]));
}

/* Those that are out of a screen of this size are no more. */
void qxl_tiles_clip(struct qxl_tiles *tiles, u32 width, u32 height)
{
	u32 columns = DIV_ROUND_UP(width, QXL_TILE_WIDTH);
	u32 rows = DIV_ROUND_UP(height, QXL_TILE_HEIGHT);
	u32 row;

	for (row = tiles->first; row < tiles->end; row++)
		if (row >= rows)
			bitmap_zero(tiles->rows[row], QXL_TILE_COLUMNS);
		else if (columns < QXL_TILE_COLUMNS)
			bitmap_clear(tiles->rows[row], columns, QXL_TILE_COLUMNS - columns);
	/* Nothing is marked any more, so nothing has to be looked at. */
	while (tiles->end > tiles->first && bitmap_empty(tiles->rows[tiles->end - 1], QXL_TILE_COLUMNS))
		tiles->end--;
	if (tiles->end == tiles->first)
		qxl_tiles_clear(tiles);
}

u32 qxl_tiles_count(const struct qxl_tiles *tiles)
{
	u32 row, count = 0;

	for (row = tiles->first; row < tiles->end; row++)
		count += bitmap_weight(tiles->rows[row], QXL_TILE_COLUMNS);
	return count;
}

/* The smallest rectangle of whole tiles that has all that are marked; whether there are any. */
static bool qxl_tiles_bounds(const struct qxl_tiles *tiles, struct drm_rect *bounds)
{
	u32 row;

	*bounds = (struct drm_rect){ .x1 = QXL_MODE_MAX, .y1 = QXL_MODE_MAX };
	for (row = tiles->first; row < tiles->end; row++) {
		u32 first = find_first_bit(tiles->rows[row], QXL_TILE_COLUMNS);

		if (first == QXL_TILE_COLUMNS)
			continue;
		bounds->x1 = min_t(s32, bounds->x1, first * QXL_TILE_WIDTH);
		bounds->x2 = max_t(s32, bounds->x2,
				   (find_last_bit(tiles->rows[row], QXL_TILE_COLUMNS) + 1) * QXL_TILE_WIDTH);
		bounds->y1 = min_t(s32, bounds->y1, row * QXL_TILE_HEIGHT);
		bounds->y2 = (row + 1) * QXL_TILE_HEIGHT;
	}
	return drm_rect_visible(bounds);
}

/* Marks more, so that there are at most so many stretches of tiles: a command costs more than a few tiles. */
void qxl_tiles_simplify(struct qxl_tiles *tiles, u32 most)
{
	struct drm_rect bounds;
	u32 row, stretches = 0;

	for (row = tiles->first; row < tiles->end; row++) {
		u32 column = find_first_bit(tiles->rows[row], QXL_TILE_COLUMNS);

		while (column < QXL_TILE_COLUMNS) {
			stretches++;
			column = find_next_zero_bit(tiles->rows[row], QXL_TILE_COLUMNS, column);
			column = find_next_bit(tiles->rows[row], QXL_TILE_COLUMNS, column);
		}
	}
	if (stretches > most && qxl_tiles_bounds(tiles, &bounds))
		qxl_tiles_mark(tiles, &bounds);
}

/* Marks all tiles around when nearly all of them are: one picture takes less than several. */
void qxl_tiles_fill(struct qxl_tiles *tiles)
{
	struct drm_rect bounds;
	u32 area;

	if (!qxl_tiles_bounds(tiles, &bounds))
		return;
	area = drm_rect_width(&bounds) / QXL_TILE_WIDTH * (drm_rect_height(&bounds) / QXL_TILE_HEIGHT);
	if (qxl_tiles_count(tiles) * 8 >= area * 7)
		qxl_tiles_mark(tiles, &bounds);
}

/* Whether tiles from `first` to `end` are marked, and those beside them are not. */
static bool qxl_tiles_has_stretch(const struct qxl_tiles *tiles, u32 row, u32 first, u32 end)
{
	return test_bit(first, tiles->rows[row]) && (!first || !test_bit(first - 1, tiles->rows[row])) &&
	       find_next_zero_bit(tiles->rows[row], QXL_TILE_COLUMNS, first) == end;
}

/* Takes off a rectangle: a stretch of tiles and the same one of the rows below. Whether there was any. */
bool qxl_tiles_take(struct qxl_tiles *tiles, struct drm_rect *rect)
{
	for (; tiles->first < tiles->end; tiles->first++) {
		u32 row = tiles->first;
		u32 first = find_first_bit(tiles->rows[row], QXL_TILE_COLUMNS);
		u32 end;

		if (first == QXL_TILE_COLUMNS)
			continue;
		end = find_next_zero_bit(tiles->rows[row], QXL_TILE_COLUMNS, first);
		do {
			bitmap_clear(tiles->rows[row], first, end - first);
			row++;
		} while (row < tiles->end && qxl_tiles_has_stretch(tiles, row, first, end));
		*rect = DRM_RECT_INIT(first * QXL_TILE_WIDTH, tiles->first * QXL_TILE_HEIGHT,
				      (end - first) * QXL_TILE_WIDTH, (row - tiles->first) * QXL_TILE_HEIGHT);
		return true;
	}
	qxl_tiles_clear(tiles);
	return false;
}
