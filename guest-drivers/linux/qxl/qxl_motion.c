// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Scrolls and moved windows: what a head is to show and the device shows already, in another place. It is found by a
 * few lines of pixels that are not all alike, looked for near where they are now; then the rectangle around them that
 * moved is measured.
 *
 * What is found needs not be right nor complete: after the device was told to copy, what differs is sent as always. So
 * the search is bounded and gives up early.
 */
#include "qxl.h"

/* Of a line that is looked for, in pixels; it lies in one tile. */
#define QXL_ANCHOR_WIDTH	32
#define QXL_ANCHORS		12
/* Changes of colour in it, at least. */
#define QXL_ANCHOR_EDGES	4
/* How far a window is looked for, each way; what scrolls up or down, or left or right, may have come from further. */
#define QXL_MOTION_NEAR		64
/* Tiles that changed, from which on it pays. */
#define QXL_MOTION_TILES	24
/* Anchors that must agree, and how many one motion may be found by. */
#define QXL_MOTION_AGREE	3
#define QXL_MOTION_TRIES	16
/* Anchors that are looked for. */
#define QXL_MOTION_SCANS	3
/* Searches without a result, after which some are left out, and how many at most. */
#define QXL_MOTION_PATIENCE	4
#define QXL_MOTION_PAUSE_MAX	8

struct qxl_anchor {
	s32 x;
	s32 y;
	u32 pixels[QXL_ANCHOR_WIDTH];
};

struct qxl_search {
	struct qxl *qxl;
	struct qxl_head *head;
	/* What is on the screen of the head. */
	s32 width;
	s32 height;
	struct qxl_anchor anchors[QXL_ANCHORS];
	u32 count;
	u32 tries;
	/* The best so far: where the pixels were, seen from where they are. */
	s32 dx;
	s32 dy;
	u32 agree;
};

/* Whether pixels of the head from (x, y) on are on the device, but at (x + dx, y + dy). */
static bool qxl_motion_fits(struct qxl_search *search, s32 x, s32 y, u32 width, s32 dx, s32 dy)
{
	const u32 *now;

	if (x + dx < 0 || y + dy < 0 || x + dx + (s32)width > search->width || y + dy >= search->height)
		return false;
	now = qxl_source_at(search->qxl, search->head, x, y, width);
	return !qxl_pixels_differ(now, qxl_shadow_at(search->qxl, search->head, x + dx, y + dy), width);
}

static bool qxl_motion_is_anchor(const u32 *pixels)
{
	u32 i, edges = 0;

	for (i = 1; i < QXL_ANCHOR_WIDTH; i++)
		edges += pixels[i] != pixels[i - 1];
	return edges >= QXL_ANCHOR_EDGES;
}

/* A line of a tile that can be told from others, if there is any. */
static void qxl_motion_anchor(struct qxl_search *search, s32 x, s32 y)
{
	struct qxl_anchor *anchor = &search->anchors[search->count];
	s32 end = min(y + QXL_TILE_HEIGHT, search->height);

	if (x + QXL_ANCHOR_WIDTH > search->width)
		return;
	for (; y < end; y++) {
		memcpy(anchor->pixels, qxl_source_at(search->qxl, search->head, x, y, QXL_ANCHOR_WIDTH),
		       sizeof(anchor->pixels));
		if (qxl_motion_is_anchor(anchor->pixels)) {
			anchor->x = x;
			anchor->y = y;
			search->count++;
			return;
		}
	}
}

/* Some of the changed tiles, from all over. */
static void qxl_motion_anchors(struct qxl_search *search, const struct qxl_tiles *changed, u32 tiles)
{
	u32 step = max(tiles / (2 * QXL_ANCHORS), 1u);
	u32 row, column, number = 0;

	for (row = changed->first; row < changed->end; row++)
		for_each_set_bit(column, changed->rows[row], QXL_TILE_COLUMNS) {
			if (number++ % step)
				continue;
			qxl_motion_anchor(search, column * QXL_TILE_WIDTH + (number & 1) * QXL_ANCHOR_WIDTH,
					  row * QXL_TILE_HEIGHT);
			if (search->count == QXL_ANCHORS)
				return;
		}
}

