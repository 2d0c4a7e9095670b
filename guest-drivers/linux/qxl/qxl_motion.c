// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Scrolls and moved windows: what a head is to show and the device shows already, in another place. What went up or
 * down is found by hashes of segments, each of which votes for the places that have it. What went any other way is
 * looked for by a few pixels of lines that were kept, near where they were. Then the rectangle that moved is measured.
 *
 * What is found needs not be right nor complete: after the device was told to copy, what differs is sent as always. So
 * the search is bounded and gives up early.
 */
#include "qxl.h"

/* Segments that vote, and how many of them must agree. */
#define QXL_VOTERS		64
#define QXL_VOTES		4
/* Of a line that is looked for, in pixels; it lies in one tile. */
#define QXL_ANCHOR_WIDTH	32
#define QXL_ANCHORS		12
/* Changes of colour in either, at least. */
#define QXL_ANCHOR_EDGES	4
/* How far a window is looked for, each way; what scrolls left or right may have come from further. */
#define QXL_MOTION_NEAR		64
/* Tiles that changed, from which on it pays. */
#define QXL_MOTION_TILES	24
/* Anchors that must agree, and how many one motion may be found by. */
#define QXL_MOTION_AGREE	3
#define QXL_MOTION_TRIES	16
/* Anchors that are looked for. */
#define QXL_MOTION_SCANS	3

struct qxl_anchor {
	s32 x;
	s32 y;
	const u32 *pixels;
};

struct qxl_search {
	struct qxl *qxl;
	struct qxl_head *head;
	/* What is on the screen of the head. */
	s32 width;
	s32 height;
	/* Pixels that the device shows where others are now. */
	struct qxl_anchor anchors[QXL_ANCHORS];
	u32 count;
	u32 tries;
	/* The best so far: where the pixels were, seen from where they are. */
	s32 dx;
	s32 dy;
	u32 agree;
	/* For each number of lines up or down. */
	u8 votes[2 * QXL_MODE_MAX];
};

static bool qxl_motion_is_rich(const u32 *pixels, u32 count)
{
	u32 i, edges = 0;

	for (i = 1; i < count; i++)
		edges += pixels[i] != pixels[i - 1];
	return edges >= QXL_ANCHOR_EDGES;
}

/* The hash of what the framebuffer has in a segment. Where nobody said that it changed it has what is shown. */
static u64 qxl_motion_now(const struct qxl_search *search, u32 segment, s32 y)
{
	if (test_bit(segment / QXL_TILE_SEGMENTS, search->qxl->seen->rows[y / QXL_TILE_HEIGHT]))
		return *qxl_now_at(search->qxl, search->head, segment, y);
	return *qxl_shown_at(search->head, segment, y);
}

/* A segment of a tile votes for the lines in which the device shows it. Whether there is one that can be told apart. */
static bool qxl_motion_vote(struct qxl_search *search, u32 segment, s32 y)
{
	s32 x = segment * QXL_SEGMENT, end = min(y + QXL_TILE_HEIGHT, search->height), line;
	u32 stride = search->head->shown.stride;
	const u64 *shown = qxl_shown_at(search->head, segment, 0);
	u64 hash;

	if (x + QXL_SEGMENT > search->width)
		return false;
	for (; y < end; y++) {
		hash = *qxl_now_at(search->qxl, search->head, segment, y);
		if (hash != shown[(size_t)y * stride] &&
		    qxl_motion_is_rich(qxl_source_at(search->qxl, search->head, x, y, QXL_SEGMENT), QXL_SEGMENT))
			break;
	}
	if (y >= end)
		return false;
	for (line = 0; line < search->height; line++, shown += stride)
		if (*shown == hash)
			search->votes[line - y + QXL_MODE_MAX]++;
	return true;
}

