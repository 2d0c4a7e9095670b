// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Display driver for QXL. Framebuffers are memory of the system; what changes in them is sent to the device as
 * pictures, see qxl_draw.c.
 *
 * Nothing of the driver waits for the device but a change of the layout, and that not for longer than some seconds.
 */
#include <drm/drm_atomic_helper.h>
#include <drm/drm_drv.h>
#include <drm/drm_fb_helper.h>
#include <drm/drm_file.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_managed.h>
#include <drm/drm_modeset_helper.h>
#include <drm/drm_probe_helper.h>
#include <linux/aperture.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm.h>
#ifdef QXL_HAS_FBDEV_SHMEM
#include <drm/drm_fbdev_shmem.h>
#endif

#include "qxl.h"

/* Resets of a device that misbehaves. */
#define QXL_RECOVERIES		3
#define QXL_RECOVERIES_TIME	(60 * HZ)

/* What devices have by default, and what programs expect: some have no room for as many as there can be. */
#define QXL_HEADS		4

static unsigned int heads = QXL_HEADS;
module_param(heads, uint, 0444);
MODULE_PARM_DESC(heads, "monitors that one device can have, 1 to 16 (4)");

/* There is room in a ring, or commands were released. */
static void qxl_progress(struct work_struct *work)
{
	struct qxl *qxl = container_of(work, struct qxl, progress);
	int index;

	if (!drm_dev_enter(&qxl->drm, &index))
		return;
	mutex_lock(&qxl->lock);
	qxl_draw_all(qxl);
	mutex_unlock(&qxl->lock);
	drm_dev_exit(index);
}

/* No interrupt has come for long, though there is something to send. */
static void qxl_watch(struct work_struct *work)
{
	struct qxl *qxl = container_of(to_delayed_work(work), struct qxl, watch);
	int index;

	if (!drm_dev_enter(&qxl->drm, &index))
		return;
	mutex_lock(&qxl->lock);
	qxl_draw_watch(qxl);
	mutex_unlock(&qxl->lock);
	drm_dev_exit(index);
}

static void qxl_hotplug(struct work_struct *work)
{
	struct qxl *qxl = container_of(work, struct qxl, hotplug);
	bool is_any;
	int index;

	if (!drm_dev_enter(&qxl->drm, &index))
		return;
	is_any = qxl_monitors_read(qxl);
	drm_dev_exit(index);
	if (is_any)
		drm_kms_helper_hotplug_event(&qxl->drm);
}

/* The device did what it must not: it is reset, and shows again what it is to show. */
static void qxl_recover(struct work_struct *work)
{
	struct qxl *qxl = container_of(work, struct qxl, recover);
	int index;

	if (!drm_dev_enter(&qxl->drm, &index))
		return;
	mutex_lock(&qxl->lock);
	if (qxl->is_running && !__ratelimit(&qxl->recoveries)) {
		drm_err(&qxl->drm, "%u resets did not help, the device is given up\n", QXL_RECOVERIES);
		qxl_device_stop(qxl);
	} else if (qxl->is_running && !qxl_device_start(qxl)) {
		qxl->counters.resets++;
		qxl_layout_program(qxl);
		qxl_draw_all(qxl);
	}
	mutex_unlock(&qxl->lock);
	drm_dev_exit(index);
}

static void qxl_free_works(struct drm_device *drm, void *works)
{
	destroy_workqueue(works);
}

/* All formats have so many bits a pixel. */
static int qxl_dumb_create(struct drm_file *file, struct drm_device *drm, struct drm_mode_create_dumb *args)
{
	if (args->bpp != 32)
		return -EINVAL;
	return drm_gem_shmem_dumb_create(file, drm, args);
}

DEFINE_DRM_GEM_FOPS(qxl_file_operations);

static const struct drm_driver qxl_driver = {
	.driver_features = DRIVER_MODESET | DRIVER_GEM | DRIVER_ATOMIC
#ifdef QXL_HAS_HOTSPOT
			   | DRIVER_CURSOR_HOTSPOT
#endif
	,
	.name = "caraway_qxl",
	.desc = "QXL display",
	.date = "20260101",
	.major = 1,
	.fops = &qxl_file_operations,
#ifdef CONFIG_DEBUG_FS
	.debugfs_init = qxl_debugfs_init,
#endif
	/* As DRM_GEM_SHMEM_DRIVER_OPS, but for the last one. */
#ifdef QXL_HAS_PRIME_HANDLES
	.prime_handle_to_fd = drm_gem_prime_handle_to_fd,
	.prime_fd_to_handle = drm_gem_prime_fd_to_handle,
	.gem_prime_mmap = drm_gem_prime_mmap,
#endif
	.gem_prime_import_sg_table = drm_gem_shmem_prime_import_sg_table,
	.dumb_create = qxl_dumb_create,
};

/* Software only: nothing of it needs the device. */
static int qxl_init_software(struct qxl *qxl)
{
	int error;

	qxl->heads_count = clamp(heads, 1u, (unsigned int)QXL_HEADS_MAX);
	init_completion(&qxl->io_done);
	INIT_WORK(&qxl->progress, qxl_progress);
	INIT_WORK(&qxl->hotplug, qxl_hotplug);
	INIT_WORK(&qxl->recover, qxl_recover);
	INIT_DELAYED_WORK(&qxl->watch, qxl_watch);
	ratelimit_state_init(&qxl->recoveries, QXL_RECOVERIES_TIME, QXL_RECOVERIES);
	ratelimit_set_flags(&qxl->recoveries, RATELIMIT_MSG_ON_RELEASE);
	error = drmm_mutex_init(&qxl->drm, &qxl->lock);
	if (error)
		return error;
	qxl->works = alloc_workqueue("caraway_qxl", WQ_HIGHPRI | WQ_UNBOUND, 0);
	if (!qxl->works)
		return -ENOMEM;
	return drmm_add_action_or_reset(&qxl->drm, qxl_free_works, qxl->works);
}