/* Counts the anchors that have moved like this; true when no better motion has to be looked for. */
static bool qxl_motion_try(struct qxl_search *search, s32 dx, s32 dy)
{
	u32 i, agree = 0;

	if ((!dx && !dy) || search->tries >= QXL_MOTION_TRIES)
		return false;
	search->tries++;
	for (i = 0; i < search->count; i++) {
		const struct qxl_anchor *anchor = &search->anchors[i];

		agree += qxl_motion_fits(search, anchor->x, anchor->y, QXL_ANCHOR_WIDTH, dx, dy);
	}
	if (agree > search->agree) {
		search->agree = agree;
		search->dx = dx;
		search->dy = dy;
	}
	return search->agree > search->count / 2;
}

/* Looks for an anchor in one line of the shadow, `dy` below where it is; true when there is no need to look further. */
static bool qxl_motion_scan_line(struct qxl_search *search, const struct qxl_anchor *anchor, s32 far, s32 dy)
{
	u64 begin = get_unaligned((const u64 *)anchor->pixels);
	s32 dx = max(-far, -anchor->x);
	s32 end = min(far, search->width - QXL_ANCHOR_WIDTH - anchor->x);
	const u32 *line;

	if (anchor->y + dy < 0 || anchor->y + dy >= search->height)
		return false;
	line = qxl_shadow_at(search->qxl, search->head, anchor->x, anchor->y + dy);
	for (; dx <= end; dx++) {
		/* The fourth byte is part of this: where programs change it, less is found. */
		if (get_unaligned((const u64 *)(line + dx)) != begin ||
		    qxl_pixels_differ(line + dx, anchor->pixels, QXL_ANCHOR_WIDTH))
			continue;
		if (qxl_motion_try(search, dx, dy))
			return true;
	}
	return false;
}

/* Looks for an anchor, the nearest lines first: what is repeated, like words, is found in many. */
static bool qxl_motion_scan(struct qxl_search *search, u32 number, s32 far_x, s32 far_y)
{
	const struct qxl_anchor *anchor = &search->anchors[number % search->count];
	s32 dy;

	search->tries = 0;
	far_y = min(far_y, search->height);
	for (dy = 0; dy <= far_y; dy++)
		if (qxl_motion_scan_line(search, anchor, far_x, dy) ||
		    (dy && qxl_motion_scan_line(search, anchor, far_x, -dy)))
			return true;
	return false;
}

/* A motion that enough anchors have made. Most are up, down or to the side; windows go any way, but not far at once. */
static bool qxl_motion_search(struct qxl_search *search)
{
	static const struct {
		s32 x;
		s32 y;
	} far[] = { { 0, QXL_MODE_MAX }, { QXL_MODE_MAX, 0 }, { QXL_MOTION_NEAR, QXL_MOTION_NEAR } };
	u32 i, number;

	/* What moves often moves on like that. */
	if (qxl_motion_try(search, search->head->motion.dx, search->head->motion.dy))
		return true;
	for (i = 0; i < ARRAY_SIZE(far); i++) {
		for (number = 0; number < QXL_MOTION_SCANS; number++)
			if (qxl_motion_scan(search, number * search->count / QXL_MOTION_SCANS, far[i].x, far[i].y))
				return true;
		if (search->agree >= QXL_MOTION_AGREE)
			return true;
	}
	return false;
}

static bool qxl_motion_tile_fits(struct qxl_search *search, s32 x, s32 y)
{
	u32 width = min(QXL_TILE_WIDTH, search->width - x);
	s32 end = min(y + QXL_TILE_HEIGHT, search->height);

	for (; y < end; y++)
		if (!qxl_motion_fits(search, x, y, width, search->dx, search->dy))
			return false;
	return true;
}

