// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The pointer. The device has one, and each head a plane for it: shown is the one of the head that it points at.
 *
 * Only the latest state is sent. While there is no room in the ring or no slot, what changes meanwhile takes its
 * place, until the interrupt.
 */
#include <drm/drm_atomic.h>
#include <drm/drm_atomic_helper.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_framebuffer.h>
#include <drm/drm_gem_atomic_helper.h>
#include <drm/drm_gem_framebuffer_helper.h>
#include <drm/drm_managed.h>

#include "qxl.h"

static const u32 qxl_cursor_formats[] = { DRM_FORMAT_ARGB8888 };

struct qxl_cursor_memory {
	struct qxl_cursor_command command;
	u8 padding[2];
	struct qxl_shape shape;
	u8 pixels[QXL_CURSOR_MAX * QXL_CURSOR_MAX * sizeof(u32)];
} __packed;

static_assert(sizeof(struct qxl_cursor_memory) <= QXL_CURSOR_PAGES * QXL_PAGE_BYTES);

static void qxl_cursor_hot_spot(const struct drm_plane_state *state, struct qxl_pointer *pointer)
{
#ifdef QXL_HAS_HOTSPOT
	pointer->hot_x = state->hotspot_x;
	pointer->hot_y = state->hotspot_y;
#else
	pointer->hot_x = state->fb->hot_x;
	pointer->hot_y = state->fb->hot_y;
#endif
	pointer->hot_x = clamp_t(s32, pointer->hot_x, 0, pointer->width - 1);
	pointer->hot_y = clamp_t(s32, pointer->hot_y, 0, pointer->height - 1);
}

static void qxl_cursor_copy(struct qxl_pointer *pointer, const struct drm_plane_state *state)
{
	const struct iosys_map *from = &to_drm_shadow_plane_state((struct drm_plane_state *)state)->data[0];
	size_t line = pointer->width * sizeof(u32);
	u32 y;

	if (drm_gem_fb_begin_cpu_access(state->fb, DMA_FROM_DEVICE))
		return;
	for (y = 0; y < pointer->height; y++) {
		size_t offset = ((state->src_y >> 16) + y) * (size_t)state->fb->pitches[0] +
				(state->src_x >> 16) * sizeof(u32);

		iosys_map_memcpy_from((u8 *)pointer->pixels + y * line, from, offset, line);
	}
	drm_gem_fb_end_cpu_access(state->fb, DMA_FROM_DEVICE);
}

static int qxl_cursor_check(struct drm_plane *plane, struct drm_atomic_state *state)
{
	struct drm_plane_state *plane_state = drm_atomic_get_new_plane_state(state, plane);
	struct drm_crtc_state *crtc_state = NULL;
	int error;

	if (plane_state->crtc)
		crtc_state = drm_atomic_get_new_crtc_state(state, plane_state->crtc);
	error = drm_atomic_helper_check_plane_state(plane_state, crtc_state, DRM_PLANE_NO_SCALING,
						    DRM_PLANE_NO_SCALING, true, true);
	if (error || !plane_state->fb)
		return error;
	if (!plane_state->crtc_w || plane_state->crtc_w > QXL_CURSOR_MAX || !plane_state->crtc_h ||
	    plane_state->crtc_h > QXL_CURSOR_MAX)
		return -EINVAL;
	return 0;
}

/* The head whose pointer is shown; another one has another shape. */
static void qxl_cursor_choose(struct qxl *qxl, unsigned int index)
{
	qxl->is_shape_stale |= qxl->pointer_head != index;
	qxl->pointer_head = index;
}

static bool qxl_cursor_points_at(const struct qxl *qxl, const struct qxl_head *head)
{
	const struct qxl_head_layout *layout = &qxl->layout.heads[head->index];
	s64 x = (s64)head->pointer.x + head->pointer.hot_x;
	s64 y = (s64)head->pointer.y + head->pointer.hot_y;

	return head->pointer.is_visible && x >= 0 && x < layout->width && y >= 0 && y < layout->height;
}

