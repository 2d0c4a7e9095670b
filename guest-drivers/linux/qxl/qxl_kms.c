// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The mode configuration: one CRTC with two planes, one encoder and one connector for each head. */
#include <drm/drm_atomic.h>
#include <drm/drm_atomic_helper.h>
#include <drm/drm_color_mgmt.h>
#include <drm/drm_drv.h>
#include <drm/drm_gem_framebuffer_helper.h>
#include <drm/drm_probe_helper.h>

#include "qxl.h"

/* In kHz: that of the largest mode at 60 Hz, and some more. */
#define QXL_CLOCK_MAX		5000000

static struct qxl_head *qxl_head_of(struct drm_crtc *crtc)
{
	return container_of(crtc, struct qxl_head, crtc);
}

static enum drm_mode_status qxl_crtc_mode_valid(struct drm_crtc *crtc, const struct drm_display_mode *mode)
{
	u64 bytes = (u64)mode->hdisplay * mode->vdisplay * sizeof(u32);

	if (mode->clock > QXL_CLOCK_MAX)
		return MODE_CLOCK_HIGH;
	return bytes > to_qxl(crtc->dev)->limits.primary_bytes ? MODE_MEM : MODE_OK;
}

static int qxl_crtc_check(struct drm_crtc *crtc, struct drm_atomic_state *state)
{
	struct drm_crtc_state *crtc_state = drm_atomic_get_new_crtc_state(state, crtc);

	if (crtc_state->gamma_lut && drm_color_lut_size(crtc_state->gamma_lut) != QXL_GAMMA_SIZE)
		return -EINVAL;
	return 0;
}

/* The table of a head; without one all colours stay. */
static void qxl_crtc_gamma(const struct drm_property_blob *blob, struct qxl_gamma *gamma)
{
	const struct drm_color_lut *lut = blob ? blob->data : NULL;
	u32 i;

	memset(gamma, 0, sizeof(*gamma));
	for (i = 0; lut && i < QXL_GAMMA_SIZE; i++) {
		/* Not rounded: programs have both 257 and 256 times the colour for one that stays. */
		gamma->red[i] = lut[i].red >> 8;
		gamma->green[i] = lut[i].green >> 8;
		gamma->blue[i] = lut[i].blue >> 8;
		gamma->is_any |= gamma->red[i] != i || gamma->green[i] != i || gamma->blue[i] != i;
	}
}

/* After the planes of a head that is on. */
static void qxl_crtc_flush(struct drm_crtc *crtc, struct drm_atomic_state *state)
{
	struct drm_crtc_state *crtc_state = drm_atomic_get_new_crtc_state(state, crtc);
	struct qxl_head *head = qxl_head_of(crtc);
	struct qxl *qxl = to_qxl(crtc->dev);
	struct qxl_gamma *gamma;

	if (!crtc_state->color_mgmt_changed && !drm_atomic_crtc_needs_modeset(crtc_state))
		return;
	gamma = kmalloc(sizeof(*gamma), GFP_KERNEL);
	if (!gamma)
		return;
	qxl_crtc_gamma(crtc_state->gamma_lut, gamma);
	mutex_lock(&qxl->lock);
	if (memcmp(gamma, &head->gamma, sizeof(*gamma)) && (gamma->is_any || head->gamma.is_any)) {
		head->gamma = *gamma;
		qxl_draw_damage(qxl, head);
	}
	mutex_unlock(&qxl->lock);
	kfree(gamma);
}

/*
 * Turning heads on and off is a matter of the layout. One that is off keeps nothing of its planes, which are not
 * always turned off on their own; when it is turned on they are all set again.
 */
static void qxl_crtc_disable(struct drm_crtc *crtc, struct drm_atomic_state *state)
{
	qxl_plane_forget(to_qxl(crtc->dev), qxl_head_of(crtc));
	qxl_cursor_forget(to_qxl(crtc->dev), qxl_head_of(crtc));
}

static const struct drm_crtc_helper_funcs qxl_crtc_helper_funcs = {
	.mode_valid = qxl_crtc_mode_valid,
	.atomic_check = qxl_crtc_check,
	.atomic_flush = qxl_crtc_flush,
	.atomic_disable = qxl_crtc_disable,
};

static const struct drm_crtc_funcs qxl_crtc_funcs = {
	.reset = drm_atomic_helper_crtc_reset,
	.destroy = drm_crtc_cleanup,
	.set_config = drm_atomic_helper_set_config,
	.page_flip = drm_atomic_helper_page_flip,
	.atomic_duplicate_state = drm_atomic_helper_crtc_duplicate_state,
	.atomic_destroy_state = drm_atomic_helper_crtc_destroy_state,
};

static const struct drm_encoder_funcs qxl_encoder_funcs = {
	.destroy = drm_encoder_cleanup,
};