/* The tiles that moved, as a rectangle; whether most of it is so: what has not changed may look the same as well. */
static bool qxl_motion_measure(struct qxl_search *search, const struct qxl_tiles *changed, struct drm_rect *rect)
{
	u32 row, column, moved = 0, fit, area = 0;
	s32 x, y;

	*rect = (struct drm_rect){ .x1 = QXL_MODE_MAX, .y1 = QXL_MODE_MAX };
	for (row = changed->first; row < changed->end; row++)
		for_each_set_bit(column, changed->rows[row], QXL_TILE_COLUMNS) {
			x = column * QXL_TILE_WIDTH;
			y = row * QXL_TILE_HEIGHT;
			if (!qxl_motion_tile_fits(search, x, y))
				continue;
			moved++;
			rect->x1 = min(rect->x1, x);
			rect->y1 = min(rect->y1, y);
			rect->x2 = max(rect->x2, x + QXL_TILE_WIDTH);
			rect->y2 = max(rect->y2, y + QXL_TILE_HEIGHT);
		}
	if (moved < QXL_MOTION_TILES / 2)
		return false;
	fit = moved;
	for (y = rect->y1; y < rect->y2; y += QXL_TILE_HEIGHT)
		for (x = rect->x1; x < rect->x2; x += QXL_TILE_WIDTH) {
			area++;
			/* Those that have changed were looked at. */
			if (!test_bit(x / QXL_TILE_WIDTH, changed->rows[y / QXL_TILE_HEIGHT]))
				fit += qxl_motion_tile_fits(search, x, y);
		}
	return fit > area / 2;
}

/* Whether most of a column has moved. */
static bool qxl_motion_column(struct qxl_search *search, const struct drm_rect *rect, s32 x)
{
	u32 others = 0;
	s32 y;

	for (y = rect->y1; y < rect->y2; y++)
		others += !qxl_motion_fits(search, x, y, 1, search->dx, search->dy);
	return others * 8 < drm_rect_height(rect);
}

/* Windows do not end where tiles do: takes in the lines and columns around that have moved as well. */
static void qxl_motion_grow(struct qxl_search *search, struct drm_rect *rect)
{
	u32 i;

	rect->x2 = min(rect->x2, search->width);
	rect->y2 = min(rect->y2, search->height);
	for (i = 0; i < QXL_TILE_HEIGHT && rect->y1 > 0; i++, rect->y1--)
		if (!qxl_motion_fits(search, rect->x1, rect->y1 - 1, drm_rect_width(rect), search->dx, search->dy))
			break;
	for (i = 0; i < QXL_TILE_HEIGHT && rect->y2 < search->height; i++, rect->y2++)
		if (!qxl_motion_fits(search, rect->x1, rect->y2, drm_rect_width(rect), search->dx, search->dy))
			break;
	for (i = 0; i < QXL_TILE_WIDTH && rect->x1 > 0; i++, rect->x1--)
		if (!qxl_motion_column(search, rect, rect->x1 - 1))
			break;
	for (i = 0; i < QXL_TILE_WIDTH && rect->x2 < search->width; i++, rect->x2++)
		if (!qxl_motion_column(search, rect, rect->x2))
			break;
	/* What is copied must be on the screen as well. */
	rect->x1 = max(rect->x1, -search->dx);
	rect->y1 = max(rect->y1, -search->dy);
	rect->x2 = min(rect->x2, search->width - search->dx);
	rect->y2 = min(rect->y2, search->height - search->dy);
}

/*
 * Looks whether what has changed on a head, of which so much is shown, is there elsewhere: `rect` of it is what the
 * device shows `dx` to the right and `dy` below.
 */
bool qxl_motion_find(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height, struct drm_rect *rect,
		     s32 *dx, s32 *dy)
{
	const struct qxl_tiles *changed = qxl->changed;
	struct qxl_motion *motion = &head->motion;
	struct qxl_search *search = qxl->search;
	u32 tiles = qxl_tiles_count(changed);
	bool is_found;

	if (tiles < QXL_MOTION_TILES)
		return false;
	if (motion->pause) {
		motion->pause--;
		return false;
	}
	search->qxl = qxl;
	search->head = head;
	search->width = width;
	search->height = height;
	search->count = 0;
	search->tries = 0;
	search->agree = 0;
	qxl_motion_anchors(search, changed, tiles);
	is_found = search->count >= QXL_MOTION_AGREE && qxl_motion_search(search) &&
		   qxl_motion_measure(search, changed, rect);
	if (is_found) {
		qxl_motion_grow(search, rect);
		is_found = drm_rect_visible(rect);
	}
	if (!is_found) {
		motion->failures++;
		if (motion->failures > QXL_MOTION_PATIENCE)
			motion->pause = min(motion->failures - QXL_MOTION_PATIENCE, QXL_MOTION_PAUSE_MAX);
		return false;
	}
	motion->failures = 0;
	motion->dx = search->dx;
	motion->dy = search->dy;
	*dx = search->dx;
	*dy = search->dy;
	return true;
}

size_t qxl_motion_bytes(void)
{
	return sizeof(struct qxl_search);
}
