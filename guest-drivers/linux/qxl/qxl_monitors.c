// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The connectors: the client's windows. The ROM says how many there are, how large, and where; before a client has
 * said so the first one is connected and has no size of its own.
 */
#include <drm/drm_atomic_helper.h>
#include <drm/drm_drv.h>
#include <drm/drm_edid.h>
#include <drm/drm_modes.h>
#include <drm/drm_probe_helper.h>

#include "qxl.h"

#define QXL_DEFAULT_WIDTH	1024
#define QXL_DEFAULT_HEIGHT	768
#define QXL_REFRESH		60
/* Nothing is scanned out; these make the timings those of a monitor. */
#define QXL_HORIZONTAL_BLANK	160
#define QXL_VERTICAL_BLANK	30

static struct qxl_head *qxl_head_of(struct drm_connector *connector)
{
	return container_of(connector, struct qxl_head, connector);
}

/* One head of the client, if it is a size that a mode can have. */
static bool qxl_monitors_take(struct qxl_head *head, const struct qxl_rect *rect)
{
	u32 top = le32_to_cpu(rect->top), left = le32_to_cpu(rect->left);
	u32 bottom = le32_to_cpu(rect->bottom), right = le32_to_cpu(rect->right);

	if (bottom <= top || right <= left || bottom - top > QXL_MODE_MAX || right - left > QXL_MODE_MAX)
		return false;
	head->wanted_x = left;
	head->wanted_y = top;
	head->wanted_width = right - left;
	head->wanted_height = bottom - top;
	return true;
}

/* Reads what the client wants; whether it says anything. What it said before stays otherwise. */
bool qxl_monitors_read(struct qxl *qxl)
{
	struct qxl_client_monitors *monitors = kmalloc(sizeof(*monitors), GFP_KERNEL);
	unsigned int count, i;
	bool is_any, is_one = false;

	if (!monitors)
		return false;
	count = qxl_rom_client_monitors(qxl, monitors) ? le16_to_cpu(monitors->count) : 0;
	is_any = count && count <= QXL_CLIENT_HEADS;
	if (is_any) {
		mutex_lock(&qxl->drm.mode_config.mutex);
		for (i = 0; i < qxl->heads_count; i++) {
			struct qxl_head *head = &qxl->heads[i];

			head->is_wanted = i < count && qxl_monitors_take(head, &monitors->heads[i]);
			if (!head->is_wanted)
				head->wanted_width = 0;
			is_one |= head->is_wanted;
		}
		/* A system without any monitor is of use to nobody. */
		if (!is_one)
			qxl->heads[0].is_wanted = true;
		mutex_unlock(&qxl->drm.mode_config.mutex);
	}
	kfree(monitors);
	return is_any;
}

static enum drm_connector_status qxl_monitors_detect(struct drm_connector *connector, bool force)
{
	return qxl_head_of(connector)->is_wanted ? connector_status_connected : connector_status_disconnected;
}

static struct drm_display_mode *qxl_monitors_mode(struct drm_device *drm, u32 width, u32 height)
{
	struct drm_display_mode *mode = drm_mode_create(drm);

	if (!mode)
		return NULL;
	mode->hdisplay = width;
	mode->hsync_start = width + QXL_HORIZONTAL_BLANK / 4;
	mode->hsync_end = width + QXL_HORIZONTAL_BLANK / 2;
	mode->htotal = width + QXL_HORIZONTAL_BLANK;
	mode->vdisplay = height;
	mode->vsync_start = height + QXL_VERTICAL_BLANK / 3;
	mode->vsync_end = height + QXL_VERTICAL_BLANK / 2;
	mode->vtotal = height + QXL_VERTICAL_BLANK;
	mode->clock = (u32)mode->htotal * mode->vtotal * QXL_REFRESH / 1000;
	mode->flags = DRM_MODE_FLAG_NHSYNC | DRM_MODE_FLAG_PVSYNC;
	mode->type = DRM_MODE_TYPE_DRIVER | DRM_MODE_TYPE_PREFERRED;
	drm_mode_set_name(mode);
	return mode;
}

static int qxl_monitors_modes(struct drm_connector *connector)
{
	struct drm_mode_config *config = &connector->dev->mode_config;
	struct qxl_head *head = qxl_head_of(connector);
	struct drm_display_mode *mode;
	int count = drm_add_modes_noedid(connector, QXL_MODE_MAX, QXL_MODE_MAX);

	if (!head->wanted_width) {
		drm_set_preferred_mode(connector, QXL_DEFAULT_WIDTH, QXL_DEFAULT_HEIGHT);
		return count;
	}
	drm_object_property_set_value(&connector->base, config->suggested_x_property, head->wanted_x);
	drm_object_property_set_value(&connector->base, config->suggested_y_property, head->wanted_y);
	mode = qxl_monitors_mode(connector->dev, head->wanted_width, head->wanted_height);
	if (!mode)
		return count;
	drm_mode_probed_add(connector, mode);
	return count + 1;
}

static const struct drm_connector_helper_funcs qxl_monitors_helper_funcs = {
	.get_modes = qxl_monitors_modes,
};

static const struct drm_connector_funcs qxl_monitors_funcs = {
	.detect = qxl_monitors_detect,
	.fill_modes = drm_helper_probe_single_connector_modes,
	.destroy = drm_connector_cleanup,
	.reset = drm_atomic_helper_connector_reset,
	.atomic_duplicate_state = drm_atomic_helper_connector_duplicate_state,
	.atomic_destroy_state = drm_atomic_helper_connector_destroy_state,
};

/* Of all connectors: where the client has the window, and that a desktop is to follow its size. */
int qxl_monitors_create_properties(struct qxl *qxl)
{
	int error = drm_mode_create_suggested_offset_properties(&qxl->drm);

	if (error)
		return error;
	qxl->hotplug_mode_update = drm_property_create_range(&qxl->drm, DRM_MODE_PROP_IMMUTABLE, "hotplug_mode_update",
							     0, 1);
	return qxl->hotplug_mode_update ? 0 : -ENOMEM;
}

int qxl_monitors_init(struct qxl *qxl, struct qxl_head *head)
{
	struct drm_connector *connector = &head->connector;
	struct drm_mode_config *config = &qxl->drm.mode_config;
	int error = drm_connector_init(&qxl->drm, connector, &qxl_monitors_funcs, DRM_MODE_CONNECTOR_VIRTUAL);

	if (error)
		return error;
	drm_connector_helper_add(connector, &qxl_monitors_helper_funcs);
	/* The interrupt tells of changes. */
	connector->polled = DRM_CONNECTOR_POLL_HPD;
	drm_object_attach_property(&connector->base, config->suggested_x_property, 0);
	drm_object_attach_property(&connector->base, config->suggested_y_property, 0);
	drm_object_attach_property(&connector->base, qxl->hotplug_mode_update, 1);
	head->is_wanted = head->index == 0;
	return drm_connector_attach_encoder(connector, &head->encoder);
}
