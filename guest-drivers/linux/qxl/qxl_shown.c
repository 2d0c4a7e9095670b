// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the device shows of a head when it has done all it was told: not its pixels, but a hash of each segment of a
 * line, of 64 bits with a key that nobody else has. So what a program says has changed is read once, and what did not
 * change, or only moved, is told without the pixels that were there before. A segment whose pixels are not known has
 * the hash 0, which is that of none.
 *
 * Some pixels are kept beside that, one line of each row of tiles: what moved is looked for by them. They are only a
 * hint, and need not be what the device shows.
 */
#include <linux/mm.h>

#include "qxl.h"

static size_t qxl_shown_segments(const struct qxl_shown *shown)
{
	return (size_t)shown->stride * shown->height;
}

static size_t qxl_shown_key_pixels(const struct qxl_shown *shown)
{
	return (size_t)shown->width * DIV_ROUND_UP(shown->height, QXL_TILE_HEIGHT);
}

static size_t qxl_shown_edge_pixels(const struct qxl_shown *shown)
{
	return (size_t)QXL_SEGMENT * shown->height;
}

/* Memory for a head of this size, all of it black. Without it everything that may differ is sent. */
static void qxl_shown_begin(struct qxl *qxl, struct qxl_shown *shown, u32 width, u32 height)
{
	size_t bytes;
	unsigned int i;

	if (shown->width != width || shown->height != height || !shown->hashes) {
		kvfree(shown->hashes);
		*shown = (struct qxl_shown){
			.width = width, .height = height, .stride = DIV_ROUND_UP(width, QXL_SEGMENT),
		};
		bytes = qxl_shown_segments(shown) * sizeof(u64) +
			(qxl_shown_key_pixels(shown) + ARRAY_SIZE(shown->edges) * qxl_shown_edge_pixels(shown)) *
				sizeof(u32);
		shown->hashes = bytes ? kvzalloc(bytes, GFP_KERNEL | __GFP_NOWARN) : NULL;
		if (!shown->hashes)
			return;
		shown->keys = (u32 *)(shown->hashes + qxl_shown_segments(shown));
		for (i = 0; i < ARRAY_SIZE(shown->edges); i++)
			shown->edges[i].pixels =
				shown->keys + qxl_shown_key_pixels(shown) + i * qxl_shown_edge_pixels(shown);
	}
	for (i = 0; i < ARRAY_SIZE(shown->edges); i++)
		shown->edges[i].segment = -1;
	memset64(shown->hashes, qxl_hash_colour(&qxl->hash_key, 0, QXL_SEGMENT), qxl_shown_segments(shown));
	memset(shown->keys, 0, qxl_shown_key_pixels(shown) * sizeof(u32));
}

/* The device shows the layout, all of it black. */
void qxl_shown_reset(struct qxl *qxl)
{
	size_t segments = 0;
	unsigned int i;

	for (i = 0; i < qxl->heads_count; i++) {
		struct qxl_head_layout *layout = &qxl->layout.heads[i];
		struct qxl_shown *shown = &qxl->heads[i].shown;

		qxl_shown_begin(qxl, shown, layout->width, layout->height);
		segments = max(segments, qxl_shown_segments(shown));
	}
	if (qxl->now_segments < segments) {
		kvfree(qxl->now);
		qxl->now = kvmalloc_array(segments, sizeof(u64), GFP_KERNEL | __GFP_NOWARN);
		qxl->now_segments = qxl->now ? segments : 0;
	}
}

void qxl_shown_free(struct qxl *qxl)
{
	unsigned int i;

	for (i = 0; i < qxl->heads_count; i++) {
		kvfree(qxl->heads[i].shown.hashes);
		qxl->heads[i].shown = (struct qxl_shown){};
	}
	kvfree(qxl->now);
	qxl->now = NULL;
	qxl->now_segments = 0;
}

/* Whether it is known what the device shows of a head. */
bool qxl_shown_is_known(const struct qxl *qxl, const struct qxl_head *head)
{
	return head->shown.hashes && qxl->now;
}

/* How many pixels a segment has. */
static u32 qxl_shown_length(const struct qxl_shown *shown, u32 segment)
{
	return min_t(u32, QXL_SEGMENT, shown->width - segment * QXL_SEGMENT);
}

u64 *qxl_shown_at(const struct qxl_head *head, u32 segment, s32 y)
{
	return head->shown.hashes + (size_t)y * head->shown.stride + segment;
}

/* The hashes of what the framebuffer has, of the head that is looked at; they are of use where they were made. */
u64 *qxl_now_at(const struct qxl *qxl, const struct qxl_head *head, u32 segment, s32 y)
{
	return qxl->now + (size_t)y * head->shown.stride + segment;
}

/* The line of pixels that is kept of a row of tiles. */
u32 *qxl_shown_key(const struct qxl_head *head, u32 row)
{
	return head->shown.keys + (size_t)row * head->shown.width;
}

