// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The device shows one picture, and is told which parts of it are monitors. The heads are side by side in it, so it
 * is made anew when the mode of any head changes; hence such a commit has the state of all of them. A head that sleeps
 * stays there and is black, and so does the picture when there is no head at all: clients keep their windows.
 *
 * It is at the beginning of the RAM BAR, where there is room for the largest that the device takes. Only the device
 * writes it, so the other BARs with memory are not needed.
 */
#include <drm/drm_atomic.h>
#include <drm/drm_atomic_helper.h>
#include <drm/drm_drv.h>

#include "qxl.h"

/* Whether the mode of any head does, or whether it is on. */
bool qxl_layout_is_changed(struct drm_atomic_state *state)
{
	struct drm_crtc_state *crtc_state;
	struct drm_crtc *crtc;
	int i;

	for_each_new_crtc_in_state(state, crtc, crtc_state, i)
		if (drm_atomic_crtc_needs_modeset(crtc_state))
			return true;
	return false;
}

/* All heads are in the state. */
static void qxl_layout_of(struct qxl *qxl, struct drm_atomic_state *state, struct qxl_layout *layout)
{
	unsigned int i;

	memset(layout, 0, sizeof(*layout));
	for (i = 0; i < qxl->heads_count; i++) {
		struct drm_crtc_state *crtc_state = drm_atomic_get_new_crtc_state(state, &qxl->heads[i].crtc);
		struct qxl_head_layout *head = &layout->heads[i];

		head->x = layout->width;
		if (!crtc_state || !crtc_state->enable)
			continue;
		head->width = crtc_state->mode.hdisplay;
		head->height = crtc_state->mode.vdisplay;
		layout->width += head->width;
		layout->height = max(layout->height, head->height);
	}
}

/* Adds the state of all heads if that of one changes the layout. */
int qxl_layout_complete(struct qxl *qxl, struct drm_atomic_state *state)
{
	unsigned int i;

	if (!qxl_layout_is_changed(state))
		return 0;
	for (i = 0; i < qxl->heads_count; i++) {
		struct drm_crtc_state *crtc_state = drm_atomic_get_crtc_state(state, &qxl->heads[i].crtc);

		if (IS_ERR(crtc_state))
			return PTR_ERR(crtc_state);
	}
	return 0;
}

int qxl_layout_check(struct qxl *qxl, struct drm_atomic_state *state)
{
	struct qxl_layout layout;

	if (!qxl_layout_is_changed(state))
		return 0;
	qxl_layout_of(qxl, state, &layout);
	if ((u64)layout.width * layout.height * sizeof(u32) > qxl->limits.primary_bytes) {
		drm_dbg_kms(&qxl->drm, "all heads together are %ux%u, the device has %u bytes for them\n",
			    layout.width, layout.height, qxl->limits.primary_bytes);
		return -EINVAL;
	}
	return 0;
}

/* The heads there are; one that is off is told only when another one after it is on. */
static int qxl_layout_tell(struct qxl *qxl)
{
	struct qxl_monitors_config config = { .max_allowed = cpu_to_le16(qxl->heads_count) };
	u32 count = 0;
	u32 i;

	for (i = 0; i < qxl->heads_count; i++) {
		struct qxl_head_layout *head = &qxl->layout.heads[i];

		config.heads[i] = (struct qxl_monitor){
			.id = cpu_to_le32(i),
			.width = cpu_to_le32(head->width),
			.height = cpu_to_le32(head->height),
			.x = cpu_to_le32(head->width ? head->x : 0),
		};
		if (head->width)
			count = i + 1;
	}
	config.count = cpu_to_le16(count);
	memcpy(qxl->arena.memory, &config, sizeof(config));
	put_unaligned_le64(qxl->slot_address + qxl->limits.arena_offset, &qxl->ram->monitors_config);
	return qxl_device_run(qxl, QXL_PORT_MONITORS_CONFIG_ASYNC, 0);
}

static int qxl_layout_create_primary(struct qxl *qxl)
{
	const struct qxl_surface_create create = {
		.width = cpu_to_le32(qxl->layout.width),
		.height = cpu_to_le32(qxl->layout.height),
		.stride = cpu_to_le32(qxl->layout.width * sizeof(u32)),
		.format = cpu_to_le32(QXL_SURFACE_32_XRGB),
		.mem = cpu_to_le64(qxl->slot_address),
	};
	int error;

	/* Every field, since a reset leaves what others have written. The picture begins black. */
	memcpy(&qxl->ram->create_surface, &create, sizeof(create));
	error = qxl_device_run(qxl, QXL_PORT_CREATE_PRIMARY_ASYNC, 0);
	qxl->has_primary = !error;
	return error;
}

/* Makes the device show the layout there is. When that fails, so has the device, and is reset. */
void qxl_layout_program(struct qxl *qxl)
{
	lockdep_assert_held(&qxl->lock);
	if (!qxl_device_is_usable(qxl))
		return;
	if (qxl->has_primary) {
		qxl->has_primary = false;
		if (qxl_device_run(qxl, QXL_PORT_DESTROY_PRIMARY_ASYNC, 0))
			return;
	}
	/* The pointer goes with the picture. */
	qxl->is_pointer_shown = false;
	qxl->is_shape_stale = true;
	if (!qxl->layout.width)
		return;
	if (!qxl_layout_create_primary(qxl) && !qxl_layout_tell(qxl))
		qxl_draw_restart(qxl);
}

/* In a commit, between what turns heads off and what shows framebuffers. */
void qxl_layout_commit(struct qxl *qxl, struct drm_atomic_state *state)
{
	struct qxl_layout layout;
	int index;

	if (!qxl_layout_is_changed(state))
		return;
	qxl_layout_of(qxl, state, &layout);
	mutex_lock(&qxl->lock);
	if ((layout.width && memcmp(&layout, &qxl->layout, sizeof(layout))) || !qxl->has_primary) {
		if (layout.width)
			qxl->layout = layout;
		if (drm_dev_enter(&qxl->drm, &index)) {
			qxl_layout_program(qxl);
			drm_dev_exit(index);
		}
	}
	mutex_unlock(&qxl->lock);
}