/* Lets some of the changed tiles vote, from all over, and counts; the shortest way of those with most votes wins. */
static bool qxl_motion_vertical(struct qxl_search *search, const struct qxl_tiles *changed, u32 tiles)
{
	u32 step = max(tiles / QXL_VOTERS, 1u), number = 0, voters = 0, most = 0;
	u32 row, column, segment;
	s32 dy;

	memset(search->votes + QXL_MODE_MAX - search->height, 0, 2 * search->height);
	for (row = changed->first; row < changed->end; row++)
		for_each_set_bit(column, changed->rows[row], QXL_TILE_COLUMNS) {
			if (number++ % step || voters == QXL_VOTERS)
				continue;
			segment = column * QXL_TILE_SEGMENTS + number % QXL_TILE_SEGMENTS;
			voters += qxl_motion_vote(search, segment, row * QXL_TILE_HEIGHT);
		}
	search->dx = 0;
	for (dy = 1; dy < search->height; dy++) {
		u32 down = search->votes[QXL_MODE_MAX + dy], up = search->votes[QXL_MODE_MAX - dy];

		if (max(down, up) <= most)
			continue;
		most = max(down, up);
		search->dy = down >= up ? dy : -dy;
	}
	return most >= max_t(u32, QXL_VOTES, voters / 4);
}

/* Some of what the device shows in the tiles that have changed, from all over. */
static void qxl_motion_anchors(struct qxl_search *search, const struct qxl_tiles *changed, u32 tiles)
{
	u32 step = max(tiles / (2 * QXL_ANCHORS), 1u);
	u32 row, column, number = 0;

	search->count = 0;
	for (row = changed->first; row < changed->end; row++)
		for_each_set_bit(column, changed->rows[row], QXL_TILE_COLUMNS) {
			struct qxl_anchor *anchor = &search->anchors[search->count];
			s32 x = column * QXL_TILE_WIDTH + (number & 1) * QXL_ANCHOR_WIDTH;
			s32 y = row * QXL_TILE_HEIGHT + QXL_KEY_LINE;

			if (number++ % step || x + QXL_ANCHOR_WIDTH > search->width || y >= search->height)
				continue;
			*anchor = (struct qxl_anchor){ x, y, qxl_shown_key(search->head, row) + x };
			if (!qxl_motion_is_rich(anchor->pixels, QXL_ANCHOR_WIDTH))
				continue;
			search->count++;
			if (search->count == QXL_ANCHORS)
				return;
		}
}

/* Whether the framebuffer has an anchor `dx` to the left and `dy` above of where it was. */
static bool qxl_motion_has_moved(struct qxl_search *search, const struct qxl_anchor *anchor, s32 dx, s32 dy)
{
	s32 x = anchor->x - dx, y = anchor->y - dy;

	if (x < 0 || y < 0 || x + QXL_ANCHOR_WIDTH > search->width || y >= search->height)
		return false;
	return !qxl_pixels_differ(qxl_source_at(search->qxl, search->head, x, y, QXL_ANCHOR_WIDTH), anchor->pixels,
				  QXL_ANCHOR_WIDTH);
}

/* Counts the anchors that have moved like this; true when no better motion has to be looked for. */
static bool qxl_motion_try(struct qxl_search *search, s32 dx, s32 dy)
{
	u32 i, agree = 0;

	if ((!dx && !dy) || search->tries >= QXL_MOTION_TRIES)
		return false;
	search->tries++;
	for (i = 0; i < search->count; i++)
		agree += qxl_motion_has_moved(search, &search->anchors[i], dx, dy);
	if (agree > search->agree) {
		search->agree = agree;
		search->dx = dx;
		search->dy = dy;
	}
	return search->agree > search->count / 2;
}