/* Whether what is to be shown differs, and not only where. */
static bool qxl_cursor_is_reshaped(const struct drm_plane_state *old, const struct drm_plane_state *new,
				   const struct drm_crtc_state *crtc_state)
{
	/* What was set while the head was off has not come here. */
	return drm_atomic_crtc_needs_modeset(crtc_state) || new->fb != old->fb || new->src_x != old->src_x ||
	       new->src_y != old->src_y || new->crtc_w != old->crtc_w || new->crtc_h != old->crtc_h;
}

static void qxl_cursor_update(struct drm_plane *plane, struct drm_atomic_state *state)
{
	struct drm_plane_state *plane_state = drm_atomic_get_new_plane_state(state, plane);
	struct drm_plane_state *old_state = drm_atomic_get_old_plane_state(state, plane);
	struct qxl_head *head = container_of(plane, struct qxl_head, cursor);
	struct qxl_pointer *pointer = &head->pointer;
	struct qxl *qxl = to_qxl(plane->dev);
	struct drm_crtc_state *crtc_state = drm_atomic_get_new_crtc_state(state, plane_state->crtc);
	bool is_reshaped = qxl_cursor_is_reshaped(old_state, plane_state, crtc_state);
	s32 hot_x, hot_y;

	mutex_lock(&qxl->lock);
	hot_x = pointer->hot_x;
	hot_y = pointer->hot_y;
	pointer->is_visible = true;
	pointer->x = plane_state->crtc_x;
	pointer->y = plane_state->crtc_y;
	pointer->width = plane_state->crtc_w;
	pointer->height = plane_state->crtc_h;
	qxl_cursor_hot_spot(plane_state, pointer);
	if (is_reshaped)
		qxl_cursor_copy(pointer, plane_state);
	/* The place that is pointed at belongs to the shape. */
	is_reshaped |= pointer->hot_x != hot_x || pointer->hot_y != hot_y;
	if (qxl_cursor_points_at(qxl, head) || !qxl_cursor_points_at(qxl, &qxl->heads[qxl->pointer_head]))
		qxl_cursor_choose(qxl, head->index);
	if (qxl->pointer_head == head->index) {
		qxl->is_shape_stale |= is_reshaped;
		qxl->is_position_stale = true;
	}
	mutex_unlock(&qxl->lock);
}

/* The head has no pointer any more; if another one is pointed at, its pointer is shown. */
void qxl_cursor_forget(struct qxl *qxl, struct qxl_head *head)
{
	unsigned int i;

	mutex_lock(&qxl->lock);
	head->pointer.is_visible = false;
	for (i = 0; i < qxl->heads_count; i++)
		if (qxl_cursor_points_at(qxl, &qxl->heads[i]))
			qxl_cursor_choose(qxl, i);
	mutex_unlock(&qxl->lock);
}

static void qxl_cursor_disable(struct drm_plane *plane, struct drm_atomic_state *state)
{
	qxl_cursor_forget(to_qxl(plane->dev), container_of(plane, struct qxl_head, cursor));
}

/* The place that is pointed at, in the picture of all heads. */
static void qxl_cursor_place(struct qxl *qxl, struct qxl_head *head, struct qxl_cursor_command *command)
{
	s64 x = (s64)head->pointer.x + head->pointer.hot_x + qxl->layout.heads[head->index].x;
	s64 y = (s64)head->pointer.y + head->pointer.hot_y;

	command->x = cpu_to_le16(clamp_t(s64, x, S16_MIN, S16_MAX));
	command->y = cpu_to_le16(clamp_t(s64, y, S16_MIN, S16_MAX));
}

static void qxl_cursor_set_shape(struct qxl_pointer *pointer, struct qxl_cursor_memory *memory)
{
	u32 bytes = pointer->width * pointer->height * sizeof(u32);
	const struct qxl_shape shape = {
		.type = cpu_to_le16(QXL_SHAPE_ALPHA),
		.width = cpu_to_le16(pointer->width),
		.height = cpu_to_le16(pointer->height),
		.hot_x = cpu_to_le16(pointer->hot_x),
		.hot_y = cpu_to_le16(pointer->hot_y),
		.data_size = cpu_to_le32(bytes),
		.chunk.data_size = cpu_to_le32(bytes),
	};

	memcpy(&memory->shape, &shape, sizeof(shape));
	memcpy(memory->pixels, pointer->pixels, bytes);
}

