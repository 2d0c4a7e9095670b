// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What has changed on the heads goes to the device: tiles that are no different from what it shows are left out, what
 * is on the screen elsewhere is copied there, the rest is fills and pictures. When the ring or the memory is full the
 * rest stays marked, where what changes meanwhile joins it, until the interrupt that says there is room: nobody waits,
 * and a slow client sees fewer pictures and not later ones.
 */
#include <drm/drm_framebuffer.h>
#include <drm/drm_gem_framebuffer_helper.h>
#include <drm/drm_managed.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>

#include "qxl.h"

/* Between two looks at a device that there was no room in, and the longest patience with one, in seconds. */
#define QXL_WATCH_TIME		(5ul * HZ)
#define QXL_PATIENCE_MAX	3600u
/* Stretches of tiles that are sent on their own; when there are more, all that is around them is sent as one. */
#define QXL_STRETCHES		64
/* Motions that are sent at once, as of several windows that scroll. */
#define QXL_MOTIONS		3
/* Of so many tiles, after so many times, it becomes a habit that they are new; so often at most it is not looked. */
#define QXL_HABIT_TILES		64
#define QXL_HABIT_TIMES		4
#define QXL_HABIT_PAUSE_MAX	8u

/* Some devices wait for a client that does not read, until they give it up. */
static unsigned int patience = 60;
module_param(patience, uint, 0644);
MODULE_PARM_DESC(patience, "seconds after which a device that takes and releases nothing is reset, 1 to 3600 (60)");

static unsigned long qxl_draw_patience(void)
{
	return (unsigned long)clamp(READ_ONCE(patience), 1u, QXL_PATIENCE_MAX) * HZ;
}

/* Sends a rectangle, which was looked at or is new as a matter of habit; whether there was room for all of it. */
static bool qxl_draw_rect(struct qxl *qxl, struct qxl_head *head, struct drm_rect rect, bool is_known)
{
	u32 colour, lines;

	if (is_known) {
		qxl_shown_trim(qxl, head, &rect);
		if (!drm_rect_visible(&rect))
			return true;
		colour = READ_ONCE(*qxl_source_at(qxl, head, rect.x1, rect.y1, 1));
		if (qxl_shown_is_colour(qxl, head, &rect, colour))
			return qxl_command_fill(qxl, head, &rect, colour);
		if (qxl_look_is_small(qxl))
			qxl_recent_trim(qxl, head, &rect);
		if (!drm_rect_visible(&rect))
			return true;
	}
	lines = qxl_command_lines(qxl, drm_rect_width(&rect));
	while (drm_rect_visible(&rect)) {
		struct drm_rect part = rect;

		part.y2 = min_t(s32, rect.y2, rect.y1 + lines);
		if (!qxl_command_picture(qxl, head, &part))
			return false;
		rect.y1 = part.y2;
	}
	return true;
}

/* Copies what has moved; whether there was room. What differs then is marked. */
static bool qxl_draw_motion(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height)
{
	u32 count, tiles = qxl_tiles_count(qxl->changed);
	struct drm_rect rect;
	s32 dx, dy;

	for (count = 0; count < QXL_MOTIONS; count++) {
		/* What came into sight is not worth another search. */
		if (count && qxl_tiles_count(qxl->changed) < tiles / 4)
			break;
		if (!qxl_motion_find(qxl, head, width, height, &rect, &dx, &dy))
			break;
		if (!qxl_command_copy(qxl, head, &rect, dx, dy))
			return false;
		qxl_look_again(qxl, head, &rect, width, height);
	}
	if (count)
		head->habit = (struct qxl_habit){};
	return true;
}

/* Whether what a program says has changed is taken as new without a look: nearly all of it was, time and again. */
static bool qxl_draw_is_habit(struct qxl_head *head)
{
	struct qxl_habit *habit = &head->habit;

	if (!habit->pause || qxl_tiles_count(head->damage) != habit->tiles)
		return false;
	habit->pause--;
	return true;
}

