// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The framebuffer of a head: what changes in it is noted here, and sent at the end of the commit or later. */
#include <drm/drm_atomic.h>
#include <drm/drm_atomic_helper.h>
#include <drm/drm_damage_helper.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_framebuffer.h>
#include <drm/drm_gem_atomic_helper.h>
#include <drm/drm_gem_framebuffer_helper.h>

#include "qxl.h"

static const u32 qxl_plane_formats[] = { DRM_FORMAT_XRGB8888 };

static void qxl_source_release(struct qxl_source *source)
{
	if (!source->fb)
		return;
	drm_gem_fb_vunmap(source->fb, source->map);
	drm_framebuffer_put(source->fb);
}

/* The head shows `source` from now on; none is black. What it showed is released outside of the lock. */
static void qxl_plane_show(struct qxl *qxl, struct qxl_head *head, const struct qxl_source *source)
{
	struct qxl_source before;

	mutex_lock(&qxl->lock);
	before = head->source;
	head->source = *source;
	if (!source->fb)
		qxl_draw_damage(qxl, head);
	mutex_unlock(&qxl->lock);
	qxl_source_release(&before);
}

void qxl_plane_forget(struct qxl *qxl, struct qxl_head *head)
{
	const struct qxl_source none = {};

	qxl_plane_show(qxl, head, &none);
}

static int qxl_plane_check(struct drm_plane *plane, struct drm_atomic_state *state)
{
	struct drm_plane_state *plane_state = drm_atomic_get_new_plane_state(state, plane);
	struct drm_crtc_state *crtc_state = NULL;

	if (plane_state->crtc)
		crtc_state = drm_atomic_get_new_crtc_state(state, plane_state->crtc);
	return drm_atomic_helper_check_plane_state(plane_state, crtc_state, DRM_PLANE_NO_SCALING, DRM_PLANE_NO_SCALING,
						   false, true);
}

static void qxl_plane_update(struct drm_plane *plane, struct drm_atomic_state *state)
{
	struct drm_plane_state *plane_state = drm_atomic_get_new_plane_state(state, plane);
	struct drm_plane_state *old_state = drm_atomic_get_old_plane_state(state, plane);
	struct qxl_head *head = container_of(plane, struct qxl_head, primary);
	struct qxl *qxl = to_qxl(plane->dev);
	struct drm_atomic_helper_damage_iter iter;
	struct qxl_source source = {
		.fb = plane_state->fb,
		.x = plane_state->src.x1 >> 16,
		.y = plane_state->src.y1 >> 16,
		.width = drm_rect_width(&plane_state->dst),
		.height = drm_rect_height(&plane_state->dst),
	};
	struct drm_rect clip;

	if (!plane_state->fb || !plane_state->visible) {
		qxl_plane_forget(qxl, head);
		return;
	}
	/* It is mapped for the commit already, so this only makes the mapping last. */
	if (drm_gem_fb_vmap(source.fb, source.map, source.data)) {
		drm_err_once(&qxl->drm, "a framebuffer cannot be mapped, its head keeps the one before\n");
		return;
	}
	drm_framebuffer_get(source.fb);
	qxl_plane_show(qxl, head, &source);

	mutex_lock(&qxl->lock);
	drm_atomic_helper_damage_iter_init(&iter, old_state, plane_state);
	drm_atomic_for_each_plane_damage(&iter, &clip) {
		drm_rect_translate(&clip, -source.x, -source.y);
		qxl_tiles_mark(head->damage, &clip);
	}
	mutex_unlock(&qxl->lock);
}

static void qxl_plane_disable(struct drm_plane *plane, struct drm_atomic_state *state)
{
	qxl_plane_forget(to_qxl(plane->dev), container_of(plane, struct qxl_head, primary));
}

static const struct drm_plane_helper_funcs qxl_plane_helper_funcs = {
	DRM_GEM_SHADOW_PLANE_HELPER_FUNCS,
	.atomic_check = qxl_plane_check,
	.atomic_update = qxl_plane_update,
	.atomic_disable = qxl_plane_disable,
};

static const struct drm_plane_funcs qxl_plane_funcs = {
	DRM_GEM_SHADOW_PLANE_FUNCS,
	.update_plane = drm_atomic_helper_update_plane,
	.disable_plane = drm_atomic_helper_disable_plane,
	.destroy = drm_plane_cleanup,
};

int qxl_plane_init(struct qxl *qxl, struct qxl_head *head)
{
	int error = drm_universal_plane_init(&qxl->drm, &head->primary, BIT(head->index), &qxl_plane_funcs,
					     qxl_plane_formats, ARRAY_SIZE(qxl_plane_formats), NULL,
					     DRM_PLANE_TYPE_PRIMARY, NULL);

	if (error)
		return error;
	drm_plane_helper_add(&head->primary, &qxl_plane_helper_funcs);
	drm_plane_enable_fb_damage_clips(&head->primary);
	return 0;
}