/* Looks for an anchor in one line of the framebuffer; true when there is no need to look further. */
static bool qxl_motion_scan_line(struct qxl_search *search, const struct qxl_anchor *anchor, s32 far, s32 y)
{
	u64 begin = get_unaligned((const u64 *)anchor->pixels);
	s32 x = max(anchor->x - far, 0), i;
	s32 count = min(anchor->x + far, search->width - QXL_ANCHOR_WIDTH) - x + 1;
	const u32 *line;

	if (y < 0 || y >= search->height)
		return false;
	line = qxl_source_at(search->qxl, search->head, x, y, count + QXL_ANCHOR_WIDTH - 1);
	for (i = 0; i < count; i++) {
		/* The fourth byte is part of this: where programs change it, less is found. */
		if (get_unaligned((const u64 *)(line + i)) != begin ||
		    qxl_pixels_differ(line + i, anchor->pixels, QXL_ANCHOR_WIDTH))
			continue;
		if (qxl_motion_try(search, anchor->x - x - i, anchor->y - y))
			return true;
		/* What was tried may have been copied to where the line was. */
		line = qxl_source_at(search->qxl, search->head, x, y, count + QXL_ANCHOR_WIDTH - 1);
	}
	return false;
}

/* Looks for an anchor, the nearest lines first: what is repeated, like words, is found in many. */
static bool qxl_motion_scan(struct qxl_search *search, u32 number, s32 far_x, s32 far_y)
{
	const struct qxl_anchor *anchor = &search->anchors[number % search->count];
	s32 i;

	search->tries = 0;
	for (i = 0; i <= far_y; i++)
		if (qxl_motion_scan_line(search, anchor, far_x, anchor->y + i) ||
		    (i && qxl_motion_scan_line(search, anchor, far_x, anchor->y - i)))
			return true;
	return false;
}