/* After a look at so many tiles without a motion: those that differ are marked. */
static void qxl_draw_note_habit(struct qxl *qxl, struct qxl_head *head, u32 tiles)
{
	struct qxl_habit *habit = &head->habit;

	if (tiles < QXL_HABIT_TILES || tiles != habit->tiles || qxl_tiles_count(qxl->changed) * 8 < tiles * 7) {
		*habit = (struct qxl_habit){ .tiles = tiles };
		return;
	}
	habit->times++;
	if (habit->times >= QXL_HABIT_TIMES)
		habit->pause = min(habit->times - QXL_HABIT_TIMES + 1, QXL_HABIT_PAUSE_MAX);
}

/* Finds what has changed of a head, and sends what moved; whether there was room. The rest is in `changed`. */
static bool qxl_draw_find(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height)
{
	u32 tiles = qxl_tiles_count(head->damage);

	qxl_look(qxl, head, width, height);
	if (!head->damage->end)
		return true;
	if (!qxl_draw_motion(qxl, head, width, height))
		return false;
	qxl_draw_note_habit(qxl, head, tiles);
	qxl_look_keep(qxl, head, width, height);
	return true;
}

/* Makes few pictures of what is to be sent. */
static void qxl_draw_simplify(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height, bool is_known)
{
	qxl_tiles_simplify(qxl->changed, QXL_STRETCHES);
	qxl_tiles_fill(qxl->changed);
	qxl_tiles_clip(qxl->changed, width, height);
	if (is_known)
		qxl_look_rest(qxl, head, width, height);
}

/* Sends what has changed of a head, which is on the screen in this size; whether there was room for all of it. */
static bool qxl_draw_changed(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height)
{
	const struct drm_rect screen = DRM_RECT_INIT(0, 0, width, height);
	bool is_known = qxl_shown_is_known(qxl, head);
	struct drm_rect rect;

	qxl_tiles_clip(head->damage, width, height);
	if (qxl_draw_is_habit(head))
		is_known = false;
	if (!is_known)
		qxl_tiles_copy(qxl->changed, head->damage);
	else if (!qxl_draw_find(qxl, head, width, height))
		return false;
	qxl_draw_simplify(qxl, head, width, height, is_known);
	while (qxl_tiles_take(qxl->changed, &rect)) {
		drm_rect_intersect(&rect, &screen);
		/* What was sent is no different when it is looked at again. */
		if (!qxl_draw_rect(qxl, head, rect, is_known))
			return false;
	}
	qxl_tiles_clear(head->damage);
	if (is_known && qxl_look_is_small(qxl))
		qxl_look_keep_small(qxl, head, width, height);
	return true;
}

/* A head without a framebuffer. */
static bool qxl_draw_black(struct qxl *qxl, struct qxl_head *head)
{
	struct qxl_head_layout *layout = &qxl->layout.heads[head->index];
	const struct drm_rect all = DRM_RECT_INIT(0, 0, layout->width, layout->height);

	if (drm_rect_visible(&all) && !qxl_command_fill(qxl, head, &all, 0))
		return false;
	qxl_tiles_clear(head->damage);
	return true;
}

/* Whether everything that has changed on the head was sent. */
static bool qxl_draw_head(struct qxl *qxl, struct qxl_head *head)
{
	struct qxl_head_layout *layout = &qxl->layout.heads[head->index];
	/* While a mode is being set the framebuffer may still be that of the mode before. */
	u32 width = min(layout->width, head->source.width);
	u32 height = min(layout->height, head->source.height);
	bool is_done;

	if (width < layout->width)
		width = round_down(width, QXL_SEGMENT);

	if (!head->damage->end)
		return true;
	if (!head->source.fb)
		return qxl_draw_black(qxl, head);
	if (!width || !height)
		return true;
	/* A buffer of another device may have to be made readable. It is tried again with the next change. */
	if (drm_gem_fb_begin_cpu_access(head->source.fb, DMA_FROM_DEVICE))
		return true;
	is_done = qxl_draw_changed(qxl, head, width, height);
	drm_gem_fb_end_cpu_access(head->source.fb, DMA_FROM_DEVICE);
	return is_done;
}

