// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What was done since the driver was bound: `counters` in the debugfs folder of the device, names and numbers. */
#include <drm/drm_debugfs.h>
#include <drm/drm_file.h>
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "qxl.h"

static int counters_show(struct seq_file *file, void *unused)
{
	struct qxl *qxl = file->private;
	struct qxl_counters counters;

	mutex_lock(&qxl->lock);
	counters = qxl->counters;
	mutex_unlock(&qxl->lock);
	seq_printf(file, "pictures %llu\n", counters.pictures);
	seq_printf(file, "picture_bytes %llu\n", counters.picture_bytes);
	seq_printf(file, "pictures_again %llu\n", counters.pictures_again);
	seq_printf(file, "fills %llu\n", counters.fills);
	seq_printf(file, "copies %llu\n", counters.copies);
	seq_printf(file, "cursors %llu\n", counters.cursors);
	seq_printf(file, "tiles_seen %llu\n", counters.tiles_seen);
	seq_printf(file, "tiles_same %llu\n", counters.tiles_same);
	seq_printf(file, "waits_ring %llu\n", counters.waits_ring);
	seq_printf(file, "waits_memory %llu\n", counters.waits_memory);
	seq_printf(file, "interrupts %d\n", atomic_read(&qxl->interrupts));
	seq_printf(file, "resets %llu\n", counters.resets);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(counters);

void qxl_debugfs_init(struct drm_minor *minor)
{
	debugfs_create_file("counters", 0444, minor->debugfs_root, to_qxl(minor->dev), &counters_fops);
}