/* Whether it runs or not: afterwards it is quiet, and so is the driver. */
static void qxl_quiesce(struct qxl *qxl)
{
	mutex_lock(&qxl->lock);
	qxl_device_stop(qxl);
	mutex_unlock(&qxl->lock);
	cancel_work_sync(&qxl->progress);
	cancel_work_sync(&qxl->hotplug);
	cancel_work_sync(&qxl->recover);
	cancel_delayed_work_sync(&qxl->watch);
}

static int qxl_start(struct qxl *qxl)
{
	int error;

	mutex_lock(&qxl->lock);
	error = qxl_device_start(qxl);
	mutex_unlock(&qxl->lock);
	return error;
}

static void qxl_setup_fbdev(struct drm_device *drm)
{
#ifdef QXL_HAS_FBDEV_SHMEM
	drm_fbdev_shmem_setup(drm, 32);
#else
	drm_fbdev_generic_setup(drm, 32);
#endif
}

static int qxl_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct qxl *qxl;
	int error;

	error = aperture_remove_conflicting_pci_devices(pdev, KBUILD_MODNAME);
	if (error)
		return error;
	qxl = devm_drm_dev_alloc(&pdev->dev, &qxl_driver, struct qxl, drm);
	if (IS_ERR(qxl))
		return PTR_ERR(qxl);
	pci_set_drvdata(pdev, qxl);

	error = pcim_enable_device(pdev);
	/* It reads no memory but its own; what other devices export need not be moved for it. */
	if (!error)
		error = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (!error)
		error = qxl_init_software(qxl);
	if (!error)
		error = qxl_device_map(qxl);
	if (!error)
		error = qxl_arena_init(qxl);
	if (!error)
		error = qxl_draw_init(qxl);
	if (!error)
		error = request_irq(pdev->irq, qxl_device_interrupt, IRQF_SHARED, KBUILD_MODNAME, qxl);
	if (error)
		return error;

	error = qxl_kms_init(qxl);
	if (error) {
		free_irq(pdev->irq, qxl);
		return error;
	}
	/* There may be a client already. Some devices forget it with the reset, others learn of one meanwhile. */
	qxl_monitors_read(qxl);
	error = qxl_start(qxl);
	if (!error) {
		qxl_monitors_read(qxl);
		drm_kms_helper_poll_init(&qxl->drm);
		error = drm_dev_register(&qxl->drm, 0);
		if (error)
			drm_kms_helper_poll_fini(&qxl->drm);
	}
	if (error) {
		qxl_quiesce(qxl);
		free_irq(pdev->irq, qxl);
		return error;
	}
	qxl_setup_fbdev(&qxl->drm);
	return 0;
}

static void qxl_remove(struct pci_dev *pdev)
{
	struct qxl *qxl = pci_get_drvdata(pdev);

	/* Who has it open keeps the structures, but not the device. */
	drm_dev_unplug(&qxl->drm);
	drm_kms_helper_poll_fini(&qxl->drm);
	qxl_quiesce(qxl);
	free_irq(pdev->irq, qxl);
	drm_atomic_helper_shutdown(&qxl->drm);
}

static void qxl_shutdown(struct pci_dev *pdev)
{
	struct qxl *qxl = pci_get_drvdata(pdev);

	drm_atomic_helper_shutdown(&qxl->drm);
}

/* Framebuffers are memory of the system, so there is nothing of the device to keep. */
static int qxl_suspend(struct device *dev)
{
	struct qxl *qxl = dev_get_drvdata(dev);
	int error = drm_mode_config_helper_suspend(&qxl->drm);

	if (!error)
		qxl_quiesce(qxl);
	return error;
}

static int qxl_resume(struct device *dev)
{
	struct qxl *qxl = dev_get_drvdata(dev);
	int error = qxl_start(qxl);

	/* Without the device as well: what is set is to be what was set. */
	drm_mode_config_helper_resume(&qxl->drm);
	if (!error)
		queue_work(qxl->works, &qxl->hotplug);
	return error;
}

static DEFINE_SIMPLE_DEV_PM_OPS(qxl_pm, qxl_suspend, qxl_resume);

static const struct pci_device_id qxl_devices[] = {
	{ PCI_DEVICE(QXL_VENDOR_ID, QXL_DEVICE_ID), PCI_CLASS_DISPLAY_VGA << 8, 0xffff00 },
	{ PCI_DEVICE(QXL_VENDOR_ID, QXL_DEVICE_ID), PCI_CLASS_DISPLAY_OTHER << 8, 0xffff00 },
	{ }
};
MODULE_DEVICE_TABLE(pci, qxl_devices);

static struct pci_driver qxl_pci_driver = {
	.name = KBUILD_MODNAME,
	.id_table = qxl_devices,
	.probe = qxl_probe,
	.remove = qxl_remove,
	.shutdown = qxl_shutdown,
	.driver.pm = pm_sleep_ptr(&qxl_pm),
};
module_pci_driver(qxl_pci_driver);

MODULE_DESCRIPTION("QXL display");
MODULE_LICENSE("Dual MIT/GPL");