/* Sends what there is room for. Heads take turns in being first, so that none is left behind. */
static void qxl_draw_flush(struct qxl *qxl)
{
	unsigned int i;

	lockdep_assert_held(&qxl->lock);
	if (!qxl->has_primary || !qxl_device_is_usable(qxl))
		return;
	for (i = 0; i < qxl->heads_count; i++) {
		unsigned int index = (qxl->first_head + i) % qxl->heads_count;

		if (!qxl_draw_head(qxl, &qxl->heads[index])) {
			qxl->is_kept_back = true;
			qxl->first_head = (index + 1) % qxl->heads_count;
			return;
		}
	}
}

/* Sends what there is room for, of the pointer and of the heads. What is kept back goes with the next interrupt. */
void qxl_draw_all(struct qxl *qxl)
{
	lockdep_assert_held(&qxl->lock);
	qxl->is_kept_back = false;
	qxl_arena_collect(qxl);
	qxl_cursor_flush(qxl);
	qxl_draw_flush(qxl);
	qxl_ring_publish(qxl, &qxl->commands);
	if (!qxl_device_is_usable(qxl))
		return;
	if (!qxl->is_kept_back) {
		qxl_device_ignore_room(qxl);
		return;
	}
	if (!delayed_work_pending(&qxl->watch) && qxl->watch_moves != qxl->moves) {
		qxl->watch_moves = qxl->moves;
		qxl->watch_since = jiffies;
	}
	queue_delayed_work(qxl->works, &qxl->watch, min(QXL_WATCH_TIME, qxl_draw_patience()));
}

/*
 * Something has been kept back for a while. An interrupt may have been lost; and a device that for a long time takes no
 * command and releases none will not do so any more.
 */
void qxl_draw_watch(struct qxl *qxl)
{
	lockdep_assert_held(&qxl->lock);
	if (!qxl->is_kept_back || !qxl_device_is_usable(qxl))
		return;
	qxl->arena.has_asked = false;
	qxl_draw_all(qxl);
	if (qxl->watch_moves != qxl->moves) {
		qxl->watch_moves = qxl->moves;
		qxl->watch_since = jiffies;
	} else if (qxl->is_kept_back && time_after_eq(jiffies, qxl->watch_since + qxl_draw_patience())) {
		qxl_device_fail(qxl, "what was sent does not come back");
	}
}

/* All of a head is to be looked at. */
void qxl_draw_damage(struct qxl *qxl, struct qxl_head *head)
{
	struct qxl_head_layout *layout = &qxl->layout.heads[head->index];
	const struct drm_rect all = DRM_RECT_INIT(0, 0, layout->width, layout->height);

	qxl_tiles_mark(head->damage, &all);
}

/* The device shows the layout, and all of it is black. */
void qxl_draw_restart(struct qxl *qxl)
{
	unsigned int i;

	lockdep_assert_held(&qxl->lock);
	qxl_shown_reset(qxl);
	for (i = 0; i < qxl->heads_count; i++) {
		qxl_tiles_clear(qxl->heads[i].damage);
		qxl_draw_damage(qxl, &qxl->heads[i]);
	}
}

static void qxl_draw_free(struct drm_device *drm, void *unused)
{
	qxl_shown_free(to_qxl(drm));
}

int qxl_draw_init(struct qxl *qxl)
{
	unsigned int i;

	for (i = 0; i < qxl->heads_count; i++) {
		qxl->heads[i].damage = drmm_kzalloc(&qxl->drm, sizeof(*qxl->heads[i].damage), GFP_KERNEL);
		if (!qxl->heads[i].damage)
			return -ENOMEM;
	}
	qxl_hash_init(&qxl->hash_key);
	qxl->seen = drmm_kzalloc(&qxl->drm, sizeof(*qxl->seen), GFP_KERNEL);
	qxl->changed = drmm_kzalloc(&qxl->drm, sizeof(*qxl->changed), GFP_KERNEL);
	qxl->line = drmm_kcalloc(&qxl->drm, QXL_MODE_MAX, sizeof(*qxl->line), GFP_KERNEL);
	qxl->search = drmm_kzalloc(&qxl->drm, qxl_motion_bytes(), GFP_KERNEL);
	if (!qxl->seen || !qxl->changed || !qxl->line || !qxl->search)
		return -ENOMEM;
	return drmm_add_action_or_reset(&qxl->drm, qxl_draw_free, NULL) ?: qxl_recent_init(qxl) ?: qxl_cache_init(qxl);
}