/* A motion that enough anchors have made: to the side, or near. */
static bool qxl_motion_aside(struct qxl_search *search, const struct qxl_tiles *changed, u32 tiles)
{
	static const struct {
		s32 x;
		s32 y;
	} far[] = { { QXL_MODE_MAX, 0 }, { QXL_MOTION_NEAR, QXL_MOTION_NEAR } };
	u32 i, number;

	search->agree = 0;
	search->tries = 0;
	qxl_motion_anchors(search, changed, tiles);
	if (search->count < QXL_MOTION_AGREE)
		return false;
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

/* Whether what the framebuffer has in a line, from one edge of a tile to another, was where it should come from. */
static bool qxl_motion_line_fits(struct qxl_search *search, s32 x1, s32 x2, s32 y)
{
	struct qxl *qxl = search->qxl;
	struct qxl_head *head = search->head;
	s32 dx = search->dx, dy = search->dy;
	u32 segment, end;
	const u32 *now;

	x2 = min(x2, search->width);
	if (y + dy < 0 || y + dy >= search->height || x1 + dx < 0 || x2 + dx > search->width)
		return false;
	if (!dx) {
		for (segment = x1 / QXL_SEGMENT; segment < DIV_ROUND_UP(x2, QXL_SEGMENT); segment++)
			if (qxl_motion_now(search, segment, y) != *qxl_shown_at(head, segment, y + dy))
				return false;
		return true;
	}
	segment = DIV_ROUND_UP(x1 + dx, QXL_SEGMENT);
	end = (x2 + dx) / QXL_SEGMENT;
	if (segment >= end)
		return false;
	now = qxl_source_at(qxl, head, x1, y, x2 - x1);
	for (; segment < end; segment++)
		if (qxl_hash(&qxl->hash_key, now + segment * QXL_SEGMENT - dx - x1) !=
		    *qxl_shown_at(head, segment, y + dy))
			return false;
	return true;
}

/* Whether all of a tile went up or down. */
static bool qxl_motion_tile_went(const struct qxl_search *search, u32 column, u32 row)
{
	struct qxl_head *head = search->head;
	u32 first = column * QXL_TILE_SEGMENTS, stride = head->shown.stride;
	u32 count = min_t(u32, QXL_TILE_SEGMENTS, stride - first), i;
	s32 y = row * QXL_TILE_HEIGHT, end = min(y + QXL_TILE_HEIGHT, search->height);
	const u64 *now, *was;

	if (y + search->dy < 0 || end + search->dy > search->height)
		return false;
	was = qxl_shown_at(head, first, y + search->dy);
	/* Where nobody said that something changed the framebuffer has what is shown. */
	if (test_bit(column, search->qxl->seen->rows[row]))
		now = qxl_now_at(search->qxl, head, first, y);
	else
		now = qxl_shown_at(head, first, y);
	for (; y < end; y++, now += stride, was += stride)
		for (i = 0; i < count; i++)
			if (now[i] != was[i])
				return false;
	return true;
}

/* Of what went to the side not every line is looked at. */
static bool qxl_motion_tile_fits(struct qxl_search *search, u32 column, u32 row)
{
	s32 x = column * QXL_TILE_WIDTH, y = row * QXL_TILE_HEIGHT;
	s32 end = min(y + QXL_TILE_HEIGHT, search->height);

	if (!search->dx)
		return qxl_motion_tile_went(search, column, row);
	for (; y < end; y += QXL_TILE_HEIGHT / 2)
		if (!qxl_motion_line_fits(search, x, x + QXL_TILE_WIDTH, y))
			return false;
	return true;
}

/*
 * The tiles that moved, at least so many, as a rectangle; whether most of it is so: what has not changed may look the
 * same as well.
 */
static bool qxl_motion_measure(struct qxl_search *search, const struct qxl_tiles *changed, u32 least,
			       struct drm_rect *rect)
{
	u32 row, column, moved = 0, fit, area = 0;
	s32 x, y;

	*rect = (struct drm_rect){ .x1 = QXL_MODE_MAX, .y1 = QXL_MODE_MAX };
	for (row = changed->first; row < changed->end; row++)
		for_each_set_bit(column, changed->rows[row], QXL_TILE_COLUMNS) {
			if (!qxl_motion_tile_fits(search, column, row))
				continue;
			x = column * QXL_TILE_WIDTH;
			y = row * QXL_TILE_HEIGHT;
			moved++;
			rect->x1 = min(rect->x1, x);
			rect->y1 = min(rect->y1, y);
			rect->x2 = max(rect->x2, x + QXL_TILE_WIDTH);
			rect->y2 = max(rect->y2, y + QXL_TILE_HEIGHT);
		}
	if (moved < max(least, QXL_MOTION_TILES / 2u))
		return false;
	fit = moved;
	for (row = rect->y1 / QXL_TILE_HEIGHT; row < rect->y2 / QXL_TILE_HEIGHT; row++)
		for (column = rect->x1 / QXL_TILE_WIDTH; column < rect->x2 / QXL_TILE_WIDTH; column++) {
			area++;
			/* Those that have changed were looked at. */
			if (!test_bit(column, changed->rows[row]))
				fit += qxl_motion_tile_fits(search, column, row);
		}
	rect->x2 = min(rect->x2, search->width);
	rect->y2 = min(rect->y2, search->height);
	return fit > area / 2;
}

/* How many pixels beside the rectangle have moved, in a line that was kept; none says how many there could be. */
static u32 qxl_motion_beside(struct qxl_search *search, const struct drm_rect *rect, bool is_right, s32 y, u32 most)
{
	s32 x = is_right ? rect->x2 : rect->x1 - (s32)most;
	const u32 *was = qxl_shown_key(search->head, (y + search->dy) / QXL_TILE_HEIGHT) + x + search->dx;
	const u32 *now = qxl_source_at(search->qxl, search->head, x, y, most);
	u32 i;

	for (i = 0; i < most; i++) {
		u32 at = is_right ? i : most - 1 - i;

		if (qxl_pixels_differ(now + at, was + at, 1))
			break;
	}
	return i;
}

/* The columns beside the rectangle that have moved, by most of the lines that were kept. */
static u32 qxl_motion_columns(struct qxl_search *search, const struct drm_rect *rect, bool is_right)
{
	s32 room = is_right ? search->width - rect->x2 : rect->x1;
	s32 room_there = is_right ? search->width - rect->x2 - search->dx : rect->x1 + search->dx;
	s32 most = clamp(min(room, room_there), 0, QXL_TILE_WIDTH);
	u8 lines[QXL_TILE_WIDTH + 1] = {};
	u32 count = 0, others = 0, i;
	s32 y, end;

	/* From the first line on that was kept of where the rectangle came from. */
	y = round_up(max(rect->y1 + search->dy, 0) + QXL_KEY_LINE, QXL_TILE_HEIGHT) - QXL_KEY_LINE - search->dy;
	end = min(rect->y2, search->height - search->dy);
	for (; y < end && count < U8_MAX; y += QXL_TILE_HEIGHT, count++)
		lines[qxl_motion_beside(search, rect, is_right, y, most)]++;
	for (i = 0; i < most && count; i++) {
		others += lines[i];
		if (others * 8 >= count)
			break;
	}
	return count ? i : 0;
}

/* Windows do not end where tiles do: takes in the lines and columns around that have moved as well. */
static void qxl_motion_grow(struct qxl_search *search, struct drm_rect *rect)
{
	u32 i, left;

	for (i = 0; i < QXL_TILE_HEIGHT && rect->y1 > 0; i++, rect->y1--)
		if (!qxl_motion_line_fits(search, rect->x1, rect->x2, rect->y1 - 1))
			break;
	for (i = 0; i < QXL_TILE_HEIGHT && rect->y2 < search->height; i++, rect->y2++)
		if (!qxl_motion_line_fits(search, rect->x1, rect->x2, rect->y2))
			break;
	left = qxl_motion_columns(search, rect, false);
	rect->x2 += qxl_motion_columns(search, rect, true);
	rect->x1 -= left;
	/* What is copied must be on the screen as well. */
	rect->x1 = max(rect->x1, -search->dx);
	rect->y1 = max(rect->y1, -search->dy);
	rect->x2 = min(rect->x2, search->width - search->dx);
	rect->y2 = min(rect->y2, search->height - search->dy);
}

/* What moves often moves on like that: then nothing has to be looked for. */
static bool qxl_motion_again(struct qxl_search *search, const struct qxl_tiles *changed, u32 tiles,
			     struct drm_rect *rect)
{
	search->dx = search->head->motion.dx;
	search->dy = search->head->motion.dy;
	return (search->dx || search->dy) && qxl_motion_measure(search, changed, tiles / 4 * 3, rect);
}

/*
 * Looks whether what has changed on a head, of which so much is shown, is there elsewhere: `rect` of it is what the
 * device shows `dx` to the right and `dy` below.
 */
bool qxl_motion_find(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height, struct drm_rect *rect,
		     s32 *dx, s32 *dy)
{
	const struct qxl_tiles *changed = qxl->changed;
	struct qxl_search *search = qxl->search;
	u32 tiles = qxl_tiles_count(changed);

	if (tiles < QXL_MOTION_TILES)
		return false;
	search->qxl = qxl;
	search->head = head;
	search->width = width;
	search->height = height;
	if (!qxl_motion_again(search, changed, tiles, rect) &&
	    !(qxl_motion_vertical(search, changed, tiles) && qxl_motion_measure(search, changed, 0, rect)) &&
	    !(qxl_motion_aside(search, changed, tiles) && qxl_motion_measure(search, changed, 0, rect)))
		return false;
	qxl_motion_grow(search, rect);
	if (!drm_rect_visible(rect))
		return false;
	head->motion.dx = search->dx;
	head->motion.dy = search->dy;
	*dx = search->dx;
	*dy = search->dy;
	return true;
}

size_t qxl_motion_bytes(void)
{
	return sizeof(struct qxl_search);
}