static bool qxl_cursor_is_shown(const struct qxl *qxl, const struct qxl_head *head)
{
	return head->pointer.is_visible && qxl->layout.heads[head->index].width;
}

/* Sends what the device has not been told of, if there is room. */
void qxl_cursor_flush(struct qxl *qxl)
{
	struct qxl_head *head = &qxl->heads[qxl->pointer_head];
	bool is_shown = qxl_cursor_is_shown(qxl, head);
	struct qxl_cursor_command command = {};
	struct qxl_cursor_memory *memory;
	u64 address;
	int slot;

	lockdep_assert_held(&qxl->lock);
	if (!qxl->has_primary || !qxl_device_is_usable(qxl))
		return;
	if (is_shown == qxl->is_pointer_shown && !(is_shown && (qxl->is_shape_stale || qxl->is_position_stale)))
		return;
	if (!qxl_ring_has_room(qxl, &qxl->cursor_commands)) {
		qxl->is_kept_back = true;
		return;
	}
	slot = qxl_arena_take_cursor(qxl);
	if (slot < 0) {
		qxl->arena.is_short = true;
		if (qxl_arena_collect(qxl))
			slot = qxl_arena_take_cursor(qxl);
		if (slot < 0) {
			qxl->is_kept_back = true;
			qxl_arena_ask(qxl);
			return;
		}
		qxl->arena.is_short = false;
	}

	memory = qxl_arena_memory(qxl, slot);
	address = qxl_arena_address(qxl, slot);
	if (!is_shown) {
		command.type = QXL_CURSOR_HIDE;
	} else if (qxl->is_shape_stale) {
		command.type = QXL_CURSOR_SET;
		command.visible = 1;
		command.shape = cpu_to_le64(address + offsetof(struct qxl_cursor_memory, shape));
		qxl_cursor_set_shape(&head->pointer, memory);
		qxl->is_shape_stale = false;
	} else {
		/* Which shows it as well. */
		command.type = QXL_CURSOR_MOVE;
	}
	qxl_cursor_place(qxl, head, &command);
	qxl->is_pointer_shown = is_shown;
	qxl->is_position_stale = false;
	memcpy(&memory->command, &command, sizeof(command));
	qxl_arena_send(qxl, slot);
	qxl_ring_push(qxl, &qxl->cursor_commands, QXL_COMMAND_CURSOR, address);
	qxl_ring_publish(qxl, &qxl->cursor_commands);
	qxl->counters.cursors++;
}

static const struct drm_plane_helper_funcs qxl_cursor_helper_funcs = {
	DRM_GEM_SHADOW_PLANE_HELPER_FUNCS,
	.atomic_check = qxl_cursor_check,
	.atomic_update = qxl_cursor_update,
	.atomic_disable = qxl_cursor_disable,
};

static const struct drm_plane_funcs qxl_cursor_funcs = {
	DRM_GEM_SHADOW_PLANE_FUNCS,
	.update_plane = drm_atomic_helper_update_plane,
	.disable_plane = drm_atomic_helper_disable_plane,
	.destroy = drm_plane_cleanup,
};

int qxl_cursor_init(struct qxl *qxl, struct qxl_head *head)
{
	int error;

	head->pointer.pixels = drmm_kcalloc(&qxl->drm, QXL_CURSOR_MAX * QXL_CURSOR_MAX, sizeof(u32), GFP_KERNEL);
	if (!head->pointer.pixels)
		return -ENOMEM;
	error = drm_universal_plane_init(&qxl->drm, &head->cursor, BIT(head->index), &qxl_cursor_funcs,
					 qxl_cursor_formats, ARRAY_SIZE(qxl_cursor_formats), NULL,
					 DRM_PLANE_TYPE_CURSOR, NULL);
	if (!error)
		drm_plane_helper_add(&head->cursor, &qxl_cursor_helper_funcs);
	return error;
}
