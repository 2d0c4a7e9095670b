// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What of a head the device has not been sent: a few rectangles, that become one when there are too many. */
#include "qxl.h"

static bool qxl_rect_has(const struct drm_rect *outer, const struct drm_rect *inner)
{
	return outer->x1 <= inner->x1 && outer->y1 <= inner->y1 && outer->x2 >= inner->x2 && outer->y2 >= inner->y2;
}

static void qxl_rect_join(struct drm_rect *rect, const struct drm_rect *other)
{
	rect->x1 = min(rect->x1, other->x1);
	rect->y1 = min(rect->y1, other->y1);
	rect->x2 = max(rect->x2, other->x2);
	rect->y2 = max(rect->y2, other->y2);
}

void qxl_region_drop(struct qxl_region *region, u32 index)
{
	region->count--;
	memmove(&region->rects[index], &region->rects[index + 1],
		(region->count - index) * sizeof(region->rects[0]));
}

/* What is added comes last, so that what has waited longest is sent first. */
void qxl_region_add(struct qxl_region *region, const struct drm_rect *rect)
{
	u32 i = 0;

	if (!drm_rect_visible(rect))
		return;
	while (i < region->count) {
		if (qxl_rect_has(&region->rects[i], rect))
			return;
		if (qxl_rect_has(rect, &region->rects[i]))
			qxl_region_drop(region, i);
		else
			i++;
	}
	if (region->count < QXL_REGION_RECTS) {
		region->rects[region->count++] = *rect;
		return;
	}
	for (i = 1; i < region->count; i++)
		qxl_rect_join(&region->rects[0], &region->rects[i]);
	qxl_rect_join(&region->rects[0], rect);
	region->count = 1;
}

void qxl_region_clip(struct qxl_region *region, const struct drm_rect *bounds)
{
	u32 i = 0;

	while (i < region->count) {
		if (drm_rect_intersect(&region->rects[i], bounds))
			i++;
		else
			qxl_region_drop(region, i);
	}
}