static int qxl_kms_check(struct drm_device *drm, struct drm_atomic_state *state)
{
	int error;

	/* Which heads there are is known only after the first look; those that join are to be looked at as well. */
	error = drm_atomic_helper_check_modeset(drm, state);
	if (!error)
		error = qxl_layout_complete(to_qxl(drm), state);
	if (!error)
		error = drm_atomic_helper_check(drm, state);
	return error ?: qxl_layout_check(to_qxl(drm), state);
}

static void qxl_kms_commit_tail(struct drm_atomic_state *state)
{
	struct drm_device *drm = state->dev;
	struct qxl *qxl = to_qxl(drm);
	int index;

	drm_atomic_helper_commit_modeset_disables(drm, state);
	qxl_layout_commit(qxl, state);
	drm_atomic_helper_commit_planes(drm, state, DRM_PLANE_COMMIT_ACTIVE_ONLY);
	drm_atomic_helper_commit_modeset_enables(drm, state);

	if (drm_dev_enter(drm, &index)) {
		mutex_lock(&qxl->lock);
		/* It may have kept some back without being asked; a commit is the time to ask again. */
		qxl->arena.has_asked = false;
		qxl_draw_all(qxl);
		mutex_unlock(&qxl->lock);
		drm_dev_exit(index);
	}
	drm_atomic_helper_fake_vblank(state);
	drm_atomic_helper_commit_hw_done(state);
	drm_atomic_helper_cleanup_planes(drm, state);
}

/* The kernel looks at the format alone. */
static struct drm_framebuffer *qxl_kms_create_framebuffer(struct drm_device *drm, struct drm_file *file,
							  const struct drm_mode_fb_cmd2 *command)
{
	if (command->flags & DRM_MODE_FB_MODIFIERS &&
	    !drm_any_plane_has_format(drm, command->pixel_format, command->modifier[0])) {
		drm_dbg_kms(drm, "no plane has format %p4cc with modifier %#llx\n", &command->pixel_format,
			    command->modifier[0]);
		return ERR_PTR(-EINVAL);
	}
	return drm_gem_fb_create_with_dirty(drm, file, command);
}

/*
 * A new layout has heads in its commit that the program did not name. It must not be told that they are busy, here or
 * with its next picture for one of them: it has done nothing wrong, and may never draw there again. So it waits.
 */
static int qxl_kms_commit(struct drm_device *drm, struct drm_atomic_state *state, bool is_nonblocking)
{
	return drm_atomic_helper_commit(drm, state, is_nonblocking && !qxl_layout_is_changed(state));
}

static const struct drm_mode_config_funcs qxl_mode_config_funcs = {
	.fb_create = qxl_kms_create_framebuffer,
	.atomic_check = qxl_kms_check,
	.atomic_commit = qxl_kms_commit,
};

static const struct drm_mode_config_helper_funcs qxl_mode_config_helper_funcs = {
	.atomic_commit_tail = qxl_kms_commit_tail,
};

static int qxl_kms_init_head(struct qxl *qxl, struct qxl_head *head)
{
	int error;

	error = qxl_plane_init(qxl, head);
	if (!error)
		error = qxl_cursor_init(qxl, head);
	if (!error)
		error = drm_crtc_init_with_planes(&qxl->drm, &head->crtc, &head->primary, &head->cursor,
						  &qxl_crtc_funcs, NULL);
	if (!error)
		error = drm_mode_crtc_set_gamma_size(&head->crtc, QXL_GAMMA_SIZE);
	if (error)
		return error;
	drm_crtc_enable_color_mgmt(&head->crtc, 0, false, QXL_GAMMA_SIZE);
	drm_crtc_helper_add(&head->crtc, &qxl_crtc_helper_funcs);
	error = drm_encoder_init(&qxl->drm, &head->encoder, &qxl_encoder_funcs, DRM_MODE_ENCODER_VIRTUAL, NULL);
	if (error)
		return error;
	head->encoder.possible_crtcs = drm_crtc_mask(&head->crtc);
	return qxl_monitors_init(qxl, head);
}

int qxl_kms_init(struct qxl *qxl)
{
	struct drm_mode_config *config = &qxl->drm.mode_config;
	unsigned int i;
	int error;

	error = drmm_mode_config_init(&qxl->drm);
	if (error)
		return error;
	config->funcs = &qxl_mode_config_funcs;
	config->helper_private = &qxl_mode_config_helper_funcs;
	config->max_width = QXL_MODE_MAX;
	config->max_height = QXL_MODE_MAX;
	config->cursor_width = QXL_CURSOR_MAX;
	config->cursor_height = QXL_CURSOR_MAX;
	config->preferred_depth = 24;

	error = qxl_monitors_create_properties(qxl);
	for (i = 0; i < qxl->heads_count && !error; i++) {
		qxl->heads[i].index = i;
		error = qxl_kms_init_head(qxl, &qxl->heads[i]);
	}
	if (error)
		return error;
	drm_mode_config_reset(&qxl->drm);
	return 0;
}