/* Where a line of a rectangle of whole segments is in them. */
static void qxl_shown_span(const struct drm_rect *rect, u32 *first, u32 *end)
{
	*first = rect->x1 / QXL_SEGMENT;
	*end = DIV_ROUND_UP(rect->x2, QXL_SEGMENT);
}

/* Whether what the framebuffer has differs from what the device shows, in some of a line. */
bool qxl_shown_differs(const struct qxl *qxl, const struct qxl_head *head, u32 first, u32 end, s32 y)
{
	return memcmp(qxl_now_at(qxl, head, first, y), qxl_shown_at(head, first, y), (end - first) * sizeof(u64));
}

/* Takes off lines and columns of segments at the edges of a rectangle that are no different. */
void qxl_shown_trim(const struct qxl *qxl, const struct qxl_head *head, struct drm_rect *rect)
{
	u32 first, end, left, right, i;
	s32 y;

	qxl_shown_span(rect, &first, &end);
	while (rect->y1 < rect->y2 && !qxl_shown_differs(qxl, head, first, end, rect->y1))
		rect->y1++;
	while (rect->y1 < rect->y2 && !qxl_shown_differs(qxl, head, first, end, rect->y2 - 1))
		rect->y2--;
	left = end;
	right = first;
	for (y = rect->y1; y < rect->y2; y++) {
		const u64 *now = qxl_now_at(qxl, head, 0, y);
		const u64 *shown = qxl_shown_at(head, 0, y);

		for (i = first; i < left && now[i] == shown[i]; i++)
			;
		left = i;
		for (i = end; i > right && now[i - 1] == shown[i - 1]; i--)
			;
		right = i;
	}
	rect->x1 = max_t(s32, rect->x1, left * QXL_SEGMENT);
	/* Nothing is left of it when a program has just drawn what was there before. */
	rect->x2 = max_t(s32, rect->x1, min_t(s32, rect->x2, right * QXL_SEGMENT));
}

/* A rectangle of whole segments was made one colour. */
void qxl_shown_fill(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect, u32 colour)
{
	u64 hash = qxl_hash_colour(&qxl->hash_key, colour, QXL_SEGMENT);
	u32 first, end, length;
	s32 y;

	if (!qxl_shown_is_known(qxl, head))
		return;
	qxl_shown_span(rect, &first, &end);
	length = qxl_shown_length(&head->shown, end - 1);
	for (y = rect->y1; y < rect->y2; y++)
		memset64(qxl_shown_at(head, first, y), hash, end - first);
	if (length == QXL_SEGMENT)
		return;
	hash = qxl_hash_colour(&qxl->hash_key, colour, length);
	for (y = rect->y1; y < rect->y2; y++)
		*qxl_shown_at(head, end - 1, y) = hash;
}

/* Whether what the framebuffer has in a rectangle of whole segments is one colour. */
bool qxl_shown_is_colour(const struct qxl *qxl, const struct qxl_head *head, const struct drm_rect *rect, u32 colour)
{
	u64 hash = qxl_hash_colour(&qxl->hash_key, colour, QXL_SEGMENT);
	u32 first, end, length, i;
	u64 last;
	s32 y;

	qxl_shown_span(rect, &first, &end);
	length = qxl_shown_length(&head->shown, end - 1);
	last = length == QXL_SEGMENT ? hash : qxl_hash_colour(&qxl->hash_key, colour, length);
	for (y = rect->y1; y < rect->y2; y++) {
		const u64 *now = qxl_now_at(qxl, head, 0, y);

		for (i = first; i < end - 1; i++)
			if (now[i] != hash)
				return false;
		if (now[end - 1] != last)
			return false;
	}
	return true;
}

/* Keeps pixels of a tile, of a head that is on the screen in this size, for when they move. */
void qxl_shown_keep(struct qxl *qxl, struct qxl_head *head, u32 column, u32 row, u32 width, u32 height)
{
	struct qxl_shown *shown = &head->shown;
	u32 x = column * QXL_TILE_WIDTH, y = row * QXL_TILE_HEIGHT + QXL_KEY_LINE;
	u32 count = min_t(u32, QXL_TILE_WIDTH, width - x);
	unsigned int i;

	if (y < height)
		memcpy(qxl_shown_key(head, row) + x, qxl_source_at(qxl, head, x, y, count), count * sizeof(u32));
	for (i = 0; i < ARRAY_SIZE(shown->edges); i++) {
		const struct qxl_edge *edge = &shown->edges[i];
		u32 end = min_t(u32, height, (row + 1) * QXL_TILE_HEIGHT);

		if (edge->segment < 0 || edge->segment / QXL_TILE_SEGMENTS != column)
			continue;
		x = edge->segment * QXL_SEGMENT;
		if (x >= width)
			continue;
		count = min_t(u32, QXL_SEGMENT, width - x);
		for (y = row * QXL_TILE_HEIGHT; y < end; y++)
			memcpy(edge->pixels + (size_t)y * QXL_SEGMENT, qxl_source_at(qxl, head, x, y, count),
			       count * sizeof(u32));
	}
}
